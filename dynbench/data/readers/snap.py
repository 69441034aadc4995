"""SNAP temporal networks: lines ``SRC DST UNIXTIME``."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from dynbench.data.events import RawEvents
from dynbench.data.textfiles import read_columns


def read_from_one(files: list[Path]) -> RawEvents:
    """Read a file whose ids count from 1 without gaps (CollegeMsg).

    Args:
        files: The one text file, possibly ``.gz``.
    """
    table = read_columns(files[0], ("SRC", "DST", "UNIXTIME"), (0, 1, 2), comment="#")
    src, dst = (table.integers(name, lowest=1) - 1 for name in ("SRC", "DST"))
    return _sorted(src, dst, table.times("UNIXTIME"))


def read_ranked(files: list[Path]) -> RawEvents:
    """Read a file whose ids have gaps, and close the gaps in the order of the ids (email-Eu-core).

    Args:
        files: The one text file, possibly ``.gz``. Its lines need not be in the order of time.
    """
    table = read_columns(files[0], ("SRC", "DST", "UNIXTIME"), (0, 1, 2), comment="#")
    ends = np.stack([table.integers("SRC"), table.integers("DST")])
    _, ranks = np.unique(ends, return_inverse=True)
    src, dst = ranks.reshape(ends.shape)
    return _sorted(src, dst, table.times("UNIXTIME"))


def _sorted(src: np.ndarray, dst: np.ndarray, time: np.ndarray) -> RawEvents:
    order = np.argsort(time, kind="stable")
    return RawEvents(src[order], dst[order], time[order])

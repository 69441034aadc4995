"""Opsahl's UC Irvine messages in KONECT's format, cut as DySAT did."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from dynbench.data.events import RawEvents, number_ends
from dynbench.data.readers.localtime import DAY, to_local
from dynbench.data.textfiles import read_columns
from dynbench.errors import DataError


def read_opsahl(files: list[Path]) -> RawEvents:
    """Read ``out.opsahl-ucsocial``: comment lines with ``%``, then ``src dst weight time``.

    Args:
        files: The one file.

    Returns:
        The messages that DySAT's cut keeps, in order of time, nodes numbered by first appearance among them.

    Raises:
        DataError: If a line is malformed, or the file spans too little time for the cut.
    """
    table = read_columns(files[0], ("src", "dst", "time"), (0, 1, 3), comment="%")
    time = table.times("time")
    order = np.argsort(time, kind="stable")
    time, src, dst = time[order], table.integers("src")[order], table.integers("dst")[order]
    step = ten_day_steps(time)
    kept = step >= 0
    if not kept.any():
        raise DataError(f"{files[0]}: the events span less than the 65 days that the cut drops at both ends")
    src, dst = number_ends(src[kept], dst[kept])
    return RawEvents(src, dst, time[kept], snapshot=step[kept])


def ten_day_steps(time: np.ndarray) -> np.ndarray:
    """DySAT's steps of ten days of local time.

    Counting starts 5 days after the first message and ends 60 days before the last.

    Args:
        time: ``(E,) int64`` Unix seconds.

    Returns:
        ``(E,) int64`` steps, -1 for events outside.
    """
    local = to_local(time)
    start, stop = local.min() + 5 * DAY, local.max() - 60 * DAY
    return np.where((local >= start) & (local <= stop), (local - start) // DAY // 10, -1)

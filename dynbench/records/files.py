"""Files that are there whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from dynbench.errors import RunError
from dynbench.files import replace

# Bytes of arrays from which on packing takes seconds.
_LARGE = 100_000_000


def write_text(path: str | Path, text: str) -> Path:
    """Write a text file through a temporary name, so that no reader meets half of it.

    Raises:
        RunError: If the folder cannot be written.
    """
    return _write(path, lambda file: file.write(text.encode("utf-8")))


def write_arrays(arrays: dict[str, Any], path: str | Path) -> Path:
    """Write arrays (plain ones, no pickles) so that they are there whole or not at all.

    Large ones are not packed: vectors of a million nodes shrink by a tenth, in minutes.

    Raises:
        RunError: If the folder cannot be written.
    """
    import numpy as np

    save = np.savez if sum(np.asarray(part).nbytes for part in arrays.values()) > _LARGE else np.savez_compressed
    return _write(path, lambda file: save(file, **arrays))


def require_writable(folder: str | Path) -> None:
    """Find out before a run, not after it, that its results could not be kept.

    Raises:
        RunError: If the folder cannot be made or written.
    """
    probe = Path(folder) / f".probe.{os.getpid()}"
    try:
        probe.parent.mkdir(parents=True, exist_ok=True)
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise RunError(
            f"cannot write to '{folder}': {error.strerror}; choose another folder with results_dir=… or work_dir=…"
        ) from error


def _write(path: str | Path, write: Callable[[IO[bytes]], Any]) -> Path:
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        replace(path, write)
    except OSError as error:
        raise RunError(
            f"cannot write {path}: {error.strerror}; set results_dir and work_dir to folders you may write"
        ) from error
    return path

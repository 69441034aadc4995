"""Features from NumPy files, which are never unpickled."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from dynbench.errors import DataError


def read_npy(path: Path) -> np.ndarray:
    """The array of a ``.npy`` file, converted to a matrix of single precision.

    Raises:
        DataError: If the file is damaged, holds pickled objects, or anything but finite numbers in rows.
    """
    return _matrix(_load(path, lambda stored: stored), path)


def read_npz(path: Path) -> np.ndarray:
    """The array ``features`` of a ``.npz`` file, or the matrix of one that SciPy wrote in compressed rows.

    Raises:
        DataError: As :func:`read_npy`, or if it holds neither.
    """

    def pick(stored) -> np.ndarray:
        if "features" in stored.files:
            return stored["features"]
        if {"data", "indices", "indptr", "shape"} <= set(stored.files) and stored["format"].item() in (b"csr", "csr"):
            from scipy import sparse

            parts = (stored["data"], stored["indices"], stored["indptr"])
            return sparse.csr_array(parts, shape=tuple(stored["shape"])).toarray()
        raise DataError(f"{path}: no array 'features'; it holds {', '.join(stored.files)}")

    return _matrix(_load(path, pick), path)


def check_rows(features: np.ndarray, count: int, what: str, path: Path) -> np.ndarray:
    """Refuse features that do not belong to what they are said to describe.

    Raises:
        DataError: If there are more or fewer rows than ``count``.
    """
    if len(features) != count:
        raise DataError(f"{path}: {len(features):,} rows of features for {count:,} {what}; they must be as many")
    return features


def _load(path: Path, pick: Callable) -> np.ndarray:
    try:
        stored = np.load(path, allow_pickle=False)
        with stored if hasattr(stored, "files") else _Open():
            return pick(stored)
    except DataError:
        raise
    except Exception as error:  # numpy has a dozen words for a file that is damaged or of another kind
        raise DataError(
            f"{path}: not a plain NumPy array ({error}); a file with pickled objects is never loaded, a damaged one "
            "must be copied again"
        ) from error


class _Open:
    """Stands in for a file that needs no closing."""

    def __enter__(self) -> None:
        """Nothing to do."""

    def __exit__(self, *_) -> None:
        """Nothing to do."""


def _matrix(array: np.ndarray, path: Path) -> np.ndarray:
    if array.ndim == 1:
        array = array[:, None]
    if array.ndim != 2 or array.dtype.kind not in "fiub":
        raise DataError(f"{path}: features must be numbers in rows, not {array.dtype} of shape {array.shape}")
    with np.errstate(over="ignore"):
        single = array.astype(np.float32)
    bad = ~np.isfinite(single).all(axis=1)
    if bad.any():
        row = int(np.argmax(bad))
        column = int(np.argmax(~np.isfinite(single[row])))
        raise DataError(f"{path}: row {row}, column {column} is {array[row, column]}; features must be finite numbers")
    return single

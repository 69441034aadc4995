"""An array that grows at its end."""

from __future__ import annotations

import numpy as np


class GrowingArray:
    """Values in a row with room behind them, so that growing costs as much as what is added.

    Args:
        dtype: Of the values.
    """

    def __init__(self, dtype: np.dtype | type):
        self._room = np.empty(0, dtype=dtype)
        self._size = 0

    def __len__(self) -> int:
        """Number of values."""
        return self._size

    @property
    def values(self) -> np.ndarray:
        """The values; writing into them changes the array."""
        return self._room[: self._size]

    def extend(self, values: np.ndarray) -> None:
        """Add values at the end."""
        start = self._size
        self.resize(start + len(values))
        self._room[start : self._size] = values

    def resize(self, size: int, fill: float | None = None) -> None:
        """Cut, or grow to a size; new values are ``fill``, or anything if that is ``None``."""
        if size > len(self._room):
            room = np.empty(max(size, 2 * len(self._room)), dtype=self._room.dtype)
            room[: self._size] = self.values
            self._room = room
        if fill is not None and size > self._size:
            self._room[self._size : size] = fill
        self._size = size

"""Rows for pairs of nodes: a growable hash table in which revealing a batch costs what the batch is long.

A pair gets the next row when it is first met, so that models keep what they count in arrays with a row per pair.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

try:
    from numba import njit

    jit = njit(cache=True, nogil=True)
except ImportError:  # slower, and otherwise the same

    def jit(function):
        """The function itself."""
        return function


_EMPTY = -1
# Slots per pair at least; a longer table is searched in fewer steps.
_ROOM = 2


class PairTable:
    """Numbers ordered pairs of nodes in the order in which they are first met; lives on the CPU.

    Args:
        num_nodes: Nodes there are.
        symmetric: Whether ``(i, j)`` and ``(j, i)`` are one pair.
    """

    def __init__(self, num_nodes: int, symmetric: bool = False):
        self.num_nodes, self.symmetric = num_nodes, symmetric
        self._codes = np.empty(0, dtype=np.int64)
        self._slots = np.full(16, _EMPTY, dtype=np.int64)
        self._count = 0

    def __len__(self) -> int:
        """Number of pairs met."""
        return self._count

    @property
    def pairs(self) -> tuple[Tensor, Tensor]:
        """Both ends of the pairs met, each ``(P,) long``; of a symmetric table the smaller one first."""
        codes = torch.from_numpy(self._codes[: self._count])
        return codes // self.num_nodes, codes % self.num_nodes

    def find(self, src: Tensor, dst: Tensor) -> Tensor:
        """``(Q,) long`` rows of pairs, -1 for those not met."""
        rows = np.empty(len(src), dtype=np.int64)
        _find(self._codes, self._slots, self.coded(src, dst), rows)
        return torch.from_numpy(rows)

    def add(self, src: Tensor, dst: Tensor) -> Tensor:
        """``(Q,) long`` rows of pairs, new ones for those not met."""
        codes = self.coded(src, dst)
        self._reserve(self._count + len(codes))
        rows = np.empty(len(codes), dtype=np.int64)
        self._count = _add(self._codes, self._slots, codes, rows, self._count)
        return torch.from_numpy(rows)

    def forget(self, count: int) -> None:
        """Go back to the first ``count`` pairs."""
        if count < self._count:
            _forget(self._codes, self._slots, count, self._count)
            self._count = count

    def coded(self, src: Tensor, dst: Tensor) -> np.ndarray:
        """``(Q,) int64`` one number per pair."""
        src, dst = src.cpu(), dst.cpu()
        if self.symmetric:
            src, dst = torch.minimum(src, dst), torch.maximum(src, dst)
        return (src * self.num_nodes + dst).numpy()

    @property
    def arrays(self) -> tuple[np.ndarray, np.ndarray]:
        """Numbers by row, and rows by slot: for other compiled loops, by way of :func:`row_of`."""
        return self._codes, self._slots

    def _reserve(self, count: int) -> None:
        if count > len(self._codes):
            grown = np.empty(max(count, 2 * len(self._codes)), dtype=np.int64)
            grown[: self._count] = self._codes[: self._count]
            self._codes = grown
        if _ROOM * count > len(self._slots):
            size = len(self._slots)
            while size < _ROOM * count:
                size *= 2
            self._slots = np.full(size, _EMPTY, dtype=np.int64)
            _fill(self._codes, self._slots, self._count)


@jit
def _slot(code, mask):
    """Where to look first: the bits of the code, well mixed."""
    x = np.uint64(code) * np.uint64(0x9E3779B97F4A7C15)
    return np.int64((x ^ (x >> np.uint64(32))) & np.uint64(mask))


@jit
def row_of(codes, slots, code):
    """The row of a pair, or -1."""
    mask = len(slots) - 1
    slot = _slot(code, mask)
    while slots[slot] != _EMPTY and codes[slots[slot]] != code:
        slot = (slot + 1) & mask
    return slots[slot]


@jit
def _find(codes, slots, wanted, rows):
    for k in range(len(wanted)):
        rows[k] = row_of(codes, slots, wanted[k])


@jit
def _place(codes, slots, row):
    mask = len(slots) - 1
    slot = _slot(codes[row], mask)
    while slots[slot] != _EMPTY:
        slot = (slot + 1) & mask
    slots[slot] = row


@jit
def _fill(codes, slots, count):
    for row in range(count):
        _place(codes, slots, row)


@jit
def _add(codes, slots, wanted, rows, count):
    for k in range(len(wanted)):
        row = row_of(codes, slots, wanted[k])
        if row == _EMPTY:
            row = count
            codes[row] = wanted[k]
            _place(codes, slots, row)
            count += 1
        rows[k] = row
    return count


@jit
def _forget(codes, slots, first, count):
    # The last pair that came is the last one on every path of a search, so that its slot may simply be emptied.
    mask = len(slots) - 1
    for row in range(count - 1, first - 1, -1):
        slot = _slot(codes[row], mask)
        while slots[slot] != row:
            slot = (slot + 1) & mask
        slots[slot] = _EMPTY

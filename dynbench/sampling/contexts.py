"""Nodes that walks pass beside one another, and draws from them for some nodes and snapshots at a time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from scipy import sparse
from torch import Tensor

from dynbench.sampling.walks import random_walks


class ContextPairs:
    """What stands near each node on random walks over each snapshot, counted once and drawn from many times.

    Args:
        matrices: ``(N, N)`` positive symmetric matrices, one per snapshot.
        walks: Walks from each node that has a link.
        length: Nodes per walk.
        window: Farthest neighbour on a walk that counts.
        device: Where draws are made.
    """

    def __init__(
        self, matrices: Sequence[sparse.csr_array], walks: int, length: int, window: int,
        device: torch.device | str = "cpu",
    ):  # fmt: skip
        self.num_nodes = matrices[0].shape[0]
        parts = [_near(matrix, walks, length, window) for matrix in matrices]
        nodes, near, count = (np.concatenate(field) for field in zip(*parts, strict=True))
        owner = nodes + np.repeat(np.arange(len(parts)) * self.num_nodes, [len(part[0]) for part in parts])
        filled = np.bincount(owner, count, minlength=len(matrices) * self.num_nodes)
        ends = filled.cumsum()
        self._stop = torch.from_numpy(ends).to(device)
        self._total = torch.from_numpy(filled).to(device)
        self._ends = torch.from_numpy(count.cumsum(dtype=np.float64)).to(device)
        self._near = torch.from_numpy(near).long().to(device)

    def draw(self, step: Tensor, node: Tensor, count: int) -> tuple[Tensor, Tensor]:
        """Draw neighbours on walks, in proportion to how often they were met.

        Args:
            step, node: ``(Q,) long`` snapshots and nodes.
            count: Draws for each, with replacement.

        Returns:
            ``(R,) long`` positions in ``step`` that have any, and ``(R, count) long`` what was drawn for each.
        """
        owner = step * self.num_nodes + node
        total = self._total.index_select(0, owner)
        some = total.nonzero().squeeze(1)
        total = total.index_select(0, some)
        start = self._stop.index_select(0, owner.index_select(0, some)) - total
        uniform = torch.rand(len(some), count, dtype=torch.double, device=total.device)
        place = start[:, None] + (uniform * total[:, None]).floor()  # counts are whole numbers
        found = torch.searchsorted(self._ends, place.flatten(), right=True)
        return some, self._near.index_select(0, found).view(-1, count)


def _near(matrix: sparse.csr_array, walks: int, length: int, window: int) -> tuple[np.ndarray, ...]:
    """Nodes, those near them on walks, and how often; pairs of a node with itself are left out."""
    starts = torch.from_numpy(np.flatnonzero(np.diff(matrix.indptr))).repeat(walks)
    if not len(starts):
        return np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0)
    passed = random_walks(matrix, starts, length, weighted=True).numpy()
    size = matrix.shape[0]
    met = sparse.csr_array((size, size))
    for offset in range(1, min(window, length - 1) + 1):
        one, other = passed[:-offset].ravel(), passed[offset:].ravel()
        met = met + sparse.csr_array(sparse.coo_array((np.ones(len(one)), (one, other)), shape=(size, size)))
    met = sparse.coo_array(met + met.T)
    proper = met.row != met.col
    order = np.lexsort((met.col[proper], met.row[proper]))
    return tuple(part[proper][order] for part in (met.row, met.col, met.data))

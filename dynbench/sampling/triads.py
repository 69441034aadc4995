"""Corrupted links, open triads, and what could have closed them: the samples of DynamicTriad, without a loop."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from scipy import sparse
from torch import Tensor

from dynbench.nn.segments import ranges
from dynbench.sampling.pairs import contains_sorted

# Draws of an open end by chance before all neighbours are listed.
_TRIES = 5


class Triads(NamedTuple):
    """Open triads: two neighbours of a centre that are not linked to each other.

    Attributes:
        step, centre, one, other: ``(Q,) long`` snapshot and nodes.
        weight: ``(Q, 2)`` weights of the links from the centre to either end.
        closing: ``(Q,) long`` number of the pair of ends among those that link up in the next snapshot, else -1.
    """

    step: Tensor
    centre: Tensor
    one: Tensor
    other: Tensor
    weight: Tensor
    closing: Tensor


class TriadSampler:
    """Draws for the links of all snapshots of a graph.

    Args:
        matrices: ``(n, n)`` symmetric positive weights without self-loops, one per snapshot.
        device: Where draws are made.
    """

    def __init__(self, matrices: Sequence[sparse.csr_array], device: torch.device | str = "cpu"):
        self.steps, self.nodes = len(matrices), matrices[0].shape[0]
        for matrix in matrices:
            matrix.sort_indices()
        degree = np.concatenate([np.diff(matrix.indptr) for matrix in matrices])
        target = np.concatenate([matrix.indices for matrix in matrices])
        weight = np.concatenate([matrix.data for matrix in matrices])
        self._degree, self._target, self._weight = (
            torch.from_numpy(part).to(device) for part in (degree, target, weight)
        )
        self._degree, self._target = self._degree.long(), self._target.long()
        self._first = self._degree.cumsum(0) - self._degree
        place = torch.arange(len(degree), device=device).repeat_interleave(self._degree)
        self._keys = place * self.nodes + self._target  # ascending
        forward = (place % self.nodes < self._target).nonzero().squeeze(1)
        self.step = place[forward].div(self.nodes, rounding_mode="floor")
        self.src, self.dst, self.weight = place[forward] % self.nodes, self._target[forward], self._weight[forward]
        self._pairs, parts = self._closing(matrices, device)
        self._shared_owner, self.shared, self.shared_weight = parts
        self._shared_size = torch.bincount(self._shared_owner, minlength=len(self._pairs))
        self._shared_first = self._shared_size.cumsum(0) - self._shared_size

    def __len__(self) -> int:
        """Number of links, each once."""
        return len(self.step)

    def linked(self, step: Tensor, one: Tensor, other: Tensor) -> Tensor:
        """``(Q,) bool``: which pairs are linked."""
        return contains_sorted(self._keys, (step * self.nodes + one) * self.nodes + other)

    def corrupted(self, link: Tensor, tries: int = 20) -> tuple[Tensor, Tensor, Tensor]:
        """Replace one end of each link by a uniform node that the other end is not linked to.

        Args:
            link: ``(Q,) long`` numbers of links.
            tries: Draws for a link before it is given up; a node may be linked to all others.

        Returns:
            The end that stays, the new end, and ``(Q,) bool`` whether one was found.
        """
        step, first = self.step[link], torch.rand(len(link), device=link.device) < 0.5
        stays = torch.where(first, self.src[link], self.dst[link])
        new = torch.zeros_like(stays)
        pending = torch.arange(len(link), device=link.device)
        for _ in range(tries):
            draw = torch.randint(self.nodes, (len(pending),), device=link.device)
            new[pending] = draw
            # A node is not its own partner: their distance is always zero.
            bad = self.linked(step[pending], stays[pending], draw) | (draw == stays[pending])
            pending = pending[bad]
            if not len(pending):
                break
        found = torch.ones(len(link), dtype=torch.bool, device=link.device)
        found[pending] = False
        return stays, new, found

    def triads(self, link: Tensor) -> Triads:
        """One open triad of each link, around one of its ends, uniform among them; links without any are left out.

        Args:
            link: ``(Q,) long`` numbers of links; those of the last snapshot have no next one and are left out, too.
        """
        link = link[self.step[link] < self.steps - 1]
        step, first = self.step[link], torch.rand(len(link), device=link.device) < 0.5
        centre, one = (torch.where(first, *ends) for ends in self._both_ends(link))
        place, entry = step * self.nodes + centre, torch.full_like(link, -1)
        pending = torch.arange(len(link), device=link.device)
        for _ in range(_TRIES):
            size = self._degree[place[pending]]
            draw = (torch.rand(len(pending), dtype=torch.double, device=link.device) * size).long()
            draw += self._first[place[pending]]
            good = self._open(step[pending], one[pending], self._target[draw])
            entry[pending[good]] = draw[good]
            pending = pending[~good]
        # Few are left: list all their neighbours, and choose among those that will do.
        owner, listed = ranges(self._first[place[pending]], self._degree[place[pending]])
        good = self._open(step[pending][owner], one[pending][owner], self._target[listed])
        owner, listed = owner[good], listed[good]
        mixed = torch.randperm(len(owner), device=link.device)
        entry[pending[owner[mixed]]] = listed[mixed]  # whichever is written last stays
        kept = (entry >= 0).nonzero().squeeze(1)
        step, centre, one, entry = step[kept], centre[kept], one[kept], entry[kept]
        other = self._target[entry]
        weight = torch.stack([self.weight[link[kept]], self._weight[entry]], dim=1)
        return Triads(step, centre, one, other, weight, self._number(step, one, other))

    def around(self, closing: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Common neighbours of pairs that link up.

        Args:
            closing: ``(Q,) long`` numbers of such pairs.

        Returns:
            The position in ``closing`` that each belongs to, the neighbour, and its ``(., 2)`` weights to the lower and
            the higher end.
        """
        owner, entry = ranges(self._shared_first[closing], self._shared_size[closing])
        return owner, self.shared[entry], self.shared_weight[entry]

    def _both_ends(self, link: Tensor):
        src, dst = self.src[link], self.dst[link]
        return (src, dst), (dst, src)

    def _open(self, step: Tensor, one: Tensor, other: Tensor) -> Tensor:
        return (one != other) & ~self.linked(step, one, other)

    def _number(self, step: Tensor, one: Tensor, other: Tensor) -> Tensor:
        if not len(self._pairs):
            return torch.full_like(step, -1)
        low, high = torch.minimum(one, other), torch.maximum(one, other)
        key = (step * self.nodes + low) * self.nodes + high
        position = torch.searchsorted(self._pairs, key).clamp_(max=len(self._pairs) - 1)
        return torch.where(self._pairs[position] == key, position, -1)

    def _closing(self, matrices: Sequence[sparse.csr_array], device) -> tuple[Tensor, tuple[Tensor, Tensor, Tensor]]:
        """Pairs that share a neighbour and link up in the next snapshot, and the neighbours that they share."""
        pairs, owners, shared, weights = [], [], [], []
        count = 0
        for step in range(self.steps - 1):
            later = sparse.coo_array(sparse.triu(matrices[step + 1], 1))
            low, high = later.row.astype(np.int64), later.col.astype(np.int64)
            key = (step * self.nodes + low) * self.nodes + high
            now = contains_sorted(self._keys, torch.from_numpy(key).to(device)).cpu().numpy()
            key, low, high = key[~now], low[~now], high[~now]
            if not len(key):
                continue
            order = np.argsort(key)
            key, low, high = key[order], low[order], high[order]
            both = _row_overlap(matrices[step], low, high)
            size = np.bincount(both[0], minlength=len(key))
            some = np.flatnonzero(size)
            pairs.append(key[some])
            owners.append((np.cumsum(size > 0) - 1)[both[0]] + count)
            shared.append(both[1])
            weights.append(both[2])
            count += len(some)
        empty = (torch.empty(0, dtype=torch.long), torch.empty(0, dtype=torch.long), torch.empty(0, 2))
        if not count:
            return torch.empty(0, dtype=torch.long, device=device), tuple(part.to(device) for part in empty)
        joined = (np.concatenate(owners), np.concatenate(shared), np.concatenate(weights))
        tensors = [torch.from_numpy(part).to(device) for part in joined]
        return torch.from_numpy(np.concatenate(pairs)).to(device), (
            tensors[0].long(),
            tensors[1].long(),
            tensors[2].float(),
        )


def _row_overlap(
    matrix: sparse.csr_array, low: np.ndarray, high: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Entries that two rows share, for many pairs of rows: which pair, which column, and both values."""
    ones = matrix.copy()
    ones.data = np.ones_like(ones.data)
    first = sparse.csr_array(matrix[low].multiply(ones[high]))
    second = sparse.csr_array(ones[low].multiply(matrix[high]))
    for part in (first, second):
        part.sort_indices()
    pair = np.repeat(np.arange(len(low)), np.diff(first.indptr))
    return pair, first.indices, np.stack([first.data, second.data], axis=1)

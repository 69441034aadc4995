"""Random walks on a graph, all of them a step at a time."""

from __future__ import annotations

import numpy as np
import torch
from scipy import sparse
from torch import Tensor

from dynbench.errors import ConfigError

# Walks that go side by side: few enough that their state stays in the cache.
_TOGETHER = 1 << 14


def random_walks(
    matrix: sparse.csr_array, starts: Tensor, length: int, p: float = 1.0, q: float = 1.0, weighted: bool = False
) -> Tensor:
    """Walk from every start along links chosen at random (node2vec, section 3.2).

    A walk that came from ``s`` to ``v`` goes on to a neighbour ``x`` of ``v`` with probability proportional to ``1/p``
    if ``x`` is ``s``, to 1 if ``x`` is linked to ``s``, and to ``1/q`` otherwise; with ``weighted``, times the weight
    of the link. A candidate is drawn by weight and taken with a probability proportional to the rest, so nothing is
    tabulated per link. A return that counts more than all others is drawn apart, so that it makes no other candidate
    less likely to be taken.

    Args:
        matrix: ``(N, N)`` symmetric adjacency matrix.
        starts: ``(W,) long`` first nodes. A node without a link is a walk that stays.
        length: Nodes per walk, ``L``.
        p: Return parameter; large values keep a walk from going back.
        q: In-out parameter; large values keep a walk near where it came from.
        weighted: Whether the entries of ``matrix``, which must then be positive, are weights.

    Returns:
        ``(L, W) long`` nodes, a column per walk. Drawn from torch's global generator.

    Raises:
        ConfigError: If ``p`` or ``q`` is not positive, or ``length`` is below 1.
    """
    if not (p > 0 and q > 0 and length >= 1):
        raise ConfigError(f"walks need p > 0, q > 0 and at least one node; got p={p}, q={q}, length={length}")
    links = (_WeightedLinks if weighted else _Links)(matrix)
    return torch.cat([_together(links, part, length, p, q) for part in starts.split(_TOGETHER)], dim=1)


def _together(links: _Links, starts: Tensor, length: int, p: float, q: float) -> Tensor:
    walks = torch.empty(length, len(starts), dtype=torch.long)
    walks[0] = starts
    for step in range(1, length):
        if step == 1 or p == q == 1:
            walks[step] = links.neighbor(walks[step - 1])
        else:
            walks[step] = _second_order(links, walks[step - 2], walks[step - 1], p, q)
    return walks


class _Links:
    """A graph as torch arrays, for drawing neighbours and for asking whether a pair is linked."""

    def __init__(self, matrix: sparse.csr_array):
        alone = np.diff(matrix.indptr) == 0
        if alone.any():
            # A node without a link gets one to itself, so that its walks have somewhere to be.
            matrix = sparse.csr_array(matrix + sparse.diags_array(alone.astype(matrix.dtype)))
        matrix.sort_indices()
        self.values = matrix.data
        offsets = torch.from_numpy(matrix.indptr).long()
        self.targets = torch.from_numpy(matrix.indices).long()
        self.first, self.degree = offsets[:-1], offsets.diff()
        self.nodes = len(self.degree)
        self.keys = (torch.arange(self.nodes).repeat_interleave(self.degree) * self.nodes + self.targets).numpy()
        # Most pairs asked about are no links, and most of these meet an empty place here: no search is needed.
        bits = min(max(int(16 * len(self.keys)).bit_length(), 8), 28)
        self._shift, self._taken = np.uint64(64 - bits), np.zeros(1 << bits, dtype=bool)
        self._taken[self._place(self.keys)] = True

    def neighbor(self, nodes: Tensor) -> Tensor:
        """A neighbour of each node, uniformly."""
        # In double precision: a product of single precision can round up to the degree itself.
        offset = (torch.rand(len(nodes), dtype=torch.double) * _at(self.degree, nodes)).long()
        return _at(self.targets, _at(self.first, nodes) + offset)

    def strength(self, nodes: Tensor) -> Tensor:
        """What the links of each node weigh together."""
        return _at(self.degree, nodes)

    def weight(self, src: Tensor, dst: Tensor) -> Tensor | float:
        """What the links between pairs weigh."""
        return 1.0

    def linked(self, src: Tensor, dst: Tensor) -> Tensor:
        """Which pairs are links."""
        wanted = (src * self.nodes + dst).numpy()
        result = self._taken[self._place(wanted)]
        unsure = np.flatnonzero(result)
        found = np.searchsorted(self.keys, wanted[unsure]).clip(max=len(self.keys) - 1)
        result[unsure] = self.keys[found] == wanted[unsure]
        return torch.from_numpy(result)

    def _place(self, keys: np.ndarray) -> np.ndarray:
        """Multiplicative hashing by the golden ratio."""
        return (keys.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)) >> self._shift


class _WeightedLinks(_Links):
    """The same, with neighbours drawn in proportion to the weights of the links."""

    def __init__(self, matrix: sparse.csr_array):
        super().__init__(matrix)
        self._weights = torch.from_numpy(self.values).double()
        # Links end to end on a line, each as long as its weight; a node's links are a stretch of it.
        self._ends = self._weights.cumsum(0)
        last = (self.first + self.degree - 1).clamp(min=0)
        self._start = torch.where(self.first > 0, _at(self._ends, (self.first - 1).clamp(min=0)), 0.0)
        self._length = _at(self._ends, last) - self._start

    def neighbor(self, nodes: Tensor) -> Tensor:
        """A neighbour of each node, by weight."""
        place = _at(self._start, nodes) + torch.rand(len(nodes), dtype=torch.double) * _at(self._length, nodes)
        found = torch.searchsorted(self._ends, place, right=True)
        # A sum can be rounded into the stretch of another node.
        first = _at(self.first, nodes)
        return _at(self.targets, found.clamp(min=first, max=first + _at(self.degree, nodes) - 1))

    def strength(self, nodes: Tensor) -> Tensor:
        """What the links of each node weigh together."""
        return _at(self._length, nodes)

    def weight(self, src: Tensor, dst: Tensor) -> Tensor:
        """What the links between pairs weigh."""
        return _at(self._weights, torch.from_numpy(np.searchsorted(self.keys, (src * self.nodes + dst).numpy())))


def _second_order(links: _Links, before: Tensor, now: Tensor, p: float, q: float) -> Tensor:
    """The next node of each walk, by rejection."""
    result = torch.empty_like(now)
    # Candidates are accepted below their weight on a scale that ends at `most`; `least` accepts any of them. What a
    # return weighs beyond that scale lies beside it, as if the node had so many more links to where it came from.
    least, most = min(1 / p, 1.0, 1 / q), max(1.0, 1 / q)
    beyond = max(1 / p - most, 0.0)
    pending = torch.arange(len(now))
    while len(pending):
        came, here = _at(before, pending), _at(now, pending)
        candidate, level = links.neighbor(here), torch.rand(len(pending)) * most
        taken = level < least
        unsure = (~taken).nonzero().squeeze(1)
        weight = _weights(links, _at(came, unsure), _at(candidate, unsure), p, q)
        taken.index_copy_(0, unsure, _at(level, unsure) < weight)
        if beyond:
            area = links.strength(here) * most
            back = torch.rand(len(pending)) * (area + beyond * links.weight(here, came)) >= area
            candidate, taken = torch.where(back, came, candidate), taken | back
        result.index_copy_(0, pending.masked_select(taken), candidate.masked_select(taken))
        pending = pending.masked_select(~taken)
    return result


def _weights(links: _Links, came: Tensor, candidate: Tensor, p: float, q: float) -> Tensor:
    weight = torch.full((len(came),), 1 / q)
    if q != 1:
        weight.masked_fill_(links.linked(came, candidate), 1.0)
    return weight.masked_fill_(candidate == came, 1 / p)


def _at(values: Tensor, places: Tensor) -> Tensor:
    """``values[places]`` on one thread: for blocks of this size, waking others costs more than the work."""
    return values.index_select(0, places)

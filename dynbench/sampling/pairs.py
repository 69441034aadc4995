"""Pairs of a snapshot graph: membership tests and uniform non-edges, vectorised over all snapshots at once."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from dynbench.errors import DataError
from dynbench.graph import TemporalGraph


class PairIndex:
    """Sorted keys of the pairs of a snapshot graph, for fast membership tests.

    Args:
        graph: A snapshot graph. In an undirected one ``(i, j)`` and ``(j, i)`` are the same pair.

    Raises:
        DataError: If there are more pairs of all snapshots than 64 bits can number.
    """

    def __init__(self, graph: TemporalGraph):
        self.num_nodes = graph.num_nodes
        self.directed = graph.directed
        last = int(graph.time[-1]) if len(graph) else 0
        if (last + 1) * self.num_nodes**2 > torch.iinfo(torch.long).max:
            raise DataError(
                f"{last + 1} snapshots of {self.num_nodes} nodes have more pairs than 64 bits can number; "
                "take a wider data.window, or leave out nodes without events"
            )
        self._keys = self.key(graph.time, graph.src, graph.dst).unique()

    @property
    def device(self) -> torch.device:
        """Where the keys are."""
        return self._keys.device

    def key(self, step: Tensor | int, src: Tensor, dst: Tensor) -> Tensor:
        """One number per (step, pair)."""
        if not self.directed:
            src, dst = torch.minimum(src, dst), torch.maximum(src, dst)
        return (step * self.num_nodes + src) * self.num_nodes + dst

    def contains(self, step: Tensor | int, src: Tensor, dst: Tensor) -> Tensor:
        """``(Q,) bool``: whether each pair is linked at its step."""
        return contains_sorted(self._keys, self.key(step, src, dst))

    def room(self, step: int, nodes: Tensor) -> int:
        """How many pairs of distinct ``nodes`` are not linked at a step."""
        size = self.num_nodes
        bounds = torch.tensor([step, step + 1], device=self._keys.device) * size * size
        keys = self._keys[slice(*torch.searchsorted(self._keys, bounds).tolist())]
        inside = torch.zeros(size, dtype=torch.bool, device=keys.device)
        inside[nodes] = True
        src, dst = keys // size % size, keys % size
        ordered = len(nodes) * (len(nodes) - 1)
        return (ordered if self.directed else ordered // 2) - int((inside[src] & inside[dst] & (src != dst)).sum())


def contains_sorted(keys: Tensor, wanted: Tensor) -> Tensor:
    """``(Q,) bool``: which of ``wanted`` occur in the ascending ``keys``."""
    if not len(keys):
        return torch.zeros_like(wanted, dtype=torch.bool)
    position = torch.searchsorted(keys, wanted).clamp_(max=len(keys) - 1)
    return keys[position] == wanted


def draw_pairs(pool: Tensor, known: Tensor, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
    """Draw uniform ordered pairs ``i != j`` among the nodes known at each draw.

    Args:
        pool: ``(N,) long`` nodes in order of first appearance.
        known: ``(Q,) long`` how many of the pool each draw may use; at least 2.
        generator: Source of randomness; torch's global one when omitted.

    Returns:
        Two ``(Q,) long`` tensors of nodes.
    """
    first = _uniform_below(known, generator)
    # A draw among the other known - 1 nodes: skip over the first one.
    second = _uniform_below(known - 1, generator)
    second = second + (second >= first)
    return pool[first], pool[second]


def redrawn(
    draw: Callable[[Tensor], tuple[Tensor, Tensor]], refused: Callable[[Tensor, Tensor], Tensor], count: int, tries: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Draw pairs, and draw those that are refused again, each in its place.

    Args:
        draw: From ``(q,) long`` places to a pair for each.
        refused: From pairs to a ``(q,) bool`` mask of those that will not do.
        count: Number of places.
        tries: Times that anything is drawn again.

    Returns:
        Sources and destinations, and the places whose pairs are still refused.
    """
    src, dst = draw(torch.arange(count))
    bad = refused(src, dst).nonzero().squeeze(1)
    for _ in range(tries):
        if not len(bad):
            break
        src[bad], dst[bad] = draw(bad)
        bad = bad[refused(src[bad], dst[bad])]
    return src, dst, bad


def drawn_distinct(
    draw: Callable[[int], tuple[Tensor, Tensor]],
    refused: Callable[[Tensor, Tensor], Tensor],
    key: Callable[[Tensor, Tensor], Tensor],
    count: int,
) -> tuple[Tensor, Tensor]:
    """Draw pairs until there are enough different ones that will do. There must be as many.

    Args:
        draw: From a number to that many pairs.
        refused: From pairs to a ``(Q,) bool`` mask of those that will not do.
        key: From pairs to one number per different pair.
        count: Number of pairs.

    Returns:
        Sources and destinations in the order of the draws.
    """
    src = dst = torch.empty(0, dtype=torch.long)
    while len(src) < count:
        more = draw(2 * count + 16)
        src, dst = torch.cat([src, more[0]]), torch.cat([dst, more[1]])
        kept = ~refused(src, dst)
        src, dst = src[kept], dst[kept]
        _, first = np.unique(key(src, dst).numpy(), return_index=True)
        first = torch.from_numpy(np.sort(first))
        src, dst = src[first], dst[first]
    return src[:count], dst[:count]


def draw_unlinked(index: PairIndex, step: int, count: int) -> tuple[Tensor, Tensor]:
    """Uniform ordered pairs ``i != j`` of all nodes that are not linked at a step, with replacement.

    In a graph that is all but complete, a linked pair may be left after a hundred draws.
    """
    pool = torch.arange(index.num_nodes, device=index.device)

    def draw(places: Tensor) -> tuple[Tensor, Tensor]:
        return draw_pairs(pool, torch.full_like(places, index.num_nodes, device=index.device))

    return redrawn(draw, partial(index.contains, step), count, tries=100)[:2]


def draw_non_edges(
    index: PairIndex, step: int, count: int, nodes: Tensor, generator: torch.Generator | None = None
) -> tuple[Tensor, Tensor] | None:
    """Draw distinct uniform pairs ``i != j`` that are not linked.

    Args:
        index: What is linked.
        step: The snapshot that must lack the pairs.
        count: Number of pairs.
        nodes: ``(n,) long`` nodes to draw from.
        generator: Source of randomness; torch's global one when omitted.

    Returns:
        Two ``(count,) long`` tensors in the order of the draws, or ``None`` if there are fewer such pairs.
    """
    if len(nodes) < 2 or index.room(step, nodes) < count:
        return None if count else (torch.empty(0, dtype=torch.long),) * 2

    def draw(number: int) -> tuple[Tensor, Tensor]:
        return draw_pairs(nodes, torch.full((number,), len(nodes)), generator)

    return drawn_distinct(draw, partial(index.contains, step), partial(index.key, 0), count)


def _uniform_below(bounds: Tensor, generator: torch.Generator | None) -> Tensor:
    """Uniform integers below each bound; double precision keeps the bias under 2^-20 for a million nodes."""
    uniform = torch.rand(len(bounds), dtype=torch.double, device=bounds.device, generator=generator)
    return (uniform * bounds).long()


def draw_of_each(step: Tensor, counts: Tensor, limit: int) -> Tensor:
    """Draw without replacement from every step.

    Args:
        step: ``(E,) long`` steps of what is drawn from.
        counts: ``(T,) long`` how often each step occurs.
        limit: How many to draw of each; all where there are fewer.

    Returns:
        Positions in ``step``, in order of the steps.
    """
    # Shuffle within steps (sort by step plus a number below one), then keep each one's first few.
    shuffled = torch.argsort(step + torch.rand(len(step), dtype=torch.double, device=step.device))
    starts = torch.cumsum(counts, 0) - counts
    position = torch.arange(len(shuffled), device=shuffled.device) - starts[step[shuffled]]
    return shuffled[position < limit]


class SampledPairs(NamedTuple):
    """Edges and non-edges of several snapshots, each ``(Q,)``: steps, ends, 1.0 for an edge, and weights."""

    step: Tensor
    src: Tensor
    dst: Tensor
    linked: Tensor
    weight: Tensor


class EdgeSampler:
    """Draws edges of every snapshot of a history, and as many non-edges, in a few tensor operations.

    Self-loops are left out. A non-edge of snapshot ``t`` is a uniform pair of two nodes that appeared by ``t``.

    Args:
        history: A snapshot graph.
        num_steps: Snapshots of the history; later ones of the dataset are not looked at.
    """

    def __init__(self, history: TemporalGraph, num_steps: int):
        loop_free = history.src != history.dst
        self.step, self.src, self.dst = (part[loop_free] for part in (history.time, history.src, history.dst))
        self.num_steps = num_steps
        self._index = PairIndex(history)
        first_seen = history.first_seen()
        self._pool = torch.argsort(first_seen, stable=True)
        steps = torch.arange(num_steps, device=first_seen.device)
        self._known = (first_seen[:, None] <= steps).sum(dim=0)
        self.num_edges = torch.bincount(self.step, minlength=num_steps)
        ordered = self._known * (self._known - 1)
        self.num_non_edges = (ordered if history.directed else ordered // 2) - self.num_edges

    @property
    def num_nodes(self) -> int:
        """Nodes of the dataset."""
        return len(self._pool)

    @property
    def seen(self) -> Tensor:
        """``(n,) long`` nodes that appeared so far, in order of first appearance."""
        return self._pool[: int(self._known[-1])]

    def edges(self, limit: int | None) -> tuple[Tensor, Tensor, Tensor]:
        """Edges of every snapshot.

        Args:
            limit: Edges per snapshot, drawn without replacement; all of them when ``None``.

        Returns:
            Steps, sources and destinations, each ``(Q,) long``.
        """
        if limit is None:
            return self.step, self.src, self.dst
        chosen = draw_of_each(self.step, self.num_edges, limit)
        return self.step[chosen], self.src[chosen], self.dst[chosen]

    def non_edges(self, step: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """One uniform pair for each given step; draws that hit an edge are dropped, not repeated.

        Returns:
            Steps, sources and destinations, each ``(Q',) long`` with ``Q' <= Q``.
        """
        src, dst = draw_pairs(self._pool, self._known[step])
        kept = ~self._index.contains(step, src, dst)
        return step[kept], src[kept], dst[kept]

    def pairs(self, limit: int | None, weights: Literal["balanced", "unbiased", "none"]) -> SampledPairs:
        """Edges of every snapshot and as many non-edges, with the weight of each in a sum over all pairs.

        Args:
            limit: Edges per snapshot; all of them when ``None``.
            weights: What the sample stands for: all edges and as many non-edges (``balanced``), all edges and all
                non-edges (``unbiased``), or itself (``none``).
        """
        edges = self.edges(limit)
        others = self.non_edges(edges[0])
        step, src, dst = (torch.cat(both) for both in zip(edges, others, strict=True))
        linked = (torch.arange(len(step), device=step.device) < len(edges[0])).float()
        if weights == "none":
            return SampledPairs(step, src, dst, linked, torch.ones_like(linked))
        standing_for = self.num_edges, self.num_edges if weights == "balanced" else self.num_non_edges
        weight = [
            (number / torch.bincount(drawn, minlength=self.num_steps).clamp(min=1))[drawn]
            for number, drawn in zip(standing_for, (edges[0], others[0]), strict=True)
        ]
        return SampledPairs(step, src, dst, linked, torch.cat(weight))

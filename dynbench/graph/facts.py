"""Facts of a knowledge graph read in both directions, and sparse lists of what completes them."""

from __future__ import annotations

import torch
from torch import Tensor

from dynbench.graph.temporal_graph import TemporalGraph


def with_inverses(graph: TemporalGraph) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Every fact twice: as ``(src, relation, dst)`` and, with relation ids from ``R`` on, as ``(dst, relation, src)``.

    Returns:
        Heads, relations, answers and times, each ``(2E,) long``.
    """
    relation = torch.zeros_like(graph.src) if graph.relation is None else graph.relation
    both = torch.cat([relation, relation + graph.num_relations])
    return torch.cat([graph.src, graph.dst]), both, torch.cat([graph.dst, graph.src]), graph.time.repeat(2)


class FactIndex:
    """For every head and relation (and time), the nodes that complete a fact of the graph, in both directions.

    The filters of a ranking are such indices of all that is known to be true.

    Args:
        graph: The facts.
        timed: Whether an answer counts only at its own time, or at any.
    """

    def __init__(self, graph: TemporalGraph, timed: bool):
        self.timed, self.num_relations = timed, graph.num_relations
        self._nodes, self._relations = graph.num_nodes, 2 * graph.num_relations
        head, relation, answer, time = with_inverses(graph)
        self._times = torch.unique(time)
        # Times and groups by rank: times in seconds times all else does not fit in 64 bits.
        groups, group = torch.unique(self._group(head, relation, time), return_inverse=True)
        keys = torch.unique(group * self._nodes + answer)
        self._answers = keys % self._nodes
        place, sizes = torch.unique_consecutive(keys // self._nodes, return_counts=True)
        self._groups = groups[place]
        self._starts = torch.cat([sizes.new_zeros(1), sizes.cumsum(0)])

    def _group(self, head: Tensor, relation: Tensor, time: Tensor) -> Tensor:
        group = head * self._relations + relation
        if not self.timed or not len(self._times):
            return group
        rank = torch.searchsorted(self._times, time).clamp_(max=len(self._times) - 1)
        group = rank * (self._nodes * self._relations) + group
        return torch.where(self._times[rank] == time, group, -1)  # nothing is known of other times

    def answers(self, head: Tensor, relation: Tensor, time: Tensor) -> tuple[Tensor, Tensor]:
        """The nodes that complete ``(head, relation, ?)``, at a time.

        Args:
            head, relation, time: ``(Q,) long``, relation ids below ``2R``.

        Returns:
            Rows (positions among the queries, ascending) and nodes, each ``(K,) long``.
        """
        wanted = self._group(head, relation, time)
        if not len(self._groups):
            return wanted.new_zeros(0), wanted.new_zeros(0)
        position = torch.searchsorted(self._groups, wanted).clamp_(max=len(self._groups) - 1)
        start = self._starts[position]
        sizes = torch.where(self._groups[position] == wanted, self._starts[position + 1] - start, 0)
        row = torch.repeat_interleave(sizes)
        first = torch.cumsum(sizes, 0) - sizes
        return row, self._answers[(start - first)[row] + torch.arange(len(row), device=row.device)]

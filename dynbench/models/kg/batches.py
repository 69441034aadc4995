"""Facts in batches: by time within a batch, shuffled among batches, and the same again after an interruption."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from dynbench.graph import TemporalGraph
from dynbench.graph.facts import with_inverses
from dynbench.models.kg.activity import units


class EpochOrders:
    """A permutation for every epoch, found again from the number of a step alone.

    Args:
        epochs: How many; their seeds are drawn at once.
        length: Steps per epoch.
    """

    def __init__(self, epochs: int, length: int):
        self.length = length
        self._seeds = torch.randint(2**62, (max(epochs, 1),)).tolist()
        self._epoch, self._order = -1, torch.empty(0)

    def at(self, step: int) -> int:
        """What the step is about, ``0 .. length - 1``; each once in an epoch."""
        epoch = step // self.length
        if epoch != self._epoch:
            self._epoch, self._order = epoch, torch.randperm(self.length, generator=self.generator(epoch))
        return int(self._order[step % self.length])

    def generator(self, epoch: int) -> torch.Generator:
        """Random numbers of an epoch."""
        return torch.Generator().manual_seed(self._seeds[epoch])


class FactBatches:
    """Facts of a graph in batches of neighbours in time.

    Args:
        graph: The facts.
        size: Facts per batch.
        epochs: Passes over all facts.
    """

    def __init__(self, graph: TemporalGraph, size: int, epochs: int):
        self.graph, self.size = graph, size
        self.per_epoch = max(1, -(-len(graph) // size))
        self._orders = EpochOrders(epochs, self.per_epoch)
        self._epoch, self._order = -1, torch.empty(0)

    def at(self, step: int) -> Tensor:
        """``(B,) long`` facts of a step: a stretch of time, in which facts of one snapshot are shuffled."""
        epoch = step // self.per_epoch
        if epoch != self._epoch:
            draws = torch.rand(len(self.graph), generator=self._orders.generator(epoch), dtype=torch.double)
            self._epoch, self._order = epoch, (self.graph.time.cpu() + draws).argsort()
        start = self._orders.at(step) * self.size
        return self._order[start : start + self.size].to(self.graph.src.device)


class Asked(NamedTuple):
    """The distinct queries behind some facts, and the distinct units behind the queries.

    Attributes:
        unit, time: ``(U,) long`` distinct units at times.
        agent, relation: ``(Q,) long`` the unit and the relation of each distinct query.
        query, answer: ``(2B,) long`` the query of each fact, objects first, and what completes it.
        weight: ``(2B,)`` weight of each, adding up to one for each side.
    """

    unit: Tensor
    time: Tensor
    agent: Tensor
    relation: Tensor
    query: Tensor
    answer: Tensor
    weight: Tensor

    @classmethod
    def about(cls, facts: TemporalGraph) -> Asked:
        """Ask about both ends of facts."""
        head, relation, answer, time = with_inverses(facts)
        unit, doubled = units(head, relation, facts), 2 * facts.num_relations
        key = (time * (2 * facts.num_nodes) + unit) * doubled + relation
        key, query = key.unique(return_inverse=True)
        of_unit, relation = key.div(doubled, rounding_mode="floor"), key % doubled
        of_unit, agent = of_unit.unique_consecutive(return_inverse=True)
        weight = torch.ones(len(facts), device=head.device) if facts.weight is None else facts.weight
        return cls(
            of_unit % (2 * facts.num_nodes), of_unit.div(2 * facts.num_nodes, rounding_mode="floor"),
            agent, relation, query, answer, (weight / weight.sum()).repeat(2),
        )  # fmt: skip


def answer_loss(logits: Tensor, query: Tensor, answer: Tensor, weight: Tensor) -> Tensor:
    """Weighted cross-entropy of several answers to the same queries.

    Args:
        logits: ``(Q, C)`` of the distinct queries.
        query, answer, weight: ``(F,)`` query of each fact, its answer, its weight.

    Returns:
        Scalar; the same as repeating each query for each of its facts, at the cost of one.
    """
    whole = logits.new_zeros(len(logits)).index_add(0, query, weight.to(logits.dtype))
    return (whole * logits.logsumexp(1)).sum() - (weight * logits[query, answer]).sum()

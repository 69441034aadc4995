"""Facts of a window of a temporal knowledge graph, and corruptions of them, vectorised over both ends and all steps."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from dynbench.graph import TemporalGraph
from dynbench.graph.facts import FactIndex
from dynbench.sampling.pairs import draw_of_each


class Facts(NamedTuple):
    """``F`` facts in order of their steps; each part is ``(F,) long``."""

    step: Tensor
    relation: Tensor
    src: Tensor
    dst: Tensor


class FactSampler:
    """Draws facts of every snapshot of a window, and entities to corrupt them with.

    A fact that a step holds repeatedly is one fact. Self-loops are left out.

    Args:
        window: Facts whose steps lie in ``[first, first + num_steps)``.
        first: The first step; the sampler counts steps from there.
        num_steps: Snapshots of the window, silent ones included.
    """

    def __init__(self, window: TemporalGraph, first: int, num_steps: int):
        relation = torch.zeros_like(window.src) if window.relation is None else window.relation
        loop_free = window.src != window.dst
        self.facts = Facts(*(part[loop_free] for part in (window.time - first, relation, window.src, window.dst)))
        self.first, self.num_steps = first, num_steps
        self.num_nodes, self.num_relations = window.num_nodes, window.num_relations
        self.num_facts = torch.bincount(self.facts.step, minlength=num_steps)
        self._known = FactIndex(window, timed=True)

    def draw(self, limit: int | None) -> Facts:
        """Facts of every snapshot.

        Args:
            limit: Facts per snapshot, drawn without replacement; all of them when ``None``.
        """
        if limit is None:
            return self.facts
        chosen = draw_of_each(self.facts.step, self.num_facts, limit)
        return Facts(*(part[chosen] for part in self.facts))

    def entities(self, count: int) -> Tensor:
        """``(T, count) long`` distinct uniform entities for each snapshot; all of them if there are fewer."""
        device = self.num_facts.device
        uniform = torch.rand(self.num_steps, self.num_nodes, device=device)
        return uniform.topk(min(count, self.num_nodes), dim=1, sorted=False).indices

    def false(self, step: Tensor, head: Tensor, relation: Tensor, entities: Tensor) -> Tensor:
        """Which drawn entities complete no fact.

        Args:
            step, head, relation: ``(Q,) long`` queries, with relations from ``R`` on for those about a subject.
            entities: ``(T, M) long`` distinct entities of each snapshot.

        Returns:
            ``(Q, M) bool``, false where an entity answers the query truly at its step.
        """
        row, answer = self._known.answers(head, relation, step + self.first)
        column = torch.full((self.num_steps, self.num_nodes), -1, device=entities.device)
        column.scatter_(1, entities, torch.arange(entities.shape[1], device=entities.device).expand_as(entities))
        column = column[step[row], answer]
        false = torch.ones(len(step), entities.shape[1], dtype=torch.bool, device=entities.device)
        false[row[column >= 0], column[column >= 0]] = False
        return false

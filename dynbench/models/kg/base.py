"""What the trained models of knowledge graphs share: they rank entities, from parameters and from known facts."""

from __future__ import annotations

import torch

from dynbench.graph import TemporalGraph
from dynbench.models.gradient import GradientModel
from dynbench.models.history import KnownEvents


class KnowledgeGraphModel(KnownEvents, GradientModel):
    """Learns from the train part and may be selected; what is known beyond enters its histories only.

    A subclass implements ``build``, ``fit`` and ``rank``, and :meth:`arrange`, which says what is derived from the
    known facts.
    """

    version = 1
    answers = frozenset({"rank"})
    needs = frozenset({"snapshots"})
    learns = "train"
    selects = True

    def arrange(self) -> None:
        """Derive what answers are made of from all facts that are known."""

    def follow(self, facts: TemporalGraph) -> None:
        """Bring that up to date after ``facts``, the last ones that are known."""
        self.arrange()

    def condition(self, context: TemporalGraph) -> None:
        """Know the facts of a graph, and no other ones."""
        super().condition(with_relations(context.to(self.device)))
        self.arrange()

    def observe(self, events: TemporalGraph) -> None:
        """Know what was revealed as well."""
        facts = with_relations(events.to(self.device))
        super().observe(facts)
        self.follow(facts)


def with_relations(graph: TemporalGraph) -> TemporalGraph:
    """The facts alone, with relation 0 where a graph has no relations, and weight 1 where it has no weights."""
    relation = torch.zeros_like(graph.src) if graph.relation is None else graph.relation
    weight = torch.ones(len(graph), device=graph.src.device) if graph.weight is None else graph.weight
    return TemporalGraph(
        graph.src, graph.dst, graph.time, graph.num_nodes, graph.num_relations, num_steps=graph.num_steps,
        relation=relation, weight=weight,
    )  # fmt: skip

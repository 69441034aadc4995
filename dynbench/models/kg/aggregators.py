"""What surrounded an entity at a visit: RE-NET's neighbourhood aggregators g(N_t(s)).

All share one interface: ``forward(entities, relations, known, visits, relation)`` gives a vector ``(K, dim)`` per
visit. Only the attentive one looks at the relation of the query.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from dynbench.graph import TemporalGraph
from dynbench.models.kg.activity import Activity
from dynbench.models.kg.snapshots import Snapshots
from dynbench.nn.rgcn import RGCN
from dynbench.nn.segments import mean_rows, softmax_rows, sum_rows


class Known(NamedTuple):
    """Facts, arranged by visit and by snapshot."""

    graph: TemporalGraph
    activity: Activity
    snapshots: Snapshots

    @classmethod
    def of(cls, graph: TemporalGraph) -> Known:
        """Arrange the facts of a graph."""
        return cls(graph, Activity(graph), Snapshots(graph))


class MeanAggregator(nn.Module):
    """Average of the vectors of the entities that complete the visit's facts."""

    sees_relation = False

    def forward(self, entities: Tensor, relations: Tensor, known: Known, visits: Tensor, relation: None) -> Tensor:
        """``(K, dim)`` averages."""
        _, fact = known.activity.facts_of(visits)
        return mean_rows(entities, known.activity.answer[fact], known.activity.size[visits])


class AttentiveAggregator(nn.Module):
    """Average with weights ``softmax_o( v . tanh(W_s e_s + W_r e_r + W_o e_o) )``, r being the query's relation.

    Where no relation is asked about, its term is left out.

    Args:
        dim: Width.
    """

    sees_relation = True

    def __init__(self, dim: int):
        super().__init__()
        self.of_unit, self.of_relation, self.of_answer = (nn.Linear(dim, dim, bias=False) for _ in range(3))
        self.score = nn.Linear(dim, 1, bias=False)

    def forward(self, entities: Tensor, relations: Tensor, known: Known, visits: Tensor, relation: Tensor | None):
        """``(K, dim)`` weighted averages."""
        activity = known.activity
        owner, fact = activity.facts_of(visits)
        answer = activity.answer[fact]
        asked = self.of_unit(entities).index_select(0, activity.unit[visits] % activity.num_nodes)
        if relation is not None:
            asked = asked + self.of_relation(relations).index_select(0, relation)
        near = self.of_answer(entities).index_select(0, answer)
        logits = self.score(torch.tanh(asked.index_select(0, owner) + near)).squeeze(1)
        return sum_rows(entities, answer, activity.size[visits], softmax_rows(logits, owner, len(visits)))


class RGCNAggregator(nn.Module):
    """Two relational convolutions over the whole snapshot, of which the row of the visit's entity is taken.

    Args:
        dim: Width.
        num_relations: Without inverse ones.
        dropout: Of the self-loops.
    """

    sees_relation = False

    def __init__(self, dim: int, num_relations: int, dropout: float):
        super().__init__()
        self.layers = RGCN(dim, 2 * num_relations, dropout=dropout)

    def forward(self, entities: Tensor, relations: Tensor, known: Known, visits: Tensor, relation: None) -> Tensor:
        """``(K, dim)`` rows of the second layer."""
        unit, time = known.activity.unit[visits], known.activity.time[visits]
        role, entity = unit.div(known.graph.num_nodes, rounding_mode="floor"), unit % known.graph.num_nodes
        result = entities.new_zeros(len(visits), entities.shape[1])
        for swap in (False, True):
            chosen = (role == int(swap)).nonzero().squeeze(1)
            if not len(chosen):
                continue
            steps, slot = time[chosen].unique(return_inverse=True)
            cut = known.snapshots.cut(steps, swap)
            place = known.snapshots.places(steps, slot, entity[chosen])
            wanted = torch.zeros(len(cut.entity), dtype=torch.bool, device=place.device)
            wanted[place] = True
            rows = self.layers(entities.index_select(0, cut.entity), cut.edges, wanted)
            result = result.index_copy(0, chosen, rows.index_select(0, place))
        return result


def make_aggregator(name: str, dim: int, num_relations: int, dropout: float) -> nn.Module:
    """An aggregator by name: ``mean``, ``attentive`` or ``rgcn``."""
    if name == "mean":
        return MeanAggregator()
    return AttentiveAggregator(dim) if name == "attentive" else RGCNAggregator(dim, num_relations, dropout)

"""RE-NET's recurrent event encoder: histories of entities become distributions over the facts that come next."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from dynbench.models.kg.aggregators import Known, make_aggregator
from dynbench.models.kg.batches import Asked, answer_loss
from dynbench.nn.histories import HistoryGRU

# Visits whose neighbourhoods are computed at once where no gradient is needed; bounds memory.
_AT_ONCE = 20_000


class State(NamedTuple):
    """What a forecast starts from.

    Attributes:
        known: Facts, those that were generated included.
        moments: ``(T, h)`` global states H after every step.
        around: From ``(K,) long`` visits, and the relations that ask about them or ``None``, to ``(K, h)``
            neighbourhoods.
    """

    known: Known
    moments: Tensor
    around: Callable[[Tensor, Tensor | None], Tensor]


class Tabled(NamedTuple):
    """Neighbourhoods that were computed once and for all: ``(V, h)``, of every visit."""

    table: Tensor

    def __call__(self, visits: Tensor, relation: None) -> Tensor:
        """Look them up."""
        return self.table[visits]


class Computed(NamedTuple):
    """Neighbourhoods that are computed when they are asked for, with the parameters of that moment."""

    encoder: EventEncoder
    known: Known

    def __call__(self, visits: Tensor, relation: Tensor | None) -> Tensor:
        """Compute them."""
        return self.encoder.aggregator(self.encoder.entities, self.encoder.relations, self.known, visits, relation)


class Histories(NamedTuple):
    """Last visits of some units, or of some queries about them.

    Attributes:
        place: ``(U, L) long`` the visits, the latest last, as places among the distinct ones; -1 in front.
        around: ``(M, h)`` neighbourhood of each distinct visit.
        time: ``(M,) long`` its step.
        moments: ``(T, h)`` global states of all steps.
    """

    place: Tensor
    around: Tensor
    time: Tensor
    moments: Tensor

    def of(self, agent: Tensor) -> Histories:
        """Those of the ``agent``-th units."""
        return self._replace(place=self.place[agent])


class EventEncoder(nn.Module):
    """The recurrent cells over an entity's visits, and what is decoded from their states.

    Args:
        num_nodes, num_relations: Sizes of the graph.
        dim: Width of all vectors, h.
        aggregator: Name of the neighbourhood aggregator.
        length: Visits looked back at most.
        dropout: Share of inputs of cells and decoders dropped in training.
    """

    def __init__(self, num_nodes: int, num_relations: int, dim: int, aggregator: str, length: int, dropout: float):
        super().__init__()
        self.num_nodes, self.num_relations, self.length = num_nodes, num_relations, length
        gain = nn.init.calculate_gain("relu")
        self.entities = nn.Parameter(nn.init.xavier_uniform_(torch.empty(num_nodes, dim), gain))
        self.relations = nn.Parameter(nn.init.xavier_uniform_(torch.empty(2 * num_relations, dim), gain))
        self.aggregator = make_aggregator(aggregator, dim, num_relations, dropout)
        self.event_gru = HistoryGRU((dim,) * 4, dim)  # h_t(s, r), of neighbourhood, global state, entity, relation
        self.entity_gru = HistoryGRU((dim,) * 3, dim)  # h_t(s), of the same without a relation
        self.answer_out = nn.Linear(3 * dim, num_nodes)
        self.relation_out = nn.Linear(2 * dim, num_relations)
        self.dropout = nn.Dropout(dropout)
        if num_relations == 1:  # then there is nothing to learn about which relation comes
            for part in (self.entity_gru, self.relation_out):
                part.requires_grad_(False)

    # ---- histories ------------------------------------------------------------------------------------------

    def histories(self, state: State, unit: Tensor, time: Tensor, relation: Tensor | None = None) -> Histories:
        """Visits of units before given times, and what was around them, as seen by a relation if that matters."""
        visits = state.known.activity.recent(unit, time, self.length)
        if relation is None or not self.aggregator.sees_relation:
            distinct, place = _distinct(visits)
            relation = None
        else:
            doubled = 2 * self.num_relations
            pair, place = _distinct(torch.where(visits >= 0, visits * doubled + relation[:, None], -1))
            distinct, relation = pair.div(doubled, rounding_mode="floor"), pair % doubled
        around, time = state.around(distinct, relation), state.known.activity.time[distinct]
        return Histories(place, self.dropout(around), time, self.dropout(state.moments))

    def surroundings(self, known: Known, earlier: Tabled | None = None) -> Tabled | Computed:
        """Neighbourhoods for parameters that stay as they are; those of the first visits may be known already."""
        if self.aggregator.sees_relation:
            return Computed(self, known)
        done = self.entities.new_zeros(0, self.entities.shape[1]) if earlier is None else earlier.table
        rest = torch.arange(len(done), len(known.activity), device=done.device)
        return Tabled(torch.cat([done, *(Computed(self, known)(part, None) for part in rest.split(_AT_ONCE))]))

    def _states(self, gru: HistoryGRU, seen: Histories, own: Tensor) -> Tensor:
        """``(U, h)`` states of a cell after histories; ``own`` is what stays the same along each."""
        shared = gru.product(0, seen.around) + gru.product(1, seen.moments)[seen.time]
        return gru.run(lambda step, index: shared[seen.place[index, step]] + own[index], seen.place >= 0)

    # ---- decoders -------------------------------------------------------------------------------------------

    def answers(self, seen: Histories, unit: Tensor, relation: Tensor) -> Tensor:
        """``(Q, N)`` logits of the entities that complete queries: W_o [e_s; h_t(s, r); e_r] + b_o."""
        head, gru = self.entities[unit % self.num_nodes], self.event_gru
        own = gru.product(2, self.dropout(head)) + gru.product(3, self.dropout(self.relations))[relation]
        vectors = (head, self._states(gru, seen, own), self.relations[relation])
        return self.answer_out(self.dropout(torch.cat(vectors, dim=1)))

    def next_relations(self, seen: Histories, unit: Tensor) -> Tensor:
        """``(U, R)`` logits of the relation of a unit's fact: W_r [e_s; h_t(s)] + b_r."""
        head, gru = self.entities[unit % self.num_nodes], self.entity_gru
        states = self._states(gru, seen, gru.product(2, self.dropout(head)))
        return self.relation_out(self.dropout(torch.cat([head, states], dim=1)))

    def loss(self, state: State, asked: Asked, relation_weight: float) -> Tensor:
        """Cross-entropy of the answers and, weighted, of the relations, for both sides of some facts."""
        unit, seen = asked.unit[asked.agent], self.histories(state, asked.unit, asked.time)
        if self.aggregator.sees_relation:
            by_query = self.histories(state, unit, asked.time[asked.agent], asked.relation)
        else:
            by_query = seen.of(asked.agent)
        loss = answer_loss(self.answers(by_query, unit, asked.relation), asked.query, asked.answer, asked.weight)
        relation = asked.relation[asked.query] % self.num_relations
        logits = self.next_relations(seen, asked.unit)
        return loss + relation_weight * answer_loss(logits, asked.agent[asked.query], relation, asked.weight)


def _distinct(values: Tensor) -> tuple[Tensor, Tensor]:
    """The distinct values that are not negative, and where each stands among them; -1 stays."""
    found = values >= 0
    distinct, place = values[found].unique(return_inverse=True)
    return distinct, torch.full_like(values, -1).masked_scatter(found, place)

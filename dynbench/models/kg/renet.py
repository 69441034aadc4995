"""RE-NET: autoregressive structure inference over a temporal knowledge graph.

Paper:
    Jin, Qu, Jin, Ren: Recurrent Event Network: Autoregressive Structure Inference over Temporal Knowledge Graphs.
    EMNLP 2020.

Idea:
    Who completes a fact of an entity follows from what surrounded the entity when it was last active. Every such visit
    is summed up as a vector, and a recurrent cell reads the last ones together with a state of the whole graph. Where
    later steps are asked about than are known, the model first forecasts the snapshots between and reads its own
    forecasts.

Equations:
    The facts of a step, given all earlier ones::

        p(G_t) = product over (s, r, o) of p(o | s, r) p(r | s) p(s)

    With the last L visits v of s, steps at which s has facts (:mod:`dynbench.models.kg.activity`), a neighbourhood g
    (:mod:`dynbench.models.kg.aggregators`) and the state H of the graph (:mod:`dynbench.models.kg.global_model`)::

        h_t(s, r) = GRU_1 over v of [ g(N_v(s)); H_v; e_s; e_r ]        logits of o: W_o [ e_s; h_t(s, r); e_r ] + b_o
        h_t(s)    = GRU_2 over v of [ g(N_v(s)); H_v; e_s ]             logits of r: W_r [ e_s; h_t(s) ] + b_r
        H_t       = GRU_3 over the last L snapshots of their descriptions   logits of s at t + 1: W_s H_t + b_s

    Subjects are ranked by the same cells and layers, with the history of o as an object and inverse relations. The loss
    is the cross-entropy of o plus 0.1 times that of r, over both sides, means over facts. The global model is trained
    first, on the shares of subjects and objects in the next snapshot, and stays as it is.
    Forecast of a snapshot: :mod:`dynbench.models.kg.rollout`.

Deviations:
    The formulas are those of the released code where the paper leaves them open; what follows differs from that code.

    * Both heads of the global model are trained; the code trains the subjects' one on the objects and never the other.
    * A gradient step of the global model takes 16 snapshots, so that an epoch has a dozen; in the code one step takes
      all. States H are computed without dropout. Shares of a step are those of its own facts: the code counts the first
      fact of each step into the one before.
    * The relational convolution runs over whole snapshots, in training and in forecasts; the code takes the part of a
      snapshot that a batch happens to touch. The attentive aggregator leaves the relation out where none is asked
      about.
    * A batch holds neighbours in time instead of facts from everywhere, so that histories are shared. A query that a
      batch holds more than once is computed once, and one draw of dropout serves all that share a term.
    * Drawn entities of a forecast snapshot are told apart by number; the code keeps duplicates and ends up with fewer
      facts. The search for the likeliest facts is exact.
    * An empty history gives a zero state, whatever is true of the step asked about; logits are ranked, not their
      sigmoids.
    * Epochs are judged by the unfiltered mean reciprocal rank of the validation queries, from the first epoch on, with
      histories as they are at the end of the train part (the code: filtered, from epoch 10 on, rolled out).
    * Parameters are always learnt from the train part. What a protocol allows to be known beyond enters histories only.

Reproduction:
    Table 3 of the NLSM paper at ``budget=quick``: mean aggregator, width 100, six passes (WIKI: two) over the facts of
    the last 20 train snapshots in batches of 256 at a learning rate of 0.003, three passes of the global model.
    Percent, MRR / Hits@3 / Hits@10; YAGO with the train part known is the mean of seeds 0 to 2, the rest seed 0:

    =======================  =====================  =====================
    history known            raw                    static filter
    =======================  =====================  =====================
    YAGO, train              46.96 / 52.71 / 61.67  64.75 / 65.36 / 67.81
    published                46.81 / 52.71 / 61.93  65.16 / 65.63 / 68.08
    YAGO, all steps before   48.49 / 54.24 / 63.69  66.20 / 66.85 / 70.37
    published                48.60 / 54.20 / 63.59  66.80 / 67.23 / 69.77
    WIKI, train              30.63 / 33.44 / 40.76  51.18 / 51.56 / 53.28
    published                30.87 / 33.55 / 41.27  51.97 / 52.07 / 53.91
    WIKI, all steps before   32.48 / 35.42 / 43.41  53.19 / 53.65 / 55.99
    published                32.44 / 35.42 / 43.16  53.57 / 54.10 / 55.72
    =======================  =====================  =====================

    * Passes were chosen on validation, whose raw MRR was still rising: 37.8, 48.1, 51.2, 52.0, 52.9, 53.4 after each of
      six on YAGO. Two passes give 42.9 raw and 57.0 with the static filter in the test (seeds 0 to 2,
      ``model.epochs=2``). With 1024 facts per step, a learning rate of 0.001 and 40 snapshots, validation had 4.7 and
      17.9 after as many.
    * No better than counting: ``recurrency`` with the train part known has 48.9 and 66.5 on YAGO, 31.1 and 52.2 on
      WIKI.
    * Not run: the settings of ``budget=paper``, the other aggregators, and frozen histories.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from dynbench.contract import Block, Queries
from dynbench.engine.trainer import Selection, Trainer
from dynbench.errors import ConfigError
from dynbench.graph import TemporalGraph
from dynbench.models.kg.activity import units
from dynbench.models.kg.aggregators import Known, make_aggregator
from dynbench.models.kg.base import KnowledgeGraphModel
from dynbench.models.kg.batches import Asked, FactBatches, answer_loss, share
from dynbench.models.kg.global_model import GlobalModel
from dynbench.models.kg.rollout import generated
from dynbench.nn.histories import HistoryGRU

# Visits whose neighbourhoods are computed at once where no gradient is needed; bounds memory.
_AT_ONCE = 20_000


class State(NamedTuple):
    """What a forecast starts from.

    Attributes:
        known: Facts, those that were generated included.
        moments: ``(T, h)`` global states H after every step.
        around: ``(V, h)`` neighbourhood of every visit, or ``None`` while parameters change.
    """

    known: Known
    moments: Tensor
    around: Tensor | None = None


class Seen(NamedTuple):
    """Histories of some units, or of some queries about them.

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

    def of(self, agent: Tensor) -> Seen:
        """The histories of the ``agent``-th units."""
        return self._replace(place=self.place[agent])


class RENET(KnowledgeGraphModel):
    """Recurrent event network.

    Args:
        dim: Width of all vectors, h; even.
        aggregator: How a neighbourhood becomes a vector.
        length: Visits of an entity, and snapshots, looked back at most.
        epochs: Passes over the facts at most.
        last_steps: Snapshots whose facts are learnt, counted from the end; null for all. Histories reach further back.
        batch_size: Facts per gradient step.
        learning_rate: Of Adam.
        weight_decay: Of Adam.
        dropout: Share of inputs of recurrent cells and decoders, and of self-loops, dropped in training.
        clip: Largest norm of a gradient.
        relation_weight: Weight of the loss of relations.
        global_epochs: Passes of the global model over the snapshots.
        global_steps: Snapshots per gradient step of the global model.
        rollout: Snapshots that are not known: ``generated`` by the model, or none, so that histories stay (``frozen``).
        rollout_size: Entities drawn, and facts generated, per step and side.
        patience: Epochs without a better validation before training stops.
    """

    def __init__(
        self,
        *,
        dim: int = 200,
        aggregator: Literal["mean", "attentive", "rgcn"] = "rgcn",
        length: int = 10,
        epochs: int = 20,
        last_steps: int | None = None,
        batch_size: int = 1024,
        learning_rate: float = 0.001,
        weight_decay: float = 0.00001,
        dropout: float = 0.5,
        clip: float = 1.0,
        relation_weight: float = 0.1,
        global_epochs: int = 300,
        global_steps: int = 16,
        rollout: Literal["generated", "frozen"] = "generated",
        rollout_size: int = 1000,
        patience: int = 5,
    ):
        super().__init__()
        if dim < 2 or dim % 2:
            raise ConfigError(
                f"model.dim is {dim}; relational convolutions work on pairs of entries: give an even number"
            )
        self.dim, self.aggregator_name, self.length = dim, aggregator, length
        self.epochs, self.last_steps, self.batch_size = epochs, last_steps, batch_size
        self.learning_rate, self.weight_decay, self.clip = learning_rate, weight_decay, clip
        self.relation_weight, self.global_epochs, self.global_steps = relation_weight, global_epochs, global_steps
        self.rollout, self.rollout_size, self.patience = rollout, rollout_size, patience
        self.dropout = nn.Dropout(dropout)
        self.register_buffer("seed", torch.zeros((), dtype=torch.long))
        self._state: State | None = None
        self._learning: State | None = None
        self._batches: FactBatches | None = None

    # ---- learning -------------------------------------------------------------------------------------------

    def fit(self, history: TemporalGraph, validation: Sequence[Block], trainer: Trainer) -> None:
        """Train anew, the global model first; afterwards know all of ``history``."""
        self.build(history.num_nodes, history.num_relations)
        self.to(trainer.device)
        learnt = self.before_validation(history, validation).to(trainer.device)
        self.know(learnt)
        learnt = self.known_graph()
        self.global_model.fit(learnt, self.global_epochs, trainer)
        self.global_model.requires_grad_(False).to(trainer.device)
        self._learning = self._state_of(learnt, tables=False)
        first = 0 if self.last_steps is None else max(0, learnt.num_steps - self.last_steps)
        self._batches = FactBatches(learnt.between(first, learnt.num_steps), self.batch_size, self.epochs)
        self.seed = torch.randint(2**40, ()).to(trainer.device)
        epoch = self._batches.per_epoch
        selection = Selection(lambda: self._judge(validation), epoch, self.patience) if validation else None
        trainer.train(self, self.epochs * epoch, selection=selection)
        self.eval()
        self._learning = self._batches = None
        self.know(history)

    def build(self, num_nodes: int, num_relations: int) -> None:
        """Create the parameters."""
        self.num_nodes, self.num_relations = num_nodes, num_relations
        dim, dropout = self.dim, self.dropout.p
        self.global_model = GlobalModel(
            num_nodes, num_relations, dim, dropout, self.length, self.learning_rate, self.weight_decay, self.clip,
            self.global_steps,
        ).requires_grad_(True)  # fmt: skip
        gain = nn.init.calculate_gain("relu")
        self.entities = nn.Parameter(nn.init.xavier_uniform_(torch.empty(num_nodes, dim), gain))
        self.relations = nn.Parameter(nn.init.xavier_uniform_(torch.empty(2 * num_relations, dim), gain))
        self.aggregator = make_aggregator(self.aggregator_name, dim, num_relations, dropout)
        self.event_gru = HistoryGRU(
            (dim, dim, dim, dim), dim
        )  # h_t(s, r), of neighbourhood, global state, entity, relation
        self.entity_gru = HistoryGRU((dim, dim, dim), dim)  # h_t(s), of the same without a relation
        self.answer_out = nn.Linear(3 * dim, num_nodes)
        self.relation_out = nn.Linear(2 * dim, num_relations)
        if num_relations == 1:  # then there is nothing to learn about which relation comes
            for part in (self.entity_gru, self.relation_out):
                part.requires_grad_(False)

    def training_step(self, batch: int, batch_idx: int) -> Tensor:
        """Cross-entropy of the answers and, weighted, of the relations, for both sides of a batch of facts."""
        mine = share(self._batches.at(batch_idx), self.global_rank, self.trainer.world_size)
        asked = Asked.about(self._batches.graph.subset(mine))
        unit, seen = asked.unit[asked.agent], self._seen(self._learning, asked.unit, asked.time)
        if self.aggregator.sees_relation:
            by_query = self._seen(self._learning, unit, asked.time[asked.agent], asked.relation)
        else:
            by_query = seen.of(asked.agent)
        loss = answer_loss(self._answers(by_query, unit, asked.relation), asked.query, asked.answer, asked.weight)
        relation = asked.relation[asked.query] % self.num_relations
        logits = self._relations(seen, asked.unit)
        return loss + self.relation_weight * answer_loss(logits, asked.agent[asked.query], relation, asked.weight)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Adam with weight decay; the global model stays as it is."""
        chosen = [parameter for parameter in self.parameters() if parameter.requires_grad]
        return torch.optim.Adam(chosen, lr=self.learning_rate, weight_decay=self.weight_decay, fused=True)

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Clip the gradient."""
        nn.utils.clip_grad_norm_(self.parameters(), self.clip)

    def _judge(self, validation: Sequence[Block]) -> float:
        """Mean reciprocal rank with histories as they were at the end of training."""
        self._state = self._state_of(self._learning.known.graph, moments=self._learning.moments)
        value = self.mean_reciprocal_rank(validation)
        self._state = None
        return value

    # ---- equations ------------------------------------------------------------------------------------------

    def _seen(self, state: State, unit: Tensor, time: Tensor, relation: Tensor | None = None) -> Seen:
        """Histories of units before given times, and what was around them, as seen by a relation if that matters."""
        visits = state.known.activity.recent(unit, time, self.length)
        if relation is None or not self.aggregator.sees_relation:
            distinct, place = _distinct(visits)
            relation = None
        else:
            doubled = 2 * self.num_relations
            pair, place = _distinct(torch.where(visits >= 0, visits * doubled + relation[:, None], -1))
            distinct, relation = pair.div(doubled, rounding_mode="floor"), pair % doubled
        if state.around is None:
            around = self.aggregator(self.entities, self.relations, state.known, distinct, relation)
        else:
            around = state.around[distinct]
        return Seen(place, self.dropout(around), state.known.activity.time[distinct], self.dropout(state.moments))

    def _history(self, gru: HistoryGRU, seen: Seen, own: Tensor) -> Tensor:
        """``(U, h)`` states after histories; ``own`` is what stays the same along each."""
        shared = gru.product(0, seen.around) + gru.product(1, seen.moments)[seen.time]
        return gru.run(lambda step, index: shared[seen.place[index, step]] + own[index], seen.place >= 0)

    def _answers(self, seen: Seen, unit: Tensor, relation: Tensor) -> Tensor:
        """``(Q, N)`` logits of the entities that complete queries: W_o [e_s; h_t(s, r); e_r]."""
        head, gru = self.entities[unit % self.num_nodes], self.event_gru
        own = gru.product(2, self.dropout(head)) + gru.product(3, self.dropout(self.relations))[relation]
        vectors = (head, self._history(gru, seen, own), self.relations[relation])
        return self.answer_out(self.dropout(torch.cat(vectors, dim=1)))

    def _relations(self, seen: Seen, unit: Tensor) -> Tensor:
        """``(U, R)`` logits of the relation of a unit's fact: W_r [e_s; h_t(s)]."""
        head, gru = self.entities[unit % self.num_nodes], self.entity_gru
        states = self._history(gru, seen, gru.product(2, self.dropout(head)))
        return self.relation_out(self.dropout(torch.cat([head, states], dim=1)))

    # ---- answering ------------------------------------------------------------------------------------------

    def answer_logits(self, state: State, unit: Tensor, relation: Tensor, time: Tensor) -> Tensor:
        """``(Q, N)`` logits of every entity as the answer to queries about units and relations."""
        return self._answers(self._seen(state, unit, time, relation), unit, relation)

    def relation_logits(self, state: State, unit: Tensor, time: Tensor) -> Tensor:
        """``(Q, R)`` logits of the relation of a fact of a unit."""
        return self._relations(self._seen(state, unit, time), unit)

    @torch.no_grad()
    def rank(self, queries: Queries) -> Tensor:
        """``(Q, N)`` logits, after forecasting the snapshots that lie between what is known and what is asked."""
        self.eval()
        scores = self.entities.new_empty(len(queries), self.num_nodes)
        for time in queries.time.unique().tolist():
            asked = (queries.time == time).nonzero().squeeze(1)
            part = queries[asked]
            unit = units(part.src, part.relation, self)
            scores[asked] = self.answer_logits(self._before(time), unit, part.relation, part.time)
        return scores

    def _before(self, time: int) -> State:
        """All that may be built on for a forecast at a time; later steps in it are not looked at."""
        state = self._state if self._state is not None else self._state_of(self.known_graph())
        if self._learning is None and self.rollout == "generated":
            for step in range(state.known.graph.num_steps, time):
                state = self._extended(state, step)
        self._state = state
        return state

    def _extended(self, state: State, step: int) -> State:
        """A state with the snapshot that is forecast from it."""
        src, relation, dst = generated(self, state, step, self.rollout_size, int(self.seed) + step)
        graph = state.known.graph
        facts = TemporalGraph(
            src, dst, torch.full_like(src, step), graph.num_nodes, graph.num_relations, num_steps=step + 1,
            relation=relation, weight=torch.ones(len(src), device=src.device),
        )  # fmt: skip
        longer = dataclasses.replace(graph.extended(facts), num_steps=step + 1)
        return self._state_of(longer, moments=state.moments, around=state.around)

    @torch.no_grad()
    def _state_of(
        self, graph: TemporalGraph, moments: Tensor | None = None, around: Tensor | None = None, tables: bool = True
    ) -> State:
        """Arrange facts, and compute what does not depend on the query.

        Args:
            graph: The facts.
            moments, around: What was computed for the first steps and visits.
            tables: Whether the parameters are final, so that neighbourhoods can be computed once and for all.
        """
        known = Known.of(graph)
        moments = self.global_model.moments(known.snapshots, graph.require_steps(), moments)
        if not tables or self.aggregator.sees_relation:
            return State(known, moments)
        rest = torch.arange(0 if around is None else len(around), len(known.activity), device=moments.device)
        parts = [self.aggregator(self.entities, None, known, part, None) for part in rest.split(_AT_ONCE)]
        return State(known, moments, torch.cat(parts if around is None else [around, *parts]))

    def observe(self, events: TemporalGraph) -> None:
        """Know what was revealed; what was computed for earlier facts stays, unless forecasts stand in their place."""
        state, steps = self._state, int(self.sizes[2])
        super().observe(events)
        if state is not None and state.known.graph.num_steps == steps:
            self._state = self._state_of(self.known_graph(), moments=state.moments, around=state.around)

    def forget_state(self) -> None:
        """Drop what was derived from the known facts."""
        self._state = None


def _distinct(values: Tensor) -> tuple[Tensor, Tensor]:
    """The distinct values that are not negative, and where each stands among them; -1 stays."""
    found = values >= 0
    distinct, place = values[found].unique(return_inverse=True)
    return distinct, torch.full_like(values, -1).masked_scatter(found, place)

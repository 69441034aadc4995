"""Temporal point processes on a knowledge graph with a decoder on top: what Know-Evolve+MLP and DyRep+MLP share.

Every entity has a vector that changes at each of its events. Facts of one step have no order among themselves: all of
them read the vectors at the step's start, and the changes that they ask of an entity are averaged. An intensity per
relation says how likely two entities are to meet. The decoder, two dense layers on the vector of the query's entity
and on one of its relation, scores all entities as the answer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from dynbench.contract import Queries, Selector
from dynbench.engine.trainer import Selection, Trainer
from dynbench.graph import TemporalGraph
from dynbench.models.kg.activity import Activity
from dynbench.models.kg.base import KnowledgeGraphModel, with_relations
from dynbench.models.kg.batches import Asked, answer_loss
from dynbench.nn.segments import mean_rows
from dynbench.ranges import Count, NonNegative, Positive, Width


class EntityState(NamedTuple):
    """Where all entities stand.

    Attributes:
        vectors: ``(N, d)``.
        last_time: ``(N,) long`` step of the last event; -1 for none.
        last_relation: ``(N,) long`` its relation, of several that of the last in the list; R for none.
    """

    vectors: Tensor
    last_time: Tensor
    last_relation: Tensor


class Ends(NamedTuple):
    """Both ends of the facts of a step: entity, the other one, the role (0 subject, 1 object), relation; ``(2F,)``."""

    entity: Tensor
    other: Tensor
    role: Tensor
    relation: Tensor


class Lesson(NamedTuple):
    """What a training is about.

    Attributes:
        facts: Learnt from, step after step.
        activity: The same by entity.
        loss: From where entities stand at the start of a step, and some of its facts, to a mean over these.
        facts_per_step: Facts of a step that are drawn; all when ``None``.
        span: Steps per gradient step.
        learning_rate: Of Adam.
        through_time: Whether gradients reach back to the first of these steps.
    """

    facts: TemporalGraph
    activity: Activity
    loss: Callable[[EntityState, TemporalGraph], Tensor]
    facts_per_step: int | None
    span: int
    learning_rate: float
    through_time: bool

    @property
    def per_epoch(self) -> int:
        """Gradient steps in an epoch."""
        return -(-self.facts.num_steps // self.span)


class EventRNN(KnowledgeGraphModel):
    """Entity vectors that follow events, and a decoder.

    Args:
        dim: Width of an entity's vector.
        relation_dim: Width of a relation's vector.
        decoder_dim: Width of the decoder's hidden layer.
        training: ``decoder_only`` fits the point process by likelihood and then, on vectors that stay as they are, the
            decoder; ``joint`` fits vectors and decoder by the decoder's loss and has no likelihood.
        likelihood_epochs: Passes of the likelihood over the facts.
        epochs: Passes of the decoder's loss over the snapshots at most.
        facts_per_step: Facts of a snapshot, drawn anew each time, whose answers the decoder learns.
        window: Steps per gradient step, over which gradients reach back; one where vectors stay as they are.
        samples: Pairs, at random, that did not meet, per fact.
        learning_rate: Of Adam, for the likelihood.
        decoder_learning_rate: Of Adam, for the decoder's loss.
        clip: Largest norm of a gradient.
        time_scale: Factor of time differences in steps.
        patience: Epochs without a better validation before training stops.
    """

    work = frozenset({"epochs", "likelihood_epochs", "facts_per_step"})

    def __init__(
        self,
        *,
        dim: Width = 64,
        relation_dim: Width = 32,
        decoder_dim: Width = 200,
        training: Literal["decoder_only", "joint"] = "decoder_only",
        likelihood_epochs: Count = 10,
        epochs: Count = 20,
        facts_per_step: Count = 1024,
        window: Count = 5,
        samples: Count = 5,
        learning_rate: Positive = 0.0005,
        decoder_learning_rate: Positive = 0.001,
        clip: Positive = 1.0,
        time_scale: NonNegative = 0.1,
        patience: Count = 5,
    ):
        super().__init__()
        self.dim, self.relation_dim, self.decoder_dim = dim, relation_dim, decoder_dim
        self.way, self.likelihood_epochs, self.epochs = training, likelihood_epochs, epochs
        self.facts_per_step, self.window, self.samples = facts_per_step, window, samples
        self.rates, self.clip = (learning_rate, decoder_learning_rate), clip
        self.time_scale, self.patience = time_scale, patience

    def build(self, nodes: int, relations: int) -> None:
        """Starting points, the recurrence, the point process and the decoder."""
        self.num_nodes, self.num_relations = nodes, relations
        self.start = nn.Parameter(0.1 * torch.randn(nodes, self.dim))
        self.cell = self.make_cell()
        self.intensity = self.make_intensity()
        self.asked = nn.Parameter(nn.init.xavier_uniform_(torch.empty(2 * relations, self.relation_dim)))
        width = self.dim + self.relation_dim
        self.decoder = nn.Sequential(
            nn.Linear(width, self.decoder_dim), nn.ReLU(), nn.Linear(self.decoder_dim, nodes)
        )  # fmt: skip
        self.register_buffer("vectors", self.start.detach().clone())
        self.register_buffer("last_time", torch.full((nodes,), -1))
        self.register_buffer("last_relation", torch.full((nodes,), relations))

    def make_cell(self) -> nn.Module:
        """What turns the ends of facts into new vectors: ``forward(model, state, ends, step) -> (2F, d)``."""
        raise NotImplementedError

    def make_intensity(self) -> nn.Module:
        """The point process: ``forward(model, state, facts, others) -> (F,)`` negative log-likelihoods."""
        raise NotImplementedError

    # ---- learning -------------------------------------------------------------------------------------------

    def fit(self, train: TemporalGraph, selector: Selector | None, trainer: Trainer) -> None:
        """Train anew, the process before the decoder or both together."""
        self.create(nodes=train.num_nodes, relations=train.num_relations)
        self.to(trainer.device)
        facts = with_relations(train.to(trainer.device))
        past = facts, Activity(facts, merge=True)
        process = [self.start, *self.cell.parameters()]
        decoder = [self.asked, *self.decoder.parameters()]
        if self.way == "decoder_only":
            lesson = Lesson(*past, self._likelihood, None, self.window, self.rates[0], True)
            self._prepare(lesson, [*process, *self.intensity.parameters()])
            trainer.train(self, self.likelihood_epochs * lesson.per_epoch)
            lesson = Lesson(*past, self._decoding, self.facts_per_step, 1, self.rates[1], False)
            self._prepare(lesson, decoder)
        else:
            lesson = Lesson(*past, self._decoding, self.facts_per_step, self.window, self.rates[1], True)
            self._prepare(lesson, [*decoder, *process])
        selection = None if selector is None else Selection(selector, lesson.per_epoch, self.patience)
        trainer.train(self, self.epochs * lesson.per_epoch, selection=selection)

    def _prepare(self, lesson: Lesson, chosen: Sequence[nn.Parameter]) -> None:
        """Choose what the next training is about."""
        self.lesson, self.learning_rate = lesson, lesson.learning_rate
        self.requires_grad_(False)
        for parameter in chosen:
            parameter.requires_grad_(True)

    def training_step(self, batch: int, batch_idx: int) -> Tensor:
        """Mean loss over the facts of the next few steps; an epoch goes through them in order."""
        lesson, self._activity = self.lesson, self.lesson.activity
        first = batch_idx % lesson.per_epoch * lesson.span
        if not first:
            self._rewind()
        state, losses = self._now(), []
        for step in range(first, min(first + lesson.span, lesson.facts.num_steps)):
            facts = lesson.facts.step(step)
            if not len(facts):
                continue
            drawn = torch.randperm(len(facts))[: lesson.facts_per_step]
            mine = self.share(drawn) if len(drawn) >= self.world else drawn
            losses.append(lesson.loss(state, facts.subset(mine.to(self.device))))
            with torch.set_grad_enabled(lesson.through_time):
                state = self._after(state, facts, step)
        self._keep(state)
        if not losses:  # silence teaches nothing
            return 0.0 * sum(part.sum() for part in self.parameters() if part.requires_grad)
        return torch.stack(losses).mean()

    def _likelihood(self, state: EntityState, facts: TemporalGraph) -> Tensor:
        """Mean negative log-likelihood of facts and of their pairs at risk."""
        others = torch.randint(self.num_nodes, (2, len(facts), self.samples)).to(facts.src.device)
        return self.intensity(self, state, facts, others).mean()

    def _decoding(self, state: EntityState, facts: TemporalGraph) -> Tensor:
        """Cross-entropy of both ends of facts."""
        asked = Asked.about(facts)
        entity = asked.unit[asked.agent] % self.num_nodes
        return answer_loss(self._decode(state, entity, asked.relation), asked.query, asked.answer, asked.weight)

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Clip the gradient."""
        nn.utils.clip_grad_norm_(self.parameters(), self.clip)

    # ---- vectors --------------------------------------------------------------------------------------------

    def _rewind(self) -> None:
        """Go back to where nothing has happened yet."""
        self.last_time = torch.full_like(self.last_time, -1)
        self.last_relation = torch.full_like(self.last_relation, self.num_relations)

    def _now(self) -> EntityState:
        """Where entities stand, those without an event at their learnt starting points."""
        seen = (self.last_time >= 0)[:, None]
        return EntityState(torch.where(seen, self.vectors, self.start), self.last_time, self.last_relation)

    def _keep(self, state: EntityState) -> None:
        self.vectors, self.last_time, self.last_relation = (part.detach() for part in state)

    def _after(self, state: EntityState, facts: TemporalGraph, step: int) -> EntityState:
        """Where entities stand after the facts of a step."""
        ends = both_ends(facts)
        changed = self.cell(self, state, ends, step)
        order = ends.entity.argsort(stable=True)
        entity, size = ends.entity[order].unique_consecutive(return_counts=True)
        last = order[size.cumsum(0) - 1]
        time = state.last_time.index_fill(0, entity, step)
        relation = state.last_relation.index_copy(0, entity, ends.relation[last])
        return EntityState(state.vectors.index_copy(0, entity, mean_rows(changed, order, size)), time, relation)

    def arrange(self) -> None:
        """Go through the known facts from the start of time."""
        self._rewind()
        self._go_through(range(self.known.num_steps))

    def follow(self, facts: TemporalGraph) -> None:
        """Go on through what was revealed."""
        self._go_through(facts.time.unique().tolist())

    @torch.no_grad()
    def _go_through(self, steps: Sequence[int]) -> None:
        """Move the vectors along the known facts of some steps."""
        self._activity = Activity(self.known, merge=True)
        for step in steps:
            facts = self.known.step(step)
            if len(facts):
                self._keep(self._after(self._now(), facts, step))

    def running_state(self) -> dict[str, Tensor]:
        """What is known, and where entities stand."""
        stand = {"vectors": self.vectors, "last_time": self.last_time, "last_relation": self.last_relation}
        return super().running_state() | stand

    def restore(self, state: dict[str, Tensor]) -> None:
        """Know what was known before, and stand where one stood."""
        super().restore(state)
        self._keep(EntityState(state["vectors"], state["last_time"], state["last_relation"]))

    def since(self, state: EntityState, entity: Tensor, step: int) -> Tensor:
        """``(Q,)`` scaled time since the last event of entities, one step at least; one step if there was none."""
        last = state.last_time[entity]
        return self.time_scale * torch.where(last < 0, 1, (step - last).clamp(min=1))

    def neighbours(self, entity: Tensor, step: int) -> tuple[Tensor, Tensor]:
        """Whom entities met at their last active step before a step.

        Returns:
            For each meeting the place of the entity among those asked about, and the other entity, both ``(K,)``.
        """
        visit = self._activity.recent(entity, torch.full_like(entity, step), 1).squeeze(1)
        place, fact = self._activity.facts_of(visit)
        return place, self._activity.answer[fact]

    # ---- answering ------------------------------------------------------------------------------------------

    def _decode(self, state: EntityState, entity: Tensor, relation: Tensor) -> Tensor:
        """``(Q, N)`` logits: W_2 relu( W_1 [e_s; r] + b_1 ) + b_2."""
        return self.decoder(torch.cat([state.vectors[entity], self.asked[relation]], dim=1))

    @torch.no_grad()
    def rank(self, queries: Queries) -> Tensor:
        """``(Q, N)`` logits from the vectors as they are after the last known event."""
        return self._decode(self._now(), queries.src, queries.relation)


def both_ends(facts: TemporalGraph) -> Ends:
    """Subjects first, then objects."""
    relation = torch.zeros_like(facts.src) if facts.relation is None else facts.relation
    role = torch.arange(2, device=facts.src.device).repeat_interleave(len(facts))
    return Ends(torch.cat([facts.src, facts.dst]), torch.cat([facts.dst, facts.src]), role, relation.repeat(2))


def by_relation(x: Tensor, matrices: Tensor, relation: Tensor) -> Tensor:
    """``(F, d)`` product of each row with the matrix of its relation; one product per relation."""
    order = relation.argsort(stable=True)
    parts = x[order].split(torch.bincount(relation, minlength=len(matrices)).tolist())
    rows = torch.cat([part @ matrix for part, matrix in zip(parts, matrices, strict=True) if len(part)])
    return torch.empty_like(rows).index_copy(0, order, rows)

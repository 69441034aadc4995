"""Forecasting a temporal knowledge graph: who completes each fact of the test steps, among all entities."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from functools import partial
from typing import Literal

import torch

from dynbench.contract import Block, Episode, Exam, Queries
from dynbench.errors import DataError
from dynbench.graph import TemporalGraph
from dynbench.graph.facts import FactIndex
from dynbench.metrics.ranks import RankMetrics, Ties
from dynbench.protocols.base import Protocol
from dynbench.ranges import CountOrZero

FILTERS = ("static", "time")


class WindowedKG(Protocol):
    """NLSM's Table 3, and what later work made of the same data (sections 2 to 5 of the knowledge-graph protocol).

    Every fact ``(s, r, o)`` of a test step is asked about twice: ``(s, r, ?)`` and, as the inverse relation ``r + R``,
    ``(o, r + R, ?)``. All entities are candidates, also those never seen. Three ranks come out of each answer: ``raw``;
    ``static``, without other entities that complete a fact at any time of the dataset; ``time``, without those that
    do at the time asked about.

    A model learns from the train part and may be selected on questions about the validation part, asked with the train
    part known; how it answers them is told as ``validation_raw_mrr``, unless it has learnt from that part, too. How it
    forgets (NLSM's window of five snapshots, say) is a setting of the model; what it may know when the test steps are
    asked about is said here.

    Args:
        history: What is known when the test steps are asked about: the train part (``multi_step_train``), also the
            validation part (``multi_step``), or in addition the test steps before the one asked about, revealed one
            by one (``single_step``).
        sides: Whether objects are asked about, subjects, or both.
        ties: The place of a target among candidates with its score: ``realistic`` is the mean of the best and worst.
        repeats: Whether a fact that a step holds twice is asked about twice (``each``) or ``once``, as in some
            re-evaluations; only WIKI has such facts.
        validation_queries: Queries drawn from the validation part for model selection.
    """

    version = 1
    asks = "rank"
    view = "snapshots"
    validates = True
    context_settings = frozenset({"history"})
    validation_settings = frozenset({"validation_queries"})
    exam_settings = frozenset({"history", "sides", "ties", "repeats"})
    seeds = frozenset()

    def __init__(
        self,
        *,
        history: Literal["multi_step", "multi_step_train", "single_step"] = "multi_step",
        sides: Literal["both", "object", "subject"] = "both",
        ties: Literal["realistic", "optimistic", "pessimistic"] = "realistic",
        repeats: Literal["each", "once"] = "each",
        validation_queries: CountOrZero = 2000,
    ):
        self.history, self.sides, self.repeats = history, sides, repeats
        self.validation_queries = validation_queries
        self.ties: Ties = ties

    def num_episodes(self, graph: TemporalGraph) -> int:
        """Just one."""
        return 1

    def episodes(self, graph: TemporalGraph, seed: int) -> Iterator[Episode]:
        """One history and a block per test step."""
        steps = graph.require_steps()
        valid, test = self.parts_of(graph)
        filters = {name: FactIndex(graph, timed=name == "time") for name in FILTERS}
        metric = partial(RankMetrics, filters, graph.num_relations, self.ties)
        blocks = []
        for step in range(test, steps):
            facts = graph.step(step)
            if len(facts):
                reveal = facts if self.history == "single_step" else None
                blocks.append(
                    dataclasses.replace(self.block(facts, step, self.sides, self.repeats == "each"), reveal=reveal)
                )
        if not blocks:
            raise DataError(f"the test part, steps {test} to {steps - 1}, holds no fact; there is nothing to ask about")
        train = graph.before(valid)
        known = train if self.history == "multi_step_train" else graph.before(test)
        sampled = self.sampled(graph.between(valid, test), seed)
        raw = partial(RankMetrics, {}, graph.num_relations, brief=True)
        # Named, so that it is measured for every model: settings can be chosen by it and by nothing else.
        chosen_by = Exam("validation", lambda: sampled, raw, context=train, select=("raw_mrr",)) if sampled else None
        exam = Exam("", lambda: blocks, metric)
        yield Episode(f"{len(blocks)} steps ahead", {"": train}, known, [exam], chosen_by)

    def parts_of(self, graph: TemporalGraph) -> tuple[int, int]:
        """First steps of the validation and the test part; for data without parts the last quarter, halved."""
        steps = graph.require_steps()
        valid, test = graph.split or (steps - max(2, steps // 4), steps - max(1, steps // 8))
        if not 0 < valid <= test < steps:
            raise DataError(f"{steps} steps leave no history before step {valid} or none to ask about from step {test}")
        return int(valid), int(test)

    def block(self, facts: TemporalGraph, step: int, sides: str = "both", repeated: bool = True) -> Block:
        """The questions about the facts of one step: objects first, then subjects."""
        counted = repeated and facts.weight is not None
        times = facts.weight.long() if counted else torch.ones(len(facts), dtype=torch.long)
        relation = torch.zeros_like(facts.src) if facts.relation is None else facts.relation
        asked = {
            "object": (facts.src, relation, facts.dst),
            "subject": (facts.dst, relation + facts.num_relations, facts.src),
        }
        chosen = [ends for side, ends in asked.items() if sides in (side, "both")]
        columns = (torch.cat(parts) for parts in zip(*chosen, strict=True))
        head, relation, answer = (column.repeat_interleave(times.repeat(len(chosen))) for column in columns)
        return Block(step, Queries(head, None, torch.full_like(head, step), relation), answer)

    def sampled(self, facts: TemporalGraph, seed: int) -> list[Block]:
        """``validation_queries`` questions about the validation part, a block per step; all if there are fewer."""
        blocks = [self.block(facts.step(step), step) for step in facts.time.unique().tolist()]
        total = sum(len(block.queries) for block in blocks)
        generator = torch.Generator().manual_seed(seed)
        drawn = torch.zeros(total, dtype=torch.bool)
        drawn[torch.randperm(total, generator=generator)[: self.validation_queries]] = True
        parts = drawn.split([len(block.queries) for block in blocks]) if blocks else ()
        return [block[mask] for block, mask in zip(blocks, parts, strict=True) if bool(mask.any())]

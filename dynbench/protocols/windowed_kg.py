"""Forecasting a temporal knowledge graph: who completes each fact of the test steps, among all entities."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Literal

import torch
from torch import Tensor

from dynbench.contract import Block, Episode, Queries
from dynbench.errors import DataError
from dynbench.graph import TemporalGraph
from dynbench.graph.facts import FoundAnswers, KnownAnswers
from dynbench.metrics.ranks import RankMetrics, Ties, rank_counts
from dynbench.protocols.base import Protocol

# Scores held at once: a few passes stay in a CPU's cache, and a GPU is kept busy. Measured; no number depends on it.
_SCORES_CPU, _SCORES_GPU = 2_720_000, 40_000_000
FILTERS = ("static", "time")


class WindowedKG(Protocol):
    """NLSM's Table 3, and what later work made of the same data (sections 2 to 5 of the knowledge-graph protocol).

    Every fact ``(s, r, o)`` of a test step is asked about twice: ``(s, r, ?)`` and, as the inverse relation ``r + R``,
    ``(o, r + R, ?)``. All entities are candidates, also those never seen. Three ranks come out of each answer: ``raw``;
    ``static``, without other entities that complete a fact at any time of the dataset; ``time``, without those that
    do at the time asked about. A fact that a step holds twice is asked about twice.

    How a model forgets (NLSM's window of five snapshots, say) is a setting of the model; what it may know is said
    here. Validation blocks come from the validation part, which may lie within the history: a model that selects on
    them must train on what is before them.

    Args:
        history: What is known when the test steps are asked about: the train part (``multi_step_train``), also the
            validation part (``multi_step``), or in addition the test steps before the one asked about, revealed one
            by one (``single_step``).
        sides: Whether objects are asked about, subjects, or both.
        ties: The place of a target among candidates with its score: ``realistic`` is the mean of the best and worst.
        validation_queries: Queries drawn from the validation part for model selection.
    """

    version = 1
    asks = "rank"
    view = "snapshots"

    def __init__(
        self,
        *,
        history: Literal["multi_step", "multi_step_train", "single_step"] = "multi_step",
        sides: Literal["both", "object", "subject"] = "both",
        ties: Literal["realistic", "optimistic", "pessimistic"] = "realistic",
        validation_queries: int = 2000,
    ):
        self.history, self.sides, self.validation_queries = history, sides, validation_queries
        self.ties: Ties = ties

    def num_episodes(self, graph: TemporalGraph) -> int:
        """Just one."""
        return 1

    def episodes(self, graph: TemporalGraph, seed: int) -> Iterator[Episode]:
        """One history and a block per test step."""
        steps = graph.require_steps()
        valid, test = self.parts_of(graph)
        filters = {name: KnownAnswers(graph, timed=name == "time") for name in FILTERS}
        blocks = []
        for step in range(test, steps):
            facts = graph.step(step)
            if len(facts):
                reveal = facts if self.history == "single_step" else None
                blocks.append(dataclasses.replace(self.block(facts, step), filters=filters, reveal=reveal))
        if not blocks:
            raise DataError(f"the test part, steps {test} to {steps - 1}, holds no fact; there is nothing to ask about")
        known = graph.before(valid if self.history == "multi_step_train" else test)
        validation = self.sampled(graph.between(valid, test), filters, seed)
        yield Episode(f"{len(blocks)} steps ahead", known, blocks, validation)

    def parts_of(self, graph: TemporalGraph) -> tuple[int, int]:
        """First steps of the validation and the test part; for data without parts the last quarter, halved."""
        steps = graph.require_steps()
        valid, test = graph.split or (steps - max(2, steps // 4), steps - max(1, steps // 8))
        if not 0 < valid <= test < steps:
            raise DataError(f"{steps} steps leave no history before step {valid} or none to ask about from step {test}")
        return int(valid), int(test)

    def block(self, facts: TemporalGraph, step: int) -> Block:
        """The questions about the facts of one step: objects first, then subjects."""
        times = torch.ones(len(facts), dtype=torch.long) if facts.weight is None else facts.weight.long()
        relation = torch.zeros_like(facts.src) if facts.relation is None else facts.relation
        asked = {
            "object": (facts.src, relation, facts.dst),
            "subject": (facts.dst, relation + facts.num_relations, facts.src),
        }
        chosen = [ends for side, ends in asked.items() if self.sides in (side, "both")]
        columns = (torch.cat(parts) for parts in zip(*chosen, strict=True))
        head, relation, answer = (column.repeat_interleave(times.repeat(len(chosen))) for column in columns)
        return Block(step, Queries(head, None, torch.full_like(head, step), relation), answer)

    def sampled(self, facts: TemporalGraph, filters: dict[str, KnownAnswers], seed: int) -> list[Block]:
        """``validation_queries`` questions about the validation part, a block per step; all if there are fewer."""
        blocks = [self.block(facts.step(step), step) for step in facts.time.unique().tolist()]
        total = sum(len(block.queries) for block in blocks)
        generator = torch.Generator().manual_seed(seed)
        drawn = torch.zeros(total, dtype=torch.bool)
        drawn[torch.randperm(total, generator=generator)[: self.validation_queries]] = True
        parts = drawn.split([len(block.queries) for block in blocks]) if blocks else ()
        return [
            Block(block.step, block.queries[mask], block.answers[mask], filters=filters)
            for block, mask in zip(blocks, parts, strict=True)
            if bool(mask.any())
        ]

    def portions(self, block: Block, device: torch.device, num_nodes: int) -> Iterator[Block]:
        """Parts of a block whose scores fit into the cache; their ranks do not depend on the cut."""
        size = max(1, (_SCORES_CPU if device.type == "cpu" else _SCORES_GPU) // num_nodes)
        starts = torch.arange(0, len(block.queries), size)
        # One search for all of the block, then slices of what was found.
        found = {
            name: FoundAnswers(*known.of(block.queries), known.num_relations).portions(starts)
            for name, known in block.filters.items()
        }
        for number, start in enumerate(starts.tolist()):
            part = slice(start, start + size)
            filters = {name: portions[number] for name, portions in found.items()}
            yield dataclasses.replace(block, queries=block.queries[part], answers=block.answers[part], filters=filters)

    def read(self, block: Block, answer: Tensor) -> Tensor:
        """``(Q, 8)`` side, relation, and the counts above and level with the truth: raw, static, time."""
        known = [tuple(part.to(answer.device) for part in block.filters[name].of(block.queries)) for name in FILTERS]
        counts = rank_counts(answer, block.answers.to(answer.device), known).cpu()
        relations = block.filters["time"].num_relations
        relation = block.queries.relation
        side, relation = relation.div(relations, rounding_mode="floor"), relation % relations
        return torch.cat([side[:, None], relation[:, None], counts.flatten(1)], dim=1)

    def metrics(self) -> RankMetrics:
        """Ranks of all queries, and what is read off them."""
        return RankMetrics(FILTERS, self.ties)

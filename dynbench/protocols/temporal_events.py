"""Chronological 70/15/15 over a stream of events, one batch after the other (DyGLib; CrossLink's End2End tables).

A model learns from the first part, less the events of some nodes that are held out. It knows all of that part when it
is asked, is selected by the next one, and is then asked about the last one in batches of consecutive events, each with
as many negatives. Every exam starts after the validation events were revealed; the events of a batch are revealed with
it. Models without a memory see events strictly before each time asked about, also those of the same batch.

Exams differ in their negatives (:mod:`dynbench.sampling.negatives`) and in the events that are asked about: all of
them, or those with a node that training has not seen. In the latter the other events happen, too. Published memory
models see them as neighbours and do not write them to their memories; such events have weight 0.

Paper:
    Yu, Sun, Du, Lv: Towards better dynamic graph learning: new architecture and unified library. NeurIPS 2023. The
    negatives are those of Poursafaei, Huang, Pelrine, Rabbany: Towards better evaluation for dynamic link prediction.
    NeurIPS 2022. The ranking is that of Huang et al.: Temporal graph benchmark for machine learning on temporal graphs.
    NeurIPS 2023.

Deviations:
    * Historical and inductive negatives are drawn from pairs in the order of their first events, not in that of a
      Python set, so that published values are met on average.
    * Scores stay logits: a sigmoid in single precision makes ties.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Iterator
from functools import cache, cached_property, partial
from typing import Literal

import torch
from torch import Tensor

from dynbench.contract import Block, Episode, Exam, Queries
from dynbench.errors import ConfigError
from dynbench.graph import TemporalGraph
from dynbench.metrics.streams import ManyMetrics, StreamMetrics
from dynbench.protocols.base import Protocol
from dynbench.protocols.event_split import EventSplit, split_events
from dynbench.ranges import Count, CountOrZero, Dropout, Seed, Share
from dynbench.sampling.negatives import STRATEGIES, KnownPairs, Strategy, batch_negatives
from dynbench.sampling.one_vs_many import OneVersusMany

log = logging.getLogger(__name__)

NodeSet = Literal["all", "new_any", "new_new", "new_old", "seen_only"]
# Names of exams, made of what is asked about and of the negatives.
_SETS = {"all": "", "new_any": "new", "new_new": "new_new", "new_old": "new_old", "seen_only": "seen"}
# Published seeds of the negatives: validation, its events with new nodes, test, its events with new nodes.
_VALIDATION, _TEST, _NEW = 0, 2, 1


class TemporalEvents(Protocol):
    """Batches of consecutive events with random, historical and inductive negatives, over all and over new nodes.

    Args:
        validation: Share of the events, by quantiles of their times, that forms the validation part.
        test: The same for the test part.
        hold_out: Share of all nodes whose training events are removed.
        hold_out_seed: Seed of that draw.
        hold_out_order: How nodes are lined up for it: as CPython's sets hold them, which is published, or ``sorted``.
        events: Events that count, spread evenly over the stream; all when ``None``.
        batch: Events that are asked about together. Means over batches depend on it, memories, too.
        strategies: Kinds of negatives: any of ``random``, ``historical``, ``inductive``; all when ``None``.
        nodes: Events that are asked about: ``all``, those with a node that training has not seen (``new_any``), with
            two (``new_new``) or one (``new_old``) of them, or with none (``seen_only``); the first two when ``None``.
        others: In exams about new nodes, whether other events are only ``seen`` as neighbours, by giving them weight 0,
            or ``written`` to memories as well.
        negative_seed: Added to the published seeds of the negatives.
        aggregate: What AP and AUC are means over.
        ranking: Negatives of an exam that ranks each true destination; 0 for no such exam, -1 for all candidates.
        ranking_historical: Share of them that are earlier destinations of the source.
        ranking_history: Which events count as earlier: those of ``train``, or all in the ``past``.
        ranking_pool: Where the rest comes from: ``dst_range``, ``dst_seen`` or ``all_nodes``.
        ranking_filter: Which true destinations are no negatives: those of the ``source_time``, or ``none`` but the own.
        ranking_seed: Seed of the ranking's negatives.
    """

    version = 1
    asks = "score"
    view = "events"
    withholds = "future"
    validates = True
    seeds = frozenset()
    validation_settings = frozenset({"batch", "negative_seed", "aggregate"})
    exam_settings = frozenset(
        {
            "batch",
            "strategies",
            "nodes",
            "others",
            "negative_seed",
            "aggregate",
            "ranking",
            "ranking_historical",
            "ranking_history",
            "ranking_pool",
            "ranking_filter",
            "ranking_seed",
        }
    )

    def __init__(
        self,
        *,
        validation: Dropout = 0.15,
        test: Dropout = 0.15,
        hold_out: Dropout = 0.1,
        hold_out_seed: Seed = 2020,
        hold_out_order: Literal["cpython_set", "sorted"] = "cpython_set",
        events: Count | None = None,
        batch: Count = 200,
        strategies: list | None = None,
        nodes: list | None = None,
        others: Literal["seen", "written"] = "seen",
        negative_seed: Seed = 0,
        aggregate: Literal["per_batch", "per_time", "pooled"] = "per_batch",
        ranking: CountOrZero = 0,
        ranking_historical: Share = 0.5,
        ranking_history: Literal["train", "past"] = "train",
        ranking_pool: Literal["dst_range", "dst_seen", "all_nodes"] = "dst_range",
        ranking_filter: Literal["source_time", "none"] = "source_time",
        ranking_seed: Seed = 42,
    ):
        if not (validation > 0 and test > 0 and validation + test < 1):
            raise ConfigError(
                f"protocol.validation={validation} and protocol.test={test} leave no part for one of training, "
                "validation and test; both must be positive and their sum below 1"
            )
        if not 0 <= hold_out < 1:
            raise ConfigError(f"protocol.hold_out={hold_out} must be at least 0 and below 1")
        for name, value, least in (("batch", batch, 1), ("ranking", ranking, -1)):
            if value < least:
                raise ConfigError(f"protocol.{name}={value} must be at least {least}")
        self.validation, self.test, self.events, self.batch = validation, test, events, batch
        self.hold_out, self.hold_out_seed, self.hold_out_order = hold_out, hold_out_seed, hold_out_order
        self.strategies = _chosen("strategies", strategies, STRATEGIES, STRATEGIES)
        self.nodes = _chosen("nodes", nodes, tuple(_SETS), ("all", "new_any"))
        self.others, self.negative_seed, self.aggregate = others, negative_seed, aggregate
        self.ranking = ranking
        self.ranking_rule = {
            "historical": ranking_historical,
            "history": ranking_history,
            "pool": ranking_pool,
            "filter": ranking_filter,
            "seed": ranking_seed,
        }

    def num_episodes(self, graph: TemporalGraph) -> int:
        """Just one."""
        return 1

    def split(self, graph: TemporalGraph) -> EventSplit:
        """The parts of a stream."""
        if self.events is not None and self.events < len(graph):
            chosen = torch.zeros(len(graph), dtype=torch.bool)
            chosen[torch.linspace(0, len(graph) - 1, self.events, dtype=torch.float64).long()] = True
            graph = graph.subset(chosen)
        return split_events(
            graph, self.validation, self.test, self.hold_out, self.hold_out_seed, self.hold_out_order
        )  # fmt: skip

    def describe(self, graph: TemporalGraph) -> dict[str, float]:
        """Sizes of the parts, as they came out, and the number of new nodes."""
        return self.split(graph).describe()

    def episodes(self, graph: TemporalGraph, seed: int) -> Iterator[Episode]:
        """One fit with all exams. The parts and the negatives do not depend on the run's seed."""
        split = self.split(graph)
        asked = {nodes: _Asked(split, "test", nodes) for nodes in self.nodes if _asks(split, nodes)}
        exams = [self._exam(split, nodes, own, name) for nodes, own in asked.items() for name in self.strategies]
        if self.ranking:
            exams.append(self._ranking(split))
        metric = partial(StreamMetrics, self.aggregate)
        blocks = _Batches(split, "validation", "all", _Asked(split, "validation", "all"), "random", self)
        validation = Exam("validation", blocks, metric, select=("ap", "auc"))
        yield Episode(f"{len(split.train):,} events", {"": split.train}, split.known, exams, validation)

    def _exam(self, split: EventSplit, nodes: NodeSet, asked: _Asked, strategy: Strategy) -> Exam:
        blocks = _Batches(split, "test", nodes, asked, strategy, self)
        name = "_".join(word for word in (_SETS[nodes], "" if strategy == "random" else strategy) if word)
        return Exam(name, blocks, partial(StreamMetrics, self.aggregate), start="after_validation")

    def _ranking(self, split: EventSplit) -> Exam:
        """Each event of the test part against many: TGB's rule by default."""

        @cache
        def lists() -> OneVersusMany:
            count = None if self.ranking < 0 else self.ranking
            return OneVersusMany(split.graph, split.train, split.test, count, **self.ranking_rule)

        def blocks() -> Iterator[Block]:
            for number, start in enumerate(range(0, len(split.test), self.batch)):
                events = split.test.events(start, start + self.batch)
                yield _one_against_many(number, events, lists().draw(start, start + len(events)))

        return Exam("ranking", blocks, ManyMetrics, start="after_validation")


class _Asked:
    """The events of a part that are asked about, and what a sampler of negatives knows; for exams of all negatives."""

    def __init__(self, split: EventSplit, part: Literal["validation", "test"], nodes: NodeSet):
        whole: TemporalGraph = getattr(split, part)
        self.mask = _fitting(whole, split.new_nodes, nodes)
        self.events = whole if nodes == "all" else whole.subset(self.mask)
        # A sampler for part of the events knows no others; so published code has it.
        self.pool = split.graph if nodes == "all" else self.events

    @cached_property
    def known(self) -> KnownPairs:
        """The pairs of the pool."""
        return KnownPairs(self.pool)


class _Batches:
    """The blocks of an exam, made anew each time it is played; the negatives are drawn once.

    Args:
        split: The stream.
        part: ``validation`` or ``test``.
        nodes: Which events are asked about.
        asked: Those events.
        strategy: Of the negatives.
        rules: The protocol, for its settings.
    """

    def __init__(
        self,
        split: EventSplit,
        part: Literal["validation", "test"],
        nodes: NodeSet,
        asked: _Asked,
        strategy: Strategy,
        rules: TemporalEvents,
    ):
        self.part: TemporalGraph = getattr(split, part)
        self.fold, self.strategy, self.rules, self.split, self.asked = part, strategy, rules, split, asked
        self.seed = rules.negative_seed + (_VALIDATION if part == "validation" else _TEST) + _NEW * (nodes != "all")
        self.alone = nodes != "all" and rules.others == "seen"
        self._negatives: tuple[Tensor, Tensor] | None = None

    def __call__(self) -> Iterator[Block]:
        """The blocks."""
        if self._negatives is None:
            observed = self.split.graph.time[(self.split.first if self.fold == "validation" else self.split.second) - 1]
            asked, known = self.asked, None if self.strategy == "random" else self.asked.known
            self._negatives = batch_negatives(
                asked.events, asked.pool, self.strategy, self.seed, self.rules.batch, observed.item(), known
            )
        place = self.asked.mask.nonzero().squeeze(1)
        begin = 0
        for number, start in enumerate(range(0, len(self.asked.events), self.rules.batch)):
            own = slice(start, start + self.rules.batch)
            events = self.asked.events.events(own.start, own.stop)
            end = int(place[own][-1]) + 1
            reveal = self.part.events(begin, end)
            if self.alone:
                reveal = dataclasses.replace(reveal, weight=self.asked.mask[begin:end].float())
            begin = end
            pairs = zip((events.src, events.dst), self._negatives, strict=True)
            src, dst = (torch.cat([true, other[own]]) for true, other in pairs)
            labels = (torch.arange(2 * len(events)) < len(events)).to(torch.int8)
            yield Block(number, Queries(src, dst, events.time.repeat(2)), labels, reveal=reveal, fold=self.fold)


def _asks(split: EventSplit, nodes: NodeSet) -> bool:
    """Whether there are events to ask about; tells if there are none."""
    found = bool(_fitting(split.test, split.new_nodes, nodes).any())
    if not found:
        log.warning("no event of the test part fits nodes=%s; there are no exams about such events", nodes)
    return found


def _fitting(events: TemporalGraph, new: Tensor, nodes: NodeSet) -> Tensor:
    """``(E,) bool`` events that are asked about."""
    count = new[events.src].long() + new[events.dst].long()
    wanted = {"all": count >= 0, "new_any": count > 0, "new_new": count == 2, "new_old": count == 1}
    return wanted.get(nodes, count == 0)


def _one_against_many(number: int, events: TemporalGraph, others: Tensor) -> Block:
    """Each event's true destination and its ``(B, n)`` negatives, -1 for none, as one block of pairs."""
    candidates = torch.cat([events.dst[:, None], others], dim=1)
    row, column = (candidates >= 0).nonzero().unbind(1)
    queries = Queries(events.src[row], candidates[row, column], events.time[row])
    return Block(number, queries, (column == 0).to(torch.int8), reveal=events, groups=row)


def _chosen(name: str, values: list | None, known: tuple, default: tuple) -> tuple:
    chosen = default if values is None else tuple(values)
    wrong = [value for value in chosen if value not in known]
    if wrong or len(set(chosen)) < len(chosen):
        raise ConfigError(f"protocol.{name}={list(chosen)} must be different ones of {', '.join(known)}")
    return chosen

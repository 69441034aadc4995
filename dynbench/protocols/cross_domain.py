"""One model for several networks, asked about others that it has never seen (CrossLink).

A model learns once, from the first 70 % of the events of every training graph. It is then asked about the last 15 % of
each target in batches of consecutive events with as many random negatives, knowing all events before, and the earlier
ones of the batch if it looks at single times. A model that studies examples is shown solved questions from the past of
the target before (``right``), none at all, or some of another graph (``wrong``): who only learnt what links look like
answers alike each time.

A dataset of one graph is its own target: what is learnt is tried on that graph's last part.

Paper:
    Huang, Chow, Zhu, Wang, Chai, Wang, Chen, Yang: Enhancing Cross-domain Link Prediction via Evolution Process
    Modeling. WWW 2025.

Deviations:
    * The paper does not say where the context is drawn from: here uniformly from all events before the test part, with
      negatives whose destination was seen before it. Draws follow the seed of the run; with ``draws`` above 1 their
      spread is told, which the paper does not do.
    * Average precision is the mean over batches of 200, as in the library that the paper builds on; that over all pairs
      is told, too.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from functools import partial
from statistics import fmean
from typing import Literal

import torch
from torch import Tensor

from dynbench.contract import Block, Episode, Exam, Examples, Queries
from dynbench.errors import ConfigError, DataError
from dynbench.graph import TemporalGraph
from dynbench.graph.collection import GraphCollection, Mixture
from dynbench.metrics.draws import DrawMetrics
from dynbench.protocols.base import Protocol
from dynbench.protocols.event_split import EventSplit, split_events
from dynbench.ranges import Count, CountOrZero
from dynbench.sampling.mixture import draw_examples
from dynbench.sampling.negatives import batch_negatives

log = logging.getLogger(__name__)

# The published seed of the test part's negatives.
_TEST = 2


class CrossDomain(Protocol):
    """Several graphs to learn from once, and batches of events of others.

    Args:
        validation: Share of the events of each graph, by quantiles of their times, between what is learnt from and the
            test part. Nothing is selected by them; in a target they are known.
        test: Share of the events for the test.
        batch: Events that are asked about together.
        contexts: What examples are from: ``right`` (the target itself), ``none``, ``wrong`` (the next target, or, where
            there is one target only, the first training graph), or graphs by name. The first one is the main result.
        context_length: Solved pairs that are shown.
        draws: How often they are drawn; results are means over draws.
        test_events: Events of each test part that are asked about, the first ones; all when ``None``.
        negative_seed: Added to the published seed of the test's negatives; the seed of the run when ``None``.
        aggregate: What AP and AUC are means over.
    """

    version = 1
    asks = "score"
    view = "events"
    unvalidated = "no part of a network that is asked about is for choosing"
    withholds = "future"
    several = True
    context_settings = frozenset({"contexts", "context_length", "draws"})
    exam_settings = frozenset({"batch", "test_events", "negative_seed", "aggregate"})

    def __init__(
        self,
        *,
        validation: float = 0.15,
        test: float = 0.15,
        batch: Count = 200,
        contexts: list[str] | None = None,
        context_length: CountOrZero = 119,
        draws: Count = 1,
        test_events: Count | None = None,
        negative_seed: CountOrZero | None = 0,
        aggregate: Literal["per_batch", "per_time", "pooled"] = "per_batch",
    ):
        if not (validation > 0 and test > 0 and validation + test < 1):
            raise ConfigError(
                f"protocol.validation={validation} and protocol.test={test} leave no part for one of training, "
                "validation and test; both must be positive and their sum below 1"
            )
        self.contexts = ["right"] if contexts is None else list(contexts)
        if not self.contexts or len(set(self.contexts)) < len(self.contexts):
            raise ConfigError(
                f"protocol.contexts={self.contexts} must be different ones of right, none, wrong, or names"
            )
        self.validation, self.test, self.batch, self.draws = validation, test, batch, draws
        self.context_length, self.test_events = context_length, test_events
        self.negative_seed, self.aggregate = negative_seed, aggregate

    def num_episodes(self, graph: TemporalGraph | GraphCollection) -> int:
        """Just one."""
        return 1

    def split(self, name: str, graph: TemporalGraph) -> EventSplit:
        """A graph in three parts; no node is held out."""
        try:
            return split_events(graph, self.validation, self.test, 0.0, 0, "sorted")
        except DataError as error:
            raise DataError(f"graph '{name}': {error}" if name else str(error)) from error

    def describe(self, graph: TemporalGraph | GraphCollection) -> dict[str, float]:
        """How many events each part has."""
        if not isinstance(graph, GraphCollection):
            return self.split("", graph).describe()
        found = {f"{name}_train_events": self.split(name, part).first for name, part in graph.train.items()}
        targets = {name: self.split(name, part) for name, part in graph.targets.items()}
        return found | {f"{name}_test_events": len(split.test) for name, split in targets.items()}

    def summary(self, metrics: Mapping[str, float]) -> dict[str, float]:
        """Means over targets, by kind of context: ``ap``, ``none_ap``, ``wrong_auc``."""
        targets = [key.removesuffix("_test_events") for key in metrics if key.endswith("_test_events")]
        found = {}
        for number, context in enumerate(self.contexts):
            for kind in ("ap", "auc", "pooled_ap", "pooled_auc", "ap_spread"):
                keys = [f"{_called(name, context, number)}_{kind}" for name in targets]
                values = [metrics[key] for key in keys if key in metrics]
                if values and len(values) == len(keys):
                    found[f"{_called('', context, number)}_{kind}".lstrip("_")] = fmean(values)
        return found

    def episodes(self, graph: TemporalGraph | GraphCollection, seed: int) -> Iterator[Episode]:
        """One: learn from all training graphs, then be asked about each target."""
        if not isinstance(graph, GraphCollection):
            split = self.split("", graph)
            exams = self._exams({"": split}, {"": _past(split)}, seed)
            yield Episode(f"{len(split.test):,} events", {"": split.known}, _past(split), exams)
            return
        targets = {name: self.split(name, part) for name, part in graph.targets.items()}
        train = {name: self.split(name, part).known for name, part in graph.train.items()}
        pasts = {**train, **{name: _past(split) for name, split in targets.items()}}
        sizes = [len(part) for part in train.values()]
        edges = {"max": max(sizes), "mean": round(fmean(sizes))}.get(graph.edges, graph.edges)
        exams = self._exams(targets, pasts, seed)
        yield Episode(f"{len(targets)} networks", Mixture(train, edges), exams[0].context, exams)

    def _exams(self, targets: Mapping[str, EventSplit], pasts: Mapping[str, TemporalGraph], seed: int) -> list[Exam]:
        """All exams: target by target, context by context, draw by draw."""
        exams = []
        for place, (name, split) in enumerate(targets.items()):
            asked = _Batches(self, split, seed)
            for number, context in enumerate(self.contexts):
                if context == "wrong" and len(pasts) == 1:
                    log.info("the data are one graph only, so that no context is a wrong one")
                    continue
                source = self._source(context, name, list(targets), list(pasts))
                for draw in range(self.draws if source is not None else 1):
                    examples = None if source is None else self._examples(source, pasts[source], seed, place, draw)
                    exams.append(
                        Exam(
                            _called(name, context, number),
                            partial(asked, draw),
                            partial(DrawMetrics, self.aggregate),
                            context=pasts[name] if len(pasts) > 1 or name else None,
                            examples=examples,
                            study=number > 0 or draw > 0,
                        )
                    )
        return exams

    def _source(self, context: str, target: str, targets: list[str], known: list[str]) -> str | None:
        """The graph that examples for a target are drawn from."""
        if context == "none" or not self.context_length:
            return None
        if context == "right":
            return target
        if context == "wrong":
            others = [name for name in targets[targets.index(target) + 1 :] + targets if name != target]
            return (others + [name for name in known if name != target])[0]
        if context not in known:
            names = ", ".join(["right", "none", "wrong", *filter(None, known)])
            raise ConfigError(f"protocol.contexts names '{context}', which is none of {names}")
        return context

    def _examples(self, source: str, past: TemporalGraph, seed: int, place: int, draw: int) -> Examples:
        try:
            return draw_examples(past, self.context_length, seed * 1_000_003 + place * 1_009 + draw)
        except DataError as error:
            raise DataError(f"graph '{source}': {error}; lower protocol.context_length") from error


class _Batches:
    """The blocks about a target, made anew each time; the negatives are drawn once."""

    def __init__(self, rules: CrossDomain, split: EventSplit, seed: int):
        self.rules, self.split = rules, split
        test = split.test
        self.events = test if rules.test_events is None else test.events(0, rules.test_events)
        self.seed = _TEST + (seed if rules.negative_seed is None else rules.negative_seed)
        self._negatives: tuple[Tensor, Tensor] | None = None

    def __call__(self, draw: int) -> Iterator[Block]:
        """The blocks, marked with the number of a draw."""
        if self._negatives is None:
            self._negatives = batch_negatives(self.events, self.split.graph, "random", self.seed, self.rules.batch)
        for number, start in enumerate(range(0, len(self.events), self.rules.batch)):
            own = slice(start, start + self.rules.batch)
            events = self.events.events(own.start, own.stop)
            pairs = zip((events.src, events.dst), self._negatives, strict=True)
            src, dst = (torch.cat([true, other[own]]) for true, other in pairs)
            labels = (torch.arange(2 * len(events)) < len(events)).to(torch.int8)
            group = torch.full((len(labels),), draw)
            yield Block(number, Queries(src, dst, events.time.repeat(2)), labels, reveal=events, groups=group)


def _past(split: EventSplit) -> TemporalGraph:
    """All events before the test part."""
    return split.graph.events(0, split.second)


def _called(target: str, context: str, number: int) -> str:
    """Name of an exam; the first kind of context is the target's main one."""
    return "_".join(word for word in (target, "" if number == 0 else context) if word)

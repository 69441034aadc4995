"""Chronological 70/15/15: learn on the first part, choose on the next, be asked about the last once.

The time line is cut into *units* (here: pairs of consecutive snapshots; a stream of events would take batches of
them), the units into a training, a validation and a test part, in the order of time. A model learns from the training
part, may stop early by the validation blocks, is then asked validation and test blocks one after the other, and sees
the truth of each after it answered. A decision threshold is chosen on the validation answers and judged on the test
answers (section 4 and 5 of the NGLP paper).
"""

from __future__ import annotations

import dataclasses
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor

from dynbench.contract import Block, Episode, Exam, Queries
from dynbench.errors import ConfigError, DataError
from dynbench.graph import TemporalGraph
from dynbench.metrics.links import FoldMetrics, PooledMetrics
from dynbench.protocols.base import Protocol
from dynbench.ranges import Count, Dropout, Seed
from dynbench.sampling.pairs import PairIndex, draw_non_edges, redrawn

# Kinds of queries in Block.groups; 0 stands for non-links.
REPEATED, NEW = 1, 2


class ChronologicalSplit(Protocol):
    """What all shapes of blocks share: the cut into three parts, the order of the story, and the metrics.

    A shape says what its units are and turns each into a block.

    Args:
        validation: Share of the units that form the validation part, rounded down.
        test: The same for the test part.
        bins: Bins of the calibration error.
    """

    asks = "score"
    validates = True

    def __init__(self, *, validation: Dropout = 0.15, test: Dropout = 0.15, bins: Count = 10):
        if not (validation > 0 and test > 0 and validation + test < 1):
            raise ConfigError(
                f"protocol.validation={validation} and protocol.test={test} leave no part for one of training, "
                "validation and test; both must be positive and their sum below 1"
            )
        self.validation, self.test, self.bins = validation, test, bins

    def num_episodes(self, graph: TemporalGraph) -> int:
        """Just one."""
        return 1

    def exams(self, validation: Sequence[Block], test: Sequence[Block]) -> tuple[list[Exam], Exam]:
        """The exam over both folds, with a threshold from the first, and the one a model may be selected by.

        The validation blocks are asked before the test blocks in any case: their answers set the threshold.
        """
        metric = partial(FoldMetrics, self.bins, {REPEATED: "repeated", NEW: "new"})
        blocks = [*(dataclasses.replace(block, fold="validation") for block in validation), *test]
        return [Exam("", lambda: blocks, metric)], Exam("", lambda: validation, PooledMetrics, select=("ap",))

    def cut(self, units: Sequence[Any], what: str) -> tuple[Sequence[Any], Sequence[Any], Sequence[Any]]:
        """The training, validation and test units.

        Args:
            units: In the order of time.
            what: Their name, for messages.

        Raises:
            DataError: If a part is empty.
        """
        sizes = {"validation": int(self.validation * len(units)), "test": int(self.test * len(units))}
        for name, size in sizes.items():
            if not size:
                raise DataError(
                    f"the data have {len(units)} {what}, and a share of {getattr(self, name):g} of them leaves none "
                    f"for {name}; take a shorter data.window or raise protocol.{name}"
                )
        first, second = len(units) - sum(sizes.values()), len(units) - sizes["test"]
        return units[:first], units[first:second], units[second:]

    @abstractmethod
    def episodes(self, graph: TemporalGraph, seed: int) -> Iterator[Episode]:
        """One episode with validation and test blocks that reveal their truth."""


@dataclasses.dataclass(frozen=True)
class Pair:
    """Two snapshots: one that is known, and the next one, which is asked about."""

    source: int
    target: int


class TemporalSplit(ChronologicalSplit):
    """Blocks are snapshots: all links of the next snapshot and as many non-links, given the snapshots before.

    ``source``, ``order`` and the choices of links and non-links beyond the first are diagnoses of what may have gone
    into published numbers; a run that changes them is marked as not comparable.

    Args:
        validation: Share of the pairs of snapshots that form the validation part, rounded down.
        test: The same for the test part.
        links: Which links of the target are asked about: ``all``, those ``new`` since the snapshot before, those
            ``repeated`` from it, or all, each as often as it has ``events``.
        negatives: Non-links of the target: ``uniform`` over ordered pairs of all nodes, of nodes ``active`` before the
            target, with the ``source`` node of each link kept, or among pairs ``never`` linked at any time.
        negative_seed: Seed of the non-links; the run's seed when ``None``.
        empty_source: Whether to ``skip`` pairs whose known snapshot is empty or to ``ask`` about them, too.
        source: What a model is given of the past: the ``previous`` snapshots; instead of the previous one the union of
            all up to it (``cumulative``); or, with a look into the future, the ``target`` itself or the union of
            ``everything``.
        order: Pairs in the order of ``time``, or ``shuffled`` before they are cut into parts: training on the future.
        bins: Bins of the calibration error.
    """

    version = 1
    view = "snapshots"
    validation_settings = frozenset({"links", "negatives", "negative_seed"})
    exam_settings = frozenset({"links", "negatives", "negative_seed", "bins"})
    seeds = frozenset({"negative_seed"})

    def __init__(
        self,
        *,
        validation: Dropout = 0.15,
        test: Dropout = 0.15,
        links: Literal["all", "new", "repeated", "events"] = "all",
        negatives: Literal["uniform", "active", "source", "never"] = "uniform",
        negative_seed: Seed | None = 42,
        empty_source: Literal["skip", "ask"] = "skip",
        source: Literal["previous", "cumulative", "target", "everything"] = "previous",
        order: Literal["time", "shuffled"] = "time",
        bins: Count = 10,
    ):
        super().__init__(validation=validation, test=test, bins=bins)
        self.links, self.negatives, self.negative_seed = links, negatives, negative_seed
        self.empty_source, self.source, self.order = empty_source, source, order

    def pairs(self, graph: TemporalGraph) -> list[Pair]:
        """The pairs of consecutive snapshots that can be asked about, in the order of time."""
        counts = torch.bincount(graph.time, minlength=graph.require_steps())
        asked = counts[1:] > 0
        if self.empty_source == "skip":
            asked &= counts[:-1] > 0
        return [Pair(step, step + 1) for step in asked.nonzero().squeeze(1).tolist()]

    def episodes(self, graph: TemporalGraph, seed: int) -> Iterator[Episode]:
        """One episode; self-loops are not asked about."""
        whole, graph = graph, graph.subset(graph.src != graph.dst)
        seed = seed if self.negative_seed is None else self.negative_seed
        pairs = self.pairs(graph)
        if self.order == "shuffled":
            order = torch.randperm(len(pairs), generator=torch.Generator().manual_seed(seed))
            pairs = [pairs[i] for i in order.tolist()]
        _, validation, test = self.cut(pairs, "usable pairs of consecutive snapshots")
        told, times = self._told(whole, graph, pairs)
        times = [*times[-len(validation) - len(test) :], told.require_steps()]
        asker = _Asker(graph, told, self.links, self.negatives)
        blocks = []
        for fold, part in enumerate((validation, test)):
            generator = torch.Generator().manual_seed(seed + fold)
            for pair in part:
                now, following = times[len(blocks) : len(blocks) + 2]
                blocks.append(asker.block(pair, now, following, generator))
        name = f"{len(pairs)} pairs of snapshots"
        history = told.before(times[0])
        exams, chosen_by = self.exams(blocks[: len(validation)], blocks[len(validation) :])
        yield Episode(name, {"": history}, history, exams, chosen_by)

    def _told(
        self, whole: TemporalGraph, graph: TemporalGraph, pairs: Sequence[Pair]
    ) -> tuple[TemporalGraph, list[int]]:
        """The graph as models meet it, and the time of each pair's target in it.

        A diagnosis lays the pairs out one after the other, what is given at step ``3 k``, the target at ``3 k + 1``,
        and nothing between them and the next pair, so that models need no knowledge of it.
        """
        if self.source == "previous" and self.order == "time":
            return whole, [pair.target for pair in pairs]
        parts, times = [], []
        for k, pair in enumerate(pairs):
            parts += [_at(self._given(graph, pair), 3 * k), _at(graph.step(pair.target), 3 * k + 1)]
            times.append(3 * k + 1)
        joined = {name: torch.cat([part[i] for part in parts]) for i, name in enumerate(("src", "dst", "time"))}
        plain = {"weight": None, "relation": None, "edge_features": None, "ids": None, "num_steps": 3 * len(pairs)}
        return dataclasses.replace(graph, **joined, **plain), times

    def _given(self, graph: TemporalGraph, pair: Pair) -> TemporalGraph:
        if self.source in ("previous", "target"):
            return graph.step(getattr(pair, "source" if self.source == "previous" else "target"))
        union = graph.before(pair.target) if self.source == "cumulative" else graph
        return union.snapshots(torch.zeros_like(union.time), 1)


def _at(snapshot: TemporalGraph, time: int) -> tuple[Tensor, Tensor, Tensor]:
    return snapshot.src, snapshot.dst, torch.full_like(snapshot.time, time)


class _Asker:
    """Turns pairs of snapshots into blocks."""

    def __init__(self, graph: TemporalGraph, told: TemporalGraph, links: str, negatives: str):
        self.graph, self.told, self.links, self.negatives = graph, told, links, negatives
        self.index, self.first_seen = PairIndex(graph), graph.first_seen()
        self.ever = PairIndex(dataclasses.replace(graph, time=torch.zeros_like(graph.time)))

    def block(self, pair: Pair, now: int, following: int, generator: torch.Generator) -> Block:
        """The block of one pair.

        Args:
            pair: Steps of the dataset.
            now: Time of the question in the graph that models meet.
            following: Time of the next question; everything before it is revealed after this block.
            generator: Source of the non-links.
        """
        snapshot = self.graph.step(pair.target)
        src, dst = snapshot.src, snapshot.dst
        repeated = self.index.contains(pair.source, src, dst)
        if self.links == "events":
            times = snapshot.weight.long()
            src, dst, repeated = (part.repeat_interleave(times) for part in (src, dst, repeated))
        elif self.links != "all":
            kept = repeated if self.links == "repeated" else ~repeated
            src, dst, repeated = src[kept], dst[kept], repeated[kept]
        other_src, other_dst = self._non_links(pair, src, generator)
        queries = Queries.pairs(torch.cat([src, other_src]), torch.cat([dst, other_dst]), now)
        labels = torch.cat([torch.ones(len(src)), torch.zeros(len(other_src))]).to(torch.int8)
        groups = torch.cat([torch.where(repeated, REPEATED, NEW), torch.zeros(len(other_src), dtype=torch.long)])
        return Block(now, queries, labels, reveal=self.told.between(now, following), groups=groups)

    def _non_links(self, pair: Pair, src: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        nodes = torch.arange(self.graph.num_nodes)
        if self.negatives == "active":
            nodes = nodes[self.first_seen < pair.target]
        if self.negatives == "source":
            return self._other_ends(pair.target, src, generator)
        index, step = (self.ever, 0) if self.negatives == "never" else (self.index, pair.target)
        found = draw_non_edges(index, step, len(src), nodes, generator)
        if found is None:
            raise DataError(
                f"snapshot {pair.target} has {len(src)} links and fewer pairs without a link among its {len(nodes)} "
                "nodes; cut the data into shorter windows"
            )
        return found

    def _other_ends(self, target: int, src: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """For each link a non-link with the same source."""

        def draw(places: Tensor) -> tuple[Tensor, Tensor]:
            return src[places], torch.randint(self.graph.num_nodes, (len(places),), generator=generator)

        def refused(src: Tensor, dst: Tensor) -> Tensor:
            return self.index.contains(target, src, dst) | (src == dst)

        *found, left = redrawn(draw, refused, len(src), tries=1000)
        if not len(left):
            return tuple(found)
        raise DataError(f"snapshot {target} has a source that is linked to all nodes; use protocol.negatives=uniform")

"""Learn, ask, reveal: the words in which protocols question models.

A model may *learn* from one graph or several, is told what is *known* when questions are asked, and is then *asked* in
blocks, in as many exams as one likes, each starting from the same fitted state. After a block was answered, its truth
may be *revealed*. A protocol says all that as :class:`Episode` objects; the engine plays them; a model sees graphs and
queries, never answers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from dynbench.graph import TemporalGraph

# What the engine tells a model about itself: the values by which it may be selected, higher is better.
Selector = Callable[[Any], Mapping[str, float]]


@dataclass(frozen=True, eq=False)
class Queries:
    """``Q`` questions.

    Attributes:
        src: ``(Q,) long`` source nodes; empty when embeddings of all nodes are asked for.
        dst: ``(Q,) long`` destination nodes, or ``None`` when every node is a candidate (ranking).
        time: ``(Q,)`` times asked about, in the unit of the graph.
        relation: ``(Q,) long`` relation ids, or ``None``. For a ranking of sources, ``src`` is the destination and the
            relation ``r`` is asked about as its inverse, ``r + R``.
    """

    src: Tensor
    dst: Tensor | None
    time: Tensor
    relation: Tensor | None = None

    def __len__(self) -> int:
        """Number of questions."""
        return len(self.time)

    def to(self, device: torch.device | str) -> Queries:
        """The same queries on another device."""
        return Queries(*(None if part is None else part.to(device) for part in self.parts()))

    def __getitem__(self, index) -> Queries:
        """The queries chosen by a slice, index or mask."""
        return Queries(*(None if part is None else part[index] for part in self.parts()))

    def parts(self) -> tuple[Tensor | None, ...]:
        """``src``, ``dst``, ``time``, ``relation``."""
        return self.src, self.dst, self.time, self.relation

    def oriented(self) -> Queries:
        """The same pairs with the smaller node first, as undirected graphs store their links."""
        if self.dst is None:
            return self
        return Queries(torch.minimum(self.src, self.dst), torch.maximum(self.src, self.dst), self.time, self.relation)

    @classmethod
    def pairs(cls, src: Tensor, dst: Tensor, time: float) -> Queries:
        """Queries about pairs that share one time."""
        dtype = torch.double if isinstance(time, float) else torch.long
        return cls(src, dst, torch.full((len(src),), time, dtype=dtype))


@dataclass(frozen=True, eq=False)
class Block:
    """Queries that are answered together, with what the protocol keeps for itself. A model is handed the queries only.

    Attributes:
        step: Where the block stands in the story; the key of per-step results.
        queries: What the model is asked; may be none, and then the block only reveals.
        answers: ``(Q,)`` the truth: 0/1 labels, or the true targets of a ranking; ``(T, N)`` classes of all nodes.
        support: Further labelled queries of the same step for the readout (a logistic regression on embeddings, say).
        reveal: Events that the model may observe after it answered, or ``None``. Those of weight 0 happened, and are
            not to be written to a memory.
        groups: ``(Q,) long`` kind of each query, for results by kind; the exam's metric knows what they mean.
        fold: Whether the answers count as ``validation`` or as ``test`` ones, for metrics that need both.
    """

    step: int
    queries: Queries
    answers: Tensor
    support: tuple[Queries, Tensor] | None = None
    reveal: TemporalGraph | None = None
    groups: Tensor | None = None
    fold: Literal["validation", "test"] = "test"

    def __getitem__(self, index) -> Block:
        """The part of the block with the queries chosen by a slice or an index."""
        groups = None if self.groups is None else self.groups[index]
        return Block(
            self.step, self.queries[index], self.answers[index], self.support, self.reveal, groups, self.fold
        )  # fmt: skip


@dataclass(frozen=True, eq=False)
class Examples:
    """Solved questions about the past of a graph, in order of time: what a model may infer the graph's rule from.

    Attributes:
        graph: What had happened; the events strictly before a question's time are what it was asked in view of.
        queries: Pairs.
        answers: ``(K,)`` their 0/1 labels.
    """

    graph: TemporalGraph
    queries: Queries
    answers: Tensor


@dataclass(frozen=True, eq=False)
class Exam:
    """Questions about one fitted state, and how the answers are measured.

    Attributes:
        name: Prefix of its metrics in records, ``<name>_<metric>``; empty for a protocol's main exam.
        blocks: Gives the blocks in order; called anew each time the exam is played.
        metric: Makes a :class:`~dynbench.metrics.base.BlockMetric`. Exams of one name share one over all episodes.
        readout: Turns a model's answer to a block into what is measured; ``None`` where the answer itself is.
        start: Whether the exam starts from the ``fitted`` state or from the one ``after_validation``, in which the
            truth of the validation exam was revealed.
        context: What is known when this exam is asked, where that is not the episode's.
        select: Of a validation exam: the metrics that must improve together for a state to count as better.
        examples: Solved questions that a model is shown before, if any; of the known graph or of another one.
        study: Whether the exam differs from another one in its examples only. A model that studies none is not asked.
    """

    name: str
    blocks: Callable[[], Iterable[Block]]
    metric: Callable[[], object]
    readout: Callable[[Block, Tensor], Tensor] | None = None
    start: Literal["fitted", "after_validation"] = "fitted"
    context: TemporalGraph | None = None
    select: tuple[str, ...] = ()
    examples: Examples | None = None
    study: bool = False


@dataclass(frozen=True, eq=False)
class Episode:
    """One fit and the exams of it.

    Attributes:
        name: What is being forecast, for the progress bar: ``"snapshot 7 of 15"``.
        train: What the model may learn from, by name; a single graph has the name ``""``.
        context: What is known when questions are asked.
        exams: What the fitted model is asked.
        validation: What a model may be selected by, where the protocol offers it.
    """

    name: str
    train: Mapping[str, TemporalGraph]
    context: TemporalGraph
    exams: Sequence[Exam]
    validation: Exam | None = None

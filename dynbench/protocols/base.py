"""What every protocol is: a way to question models."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, ClassVar, Literal

if TYPE_CHECKING:
    from dynbench.contract import Episode
    from dynbench.graph import TemporalGraph


class Protocol(ABC):
    """Base of all protocols.

    A protocol knows graphs, negatives and metrics, and no model. The class attributes are written as literals, so that
    they can be read without importing it.

    Attributes:
        version: Raised whenever a change can move a number; part of a run's identity.
        asks: What it asks a model for: ``"score"``, ``"rank"``, ``"embed"``, or ``None`` when it asks nothing.
        view: The shape of the graph it questions: ``"snapshots"`` or ``"events"``.
        withholds: What a model must not get at: the ``"future"`` of the time asked about, some ``"pairs"`` of a graph,
            or the ``"labels"`` of its nodes. Each has an invariant of its own that every model is tested for.
        learning: The plan of learning. Protocols that share the word hand out the same parts to learn from, in the same
            order, so that one fit serves them all; empty for a plan of the protocol's own.
        validates: Whether its episodes offer a validation exam, whose score a search over settings may look at.
        unvalidated: Why they do not, where they do not.
        several: Whether it asks about datasets of several graphs, too.
        context_settings: Settings that change what is known when questions are asked, and not what is learnt from.
        validation_settings: Settings that change what a model is selected by.
        exam_settings: Settings that change what is asked, and not what is learnt from. A setting that is in none of the
            three sets belongs to the plan of learning.
        seeds: Settings that take the run's seed where they are null, if nothing else that is asked hangs on it;
            ``None`` where that is not said. (What a model is selected by may be drawn anew with every run.)
    """

    version: ClassVar[int] = 1
    asks: ClassVar[str | None] = "score"
    view: ClassVar[Literal["snapshots", "events"]] = "snapshots"
    withholds: ClassVar[Literal["future", "pairs", "labels"]] = "future"
    learning: ClassVar[str] = ""
    validates: ClassVar[bool] = False
    unvalidated: ClassVar[str] = ""
    several: ClassVar[bool] = False
    context_settings: ClassVar[frozenset[str]] = frozenset()
    validation_settings: ClassVar[frozenset[str]] = frozenset()
    exam_settings: ClassVar[frozenset[str]] = frozenset()
    seeds: ClassVar[frozenset[str] | None] = None

    @abstractmethod
    def episodes(self, graph: TemporalGraph, seed: int) -> Iterator[Episode]:
        """The fits and their exams, in order.

        Args:
            graph: The whole dataset.
            seed: The run's seed; splits and negatives are drawn from it and from nothing else.
        """

    @abstractmethod
    def num_episodes(self, graph: TemporalGraph) -> int:
        """How many episodes :meth:`episodes` will yield."""

    def bytes_needed(self, graph: TemporalGraph) -> tuple[int, str]:
        """Bytes that the largest block takes, and what they follow from; nothing where blocks are small."""
        return 0, ""

    def describe(self, graph: TemporalGraph) -> dict[str, float]:
        """Results that need no model; merged into the run's metrics."""
        return {}

    def summary(self, metrics: Mapping[str, float]) -> dict[str, float]:
        """Results that follow from those of several exams; merged into the run's metrics."""
        return {}

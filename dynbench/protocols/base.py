"""What every protocol is: a way to question models, and to measure their answers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar, Literal

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from dynbench.contract import Block, Episode
    from dynbench.graph import TemporalGraph
    from dynbench.metrics.base import StepMetrics


class Protocol(ABC):
    """Base of all protocols.

    A protocol knows graphs, negatives and metrics, and no model.

    Attributes:
        version: Raised whenever a change can move a number; part of a run's identity.
        asks: What it asks a model for: ``"score"``, ``"rank"``, ``"embed"``, or ``None`` when it asks nothing.
        view: The shape of the graph it questions: ``"snapshots"`` or ``"events"``.
        forecasts: Whether what is asked about lies after the history; clustering asks about the history itself.
        measures_validation: Whether validation blocks are asked and measured like test blocks, before them. Its metrics
            are then told the fold and the groups of a block, too.
    """

    version: ClassVar[int] = 1
    asks: ClassVar[str | None] = "score"
    view: ClassVar[Literal["snapshots", "events"]] = "snapshots"
    measures_validation: ClassVar[bool] = False
    forecasts: ClassVar[bool] = True

    @abstractmethod
    def episodes(self, graph: TemporalGraph, seed: int) -> Iterator[Episode]:
        """The rounds of learning and answering, in order.

        Args:
            graph: The whole dataset.
            seed: The run's seed; splits and negatives are drawn from it and from nothing else.
        """

    @abstractmethod
    def num_episodes(self, graph: TemporalGraph) -> int:
        """How many episodes :meth:`episodes` will yield."""

    def portions(self, block: Block, device: torch.device, num_nodes: int) -> Iterator[Block]:
        """The parts in which a block is asked and measured; most protocols ask about a block as a whole.

        Args:
            block: The block.
            device: Where the model answers.
            num_nodes: Nodes of the dataset, all of which are candidates of a ranking.
        """
        yield block

    def read(self, block: Block, answer: Tensor) -> Tensor:
        """Turn a model's answer, on the model's device, into what is measured. Most protocols measure the answer."""
        return answer

    @abstractmethod
    def metrics(self) -> StepMetrics:
        """A fresh accumulator for the answers of one run."""

    def describe(self, graph: TemporalGraph) -> dict[str, float]:
        """Results that need no model; merged into the run's metrics."""
        return {}

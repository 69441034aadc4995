"""Multi-step snapshot forecasting: train once, ask about each of the last snapshots, reveal nothing in between."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from dynbench.contract import Block, Episode, Exam
from dynbench.errors import DataError
from dynbench.graph import TemporalGraph
from dynbench.metrics.steps import LinkMetrics
from dynbench.protocols.base import Protocol
from dynbench.protocols.pairs import PairSplitter
from dynbench.ranges import Count, Seed


class MultiStep(Protocol):
    """DySAT's multi-step setting, scored by the model itself (section 6 of the snapshot protocols).

    Trains on all snapshots but the last ``horizon`` and asks about each of those, between nodes that were known at the
    end of training. Per-step results are keyed by the distance to the last trained snapshot.

    Args:
        horizon: Snapshots that are forecast.
        self_loops: Whether self-loops among the links are asked about.
        split_seed: Seed of splits and non-links; the run's seed when ``None``.
    """

    version = 1
    asks = "score"
    view = "snapshots"
    unvalidated = "what is not learnt from is the test"
    exam_settings = frozenset({"self_loops", "split_seed"})
    seeds = frozenset({"split_seed"})

    def __init__(
        self, *, horizon: Count = 6, self_loops: Literal["keep", "drop"] = "keep", split_seed: Seed | None = None
    ):
        self.horizon, self.self_loops, self.split_seed = horizon, self_loops, split_seed

    def num_episodes(self, graph: TemporalGraph) -> int:
        """Just one."""
        return 1

    def episodes(self, graph: TemporalGraph, seed: int) -> Iterator[Episode]:
        """One history and ``horizon`` blocks."""
        steps = graph.require_steps()
        if not 1 <= self.horizon < steps:
            raise DataError(f"protocol.horizon={self.horizon} leaves no snapshot to train on; the data have {steps}")
        trained = steps - self.horizon - 1
        splitter = PairSplitter(graph, seed if self.split_seed is None else self.split_seed, self.self_loops)
        blocks = []
        for ahead in range(1, self.horizon + 1):
            pairs = splitter.split(trained + ahead, trained)["test"]
            if len(pairs.labels):
                blocks.append(Block(ahead, pairs.queries(trained + ahead), pairs.labels))
        history = graph.before(trained + 1)
        exam = Exam("", lambda: blocks, LinkMetrics)
        yield Episode(f"{self.horizon} snapshots ahead", {"": history}, history, [exam])

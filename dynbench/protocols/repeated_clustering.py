"""Node clustering of several independent graphs, for their mean and spread."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Literal

from dynbench.contract import Block, Episode
from dynbench.errors import ConfigError, DataError
from dynbench.graph import TemporalGraph
from dynbench.metrics.clustering import RepeatedClusteringMetrics
from dynbench.protocols.node_clustering import NodeClustering, labels_by_step
from dynbench.ranges import Count, Seed


class RepeatedClustering(NodeClustering):
    """Node clustering of graphs that stand one after the other as snapshots; the model meets each by itself.

    Snapshots after the last whole graph are left out.

    Args:
        snapshots: Snapshots of a graph.
        nodes: See :class:`~dynbench.protocols.node_clustering.NodeClustering`.
        starts: See there.
        kmeans_seed: See there.
    """

    version = 1
    learning = ""
    exam_settings = frozenset({"nodes", "starts", "kmeans_seed"})

    def __init__(
        self,
        *,
        snapshots: Count = 3,
        nodes: Literal["all", "active"] = "all",
        starts: Count = 10,
        kmeans_seed: Seed | None = None,
    ):
        if snapshots < 1:
            raise ConfigError(f"protocol.snapshots={snapshots}; a graph has at least one snapshot")
        super().__init__(nodes=nodes, starts=starts, kmeans_seed=kmeans_seed)
        self.snapshots = snapshots

    def num_episodes(self, graph: TemporalGraph) -> int:
        """One per graph."""
        return graph.require_steps() // self.snapshots

    def episodes(self, graph: TemporalGraph, seed: int) -> Iterator[Episode]:
        """Each graph as an episode of its own, its snapshots numbered from 0."""
        count, labels = self.num_episodes(graph), labels_by_step(graph)
        if not count:
            raise DataError(f"protocol.snapshots={self.snapshots} and the data have {len(labels)}")
        for number in range(count):
            first, last = number * self.snapshots, (number + 1) * self.snapshots
            part = graph.between(first, last)
            part = dataclasses.replace(
                part, time=part.time - first, num_steps=self.snapshots, node_labels=labels[first:last]
            )
            for episode in super().episodes(part, seed):
                exams = [dataclasses.replace(exam, blocks=partial(_at, exam.blocks, first)) for exam in episode.exams]
                yield dataclasses.replace(episode, name=f"graph {number + 1} of {count}", exams=exams)

    def metric(self) -> RepeatedClusteringMetrics:
        """Means over the graphs, and their standard deviations."""
        return RepeatedClusteringMetrics(self.snapshots)


def _at(blocks: Callable[[], Iterable[Block]], step: int) -> list[Block]:
    """The blocks, numbered by the snapshot at which their graph begins."""
    return [dataclasses.replace(block, step=step) for block in blocks()]

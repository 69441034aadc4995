"""Node clustering: embed every snapshot, cluster the nodes of each, compare with their classes."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Iterator
from typing import Literal

import numpy as np
import torch
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning
from torch import Tensor

from dynbench.contract import Block, Episode, Queries
from dynbench.errors import DataError, RunError
from dynbench.graph import TemporalGraph
from dynbench.metrics.clustering import ClusteringMetrics
from dynbench.protocols.base import Protocol


class NodeClustering(Protocol):
    """ULSE's protocol: k-means on the embedding of each snapshot, with as many clusters as it has classes.

    The model learns from all snapshots, without labels. Nodes whose label is unknown are embedded, but neither
    clustered nor scored; snapshots with fewer than two classes are left out.

    Args:
        times: Snapshots that are scored: ``all``, the ``first`` (which is how ULSE's published numbers of the real
            networks came about), or the ``mean`` of each node's embeddings over time, for classes that do not change.
        clusters: Whether every snapshot is clustered by itself (``per_step``) or all of them at once (``joint``). Then
            a class is a set of nodes: a community that is the same at two times is one class.
        starts: Starts of k-means, of which the best is kept.
        kmeans_seed: Seed of k-means; the run's seed when ``None``.
    """

    version = 1
    asks = "embed"
    view = "snapshots"

    def __init__(
        self,
        *,
        times: Literal["all", "first", "mean"] = "all",
        clusters: Literal["per_step", "joint"] = "per_step",
        starts: int = 100,
        kmeans_seed: int | None = None,
    ):
        self.times, self.clusters, self.starts, self.kmeans_seed = times, clusters, starts, kmeans_seed
        self._seed = kmeans_seed or 0

    def num_episodes(self, graph: TemporalGraph) -> int:
        """Just one."""
        return 1

    def episodes(self, graph: TemporalGraph, seed: int) -> Iterator[Episode]:
        """All snapshots to learn from, and one block that asks for all embeddings."""
        self._seed = seed if self.kmeans_seed is None else self.kmeans_seed
        labels = labels_by_step(graph)
        if self.times == "mean" and bool((labels != labels[0]).any()):
            raise DataError("protocol.times=mean needs classes that stay the same; here they change over time")
        nobody = torch.empty(0, dtype=torch.long)
        times = torch.arange(1 if self.times == "first" else len(labels))
        block = Block(0, Queries(nobody, None, times), labels[: len(times)])
        yield Episode("all snapshots", dataclasses.replace(graph, node_labels=None), [block])

    def read(self, block: Block, answer: Tensor) -> Tensor:
        """``(T, N)`` clusters from ``(T, N, D)`` embeddings; -1 where a node has no label."""
        if not bool(torch.isfinite(answer).all()):
            raise RunError("the embeddings hold NaN or infinite values; the model has diverged")
        if self.times == "mean":
            answer = answer.mean(dim=0, keepdim=True).expand_as(answer)
        points, labels = answer.double().numpy(), block.answers.numpy()
        if self.clusters == "joint":
            labels = behaviours(block.answers).numpy().reshape(1, -1)
            points = points.reshape(1, -1, points.shape[-1])
        found = [self._clustered(*step, number) for number, step in enumerate(zip(points, labels, strict=True))]
        return torch.from_numpy(np.stack(found)).reshape(block.answers.shape)

    def metrics(self) -> ClusteringMetrics:
        """Accuracy, NMI, ARI and macro F1."""
        return JointClustering() if self.clusters == "joint" else ClusteringMetrics()

    def _clustered(self, points: np.ndarray, labels: np.ndarray, number: int) -> np.ndarray:
        """``(N,)`` clusters of the labelled points."""
        known = labels >= 0
        count = len(np.unique(labels[known]))
        clusters = np.full(len(labels), -1, dtype=np.int64)
        if count >= 2:
            # Under times=mean all snapshots are one, and so must be their clusters.
            number = 0 if self.times == "mean" else number
            state = int(np.random.SeedSequence([self._seed, number]).generate_state(1)[0])
            kmeans = KMeans(count, n_init=self.starts, random_state=state)
            with warnings.catch_warnings():
                # Fewer distinct points than clusters: the missing ones cost accuracy, which says enough.
                warnings.simplefilter("ignore", ConvergenceWarning)
                clusters[known] = kmeans.fit_predict(points[known])
        return clusters


class JointClustering(ClusteringMetrics):
    """Agreement over all nodes at all times at once; a class is a set of nodes that are together at some time."""

    def update(self, step: int, clusters: Tensor, labels: Tensor) -> None:
        """Add ``(T, N)`` clusters and classes as one clustering."""
        super().update(step, clusters.reshape(1, -1), behaviours(labels).reshape(1, -1))


def labels_by_step(graph: TemporalGraph) -> Tensor:
    """``(T, N) long`` classes, -1 where unknown.

    Raises:
        DataError: If the graph has no labels.
    """
    steps = graph.require_steps()
    if graph.node_labels is None:
        raise DataError("these data have no node labels to compare clusters with; add labels.csv or choose other data")
    labels = graph.node_labels.cpu()
    return labels.expand(steps, -1) if labels.dim() == 1 else labels


def behaviours(labels: Tensor) -> Tensor:
    """Number the sets of nodes that share a class: nodes of a set that is the same at two times behave the same.

    Args:
        labels: ``(T, N) long`` classes, -1 where unknown.

    Returns:
        ``(T, N) long``, -1 where unknown.

    >>> behaviours(torch.tensor([[0, 0, 1], [1, 1, 0], [0, 1, 1]])).tolist()
    [[0, 0, 1], [0, 0, 1], [2, 3, 3]]
    """
    numbers: dict[bytes, int] = {}
    result = torch.full_like(labels, -1)
    for step, now in enumerate(labels):
        known = now[now >= 0]
        # In order of first appearance, so that the numbers do not depend on the names of the classes.
        for name in dict.fromkeys(known.tolist()):
            members = now == name
            result[step, members] = numbers.setdefault(members.numpy().tobytes(), len(numbers))
    return result

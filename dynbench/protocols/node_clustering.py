"""Node clustering: embed every snapshot, cluster the nodes of each, compare with their classes."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Iterator
from functools import partial
from typing import Literal

import numpy as np
import torch
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning
from torch import Tensor

from dynbench.contract import Block, Episode, Exam, Queries
from dynbench.errors import DataError, RunError
from dynbench.graph import TemporalGraph
from dynbench.metrics.base import all_finite
from dynbench.metrics.clustering import ClusteringMetrics, JointClusteringMetrics, behaviours
from dynbench.protocols.base import Protocol
from dynbench.ranges import Count, Seed


class NodeClustering(Protocol):
    """ULSE's protocol: k-means on the embedding of each snapshot, with as many clusters as it has classes.

    The model learns from all snapshots, without labels. Nodes whose label is unknown are embedded, but neither
    clustered nor scored; snapshots with fewer than two classes are left out.

    Args:
        times: Snapshots that are scored: ``all``, the ``first`` (which is how ULSE's published numbers of the real
            networks came about), or the ``mean`` of each node's embeddings over time, for classes that do not change.
        nodes: Whether ``all`` labelled nodes are clustered and scored, or only those that are ``active``, which is to
            have a link at the time.
        clusters: Whether every snapshot is clustered by itself (``per_step``) or all of them at once (``joint``). Then
            a class is a set of nodes: a community that is the same at two times is one class.
        starts: Starts of k-means, of which the best is kept.
        kmeans_seed: Seed of k-means; the run's seed when ``None``.
    """

    version = 1
    asks = "embed"
    view = "snapshots"
    unvalidated = "all labels are for the test"
    withholds = "labels"
    learning = "all_snapshots"
    exam_settings = frozenset({"times", "nodes", "clusters", "starts", "kmeans_seed"})
    seeds = frozenset({"kmeans_seed"})

    def __init__(
        self,
        *,
        times: Literal["all", "first", "mean"] = "all",
        nodes: Literal["all", "active"] = "all",
        clusters: Literal["per_step", "joint"] = "per_step",
        starts: Count = 100,
        kmeans_seed: Seed | None = None,
    ):
        self.times, self.nodes, self.clusters = times, nodes, clusters
        self.starts, self.kmeans_seed = starts, kmeans_seed

    def num_episodes(self, graph: TemporalGraph) -> int:
        """Just one."""
        return 1

    def episodes(self, graph: TemporalGraph, seed: int) -> Iterator[Episode]:
        """All snapshots to learn from, and one block that asks for all embeddings."""
        kmeans_seed = seed if self.kmeans_seed is None else self.kmeans_seed
        labels = labels_by_step(graph)
        if self.times == "mean" and bool((labels != labels[0]).any()):
            raise DataError("protocol.times=mean needs classes that stay the same; here they change over time")
        if self.nodes == "active":
            labels = labels.masked_fill(~active(graph), -1)
        nobody = torch.empty(0, dtype=torch.long)
        times = torch.arange(1 if self.times == "first" else len(labels))
        block = Block(0, Queries(nobody, None, times), labels[: len(times)])
        unlabelled = dataclasses.replace(graph, node_labels=None)
        exam = Exam("", lambda: [block], self.metric, partial(self.clusters_of, kmeans_seed))
        yield Episode("all snapshots", {"": unlabelled}, unlabelled, [exam])

    def clusters_of(self, seed: int, block: Block, answer: Tensor) -> Tensor:
        """``(T, N)`` clusters from ``(T, N, D)`` embeddings; -1 where a node has no label."""
        if not all_finite(answer):
            raise RunError("the embeddings hold NaN or infinite values; the model has diverged")
        if self.times == "mean":
            answer = answer.mean(dim=0, keepdim=True).expand_as(answer)
        points, labels = answer.double().numpy(), block.answers.numpy()
        if self.clusters == "joint":
            labels = behaviours(block.answers).numpy().reshape(1, -1)
            points = points.reshape(1, -1, points.shape[-1])
        found = [self._clustered(*step, number, seed) for number, step in enumerate(zip(points, labels, strict=True))]
        return torch.from_numpy(np.stack(found)).reshape(block.answers.shape)

    def metric(self) -> ClusteringMetrics:
        """Accuracy, NMI, ARI and macro F1."""
        return JointClusteringMetrics() if self.clusters == "joint" else ClusteringMetrics()

    def _clustered(self, points: np.ndarray, labels: np.ndarray, number: int, seed: int) -> np.ndarray:
        """``(N,)`` clusters of the labelled points."""
        known = labels >= 0
        count = len(np.unique(labels[known]))
        clusters = np.full(len(labels), -1, dtype=np.int64)
        if count >= 2:
            # Under times=mean all snapshots are one, and so must be their clusters.
            number = 0 if self.times == "mean" else number
            state = int(np.random.SeedSequence([seed, number]).generate_state(1)[0])
            kmeans = KMeans(count, n_init=self.starts, random_state=state)
            with warnings.catch_warnings():
                # Fewer distinct points than clusters: the missing ones cost accuracy, which says enough.
                warnings.simplefilter("ignore", ConvergenceWarning)
                clusters[known] = kmeans.fit_predict(points[known])
        return clusters


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


def active(graph: TemporalGraph) -> Tensor:
    """``(T, N) bool``: which nodes have a link at each step; a self-loop is one."""
    found = torch.zeros(graph.require_steps(), graph.num_nodes, dtype=torch.bool)
    for ends in (graph.src, graph.dst):
        found[graph.time.cpu(), ends.cpu()] = True
    return found

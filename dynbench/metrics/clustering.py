"""How well clusters agree with known classes: accuracy, NMI, ARI and F1, per snapshot and averaged."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score
from torch import Tensor

from dynbench.errors import DataError
from dynbench.metrics.base import BlockMetric

if TYPE_CHECKING:
    from dynbench.contract import Block

MEASURES = ("acc", "nmi", "ari", "f1")


def matched(clusters: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Name clusters by classes so that as many nodes as possible agree (Hungarian method).

    Args:
        clusters: ``(M,)`` cluster ids.
        classes: ``(M,)`` class ids.

    Returns:
        ``(M,)`` the class of each node's cluster; a cluster that is left over gets -1, which is no class.

    >>> matched(np.array([1, 1, 0]), np.array([5, 5, 7])).tolist()
    [5, 5, 7]
    """
    cluster_names, cluster = np.unique(clusters, return_inverse=True)
    class_names, klass = np.unique(classes, return_inverse=True)
    counts = np.zeros((len(cluster_names), len(class_names)), dtype=np.int64)
    np.add.at(counts, (cluster, klass), 1)
    names = np.full(len(cluster_names), -1, dtype=np.int64)
    # Of equally good matchings the names of the clusters must not choose one, so clusters are ordered by their counts.
    order = np.lexsort(counts.T)[::-1]
    rows, columns = linear_sum_assignment(counts[order], maximize=True)
    names[order[rows]] = class_names[columns]
    return names[cluster]


def macro_f1(predicted: np.ndarray, classes: np.ndarray) -> float:
    """F1 averaged over the classes that occur; a prediction of another class is an error, and no class of its own."""
    scores = []
    for name in np.unique(classes):
        hits = np.sum((predicted == name) & (classes == name))
        scores.append(2 * hits / (np.sum(predicted == name) + np.sum(classes == name)))
    return float(np.mean(scores))


def agreement(clusters: np.ndarray, classes: np.ndarray) -> dict[str, float]:
    """``acc``, ``nmi`` (arithmetic mean), ``ari`` and ``f1`` (macro) of ``(M,)`` clusters.

    >>> agreement(np.array([1, 1, 0]), np.array([5, 5, 7]))["acc"]
    1.0
    """
    named = matched(clusters, classes)
    return {
        "acc": float(np.mean(named == classes)),
        "nmi": float(normalized_mutual_info_score(classes, clusters, average_method="arithmetic")),
        "ari": float(adjusted_rand_score(classes, clusters)),
        "f1": macro_f1(named, classes),
    }


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


class ClusteringMetrics(BlockMetric):
    """Averages the agreement over the snapshots that have at least two classes among their labelled nodes.

    A snapshot without is listed with ``None``. A label or a cluster of -1 leaves a node out.
    """

    def __init__(self):
        super().__init__("steps", "counts", *MEASURES)

    def update(self, block: Block, answer: Tensor) -> None:
        """Add ``(T, N) long`` clusters of the nodes of consecutive snapshots; the block's step is the first."""
        self.add(block.step, answer, block.answers)

    def add(self, step: int, clusters: Tensor, labels: Tensor) -> None:
        """Add clusterings of consecutive snapshots.

        Args:
            step: The first snapshot.
            clusters: ``(T, M) long`` cluster of each node.
            labels: ``(T, M) long`` class of each node.
        """
        for offset, (found, known) in enumerate(zip(clusters.cpu().numpy(), labels.cpu().numpy(), strict=True)):
            scored = (known >= 0) & (found >= 0)
            able = len(np.unique(known[scored])) >= 2
            values = agreement(found[scored], known[scored]) if able else dict.fromkeys(MEASURES, float("nan"))
            self.steps.append(torch.tensor([step + offset]))
            self.counts.append(torch.tensor([int(scored.sum())]))
            for name, value in values.items():
                getattr(self, name).append(torch.tensor([value], dtype=torch.double))

    def compute(self) -> dict[str, float]:
        """Overall metrics as fractions: ``acc``, ``nmi``, ``ari``, ``f1``.

        Raises:
            DataError: If no snapshot has two classes.
        """
        values = {name: np.array([float(value) for value in getattr(self, name)]) for name in MEASURES}
        if np.isnan(values["acc"]).all():
            raise DataError("no snapshot has labelled nodes of two classes, so there are no clusters to find")
        return {name: float(np.nanmean(found)) for name, found in values.items()}

    def per_step(self) -> list[dict[str, float | None]]:
        """One mapping per snapshot: ``step``, ``n`` labelled nodes, and the metrics (``None`` below two classes)."""
        columns = zip(self.steps, self.counts, *(getattr(self, name) for name in MEASURES), strict=True)
        return [
            {
                "step": int(step),
                "n": int(count),
                **{name: None if v.isnan() else float(v) for name, v in zip(MEASURES, values, strict=True)},
            }
            for step, count, *values in columns
        ]


class JointClusteringMetrics(ClusteringMetrics):
    """Agreement over all nodes at all times at once; a class is a set of nodes that are together at some time."""

    def add(self, step: int, clusters: Tensor, labels: Tensor) -> None:
        """Add ``(T, N)`` clusters and classes as one clustering."""
        super().add(step, clusters.reshape(1, -1), behaviours(labels).reshape(1, -1))


class RepeatedClusteringMetrics(ClusteringMetrics):
    """Agreement on several graphs: their mean, and as ``_sd`` the standard deviation between them (population's).

    Args:
        snapshots: Consecutive steps that belong to one graph.
    """

    def __init__(self, snapshots: int):
        super().__init__()
        self.snapshots = snapshots

    def compute(self) -> dict[str, float]:
        """``acc``, ``nmi``, ``ari``, ``f1``, and ``acc_sd`` and so on.

        Raises:
            DataError: If no snapshot has two classes.
        """
        means = super().compute()
        rows = self.per_step()
        return means | {
            f"{name}_sd": float(np.std([row[name] for row in rows if row[name] is not None])) for name in MEASURES
        }

    def per_step(self) -> list[dict[str, float | None]]:
        """One mapping per graph, the mean over its snapshots; ``step`` is the graph's number."""
        graphs: dict[int, list[dict]] = {}
        for row in super().per_step():
            graphs.setdefault(row["step"] // self.snapshots, []).append(row)
        return [{"step": graph, **_mean_row(rows)} for graph, rows in graphs.items()]


def _mean_row(rows: list[dict]) -> dict[str, float | None]:
    known = {name: [row[name] for row in rows if row[name] is not None] for name in MEASURES}
    return {
        "n": sum(row["n"] for row in rows),
        **{name: float(np.mean(values)) if values else None for name, values in known.items()},
    }

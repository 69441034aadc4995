"""Whether equal behaviour gets equal positions: across nodes at one time, and across times for one node.

An embedding is *cross-sectionally* stable if nodes that behave alike at a time lie together, and *longitudinally*
stable if a node that behaves at one time as it does at another stays where it is. Distances are relative to the RMS
length of all rows, so neither scale nor rotation of an embedding matters.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from dynbench.errors import DataError
from dynbench.metrics.base import BlockMetric
from dynbench.metrics.clustering import behaviours

if TYPE_CHECKING:
    from dynbench.contract import Block

# Pairs of nodes of one time that are looked at; beyond, as many are drawn.
MAX_PAIRS = 200_000


def rescaled(embedding: np.ndarray) -> np.ndarray:
    """``(T, N, D)`` divided by the RMS length of its rows; zeros stay zeros."""
    size = np.sqrt((embedding**2).sum(axis=-1).mean())
    return embedding / size if size > 0 else embedding


def cross_sectional_gaps(embedding: np.ndarray, groups: np.ndarray, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Distances between nodes of the same time.

    Args:
        embedding: ``(T, N, D)``; see :func:`rescaled`.
        groups: ``(T, N)`` what behaves alike; -1 where unknown.
        seed: Of the drawn pairs, where there are more than ``MAX_PAIRS`` at a time.

    Returns:
        Distances of pairs in one group, and of pairs in different groups, each over all times.
    """
    draw = np.random.default_rng(seed)
    within, between = [], []
    for points, group in zip(embedding, groups, strict=True):
        known = np.flatnonzero(group >= 0)
        first, second = _pairs(len(known), draw)
        first, second = known[first], known[second]
        gaps = np.linalg.norm(points[first] - points[second], axis=-1)
        same = group[first] == group[second]
        within.append(gaps[same])
        between.append(gaps[~same])
    return np.concatenate(within), np.concatenate(between)


def longitudinal_gaps(embedding: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Distances between the positions of one node at two times at which it behaves the same.

    Args:
        embedding: ``(T, N, D)``; see :func:`rescaled`.
        groups: ``(T, N)``, comparable between times; -1 where unknown.
    """
    found = [np.zeros(0)]
    for later in range(1, len(embedding)):
        for earlier in range(later):
            same = (groups[later] == groups[earlier]) & (groups[later] >= 0)
            found.append(np.linalg.norm(embedding[later, same] - embedding[earlier, same], axis=-1))
    return np.concatenate(found)


def shift_test(first: np.ndarray, second: np.ndarray, permutations: int = 999, seed: int = 0) -> float:
    """Permutation test of whether two sets of ``(M, D)`` positions have the same mean.

    Args:
        first, second: A group's positions at two times.
        permutations: Relabelings to compare with.
        seed: Their seed.

    Returns:
        p-value; small if the group has moved.
    """
    draw = np.random.default_rng(seed)
    pooled, count = np.concatenate([first, second]), len(first)
    observed = np.linalg.norm(first.mean(axis=0) - second.mean(axis=0))
    total, rest = pooled.sum(axis=0), len(second)
    as_far = 0
    for _ in range(permutations):
        part = pooled[draw.permutation(len(pooled))[:count]].sum(axis=0)
        as_far += np.linalg.norm(part / count - (total - part) / rest) >= observed - 1e-12
    return (1 + as_far) / (1 + permutations)


class StabilityMetrics(BlockMetric):
    """Mean and largest gap between equals.

    ``cross_sectional`` and ``longitudinal`` are mean gaps as shares of the mean distance between nodes that behave
    differently at one time: 0 is perfect, and at 1 equals are as far apart as others. The ``_max`` are the largest
    gaps, in RMS row lengths.
    """

    def __init__(self):
        super().__init__("steps", "counts", "values", "embeddings", "labels")

    def update(self, block: Block, answer: Tensor) -> None:
        """Add a ``(T, N, D)`` embedding of all times; just one is expected.

        Nodes with equal :func:`~dynbench.metrics.clustering.behaviours` of their classes are equals.

        Raises:
            DataError: If there are no equals or no others to compare with.
        """
        embedding, labels = answer, block.answers
        points, groups = rescaled(embedding.double().cpu().numpy()), behaviours(labels.cpu()).numpy()
        within, between = cross_sectional_gaps(points, groups)
        across = longitudinal_gaps(points, groups)
        if not (len(within) and len(between) and len(across)):
            raise DataError("stability needs two classes, two nodes of one class, and a class that lasts two snapshots")
        apart = max(between.mean(), np.finfo(float).tiny)
        row = [within.mean() / apart, across.mean() / apart, within.max(), across.max()]
        self.steps.append(torch.tensor([block.step]))
        self.counts.append(torch.tensor([len(within) + len(across)]))
        self.values.append(torch.tensor([row], dtype=torch.double))
        self.embeddings.append(embedding.float().cpu())
        self.labels.append(labels.cpu())

    def compute(self) -> dict[str, float]:
        """``cross_sectional``, ``longitudinal``, ``cross_sectional_max``, ``longitudinal_max``."""
        names = ("cross_sectional", "longitudinal", "cross_sectional_max", "longitudinal_max")
        return dict(zip(names, torch.cat(list(self.values)).mean(dim=0).tolist(), strict=True))

    def arrays(self) -> dict[str, np.ndarray]:
        """What figures of the embedding are drawn from: ``embedding (T, N, D)`` and ``labels (T, N)``."""
        return {"embedding": self.embeddings[-1].numpy(), "labels": self.labels[-1].numpy()}

    def per_step(self) -> list[dict[str, float]]:
        """The number of pairs; stability is a property of all times together."""
        return [{"step": int(s), "n": int(n)} for s, n in zip(self.steps, self.counts, strict=True)]


def _pairs(count: int, draw: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    if count * (count - 1) // 2 <= MAX_PAIRS:
        return np.triu_indices(count, 1)
    first = draw.integers(0, count, MAX_PAIRS)
    second = (first + draw.integers(1, count, MAX_PAIRS)) % count
    return first, second

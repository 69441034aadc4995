"""Embeddings of all snapshots of a graph, kept and not measured."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from dynbench.contract import Block, Episode, Exam, Queries
from dynbench.errors import RunError
from dynbench.graph import TemporalGraph
from dynbench.metrics.base import BlockMetric, all_finite
from dynbench.protocols.base import Protocol


class Embeddings(Protocol):
    """The model learns from all snapshots, without labels, and embeds each of them."""

    version = 1
    asks = "embed"
    view = "snapshots"
    unvalidated = "it measures nothing at all"
    withholds = "labels"
    learning = "all_snapshots"

    def __init__(self):
        pass

    def num_episodes(self, graph: TemporalGraph) -> int:
        """Just one."""
        return 1

    def episodes(self, graph: TemporalGraph, seed: int) -> Iterator[Episode]:
        """All snapshots to learn from, and one block that asks for all embeddings."""
        steps, nobody = graph.require_steps(), torch.empty(0, dtype=torch.long)
        labels = graph.node_labels if graph.node_labels is not None else torch.full((graph.num_nodes,), -1)
        block = Block(0, Queries(nobody, None, torch.arange(steps)), labels)
        unlabelled = dataclasses.replace(graph, node_labels=None)
        yield Episode("all snapshots", {"": unlabelled}, unlabelled, [Exam("", lambda: [block], Kept)])


class Kept(BlockMetric):
    """Keeps an embedding, and the labels where there are any."""

    def __init__(self):
        super().__init__("embeddings", "labels")

    def update(self, block: Block, answer: Tensor) -> None:
        """Keep a ``(T, N, D)`` embedding.

        Raises:
            RunError: If it holds NaN or infinite values.
        """
        if not all_finite(answer):
            raise RunError("the embeddings hold NaN or infinite values; the model has diverged")
        self.embeddings.append(answer.float())
        self.labels.append(block.answers)

    def compute(self) -> dict[str, float]:
        """Nothing is measured."""
        return {}

    def per_step(self) -> list[dict[str, float]]:
        """Nothing is measured."""
        return []

    def arrays(self) -> dict[str, np.ndarray]:
        """``embedding (T, N, D)`` and, where the graph has them, ``labels``."""
        labels = self.labels[-1]
        known = {"labels": labels.numpy()} if bool((labels >= 0).any()) else {}
        return {"embedding": self.embeddings[-1].numpy(), **known}

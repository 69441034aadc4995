"""Stability: embed every snapshot, and measure how far apart nodes lie that behave alike."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import torch

from dynbench.contract import Block, Episode, Exam, Queries
from dynbench.graph import TemporalGraph
from dynbench.metrics.stability import StabilityMetrics
from dynbench.protocols.base import Protocol
from dynbench.protocols.node_clustering import labels_by_step


class Stability(Protocol):
    """The two kinds of stability that ULSE's theory is about, measured on a network with known classes.

    The model learns from all snapshots, without labels. Nodes of one class at one time behave alike; a node whose
    class has the same members at two times behaves the same at both.
    """

    version = 1
    asks = "embed"
    view = "snapshots"
    unvalidated = "all labels are for the test"
    withholds = "labels"
    learning = "all_snapshots"
    seeds = frozenset()

    def __init__(self):
        pass

    def num_episodes(self, graph: TemporalGraph) -> int:
        """Just one."""
        return 1

    def episodes(self, graph: TemporalGraph, seed: int) -> Iterator[Episode]:
        """All snapshots to learn from, and one block that asks for all embeddings."""
        labels, nobody = labels_by_step(graph), torch.empty(0, dtype=torch.long)
        block = Block(0, Queries(nobody, None, torch.arange(len(labels))), labels)
        unlabelled = dataclasses.replace(graph, node_labels=None)
        exam = Exam("", lambda: [block], StabilityMetrics)
        yield Episode("all snapshots", {"": unlabelled}, unlabelled, [exam])

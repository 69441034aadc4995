"""EdgeBank: a pair that was linked before will be linked again.

Paper:
    Poursafaei, Huang, Pelrine, Rabbany. Towards better evaluation for dynamic link prediction. NeurIPS 2022, Datasets
    and Benchmarks.

Idea:
    A memory of pairs, without parameters and without training, shows how much of a task is repetition.

Equations:
    With M the pairs in memory::

        score(i, j) = 1 if (i, j) in M, else 0

    ``unlimited`` memory keeps every pair of the history. ``recent`` keeps the pairs of the last 15 % of the events:
    those with time >= the 0.85 quantile of all event times. ``interval`` keeps pairs with an event not longer ago than
    the time after which pairs tend to return, which counts pairs that never did as zeros::

        w = (sum over repeated pairs of their mean gap) / (number of distinct pairs)

    ``frequent`` keeps pairs with at least the mean number of events per pair.

Deviations:
    * In a snapshot graph an event is a link of one snapshot, and time counts snapshots.

Reproduction:
    Average precision in percent over the links of the next snapshot, ``model=edgebank data=D data.window=W
    protocol=temporal_split`` with unlimited memory::

                      1d      3d      7d
        CollegeMsg   79.12   75.49   72.84
        email-Eu     94.21   93.49   92.66

    On email-Eu that is more than the trained models of the NGLP paper reach on the same pairs.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from torch import Tensor

from dynbench.contract import Queries
from dynbench.graph import TemporalGraph
from dynbench.models.history import HistoryModel
from dynbench.sampling.adjacency import entries, weighted_adjacency


class EdgeBank(HistoryModel):
    """Scores a pair by its presence in memory.

    Args:
        memory: Which pairs are kept: ``unlimited``, ``recent``, ``interval`` or ``frequent``.
    """

    def __init__(self, *, memory: Literal["unlimited", "recent", "interval", "frequent"] = "unlimited"):
        super().__init__()
        self.memory = memory

    def count(self, history: TemporalGraph) -> None:
        """Fill the memory."""
        least = 1.0
        if len(history):
            if self.memory == "frequent":
                least = len(history) / len(np.unique(_pairs(history)))
            elif self.memory != "unlimited":
                history = history.subset(history.time >= self._since(history))
        self.times_seen, self.least = weighted_adjacency(history), least

    def _since(self, history: TemporalGraph) -> float:
        """The time from which on events are remembered."""
        time = history.time.numpy()
        if self.memory == "recent":
            return float(np.quantile(time, 0.85))
        return float(time.max() - mean_gap(_pairs(history), time))

    def score(self, queries: Queries) -> Tensor:
        """1 for remembered pairs, 0 for others."""
        return (entries(self.times_seen, queries.src, queries.dst) >= self.least).float()


def mean_gap(pair: np.ndarray, time: np.ndarray) -> float:
    """Mean time between events of a pair, summed over repeated pairs and divided by the number of all pairs.

    Args:
        pair: ``(E,)`` a number per distinct pair.
        time: ``(E,)`` when.

    Returns:
        In the unit of ``time``.
    """
    _, index, counts = np.unique(pair, return_inverse=True, return_counts=True)
    first, last = np.full(len(counts), np.inf), np.full(len(counts), -np.inf)
    np.minimum.at(first, index, time)
    np.maximum.at(last, index, time)
    repeated = counts > 1
    return float(((last - first)[repeated] / (counts[repeated] - 1)).sum() / len(counts))


def _pairs(history: TemporalGraph) -> np.ndarray:
    """``(E,)`` one number per pair; the order of the two nodes counts in directed graphs only."""
    src, dst = history.src.numpy(), history.dst.numpy()
    if not history.directed:
        src, dst = np.minimum(src, dst), np.maximum(src, dst)
    return src * history.num_nodes + dst

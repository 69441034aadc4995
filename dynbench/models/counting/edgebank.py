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

from collections import Counter
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from dynbench.contract import Queries
from dynbench.graph import TemporalGraph
from dynbench.graph.pairs import PairEvents, Spans
from dynbench.models.history import HistoryModel


class EdgeBank(HistoryModel):
    """Scores a pair by its presence in memory.

    Args:
        memory: Which pairs are kept: ``unlimited``, ``recent``, ``interval`` or ``frequent``.
    """

    version = 1

    def __init__(self, *, memory: Literal["unlimited", "recent", "interval", "frequent"] = "unlimited"):
        self.memory = memory

    def count(self, history: TemporalGraph) -> None:
        """Remember the context."""
        self.seen, self.gaps = PairEvents(history.events(0, 0)), MeanGap()
        self.time: list[np.ndarray] = []
        self.fresh: list[TemporalGraph] = []
        self.add(history)

    def add(self, events: TemporalGraph) -> None:
        """Remember revealed events; they are counted when a pair is asked about."""
        if len(events):
            self.fresh.append(events)
            self.time.append(events.time.numpy())

    def _settle(self) -> None:
        fresh, self.fresh = self.fresh, []
        compared = bool(fresh) and self.memory in ("interval", "frequent")
        if compared:
            pairs = np.unique(np.concatenate([self.seen.key(events.src, events.dst) for events in fresh]))
            self.gaps.change(self.seen.spans(pairs), -1)
        for events in fresh:
            self.seen.append(events)
        if compared:
            self.gaps.change(self.seen.spans(pairs), 1)

    def score(self, queries: Queries) -> Tensor:
        """1 for remembered pairs, 0 for others."""
        self._settle()
        count, _, last = self.seen.spans(self.seen.key(queries.src, queries.dst))
        kept = count > 0
        if self.memory == "frequent":
            kept &= count >= len(self.seen) / max(self.gaps.pairs, 1)
        elif self.memory != "unlimited" and self.time:
            kept &= last >= self.since()
        return torch.from_numpy(kept).float()

    def since(self) -> float:
        """The time from which on pairs are remembered."""
        if self.memory == "recent":
            return quantile(self.time, 0.85)
        return float(self.time[-1][-1] - self.gaps.mean())


def quantile(parts: list[np.ndarray], share: float) -> float:
    """A quantile of times that are in order, given in parts; as NumPy's, between the two nearest times."""
    ends = np.cumsum([len(part) for part in parts])
    place = share * (ends[-1] - 1)
    low = int(place)
    near = []
    for position in (low, min(low + 1, int(ends[-1]) - 1)):
        part = int(np.searchsorted(ends, position, side="right"))
        near.append(parts[part][position - ends[part]])
    return float(np.quantile(near, place - low))


class MeanGap:
    """Mean time between events of a pair, summed over repeated pairs and divided by the number of all pairs.

    Attributes:
        pairs: Number of all pairs.
    """

    def __init__(self) -> None:
        self.pairs = 0
        self._spans: Counter[int] = Counter()  # by number of gaps, from first to last event, summed over pairs

    def change(self, spans: Spans, sign: int) -> None:
        """Count different pairs in (``sign`` 1), or those with an event out (-1)."""
        self.pairs += sign * int((spans.count > 0).sum())
        repeated = spans.count > 1
        gaps, which = np.unique(spans.count[repeated] - 1, return_inverse=True)
        lengths = np.zeros(len(gaps), spans.last.dtype)
        np.add.at(lengths, which, (spans.last - spans.first)[repeated])
        for number, length in zip(gaps.tolist(), lengths.tolist(), strict=True):
            self._spans[number] += sign * length

    def mean(self) -> float:
        """In the unit of the times."""
        return sum(length / number for number, length in sorted(self._spans.items())) / max(self.pairs, 1)

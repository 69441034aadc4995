"""How often and when pairs met; grows with what is revealed.

What is added waits until something is asked. Then it is sorted, and put beside the sorted rows before it. So that there
are only ever a few such runs, each at least four times as long as the next, runs are merged now and then: a row moves a
logarithmic number of times.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from torch import Tensor

from dynbench.graph.temporal_graph import TemporalGraph

_RATIO = 4


class SortedRuns:
    """Rows of a key and a value, in order of their keys and, among equal keys, in the order in which they came."""

    def __init__(self) -> None:
        self._runs: list[tuple[np.ndarray, np.ndarray]] = []

    def append(self, keys: np.ndarray, values: np.ndarray) -> None:
        """Add ``(R,)`` rows after all others."""
        order = np.argsort(keys, kind="stable")
        run = keys[order], values[order]
        while self._runs and len(self._runs[-1][0]) < _RATIO * len(run[0]):
            before = self._runs.pop()
            keys, values = (np.concatenate(both) for both in zip(before, run, strict=True))
            order = np.argsort(keys, kind="stable")  # merges two sorted runs in one pass
            run = keys[order], values[order]
        if len(run[0]):
            self._runs.append(run)

    def within(self, low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """All rows with ``low <= key < high``, for ``(Q,)`` ranges at once.

        Returns:
            For each row found the range it is in, its key and its value, in order of the ranges. Rows of one key are in
            the order in which they came.
        """
        parts = [_rows(*run, low, high) for run in self._runs]
        if not parts:
            return np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0)
        query, key, value = (np.concatenate(column) for column in zip(*parts, strict=True))
        if sum(len(part[0]) > 0 for part in parts) > 1:
            order = np.argsort(query, kind="stable")
            query, key, value = query[order], key[order], value[order]
        return query, key, value


def _rows(keys: np.ndarray, values: np.ndarray, low: np.ndarray, high: np.ndarray):
    start = np.searchsorted(keys, low)
    size = np.searchsorted(keys, high) - start
    query = np.repeat(np.arange(len(low)), size)
    row = np.arange(len(query)) + np.repeat(start - np.cumsum(size) + size, size)
    return query, keys[row], values[row]


class Spans(NamedTuple):
    """Of ``Q`` pairs: how many events each has, and the times of its first and its last; 0 events, no times."""

    count: np.ndarray
    first: np.ndarray
    last: np.ndarray


class PairEvents:
    """The times at which pairs met. In an undirected graph the order of a pair does not matter.

    Args:
        graph: Events to begin with.
    """

    def __init__(self, graph: TemporalGraph):
        self.num_nodes, self.directed = graph.num_nodes, graph.directed
        self._runs, self._waiting = SortedRuns(), []
        self._events = 0
        self.append(graph)

    def __len__(self) -> int:
        """Number of events."""
        return self._events

    def append(self, events: TemporalGraph) -> None:
        """Add events, none of them earlier than those that are there."""
        self._waiting.append((self.key(events.src, events.dst), events.time.cpu().numpy()))
        self._events += len(events)

    def key(self, src: Tensor, dst: Tensor) -> np.ndarray:
        """``(Q,)`` one number per pair."""
        src, dst = src.cpu().numpy(), dst.cpu().numpy()
        if not self.directed:
            src, dst = np.minimum(src, dst), np.maximum(src, dst)
        return src * self.num_nodes + dst

    def times(self, key: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """For every event of ``(Q,)`` pairs, which of them it belongs to and its time, in order of pairs and times."""
        if self._waiting:
            self._runs.append(*(np.concatenate(column) for column in zip(*self._waiting, strict=True)))
            self._waiting = []
        query, _, time = self._runs.within(key, key + 1)
        return query, time

    def spans(self, key: np.ndarray) -> Spans:
        """Number of events and times of the first and last one, of ``(Q,)`` pairs."""
        query, time = self.times(key)
        count = np.bincount(query, minlength=len(key))
        end = np.cumsum(count)
        known, first, last = count > 0, np.zeros(len(key), time.dtype), np.zeros(len(key), time.dtype)
        first[known], last[known] = time[(end - count)[known]], time[end[known] - 1]
        return Spans(count, first, last)

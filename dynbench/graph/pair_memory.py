"""What is remembered of pairs: how often, since when and until when; revealing a batch costs what it is long."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from dynbench.graph.growing import GrowingArray
from dynbench.graph.pair_table import PairTable, jit
from dynbench.graph.temporal_graph import TemporalGraph


class PairMemory:
    """Counts and times of all pairs of a growing stream of events; lives on the CPU.

    Attributes:
        table: Gives pairs their rows. In an undirected graph ``(i, j)`` and ``(j, i)`` are one pair.
        events: Number of events.
        gaps: Mean time between the events of a pair, added up over pairs.
    """

    def __init__(self, graph: TemporalGraph):
        self.table = PairTable(graph.num_nodes, symmetric=not graph.directed)
        dtype = graph.time.cpu().numpy().dtype
        self._count, self._first, self._last = (GrowingArray(kind) for kind in (np.int64, dtype, dtype))
        self._times = GrowingArray(dtype)
        self.gaps = 0.0
        self.append(graph)

    def __len__(self) -> int:
        """Number of pairs."""
        return len(self.table)

    @property
    def events(self) -> int:
        """Number of events."""
        return len(self._times)

    @property
    def count(self) -> np.ndarray:
        """``(P,)`` events of each pair."""
        return self._count.values

    @property
    def first(self) -> np.ndarray:
        """``(P,)`` time of its first event."""
        return self._first.values

    @property
    def last(self) -> np.ndarray:
        """``(P,)`` time of its last event."""
        return self._last.values

    @property
    def times(self) -> np.ndarray:
        """``(E,)`` times of all events, ascending."""
        return self._times.values

    def append(self, events: TemporalGraph) -> None:
        """Remember events, none of which is earlier than those that are remembered."""
        if not len(events):
            return
        rows = self.table.add(events.src, events.dst).numpy()
        time = events.time.cpu().numpy()
        for array in (self._count, self._first, self._last):
            array.resize(len(self), 0)
        self.gaps += _remember(rows, time, self.count, self.first, self.last)
        self._times.extend(time)

    def find(self, src: Tensor, dst: Tensor) -> np.ndarray:
        """``(Q,)`` rows of pairs, -1 for those that never had an event."""
        return self.table.find(src, dst).numpy()

    def quantile(self, share: float) -> float:
        """A quantile of the times of all events, with linear interpolation."""
        position = share * (self.events - 1)
        low = int(position)
        pair = self.times[low : low + 2]
        return float(pair[0] + (position - low) * (pair[-1] - pair[0]))

    def mark(self) -> dict[str, Tensor]:
        """Where the memory stands, for :meth:`rewind`; costs two numbers per pair."""
        return {
            "count": torch.from_numpy(self.count.copy()),
            "last": torch.from_numpy(self.last.copy()),
            "events": torch.tensor(self.events),
            "gaps": torch.tensor(self.gaps, dtype=torch.double),
        }

    def rewind(self, mark: dict[str, Tensor]) -> None:
        """Go back to a mark; forward again is not possible."""
        self.table.forget(len(mark["count"]))
        self._first.resize(len(self), 0)
        for array, name in ((self._count, "count"), (self._last, "last")):
            array.resize(len(self), 0)
            array.values[:] = mark[name].numpy()
        self._times.resize(int(mark["events"]), 0)
        self.gaps = float(mark["gaps"])


@jit
def _remember(rows, time, count, first, last):
    """Count events of pairs one after the other; returns by how much the sum of mean gaps grows."""
    grown = 0.0
    for k in range(len(rows)):
        row = rows[k]
        if count[row] == 0:
            first[row] = time[k]
        else:
            now = float(time[k] - first[row]) / count[row]
            before = float(last[row] - first[row]) / max(count[row] - 1, 1)
            grown += now - before
        count[row] += 1
        last[row] = time[k]
    return grown

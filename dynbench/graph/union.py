"""The growing union of all events as one undirected graph: who ever met whom, and whom two nodes both met."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from dynbench.graph.neighbors import TemporalNeighbors
from dynbench.graph.pair_table import PairTable, jit, row_of
from dynbench.graph.temporal_graph import TemporalGraph


class UnionGraph:
    """Distinct neighbours of every node, in either direction, without self-loops; lives on the CPU.

    Revealing a batch costs what it is long; what a pair shares costs as much as the shorter of two lists is long.
    """

    def __init__(self, graph: TemporalGraph):
        self.table = PairTable(graph.num_nodes, symmetric=True)
        self.index = TemporalNeighbors(graph.events(0, 0), device="cpu")
        self.append(graph)

    @property
    def degree(self) -> np.ndarray:
        """``(N,) long`` number of neighbours of each node; a view that grows with the graph."""
        return self.index.sizes.numpy()

    def append(self, events: TemporalGraph) -> np.ndarray:
        """Add events, and return the nodes that have a new neighbour; some may stand there more than once."""
        src, dst = events.src.cpu(), events.dst.cpu()
        known = len(self.table)
        # A self-loop gets a row as well, so that nothing need be left out beforehand; no list holds it.
        rows = self.table.add(src, dst).numpy()
        kept = torch.from_numpy(_first_of_new(rows, src.numpy(), dst.numpy(), known, len(self.table)))
        src, dst = src[kept], dst[kept]
        self.index.append(
            TemporalGraph(src, dst, events.time.cpu()[kept], events.num_nodes, ids=events.ids.cpu()[kept])
        )
        return torch.cat([src, dst]).numpy()

    def shared(self, src: Tensor, dst: Tensor, value: np.ndarray) -> Tensor:
        """``(Q,) double`` sum of ``(N,) value`` over the common neighbours of every pair."""
        pairs = (np.ascontiguousarray(part.cpu().numpy()) for part in (src, dst))
        total = np.empty(len(src))
        _shared(*self.index.arrays, *self.table.arrays, self.table.num_nodes, *pairs, value, total)
        return torch.from_numpy(total)

    def mark(self) -> dict[str, Tensor]:
        """Where the graph stands, for :meth:`rewind`."""
        return {"pairs": torch.tensor(len(self.table)), **self.index.mark()}

    def rewind(self, mark: dict[str, Tensor]) -> None:
        """Go back to a mark; forward again is not possible."""
        self.table.forget(int(mark["pairs"]))
        self.index.rewind(mark)


@jit
def _first_of_new(rows, src, dst, known, count):
    """Positions at which a row from ``known`` on occurs for the first time, and not for a self-loop."""
    met = np.zeros(count - known, dtype=np.bool_)
    found = np.empty(min(len(rows), count - known), dtype=np.int64)
    size = 0
    for k in range(len(rows)):
        if rows[k] >= known and not met[rows[k] - known]:
            met[rows[k] - known] = True
            if src[k] != dst[k]:
                found[size] = k
                size += 1
    return found[:size]


@jit
def _shared(lists, ends, codes, slots, num_nodes, src, dst, value, total):
    for k in range(len(src)):
        one, other = src[k], dst[k]
        if lists[one, 1] > lists[other, 1]:
            one, other = other, one
        found = 0.0
        for place in range(lists[one, 0], lists[one, 0] + lists[one, 1]):
            node = ends[place, 0]
            low, high = min(node, other), max(node, other)
            if node != other and row_of(codes, slots, low * num_nodes + high) >= 0:
                found += value[node]
        total[k] = found

"""Decayed count: recent links count most, common neighbours and activity break ties.

Paper:
    None; a heuristic that equals or beats every published system on Enron, and so tells how easy the task is.

Equations:
    With a_ij^(t) in {0, 1} the links of snapshot t = 1..T, CN and PA of the union graph
    (:mod:`dynbench.models.counting.neighborhood`)::

        score(i, j) = sum over t of decay^(T - t) a_ij^(t)  +  neighbor_weight CN(i, j)  +  degree_weight PA(i, j)

Deviations:
    None.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from dynbench.contract import Queries
from dynbench.graph import TemporalGraph
from dynbench.graph.pairs import PairEvents
from dynbench.graph.union import UnionGraph
from dynbench.models.counting.neighborhood import add_link_counts, link_counts
from dynbench.models.history import HistoryModel
from dynbench.ranges import Share


class DecayedCount(HistoryModel):
    """Exponentially decayed link counts with two tie breakers.

    Args:
        decay: Factor per snapshot.
        neighbor_weight: Weight of a common neighbour.
        degree_weight: Weight of the degree product.
    """

    version = 1
    needs = frozenset({"snapshots"})

    def __init__(self, *, decay: Share = 0.7, neighbor_weight: float = 0.05, degree_weight: float = 1e-6):
        self.decay, self.neighbor_weight, self.degree_weight = decay, neighbor_weight, degree_weight

    def count(self, history: TemporalGraph) -> None:
        """When each pair was linked, the neighbours of each node, and its degree."""
        self.steps = history.require_steps()
        self.seen, self.union, self.degree = PairEvents(history), UnionGraph(history), link_counts(history)

    def add(self, events: TemporalGraph) -> None:
        """Add revealed snapshots to all three."""
        if len(events):
            self.seen.append(events)
            self.union.append(events)
            add_link_counts(self.degree, events)
            self.steps = max(self.steps, int(events.time[-1]) + 1)

    def score(self, queries: Queries) -> Tensor:
        """The weighted sum, in double precision: the degree term is a millionth of the others."""
        src, dst = queries.src.cpu(), queries.dst.cpu()
        link, time = self.seen.times(self.seen.key(src, dst))
        weight = (self.decay ** torch.from_numpy(self.steps - 1 - time)).double().numpy()
        recent = np.bincount(link, weight, minlength=len(src))
        shared = self.union.shared(src, dst, np.ones(len(self.degree)))
        counted = torch.from_numpy(recent) + self.neighbor_weight * shared
        return counted + self.degree_weight * (self.degree[src] * self.degree[dst])

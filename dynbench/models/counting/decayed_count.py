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
from torch import Tensor

from dynbench.contract import Queries
from dynbench.graph import TemporalGraph
from dynbench.models.counting.neighborhood import link_counts
from dynbench.models.history import HistoryModel
from dynbench.sampling.adjacency import entries, shared_neighbors, union_adjacency, weighted_adjacency


class DecayedCount(HistoryModel):
    """Exponentially decayed link counts with two tie breakers.

    Args:
        decay: Factor per snapshot.
        neighbor_weight: Weight of a common neighbour.
        degree_weight: Weight of the degree product.
    """

    needs = frozenset({"snapshots"})

    def __init__(self, *, decay: float = 0.7, neighbor_weight: float = 0.05, degree_weight: float = 1e-6):
        super().__init__()
        self.decay, self.neighbor_weight, self.degree_weight = decay, neighbor_weight, degree_weight

    def count(self, history: TemporalGraph) -> None:
        """Decayed counts, union graph and degrees."""
        age = history.require_steps() - 1 - history.time
        self.recent = weighted_adjacency(history, self.decay**age)
        self.union = union_adjacency(history)
        self.degree = link_counts(history)

    def score(self, queries: Queries) -> Tensor:
        """The weighted sum, in double precision: the degree term is a millionth of the others."""
        src, dst = queries.src.cpu(), queries.dst.cpu()
        shared = shared_neighbors(self.union, np.ones(len(self.degree)), src, dst)
        activity = self.degree[src] * self.degree[dst]
        return entries(self.recent, src, dst) + self.neighbor_weight * shared + self.degree_weight * activity

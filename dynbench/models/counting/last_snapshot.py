"""Last snapshot: what was linked stays linked.

Paper:
    None; the zero-parameter reference of snapshot forecasting.

Equations:
    score(i, j) = 1 if (i, j) is linked in the last snapshot of the history, else 0.

Deviations:
    None.
"""

from __future__ import annotations

from torch import Tensor

from dynbench.contract import Queries
from dynbench.graph import TemporalGraph
from dynbench.models.history import HistoryModel
from dynbench.sampling.adjacency import entries, weighted_adjacency


class LastSnapshot(HistoryModel):
    """Scores a pair by its presence in the last snapshot."""

    needs = frozenset({"snapshots"})

    def count(self, history: TemporalGraph) -> None:
        """Adjacency of the last snapshot."""
        self.last = weighted_adjacency(history.step(history.require_steps() - 1))

    def score(self, queries: Queries) -> Tensor:
        """1 for linked pairs, 0 for others."""
        return (entries(self.last, queries.src, queries.dst) > 0).float()

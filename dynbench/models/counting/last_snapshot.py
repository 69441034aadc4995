"""Last snapshot: what was linked stays linked.

Paper:
    None; the zero-parameter reference of snapshot forecasting.

Equations:
    score(i, j) = 1 if (i, j) is linked in the last snapshot of the history, else 0.

Deviations:
    None.
"""

from __future__ import annotations

import torch
from torch import Tensor

from dynbench.contract import Queries
from dynbench.graph import TemporalGraph
from dynbench.graph.pairs import PairEvents
from dynbench.models.history import HistoryModel


class LastSnapshot(HistoryModel):
    """Scores a pair by its presence in the last snapshot."""

    version = 1
    needs = frozenset({"snapshots"})

    def count(self, history: TemporalGraph) -> None:
        """When each pair was linked, and which snapshot is the last."""
        self.seen, self.steps = PairEvents(history), history.require_steps()

    def add(self, events: TemporalGraph) -> None:
        """Go on to the last snapshot revealed."""
        if len(events):
            self.seen.append(events)
            self.steps = max(self.steps, int(events.time[-1]) + 1)

    def score(self, queries: Queries) -> Tensor:
        """1 for linked pairs, 0 for others."""
        count, _, last = self.seen.spans(self.seen.key(queries.src, queries.dst))
        return torch.from_numpy((count > 0) & (last == self.steps - 1)).float()

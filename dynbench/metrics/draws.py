"""Metrics of a stream that was asked about several times, each time after another draw of examples."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from dynbench.metrics.streams import Aggregate, StreamMetrics

if TYPE_CHECKING:
    from dynbench.contract import Block


class DrawMetrics(StreamMetrics):
    """Means over draws of what :class:`~dynbench.metrics.streams.StreamMetrics` measures, and their spread.

    The draw is the ``groups`` of a block, the same for all of its pairs. ``ap_spread`` and ``auc_spread`` are standard
    deviations over draws, where there are several.

    Args:
        aggregate: As of StreamMetrics.
    """

    def __init__(self, aggregate: Aggregate = "per_batch"):
        super().__init__(aggregate)
        self.add_state("draws", default=[], dist_reduce_fx="cat", persistent=True)

    def update(self, block: Block, answer: Tensor) -> None:
        """Add the ``(Q,)`` scores of a batch after one of the draws."""
        super().update(block, answer)
        draws = torch.zeros(len(answer), dtype=torch.long) if block.groups is None else block.groups.cpu()
        self.draws.append(draws)

    def compute(self) -> dict[str, float]:
        """Means over draws, and the spread."""
        if not len(self.draws):
            return super().compute()
        found = [part.measured() for part in self._parts()]
        means = {name: float(np.mean([values[name] for values in found])) for name in found[0]}
        if len(found) == 1:
            return means
        return means | {f"{k}_spread": float(np.std([v[k] for v in found], ddof=1)) for k in ("ap", "auc")}

    def per_step(self) -> list[dict[str, float]]:
        """One mapping per batch, after the first draw."""
        parts = self._parts() if len(self.draws) else []
        return StreamMetrics.per_step(parts[0]) if parts else []

    def measured(self) -> dict[str, float]:
        """What StreamMetrics measures, of one draw."""
        return StreamMetrics.compute(self)

    def _parts(self) -> list[DrawMetrics]:
        """The same, draw by draw."""
        draws = [int(part[0]) for part in self.draws]
        found = []
        for draw in sorted(set(draws)):
            part = DrawMetrics(self.aggregate)
            for name in ("scores", "labels", "steps", "times"):
                kept = zip(getattr(self, name), draws, strict=True)
                getattr(part, name).extend(values for values, own in kept if own == draw)
            found.append(part)
        return found

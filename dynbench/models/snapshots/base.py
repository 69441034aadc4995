"""What models with a vector for every node and snapshot share: late nodes, later times, scores of pairs."""

from __future__ import annotations

from abc import abstractmethod

import numpy as np
import torch
from torch import Tensor

from dynbench.contract import Queries
from dynbench.graph import TemporalGraph
from dynbench.models.gradient import GradientModel

# Pairs whose vectors are multiplied at once.
_PAIRS = 1 << 14


class SnapshotModel(GradientModel):
    """Embeds nodes in snapshots; a subclass says how, in :meth:`vectors_at`.

    Times after the last snapshot known get the vectors of that snapshot. A pair is scored by the dot product of its
    vectors, unless a subclass has a better score.
    """

    answers = frozenset({"embed", "score"})
    needs = frozenset({"snapshots", "undirected"})

    def __init__(self) -> None:
        super().__init__()
        self._vectors: dict[int, Tensor] = {}

    @property
    @abstractmethod
    def last_step(self) -> int:
        """The last snapshot that has vectors of its own."""

    @abstractmethod
    def vectors_at(self, step: int) -> Tensor:
        """``(N, D)`` vectors in one snapshot."""

    def condition(self, context: TemporalGraph) -> None:
        """Forget vectors that were computed from what was known before."""
        self._vectors = {}

    def train(self, mode: bool = True):
        """Forget vectors that were computed from parameters that now move."""
        self._vectors = {}
        return super().train(mode)

    @torch.no_grad()
    def embed(self, times: Tensor) -> Tensor:
        """``(T, N, D)`` vectors at snapshot indices."""
        return torch.stack([self._at(int(time)) for time in times.tolist()])

    @torch.no_grad()
    def score(self, queries: Queries) -> Tensor:
        """``(Q,)`` scores of pairs, from the vectors at the last snapshot known at each time."""
        scores = torch.empty(len(queries), device=self.device)
        for time in queries.time.unique().tolist():
            asked = (queries.time == time).nonzero().squeeze(1)
            scores[asked] = self.pair_scores(self._at(int(time)), queries.src[asked], queries.dst[asked])
        return scores

    def pair_scores(self, vectors: Tensor, src: Tensor, dst: Tensor) -> Tensor:
        """``(Q,)`` dot products of ``(N, D)`` vectors."""
        pairs = zip(src.split(_PAIRS), dst.split(_PAIRS), strict=True)
        parts = [(vectors.index_select(0, i) * vectors.index_select(0, j)).sum(1) for i, j in pairs]
        return torch.cat(parts) if parts else vectors.new_zeros(0)

    def _at(self, time: int) -> Tensor:
        step = max(0, min(time, self.last_step))
        if step not in self._vectors:
            if self.training:
                self.eval()
            self._vectors[step] = self.vectors_at(step)
        return self._vectors[step]


def rows_of(nodes: Tensor, count: int) -> np.ndarray:
    """``(count,)`` row of each node among ``nodes``; -1 for others."""
    rows = np.full(count, -1)
    rows[nodes.cpu().numpy()] = np.arange(len(nodes))
    return rows

"""Scores of pairs from the representations of their ends."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class PairDecoder(nn.Module):
    """``w . relu(W [z_u | z_v] + c) + c'``; the order of the two ends matters.

    Args:
        dim: Dimension of ``z`` and of the hidden layer.
        dropout: Share of hidden units dropped in training.
    """

    def __init__(self, dim: int, dropout: float):
        super().__init__()
        self.hidden = nn.Linear(2 * dim, dim)
        self.out = nn.Linear(dim, 1)
        self.dropout = nn.Dropout(dropout)

    def forward(self, z: Tensor, src: Tensor, dst: Tensor) -> Tensor:
        """``(Q,)`` logits."""
        pairs = torch.cat([z.index_select(0, src), z.index_select(0, dst)], dim=1)
        return self.out(self.dropout(F.relu(self.hidden(pairs)))).squeeze(1)


class DotDecoder(nn.Module):
    """``z_u . z_v``, the same in both directions; no parameters.

    Args:
        dim, dropout: Those of :class:`PairDecoder`; without effect.
    """

    def __init__(self, dim: int, dropout: float):
        super().__init__()

    def forward(self, z: Tensor, src: Tensor, dst: Tensor) -> Tensor:
        """``(Q,)`` logits."""
        return (z.index_select(0, src) * z.index_select(0, dst)).sum(1)

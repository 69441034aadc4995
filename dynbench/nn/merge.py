"""Two vectors into one, in a layer of ReLU and one without: embeddings of event-stream models, and scores of pairs."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from dynbench.nn.parts import PartLinear


class Merge(nn.Module):
    """``W_2 relu( W_1 [x | y] + b_1 ) + b_2``.

    Args:
        widths: Of x and y.
        hidden: Width in between.
        out: Width of the result.
    """

    def __init__(self, widths: tuple[int, int], hidden: int, out: int):
        super().__init__()
        self.first = PartLinear(widths, hidden)
        self.second = nn.Linear(hidden, out)

    def forward(self, x: Tensor | None, y: Tensor | None) -> Tensor:
        """``(Q, out)``; ``None`` for zeros."""
        return self.second(torch.relu(self.first(x, y)))

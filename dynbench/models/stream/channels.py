"""A linear layer over features that may be zero throughout."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


class Channel(nn.Linear):
    """``W x + b``, of which only b is left where all x are zero.

    Args:
        width: Of the features; narrower ones have zeros at the right.
        out: Of the result.
        copies: How many feature vectors, side by side, are one x.
        reads: Whether training has any features; if not, W cannot learn and is marked so.
    """

    def __init__(self, width: int, out: int, copies: int = 1, reads: bool = True):
        super().__init__(width * copies, out)
        self.width = width
        self.weight.requires_grad_(reads)

    def forward(self, x: Tensor | None) -> Tensor:
        """``(T, copies, width)`` or ``(T, width)`` features to ``(T, out)``; ``None`` for zeros gives ``(out,)``."""
        if x is None:
            return self.bias
        weight = self.weight.unflatten(1, (-1, self.width))[:, :, : x.shape[-1]].flatten(1)
        return F.linear(x.flatten(1), weight, self.bias)

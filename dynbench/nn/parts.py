"""A linear layer on inputs that lie side by side and are not all worth a product.

Event streams without features have zeros where features would be, and the same time encoding in front of many rows. A
part that is zero is left out, a part that all rows share is multiplied once, and a part that is narrower than its place
(features are padded with zeros on the right) meets only the columns that it has.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class PartLinear(nn.Linear):
    """``W [x_1 | x_2 | ...] + b``.

    Args:
        widths: Columns of each part.
        out: Rows of W.
        bias: Whether there is a b.
    """

    def __init__(self, widths: Sequence[int], out: int, bias: bool = True):
        super().__init__(sum(widths), out, bias)
        self.widths = tuple(widths)

    def columns(self) -> tuple[Tensor, ...]:
        """The columns of W that belong to each part."""
        return self.weight.split(self.widths, dim=1)

    def forward(self, *parts: Tensor | None) -> Tensor:
        """Outputs of all rows.

        Args:
            *parts: ``(..., width)`` each; narrower for zeros at the right, ``(width,)`` for a part that all rows share,
                and ``None`` for zeros.

        Returns:
            ``(..., out)``; ``(out,)`` if no part has rows of its own.
        """
        present = [(x, w[:, : x.shape[-1]]) for x, w in zip(parts, self.columns(), strict=True) if x is not None]
        total = self.bias
        for x, w in sorted(present, key=lambda pair: pair[0].dim()):
            # The sum so far is added within the product: a bias of rows is as cheap as one of columns.
            total = F.linear(x, w, total) if total is None or total.dim() == 1 else _added(total, x, w)
        return self.weight.new_zeros(self.out_features) if total is None else total


def _added(total: Tensor, x: Tensor, w: Tensor) -> Tensor:
    if total.shape[:-1] != x.shape[:-1]:
        return total + F.linear(x, w)
    return torch.addmm(total.flatten(end_dim=-2), x.flatten(end_dim=-2), w.T).unflatten(0, total.shape[:-1])

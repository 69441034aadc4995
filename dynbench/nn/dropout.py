"""Dropout whose random numbers cost less than the layer it follows.

On a CPU torch draws one number of 32 bits per entry, one after the other, which takes longer than the matrix product in
front of it. Sixteen bits decide as well: the share that is dropped is right to 1/65,536, and a draw of 64 bits serves
four entries.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

_STEPS = 1 << 16


def dropout(x: Tensor, share: float, training: bool) -> Tensor:
    """Drop a share of the entries, and scale the others so that the mean stays.

    Args:
        x: Any shape.
        share: To be dropped, in ``[0, 1)``.
        training: Nothing is dropped otherwise.
    """
    if not training or share == 0.0 or not x.numel():
        return x
    return _Dropout.apply(x, share) if x.device.type == "cpu" else F.dropout(x, share)


def kept(shape: torch.Size, share: float) -> tuple[Tensor, float]:
    """A ``bool`` mask of what stays, on the CPU, and the factor that makes up for the rest."""
    count = shape.numel()
    bits = torch.empty((count + 3) // 4, dtype=torch.long).random_(-(2**63), None).view(torch.int16)
    dropped = round(share * _STEPS)
    return (bits[:count] >= dropped - _STEPS // 2).view(shape), _STEPS / (_STEPS - dropped)


class _Dropout(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor, share: float) -> Tensor:
        mask, ctx.scale = kept(x.shape, share)
        ctx.save_for_backward(mask)
        return (x * mask).mul_(ctx.scale)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None]:
        (mask,) = ctx.saved_tensors
        return (gradient * mask).mul_(ctx.scale), None

"""Dropout whose random numbers cost less than the layer it follows.

On a CPU torch draws one number of 32 bits per entry, one after the other, which takes longer than the matrix product in
front of it. Sixteen bits decide as well: the share that is dropped is right to 1/65,536, and a draw of 64 bits serves
four entries. The rest is a loop that numba compiles.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from numba import njit
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
    bits, least, scale = _drawn(shape.numel(), share)
    return (bits >= least).view(shape), scale


def _drawn(count: int, share: float) -> tuple[Tensor, int, float]:
    """``(count,)`` numbers of 16 bits, the least of those whose entry stays, and the factor."""
    bits = torch.empty((count + 3) // 4, dtype=torch.long).random_(-(2**63), None).view(torch.int16)
    dropped = round(share * _STEPS)
    return bits[:count], dropped - _STEPS // 2, _STEPS / (_STEPS - dropped)


class _Dropout(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor, share: float) -> Tensor:
        if x.dtype != torch.float:
            mask, ctx.scale = kept(x.shape, share)
            ctx.save_for_backward(mask)
            return (x * mask).mul_(ctx.scale)
        bits, least, ctx.scale = _drawn(x.numel(), share)
        out, mask = torch.empty(x.shape), torch.empty(x.shape, dtype=torch.bool)
        arrays = (part.contiguous().view(-1).numpy() for part in (x, bits, out, mask))
        _drop(*arrays, least, np.float32(ctx.scale))
        ctx.save_for_backward(mask)
        return out

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None]:
        (mask,) = ctx.saved_tensors
        if gradient.dtype != torch.float:
            return (gradient * mask).mul_(ctx.scale), None
        out = torch.empty(mask.shape)
        arrays = (part.contiguous().view(-1).numpy() for part in (gradient, mask, out))
        _scale(*arrays, np.float32(ctx.scale))
        return out, None


@njit(cache=True, nogil=True)
def _drop(x, bits, out, mask, least, scale):
    """Where the bits say so, ``x`` times the factor; one pass for what would be four."""
    for place in range(len(x)):
        stays = bits[place] >= least
        mask[place] = stays
        out[place] = x[place] * scale if stays else np.float32(0.0)


@njit(cache=True, nogil=True)
def _scale(x, mask, out, scale):
    for place in range(len(x)):
        out[place] = x[place] * scale if mask[place] else np.float32(0.0)

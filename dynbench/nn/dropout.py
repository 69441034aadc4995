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


def _drawn(count: int, share: float) -> tuple[Tensor, int, float]:
    """``(count,)`` numbers of 16 bits, the least whose entry stays, and the factor that makes up for the rest."""
    bits = torch.empty((count + 3) // 4, dtype=torch.long).random_(-(2**63), None).view(torch.int16)
    dropped = round(share * _STEPS)
    return bits[:count], dropped - _STEPS // 2, _STEPS / (_STEPS - dropped)


class _Dropout(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor, share: float) -> Tensor:
        bits, least, ctx.scale = _drawn(x.numel(), share)
        out, mask = torch.empty(x.shape, dtype=x.dtype), torch.empty(x.shape, dtype=torch.bool)
        _drop(_array(x), bits.numpy(), _array(out), _array(mask), least, *_factor(x.dtype, ctx.scale))
        ctx.save_for_backward(mask)
        return _scaled(out, ctx.scale)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None]:
        (mask,) = ctx.saved_tensors
        out = torch.empty(mask.shape, dtype=gradient.dtype)
        _scale(_array(gradient), _array(mask), _array(out), *_factor(gradient.dtype, ctx.scale))
        return _scaled(out, ctx.scale), None


# Numbers of half the width have no arithmetic in compiled loops, and are only moved there.
_HALVES = (torch.bfloat16, torch.float16)


def _array(x: Tensor) -> np.ndarray:
    flat = x.contiguous().view(-1)
    return flat.view(torch.int16).numpy() if x.dtype in _HALVES else flat.numpy()


def _factor(dtype: torch.dtype, scale: float) -> tuple[np.generic, np.generic]:
    """What a loop multiplies by, and zero, in the type of the loop's numbers."""
    if dtype in _HALVES:
        return np.int16(1), np.int16(0)
    kind = np.float32 if dtype == torch.float else np.float64
    return kind(scale), kind(0)


def _scaled(x: Tensor, scale: float) -> Tensor:
    return x.mul_(scale) if x.dtype in _HALVES else x


@njit(cache=True, nogil=True)
def _drop(x, bits, out, mask, least, scale, zero):
    """Where the bits say so, ``x`` times the factor; one pass for what would be four."""
    for place in range(len(x)):
        stays = bits[place] >= least
        mask[place] = stays
        out[place] = x[place] * scale if stays else zero


@njit(cache=True, nogil=True)
def _scale(x, mask, out, scale, zero):
    for place in range(len(x)):
        out[place] = x[place] * scale if mask[place] else zero

"""Dropout whose random numbers cost less than the layer it follows.

On a CPU torch draws one number of 32 bits per entry, one after the other on one thread, which takes longer than the
matrix product in front of it. Here torch draws one seed per call, and entry ``i`` stays or goes by what a hash makes of
the seed and ``i`` (Steele, Lea and Flood, 2014: splitmix64). So threads share the work, and the way back draws the same
numbers again instead of keeping a mask. Sixteen bits decide: the share that is dropped is right to 1/65,536, and a hash
of 64 bits serves four entries.
"""

from __future__ import annotations

import functools
import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
import torch.nn.functional as F
from numba import njit
from torch import Tensor

_STEPS = 1 << 16
# Entries that are worked on at once, in the cache of a core.
_AT_ONCE = 4096
# Entries that are worth a thread.
_WORTH = 1 << 16


def dropout(x: Tensor, share: float, training: bool) -> Tensor:
    """Drop a share of the entries, and scale the others so that the mean stays.

    Args:
        x: Any shape.
        share: To be dropped, in ``[0, 1)``.
        training: Nothing is dropped otherwise.
    """
    if not training or share == 0.0 or not x.numel():
        return x
    here = x.device.type == "cpu" and x.dtype in (torch.float, torch.double, torch.bfloat16)
    return _Dropout.apply(x, share) if here else F.dropout(x, share)


class _Dropout(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor, share: float) -> Tensor:
        ctx.seed, ctx.share = int(torch.randint(-(2**63), 2**63 - 1, ())), share
        return _dropped(x, ctx.seed, share)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None]:
        return _dropped(gradient, ctx.seed, ctx.share), None


def _dropped(x: Tensor, seed: int, share: float) -> Tensor:
    """A copy with some entries dropped and the others scaled; which ones, seed and place say."""
    source, out = x.contiguous(), torch.empty(x.shape, dtype=x.dtype)
    least = round(share * _STEPS)
    here, there = _array(source), _array(out)
    drop = _drop_halves if x.dtype == torch.bfloat16 else _drop
    scale = (np.float32 if x.dtype == torch.bfloat16 else here.dtype.type)(_STEPS / (_STEPS - least))
    how = np.uint64(seed % 2**64), np.uint16(least), scale
    _in_parts(lambda begin, end: drop(here, there, begin, end, *how), len(here))
    return out


def _array(x: Tensor) -> np.ndarray:
    """All entries, in their order; numpy knows no bfloat16, so those are the bits."""
    flat = x.detach().view(-1)
    return flat.view(torch.int16).numpy().view(np.uint16) if x.dtype == torch.bfloat16 else flat.numpy()


def _in_parts(work, count: int) -> None:
    """Call ``work(begin, end)`` for parts that make up all entries, on as many threads as torch has."""
    parts = min(torch.get_num_threads(), -(-count // _WORTH))
    edges = [count * part // parts // _AT_ONCE * _AT_ONCE for part in range(parts)] + [count]
    waiting = [_threads(os.getpid()).submit(work, *edges[part : part + 2]) for part in range(1, parts)]
    work(*edges[:2])
    for one in waiting:
        one.result()


@functools.cache
def _threads(process: int) -> ThreadPoolExecutor:
    """Threads of this process; one that was forked has none of its parent's."""
    return ThreadPoolExecutor(max_workers=64, thread_name_prefix="dropout")


@njit(inline="always")
def _hash(place, seed, hashed):
    """Sixteen bits for each of ``_AT_ONCE`` entries from ``place`` on, four entries in a number."""
    first = np.uint64(place // 4 + 1)
    for i in range(len(hashed)):
        z = seed + (first + np.uint64(i)) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        hashed[i] = z ^ (z >> np.uint64(31))


@njit(cache=True, nogil=True)
def _drop(x, out, begin, end, seed, least, scale):
    """The entries from ``begin``, a multiple of four, to ``end``."""
    hashed = np.empty(_AT_ONCE // 4, np.uint64)
    bits = hashed.view(np.uint16)
    for start in range(begin, end, _AT_ONCE):
        _hash(start, seed, hashed)
        source, target = x[start : min(start + _AT_ONCE, end)], out[start:end]
        for i in range(len(source)):
            kept = source[i] * scale
            target[i] = kept if bits[i] >= least else 0


@njit(cache=True, nogil=True)
def _drop_halves(x, out, begin, end, seed, least, scale):
    """The same for the bits of bfloat16, the upper half of a float's; products are rounded to the nearest even one."""
    hashed, wide = np.empty(_AT_ONCE // 4, np.uint64), np.empty(_AT_ONCE, np.uint32)
    bits, number = hashed.view(np.uint16), wide.view(np.float32)
    for start in range(begin, end, _AT_ONCE):
        _hash(start, seed, hashed)
        source, target = x[start : min(start + _AT_ONCE, end)], out[start:end]
        for i in range(len(source)):
            wide[i] = np.uint32(source[i]) << np.uint32(16)
        for i in range(len(source)):
            kept = number[i] * scale
            number[i] = kept if bits[i] >= least else np.float32(0)
        for i in range(len(source)):
            even = (wide[i] >> np.uint32(16)) & np.uint32(1)
            target[i] = np.uint16((wide[i] + np.uint32(0x7FFF) + even) >> np.uint32(16))

"""Random numbers that belong to what they are drawn for: no order of questions, and no other question, moves them."""

from __future__ import annotations

import torch
from torch import Tensor

# The constants of SplitMix64 (Steele, Lea, Flood, 2014), as signed numbers.
_STEP, _FIRST, _SECOND = -7046029254386353131, -4658895280553007687, -7723592293110705685


def hashed_uniform(keys: tuple[Tensor, ...], count: int, seed: int) -> Tensor:
    """Numbers in ``[0, 1)`` that depend on the keys and the seed alone.

    Args:
        keys: ``(Q,)`` integers or doubles, which together name what is drawn for.
        count: Draws for each.
        seed: Another one gives other numbers.

    Returns:
        ``(Q, count) double``.
    """
    state = torch.full_like(keys[0], seed, dtype=torch.long)
    for key in keys:
        bits = (key.double() + 0.0).view(torch.long) if key.is_floating_point() else key.long()
        state = _mixed(state ^ bits)
    steps = torch.arange(1, count + 1, device=state.device) * _STEP
    drawn = _mixed(state[:, None] + steps)
    return _shifted(drawn, 11).double() * 2.0**-53


def _mixed(x: Tensor) -> Tensor:
    x = (x ^ _shifted(x, 30)) * _FIRST
    x = (x ^ _shifted(x, 27)) * _SECOND
    return x ^ _shifted(x, 31)


def _shifted(x: Tensor, by: int) -> Tensor:
    """Shifted to the right, with zeros coming in."""
    return (x >> by) & ((1 << (64 - by)) - 1)

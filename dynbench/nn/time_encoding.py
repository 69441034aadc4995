"""Cosines of time differences, the eyes of every event-stream model for time.

``Phi(dt)_j = cos( w_j dt + b_j )``, with frequencies that start as a geometric row from 1 to 1e-9 per unit of time.
Computed in single precision whatever the precision around it: at a difference of a month, half precision could not tell
one hour from the next.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class TimeEncoding(nn.Module):
    """Frequencies and phases, trained or fixed.

    Args:
        dim: Number of cosines.
        trained: Whether they are parameters; fixed ones are buffers that no state holds.
    """

    def __init__(self, dim: int, trained: bool = True):
        super().__init__()
        frequency, phase = 10.0 ** -torch.linspace(0, 9, dim), torch.zeros(dim)
        if trained:
            self.frequency, self.phase = nn.Parameter(frequency), nn.Parameter(phase)
        else:
            self.register_buffer("frequency", frequency, persistent=False)
            self.register_buffer("phase", phase, persistent=False)

    def forward(self, delta: Tensor) -> Tensor:
        """``(...)`` time differences to ``(..., dim) float``."""
        return _Cosines.apply(delta.float(), self.frequency, self.phase)

    def now(self) -> Tensor:
        """``(dim,)`` the encoding of no difference at all."""
        return self.phase.cos()


class _Cosines(torch.autograd.Function):
    """The same as ``cos(delta[..., None] * frequency + phase)``, with one tensor kept and one product backwards."""

    @staticmethod
    def forward(ctx, delta: Tensor, frequency: Tensor, phase: Tensor) -> Tensor:
        angle = torch.addcmul(phase, delta[..., None], frequency)
        ctx.save_for_backward(delta, angle)
        return angle.cos()

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[None, Tensor, Tensor]:
        delta, angle = ctx.saved_tensors
        slope = angle.sin().mul_(gradient).flatten(end_dim=-2)
        rows = torch.stack([delta.flatten(), torch.ones_like(delta).flatten()])
        frequency, phase = -(rows @ slope)
        return None, frequency, phase

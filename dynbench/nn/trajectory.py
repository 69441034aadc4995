"""Gaussian posteriors over trajectories: a mean and a log-variance for every row (node, attribute, …) and step.

Two parametrisations share one interface: evolved by recurrent cells from a learnable start (NLSM, section 3.3 of its
method), or free tables (its baseline BAS).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


class EvolvedTrajectory(nn.Module):
    """Means and log-variances that two gated recurrent cells evolve from a learnable first step.

    The cells get no input, their state *is* their output, and all rows share them. With ``[r | u | w] = h U + beta``::

        n  = tanh(beta_n + sigmoid(r) * w)
        h' = (1 - sigmoid(u)) * n + sigmoid(u) * h

    which is a GRU fed with zeros. The mean's cell and the log-variance's cell are stacked along the first axis and
    advance together.

    Args:
        rows: Number of rows.
        dim: Width of a row.
        start_log_variance: Log-variance of every row before training.
        start_scale: Standard deviation of the means before training.
        update_bias: Added to the update gate's bias; 3 to 5 makes an untrained cell nearly the identity.
    """

    def __init__(self, rows: int, dim: int, start_log_variance: float, start_scale: float, update_bias: float):
        super().__init__()
        bound = 1 / math.sqrt(dim)
        means = start_scale * torch.randn(rows, dim)
        self.start = nn.Parameter(torch.stack([means, torch.full((rows, dim), start_log_variance)]))
        self.weight = nn.Parameter(torch.empty(2, dim, 3 * dim).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(2, 1, 3 * dim).uniform_(-bound, bound))
        self.candidate_bias = nn.Parameter(torch.empty(2, 1, dim).uniform_(-bound, bound))
        with torch.no_grad():
            self.bias[:, :, dim : 2 * dim] += update_bias

    def forward(self, steps: int, rows: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Unroll the trajectories.

        Args:
            steps: Number of steps.
            rows: ``(n,) long`` rows to unroll; all of them when omitted.

        Returns:
            Means and log-variances, each ``(steps, n, dim)``.
        """
        return self.unroll(self.rows(steps, rows), steps)

    def rows(self, steps: int, rows: Tensor | None = None) -> Tensor:
        """``(..., n, dim)`` what the trajectories of some rows follow from; :meth:`unroll` may be given parts of it."""
        return self.start if rows is None else self.start.index_select(1, rows)

    def unroll(self, state: Tensor, steps: int) -> tuple[Tensor, Tensor]:
        """Means and log-variances that follow from :meth:`rows`."""
        states = [state]
        for _ in range(steps - 1):
            state = _advance(state, self.weight, self.bias, self.candidate_bias)
            states.append(state)
        mean, log_variance = torch.stack(states, dim=1).unbind(0)
        return mean, log_variance

    def forecast(self, steps: int, ahead: int) -> Tensor:
        """``(rows, dim)`` means ``ahead`` steps after the last of ``steps`` (0: the last step itself)."""
        state = self.start[:1]
        for _ in range(steps - 1 + ahead):
            state = _advance(state, self.weight[:1], self.bias[:1], self.candidate_bias[:1])
        return state[0]

    @torch.no_grad()
    def shift(self) -> None:
        """Start a step later: every row's start becomes its second step, and the cells stay as they are."""
        self.start.copy_(_advance(self.start, self.weight, self.bias, self.candidate_bias))


class FreeTrajectory(nn.Module):
    """Means and log-variances that are free parameters of every step.

    Args:
        steps: Number of steps.
        rows: Number of rows.
        dim: Width of a row.
        start_log_variance: Log-variance before training.
        start_scale: Standard deviation of the means before training.
    """

    def __init__(self, steps: int, rows: int, dim: int, start_log_variance: float, start_scale: float):
        super().__init__()
        means = start_scale * torch.randn(1, rows, dim).repeat(steps, 1, 1)
        self.table = nn.Parameter(torch.stack([means, torch.full((steps, rows, dim), start_log_variance)]))

    def extended(self, steps: int) -> FreeTrajectory:
        """A copy with ``steps`` steps; each new one starts as a copy of the last."""
        grown = object.__new__(type(self))
        nn.Module.__init__(grown)
        last = self.table[:, -1:].expand(-1, steps - self.table.shape[1], -1, -1)
        grown.table = nn.Parameter(torch.cat([self.table.detach(), last.detach()], dim=1))
        return grown

    def forward(self, steps: int, rows: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """As :meth:`EvolvedTrajectory.forward`."""
        return self.unroll(self.rows(steps, rows), steps)

    def rows(self, steps: int, rows: Tensor | None = None) -> Tensor:
        """As :meth:`EvolvedTrajectory.rows`."""
        table = self.table[:, :steps]
        return table if rows is None else table.index_select(2, rows)

    def unroll(self, table: Tensor, steps: int) -> tuple[Tensor, Tensor]:
        """As :meth:`EvolvedTrajectory.unroll`."""
        mean, log_variance = table.unbind(0)
        return mean, log_variance

    def forecast(self, steps: int, ahead: int) -> Tensor:
        """``(rows, dim)`` means of the last step: without dynamics the best guess for any later one."""
        return self.table[0, steps - 1]


def _advance(state: Tensor, weight: Tensor, bias: Tensor, candidate_bias: Tensor) -> Tensor:
    """One step of stacked cells: ``(C, n, d)`` states with ``(C, d, 3d)`` weights."""
    dim = state.shape[-1]
    # In mixed precision the product alone is rounded: states add up over all steps.
    sums = torch.baddbmm(bias, state, weight).to(state.dtype)
    gates, candidate = sums.split([2 * dim, dim], dim=-1)
    reset, update = torch.sigmoid(gates).chunk(2, dim=-1)
    candidate = torch.tanh(torch.addcmul(candidate_bias, reset, candidate))
    return torch.lerp(candidate, state, update)

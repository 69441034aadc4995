"""Kullback-Leibler terms of a Gaussian random-walk prior under a mean-field Gaussian posterior."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def random_walk_kl(mean: Tensor, log_variance: Tensor, wide: float, drift: float) -> Tensor:
    """KL divergence from the posterior to the random-walk prior, for every row.

    Prior: ``x_1 ~ N(0, wide^2)``, ``x_t ~ N(x_{t-1}, drift^2)``. Posterior: independent Gaussians with variances
    ``v_t``. Since the previous step is itself uncertain, its variance appears in each later term (NLSM, eq. 10, worked
    out)::

        D_1 = 1/2 sum [ (v_1 + m_1^2) / wide^2 - log v_1 + log wide^2 - 1 ]
        D_t = 1/2 sum [ (v_t + v_{t-1} + (m_t - m_{t-1})^2) / drift^2 - log v_t + log drift^2 - 1 ]

    Args:
        mean, log_variance: ``(T, n, d)``.
        wide: Standard deviation of the first step.
        drift: Standard deviation of a step of the walk.

    Returns:
        ``(n,)`` divergences, summed over steps and coordinates.
    """
    steps, _, dim = mean.shape
    # A variance counts once against the wide prior or its predecessor, and once more as a predecessor itself.
    precision = torch.full((steps, 1), 2 / drift**2, device=mean.device)
    precision[-1] = 1 / drift**2
    precision[0] = 1 / wide**2 + (1 / drift**2 if steps > 1 else 0)
    spread = precision * log_variance.exp().sum(-1) - log_variance.sum(-1)
    moved = mean[0].square().sum(-1) / wide**2 + mean.diff(dim=0).square().sum((0, 2)) / drift**2
    constant = dim * (2 * math.log(wide) + (steps - 1) * 2 * math.log(drift) - steps)
    return 0.5 * (spread.sum(0) + moved + constant)


def standard_kl(mean: Tensor, log_variance: Tensor, wide: float) -> Tensor:
    """``(n,)`` KL divergences to ``N(0, wide^2)``, every step on its own; arguments as in :func:`random_walk_kl`."""
    steps, _, dim = mean.shape
    terms = (log_variance.exp() + mean.square()) / wide**2 - log_variance
    return 0.5 * (terms.sum((0, 2)) + steps * dim * (2 * math.log(wide) - 1))

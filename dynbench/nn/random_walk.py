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
    return standard_kl(mean[:1], log_variance[:1], wide) + _walk_kl(mean, log_variance, drift)


def standard_kl(mean: Tensor, log_variance: Tensor, wide: float) -> Tensor:
    """``(n,)`` KL divergences to ``N(0, wide^2)``, every step on its own; arguments as in :func:`random_walk_kl`."""
    terms = (log_variance.exp() + mean.square()) / wide**2 - log_variance
    return _half_sum(terms, 2 * math.log(wide) - 1)


def _walk_kl(mean: Tensor, log_variance: Tensor, drift: float) -> Tensor:
    variance = log_variance.exp()
    moved = variance[1:] + variance[:-1] + (mean[1:] - mean[:-1]).square()
    return _half_sum(moved / drift**2 - log_variance[1:], 2 * math.log(drift) - 1)


def _half_sum(terms: Tensor, constant: float) -> Tensor:
    steps, _, dim = terms.shape
    return 0.5 * (terms.sum(dim=(0, 2)) + torch.tensor(steps * dim * constant))

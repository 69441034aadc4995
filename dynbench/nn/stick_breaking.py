"""Relaxed Indian buffet processes: Kumaraswamy sticks, binary concrete memberships, and their divergences.

A stick-breaking Indian buffet process has ``v_k ~ Beta(alpha, 1)`` and ``pi_k = v_1 ... v_k``. Its posterior is
approximated by Kumaraswamy distributions, whose inverse distribution function is elementary, and its binary memberships
by binary concrete ones. All of it works on logarithms: with a hundred sticks a probability may be ``e^-50``.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

# Uniform draws keep this distance from 0 and 1, where quantile functions are infinite.
_EDGE = 1e-4
# Terms of the series in the Kumaraswamy divergence that are added up one by one.
_TERMS = 10
_EULER = 0.5772156649015329


def log1mexp(x: Tensor) -> Tensor:
    """``log(1 - e^x)`` for negative ``x``; arguments that were rounded up to 0 count as the number below."""
    x = x.clamp(max=-torch.finfo(x.dtype).eps)
    # Next to 0 the difference is lost in e^x, far from it in 1 - e^x.
    near = x > -0.6931471805599453
    return torch.where(near, torch.log(-torch.expm1(torch.where(near, x, -1.0))), torch.log1p(-torch.exp(x)))


def uniform_like(x: Tensor) -> Tensor:
    """Uniform numbers that are neither 0 nor 1."""
    return torch.rand_like(x).mul_(1 - 2 * _EDGE).add_(_EDGE)


def log_sticks(c: Tensor, d: Tensor, uniform: Tensor) -> Tensor:
    """Logarithms of Kumaraswamy(c, d) draws, ``v = (1 - u^(1/d))^(1/c)``.

    Args:
        c, d: ``(K,)`` positive parameters.
        uniform: ``(..., K)`` uniform numbers.
    """
    return log1mexp(torch.log(uniform) / d) / c


def mean_sticks(c: Tensor, d: Tensor) -> Tensor:
    """``(K,)`` means of Kumaraswamy(c, d), ``d B(1 + 1/c, d)``."""
    return d * torch.exp(_log_beta(1 + 1 / c, d))


def stick_logits(log_v: Tensor) -> Tensor:
    """``(..., K)`` logits of ``pi_k = v_1 ... v_k``; they fall with k."""
    log_pi = log_v.cumsum(-1)
    return log_pi - log1mexp(log_pi)


def concrete(logits: Tensor, temperature: float, uniform: Tensor) -> Tensor:
    """Binary concrete draws before the sigmoid, ``(l + log u - log(1 - u)) / t``."""
    return (logits + torch.logit(uniform)) / temperature


def concrete_log_density(y: Tensor, logits: Tensor, temperature: float) -> Tensor:
    """Log-density of :func:`concrete` draws at ``y``: logistic, with location ``l / t`` and scale ``1 / t``."""
    z = logits - temperature * y
    return torch.log(torch.as_tensor(temperature, dtype=y.dtype)) + z - 2 * F.softplus(z)


def concrete_kl(y: Tensor, posterior: Tensor, prior: Tensor, temperatures: tuple[float, float]) -> Tensor:
    """One-sample estimate of KL(posterior, prior) between binary concretes, elementwise.

    Args:
        y: Draws from the posterior, before the sigmoid.
        posterior, prior: Logits.
        temperatures: Of the posterior and of the prior.
    """
    return concrete_log_density(y, posterior, temperatures[0]) - concrete_log_density(y, prior, temperatures[1])


def kumaraswamy_kl(c: Tensor, d: Tensor, alpha: float, beta: float = 1.0) -> Tensor:
    """KL(Kumaraswamy(c, d), Beta(alpha, beta)), elementwise (Nalisnick and Smyth, 2017).

    The series that multiplies ``beta - 1`` falls off slowly, so that ten terms are added up and the rest is integrated.
    """
    log_beta = _log_beta(torch.as_tensor(alpha, dtype=c.dtype), torch.as_tensor(beta, dtype=c.dtype))
    value = (c - alpha) / c * (-_EULER - torch.digamma(d) - 1 / d) + torch.log(c * d) + log_beta - (d - 1) / d
    if beta == 1.0:
        return value

    def terms(m: Tensor) -> Tensor:
        return torch.exp(_log_beta(m / c[..., None], d[..., None])) / (m + (c * d)[..., None])

    m = torch.arange(1, _TERMS + 1, dtype=c.dtype, device=c.device)
    log_m = torch.linspace(math.log(_TERMS + 0.5), math.log(1e9), 200, dtype=c.dtype, device=c.device)
    rest = torch.trapezoid(terms(log_m.exp()) * log_m.exp(), log_m)
    return value + (beta - 1) * d * (terms(m).sum(-1) + rest)


def normal_kl(mean: Tensor, log_scale: Tensor) -> Tensor:
    """KL(N(mean, e^(2 log_scale)), N(0, 1)), elementwise."""
    return 0.5 * (mean.square() + torch.exp(2 * log_scale) - 1) - log_scale


def inverse_softplus(x: float) -> float:
    """The number whose softplus is ``x``."""
    return x + float(torch.log(-torch.expm1(torch.tensor(-x, dtype=torch.double))))


def _log_beta(a: Tensor, b: Tensor) -> Tensor:
    return torch.lgamma(a) + torch.lgamma(b) - torch.lgamma(a + b)

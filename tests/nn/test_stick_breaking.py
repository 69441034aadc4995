"""Kumaraswamy sticks and binary concretes: moments, orders, and divergences against Monte-Carlo."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from dynbench.nn import stick_breaking as sticks


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def draws(c: float, d: float, count: int = 400_000) -> Tensor:
    uniform = torch.rand(count, 1, dtype=torch.double)
    return sticks.log_sticks(torch.tensor([c]).double(), torch.tensor([d]).double(), uniform).exp().squeeze(1)


def log_density(v: Tensor, c: float, d: float) -> Tensor:
    return math.log(c * d) + (c - 1) * v.log() + (d - 1) * torch.log1p(-(v**c))


@pytest.mark.parametrize(("c", "d"), [(10.0, 1.0), (2.0, 3.0), (0.7, 1.5), (40.0, 0.5)])
def test_draws_follow_the_distribution(c, d):
    v = draws(c, d)
    point = 0.5 ** (1 / c)
    assert float((v <= point).double().mean()) == pytest.approx(1 - 0.5**d, abs=3e-3)  # 1 - (1 - v^c)^d
    mean = sticks.mean_sticks(torch.tensor([c]).double(), torch.tensor([d]).double())
    assert float(mean) == pytest.approx(float(v.mean()), abs=2e-3)


@pytest.mark.parametrize(("c", "d", "alpha"), [(2.0, 3.0, 2.0), (5.0, 0.8, 10.0), (12.0, 2.0, 10.0), (0.7, 1.5, 3.0)])
@pytest.mark.parametrize("beta", [1.0, 2.5])
def test_divergence_of_sticks(c, d, alpha, beta):
    v = draws(c, d)
    log_norm = math.lgamma(alpha + beta) - math.lgamma(alpha) - math.lgamma(beta)
    beta_density = log_norm + (alpha - 1) * v.log() + (beta - 1) * torch.log1p(-v)
    estimate = (log_density(v, c, d) - beta_density).mean()
    exact = sticks.kumaraswamy_kl(torch.tensor([c]).double(), torch.tensor([d]).double(), alpha, beta)
    assert float(exact) == pytest.approx(float(estimate), abs=1e-2)


def test_divergence_of_sticks_is_zero_at_the_prior_only():
    c, d = torch.tensor([10.0, 10.0, 9.0, 11.0]), torch.tensor([1.0, 1.1, 1.0, 1.0])
    value = sticks.kumaraswamy_kl(c, d, 10.0)
    assert float(value[0]) == pytest.approx(0, abs=1e-6)
    assert (value[1:] > 1e-4).all()


def test_divergence_of_memberships():
    logits, prior = torch.tensor([1.5, -2.0, 0.3]), torch.tensor([-1.0, -2.0, 0.3])
    y = sticks.concrete(logits.expand(300_000, -1), 1.0, torch.rand(300_000, 3))
    value = sticks.concrete_kl(y, logits, prior, (1.0, 0.5)).mean(0)
    assert (value > 0).all()
    same = sticks.concrete_kl(y, logits, logits, (1.0, 1.0))
    assert not same.any()
    # KL between logistics of one scale has no free parameter but the shift; compare with numerical integration.
    grid = torch.linspace(-60, 60, 400_001, dtype=torch.double)
    for k in range(3):
        own = sticks.concrete_log_density(grid, logits[k].double(), 1.0)
        other = sticks.concrete_log_density(grid, prior[k].double(), 0.5)
        assert float(torch.trapezoid(own.exp(), grid)) == pytest.approx(1, abs=1e-6)
        assert float(torch.trapezoid(own.exp() * (own - other), grid)) == pytest.approx(float(value[k]), abs=1e-2)


def test_divergence_of_normals():
    mean, log_scale = torch.tensor([0.7, -2.0]), torch.tensor([-0.5, 0.4])
    own, prior = torch.distributions.Normal(mean, log_scale.exp()), torch.distributions.Normal(0, 1)
    expected = torch.distributions.kl_divergence(own, prior)
    assert torch.allclose(sticks.normal_kl(mean, log_scale), expected, atol=1e-6)


def test_probabilities_fall_with_k_and_stay_finite():
    c, d = torch.full((200,), 2.0), torch.full((200,), 1.0)
    logits = sticks.stick_logits(sticks.log_sticks(c, d, sticks.uniform_like(torch.empty(50, 200))))
    assert torch.isfinite(logits).all()
    assert (logits.diff(dim=1) < 0).all()
    certain = sticks.stick_logits(torch.zeros(1, 3))  # v = 1: the logit is large, and not infinite
    assert torch.isfinite(certain).all()


def test_logarithms_survive_both_ends():
    x = torch.tensor([-1e-9, -1e-3, -0.5, -1.0, -30.0, -200.0], dtype=torch.double)
    accurate = [math.log(-math.expm1(v)) if v > -0.9 else math.log1p(-math.exp(v)) for v in x.tolist()]
    expected = torch.tensor(accurate, dtype=torch.double)
    assert torch.allclose(sticks.log1mexp(x), expected, rtol=1e-9, atol=0)
    single = torch.tensor([-1e-30, 0.0, -1e-3, -90.0], requires_grad=True)
    value = sticks.log1mexp(single)
    value.sum().backward()
    assert torch.isfinite(value).all()
    assert torch.isfinite(single.grad).all()


def test_gradients_reach_the_sticks():
    raw_c, raw_d = torch.full((5,), 2.0, requires_grad=True), torch.full((5,), 0.5, requires_grad=True)
    c, d = torch.nn.functional.softplus(raw_c), torch.nn.functional.softplus(raw_d)
    sticks.stick_logits(sticks.log_sticks(c, d, torch.rand(7, 5))).sum().backward()
    assert (raw_c.grad != 0).all()
    assert (raw_d.grad != 0).all()


@pytest.mark.parametrize("x", [0.01, 1.0, 10.0, 60.0])
def test_inverse_softplus(x):
    assert float(torch.nn.functional.softplus(torch.tensor(sticks.inverse_softplus(x)))) == pytest.approx(x, rel=1e-5)

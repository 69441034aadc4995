"""Divergences beside sampling, beside closed forms, and beside the sum written out."""

from __future__ import annotations

import pytest
import torch
from reference import latent_slow as slow
from torch.distributions import Normal, kl_divergence

from dynbench.nn.random_walk import random_walk_kl, standard_kl

WIDE, DRIFT = 2.0, 0.5


def posterior(steps=3, rows=2, dim=2):
    generator = torch.Generator().manual_seed(0)
    shape = (steps, rows, dim)
    mean = torch.randn(shape, generator=generator, dtype=torch.double)
    return mean, torch.randn(shape, generator=generator, dtype=torch.double) - 1


def test_the_sum_written_out():
    mean, log_variance = posterior(steps=4, rows=3)
    expected = [sum(slow.walk_kl(mean[:, n, d].tolist(), log_variance[:, n, d].tolist(), WIDE, DRIFT)
                    for d in range(2)) for n in range(3)]  # fmt: skip
    assert random_walk_kl(mean, log_variance, WIDE, DRIFT).tolist() == pytest.approx(expected, rel=1e-6)


def test_sampling_agrees():
    mean, log_variance = posterior()
    torch.manual_seed(0)
    q = Normal(mean, (0.5 * log_variance).exp())
    x = q.sample((200_000,))
    prior = Normal(0, WIDE).log_prob(x[:, 0]).sum(-1) + Normal(x[:, :-1], DRIFT).log_prob(x[:, 1:]).sum((1, 3))
    estimate = q.log_prob(x).sum((1, 3)) - prior
    error = estimate.std(0) / len(x) ** 0.5
    exact = random_walk_kl(mean, log_variance, WIDE, DRIFT)
    assert ((estimate.mean(0) - exact).abs() < 4 * error).all()
    assert (error < 0.02 * exact).all()


def test_one_step_is_the_textbook_divergence():
    mean, log_variance = posterior(steps=1)
    expected = kl_divergence(Normal(mean, (0.5 * log_variance).exp()), Normal(torch.zeros(()).double(), WIDE))
    for found in (random_walk_kl(mean, log_variance, WIDE, DRIFT), standard_kl(mean, log_variance, WIDE)):
        torch.testing.assert_close(found, expected.sum((0, 2)), rtol=1e-6, atol=1e-6)


def test_standard_divergences_add_up_over_steps():
    mean, log_variance = posterior()
    expected = kl_divergence(Normal(mean, (0.5 * log_variance).exp()), Normal(torch.zeros(()).double(), WIDE))
    torch.testing.assert_close(standard_kl(mean, log_variance, WIDE), expected.sum((0, 2)), rtol=1e-6, atol=1e-6)


def test_a_step_is_the_expected_divergence_given_the_one_before():
    mean, log_variance = posterior(steps=2)
    torch.manual_seed(0)
    before = Normal(mean[0], (0.5 * log_variance[0]).exp()).sample((200_000,))
    terms = kl_divergence(Normal(mean[1], (0.5 * log_variance[1]).exp()), Normal(before, DRIFT)).sum(-1)
    second = random_walk_kl(mean, log_variance, WIDE, DRIFT) - standard_kl(mean[:1], log_variance[:1], WIDE)
    assert ((terms.mean(0) - second).abs() < 4 * terms.std(0) / len(terms) ** 0.5).all()


def test_stationary_variances():
    # Without data the minimum lies at v_t = s^2 / 2 within the walk and v_T = s^2 at its end.
    mean = torch.zeros(5, 1, 1, dtype=torch.double)
    log_variance = torch.zeros(5, 1, 1, dtype=torch.double, requires_grad=True)
    wide = 1e4
    optimiser = torch.optim.LBFGS([log_variance], max_iter=200, tolerance_grad=1e-12, line_search_fn="strong_wolfe")

    def closure():
        optimiser.zero_grad()
        value = random_walk_kl(mean, log_variance, wide, DRIFT).sum()
        value.backward()
        return value

    optimiser.step(closure)
    variance = log_variance.detach().exp().flatten()
    torch.testing.assert_close(variance[1:4], torch.full((3,), DRIFT**2 / 2).double(), rtol=1e-3, atol=0)
    torch.testing.assert_close(variance[[0, 4]], torch.full((2,), DRIFT**2).double(), rtol=1e-3, atol=0)

"""Random numbers that belong to a question."""

from __future__ import annotations

import torch

from dynbench.sampling.hashed import hashed_uniform


def test_draws_are_uniform_and_unrelated():
    draws = hashed_uniform((torch.arange(4000), torch.arange(4000) % 7), 10, seed=3)
    assert draws.dtype == torch.double
    assert draws.shape == (4000, 10)
    assert 0 <= float(draws.min()) < 1e-3
    assert 1 - 1e-3 < float(draws.max()) < 1
    counts = torch.histc(draws.float(), bins=20, min=0, max=1)
    assert float(((counts - 2000) ** 2 / 2000).sum()) < 50  # chi-square with 19 degrees of freedom; 43.8 is 1 in 1000
    correlation = torch.corrcoef(torch.cat([draws, draws.roll(1, 0)], dim=1).T)
    assert float((correlation - torch.eye(20)).abs().max()) < 0.07  # 4 deviations of a correlation of 4000 draws


def test_draws_depend_on_the_question_alone():
    nodes, times = torch.tensor([3, 5, 3, 8]), torch.tensor([10.5, 10.5, 11.0, 0.0], dtype=torch.double)
    all_, some = hashed_uniform((nodes, times), 6, 1), hashed_uniform((nodes[[3, 0]], times[[3, 0]]), 6, 1)
    assert torch.equal(some, all_[[3, 0]])
    assert torch.equal(hashed_uniform((nodes, times), 3, 1), all_[:, :3])
    assert torch.equal(hashed_uniform((nodes[:1], -times[3:]), 6, 1), hashed_uniform((nodes[:1], times[3:]), 6, 1))
    assert len({row[0] for row in all_.tolist()}) == 4
    assert not (hashed_uniform((nodes, times), 6, 2) == all_).any()

"""Trajectories beside torch's own recurrent cell."""

from __future__ import annotations

import pytest
import torch

from dynbench.nn.trajectory import EvolvedTrajectory, FreeTrajectory

ROWS, DIM = 6, 4


@pytest.fixture
def evolved():
    torch.manual_seed(0)
    return EvolvedTrajectory(ROWS, DIM, start_log_variance=-4.6, start_scale=0.1, update_bias=1.0)


@pytest.fixture
def free():
    torch.manual_seed(0)
    trajectory = FreeTrajectory(3, ROWS, DIM, start_log_variance=-4.6, start_scale=0.1)
    torch.nn.init.normal_(trajectory.table)
    return trajectory


def cell_of(trajectory, which: int) -> torch.nn.GRUCell:
    """Torch's cell with the weights of one of the two stacked cells."""
    cell = torch.nn.GRUCell(1, DIM)
    with torch.no_grad():
        cell.weight_hh.copy_(trajectory.weight[which].T)
        cell.bias_hh.copy_(trajectory.bias[which, 0])
        cell.bias_ih.zero_()
        cell.bias_ih[2 * DIM :] = trajectory.candidate_bias[which, 0]
    return cell


def test_the_cell_is_a_gru_without_input(evolved):
    for which, course in enumerate(evolved(5)):
        cell, state = cell_of(evolved, which), evolved.start[which]
        for step in range(5):
            torch.testing.assert_close(course[step], state, rtol=1e-5, atol=1e-6)
            state = cell(torch.zeros(ROWS, 1), state)


def test_gradients_are_those_of_the_gru(evolved):
    evolved(4)[0].square().sum().backward()
    cell = cell_of(evolved, 0)
    start = evolved.start[0].detach().clone().requires_grad_()
    states = [start]
    for _ in range(3):
        states.append(cell(torch.zeros(ROWS, 1), states[-1]))
    torch.stack(states).square().sum().backward()
    torch.testing.assert_close(evolved.start.grad[0], start.grad, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(evolved.weight.grad[0], cell.weight_hh.grad.T, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(evolved.candidate_bias.grad[0, 0], cell.bias_ih.grad[2 * DIM :], rtol=1e-4, atol=1e-6)
    assert not evolved.weight.grad[1].any()


def test_forecasts_are_further_steps(evolved):
    means, _ = evolved(7)
    for steps in (1, 3):
        for ahead in (0, 1, 4):
            torch.testing.assert_close(evolved.forecast(steps, ahead), means[steps - 1 + ahead], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", ["evolved", "free"])
def test_some_rows_are_rows_of_all(kind, request):
    trajectory, rows = request.getfixturevalue(kind), torch.tensor([4, 0, 5])
    for some, whole in zip(trajectory(3, rows), trajectory(3), strict=True):
        torch.testing.assert_close(some, whole[:, rows])


def test_starting_values(evolved):
    mean, log_variance = evolved(1)
    assert mean.shape == (1, ROWS, DIM)
    assert (log_variance == -4.6).all()
    assert 0.03 < mean.std() < 0.3
    plain = EvolvedTrajectory(ROWS, DIM, -4.6, 0.1, update_bias=0.0)
    assert plain.bias.abs().max() <= DIM**-0.5
    gate = slice(DIM, 2 * DIM)
    assert (evolved.bias[..., gate] >= 1 - DIM**-0.5).all()
    torch.manual_seed(0)
    torch.testing.assert_close(
        EvolvedTrajectory(ROWS, DIM, -4.6, 0.1, 0.0).bias[..., gate] + 1, evolved.bias[..., gate]
    )


def test_a_large_update_bias_is_nearly_the_identity():
    trajectory = EvolvedTrajectory(ROWS, DIM, -4.6, 0.1, update_bias=30.0)
    mean, _ = trajectory(5)
    torch.testing.assert_close(mean[4], mean[0])


def test_free_steps_start_alike_and_are_then_their_own():
    trajectory = FreeTrajectory(3, ROWS, DIM, -4.6, 0.1)
    mean, log_variance = trajectory(3)
    assert torch.equal(mean[0], mean[2])
    assert (log_variance == -4.6).all()
    mean[1].sum().backward()
    assert trajectory.table.grad[0, 1].all()
    assert not trajectory.table.grad[:, [0, 2]].any()
    assert not trajectory.table.grad[1].any()


def test_more_steps_copy_the_last(free):
    longer = free.extended(5)
    assert isinstance(longer, FreeTrajectory)
    assert longer.table.shape == (2, 5, ROWS, DIM)
    assert longer.table.requires_grad
    assert torch.equal(longer.table[:, :3], free.table)
    for step in (3, 4):
        assert torch.equal(longer.table[:, step], free.table[:, 2])
    with torch.no_grad():
        longer.table.zero_()
    assert free.table.all()
    assert torch.equal(free.extended(3).table, free.table)


def test_a_free_trajectory_forecasts_its_last_step(free):
    for ahead in (0, 1, 6):
        assert torch.equal(free.forecast(3, ahead), free.table[0, 2])
    assert torch.equal(free.forecast(2, 0), free.table[0, 1])

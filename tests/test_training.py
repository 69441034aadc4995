"""The Trainer: what it counts, what it refuses, and what an interruption must not change."""

from __future__ import annotations

import csv
import time

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.loggers import CSVLogger

from dynbench.engine.kept import load_tensors, save_tensors
from dynbench.engine.trainer import Trainer
from dynbench.errors import RunError


class Interruption(Exception):
    """The end of a process."""


class Noisy(pl.LightningModule):
    """Fits a line to noise drawn at every step, so that it shows whether draws and optimiser state are taken up."""

    def __init__(self, fail_at: int | None = None, losses: dict[int, float] | None = None):
        super().__init__()
        torch.manual_seed(0)
        self.line = torch.nn.Linear(2, 1)
        self.fail_at, self.losses = fail_at, losses or {}
        self.batches: list[int] = []

    def training_step(self, batch, batch_idx):
        if len(self.batches) == self.fail_at:
            raise Interruption
        self.batches.append(batch)
        x = torch.randn(8, 2)
        factor = self.losses.get(len(self.batches), 1.0)
        return (self.line(x) - torch.randn(8, 1)).square().mean() * factor

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), lr=0.05)


def prepared(folder=None, **options) -> Trainer:
    trainer = Trainer(**options)
    trainer.prepare(folder=folder, checkpoint_seconds=1e-6)
    return trainer


def weights(module) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in module.parameters()])


def fit(trainer: Trainer, module: Noisy, steps=(4, 5, 3)) -> torch.Tensor:
    """Several calls, as a model with several stages makes them; returns what they end in."""
    torch.manual_seed(7)
    trainer.stage("fit")
    for number in steps:
        trainer.train(module, number)
    return weights(module)


# ---- work done --------------------------------------------------------------------------------------------


def test_steps_and_seconds_are_counted():
    trainer, module = prepared(), Noisy()
    assert (trainer.steps, trainer.seconds) == (0, 0.0)
    trainer.train(module, 4)
    after = trainer.seconds
    trainer.train(module, 3)
    assert trainer.steps == 7
    assert 0 < after < trainer.seconds
    assert module.batches == [0, 1, 2, 3, 0, 1, 2]
    assert not module.training


def test_batches_are_repeated_until_the_steps_are_done():
    module = Noisy()
    prepared().train(module, 5, batches=[10, 20])
    assert module.batches == [10, 20, 10, 20, 10]


def test_training_is_that_of_a_plain_loop():
    module = Noisy()
    torch.manual_seed(7)
    prepared().train(module, 6)
    plain = Noisy()
    optimiser = plain.configure_optimizers()
    torch.manual_seed(7)
    for step in range(6):
        optimiser.zero_grad()
        plain.training_step(step, step).backward()
        optimiser.step()
    torch.testing.assert_close(weights(module), weights(plain), rtol=0, atol=0)


def test_gradients_can_be_clipped():
    class Plain(Noisy):
        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), lr=1.0)

    for clip, small in ((1e-3, True), (None, False)):
        module = Plain()
        start = weights(module)
        prepared(gradient_clip=clip).train(module, 1)
        assert (float((weights(module) - start).norm()) <= 1.001e-3) == small


def test_the_loss_is_logged_with_steps_that_go_on(tmp_path):
    trainer = Trainer()
    trainer.prepare(logger=CSVLogger(tmp_path, name="", version="log"), log_every=2)
    trainer.train(Noisy(), 5)
    trainer.train(Noisy(), 4)
    rows = list(csv.DictReader((tmp_path / "log" / "metrics.csv").open()))
    assert [int(row["step"]) for row in rows if row["train/loss/fit"]] == [2, 4, 5, 7, 9]


# ---- what is refused --------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_a_loss_that_is_no_number(value):
    trainer = Trainer()
    trainer.prepare(log_every=1)
    trainer.stage("snapshot 3 of 9")
    with pytest.raises(RunError, match=r"the loss is -?(nan|inf) at step 3 of snapshot 3 of 9; lower model\."):
        trainer.train(Noisy(losses={3: value}), 6)


def test_the_last_loss_is_always_looked_at():
    with pytest.raises(RunError, match="the loss is nan at step 6 of fit"):
        prepared().train(Noisy(losses={6: float("nan")}), 6)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_where_there_is_none():
    with pytest.raises(RunError, match=r"the trainer asks for 2 GPU\(s\) and torch sees 0; use trainer=cpu"):
        Trainer(accelerator="gpu", devices=2)
    assert Trainer(accelerator="auto").device == torch.device("cpu")


# ---- interruptions ----------------------------------------------------------------------------------------


@pytest.fixture
def whole(tmp_path):
    return fit(prepared(tmp_path / "whole"), Noisy())


@pytest.mark.parametrize("at", range(1, 12))
def test_an_interruption_changes_no_parameter(tmp_path, whole, at):
    broken = Noisy(fail_at=at)
    with pytest.raises(Interruption):
        fit(prepared(tmp_path / "run"), broken)
    trainer, fresh = prepared(tmp_path / "run"), Noisy()
    with torch.no_grad():
        fresh.line.weight.zero_()
    torch.testing.assert_close(fit(trainer, fresh), whole, rtol=0, atol=0)
    assert trainer.steps == 12
    # Nothing is done twice: the rest of the fit begins with the step that broke off.
    assert len(broken.batches) + len(fresh.batches) == 12


@pytest.mark.parametrize("at", [4, 10])
def test_seconds_before_an_interruption_count(tmp_path, at):
    class Slow(Noisy):
        def training_step(self, batch, batch_idx):
            time.sleep(0.02)
            return super().training_step(batch, batch_idx)

    with pytest.raises(Interruption):
        fit(prepared(tmp_path / "run"), Slow(fail_at=at))
    trainer = prepared(tmp_path / "run")
    fit(trainer, Slow())
    assert trainer.earlier > 0.02 * (at - 2)
    assert trainer.seconds > trainer.earlier + 0.02 * (12 - at)


def test_a_second_interruption(tmp_path, whole):
    for at in (6, 2):
        with pytest.raises(Interruption):
            fit(prepared(tmp_path / "run"), Noisy(fail_at=at))
    rest = Noisy()
    torch.testing.assert_close(fit(prepared(tmp_path / "run"), rest), whole, rtol=0, atol=0)
    assert len(rest.batches) == 12 - 8


def test_checkpoints_do_not_move_numbers(tmp_path, whole):
    torch.testing.assert_close(fit(prepared(), Noisy()), whole, rtol=0, atol=0)


def test_the_random_state_goes_on_after_a_fit_that_is_not_repeated(tmp_path):
    draws = []
    for _ in range(2):
        fit(prepared(tmp_path / "run"), Noisy())
        draws.append(torch.rand(4))
    assert torch.equal(*draws)


def test_stages_do_not_share_checkpoints(tmp_path):
    trainer, module = prepared(tmp_path), Noisy()
    trainer.stage("one", "a")
    trainer.train(module, 2)
    trainer.stage("two", "b")
    trainer.train(module, 2)
    assert len(module.batches) == 4


def test_tensors_are_written_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "state.pt"
    save_tensors({"x": torch.ones(2), "n": 3}, path)
    kept = load_tensors(path)
    assert (kept["x"].tolist(), kept["n"]) == ([1, 1], 3)

    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr("dynbench.files.os.replace", fail)
    with pytest.raises(OSError, match="disk full"):
        save_tensors({"x": torch.zeros(2)}, path)
    assert load_tensors(path)["x"].tolist() == [1, 1]
    assert [p.name for p in tmp_path.iterdir()] == ["state.pt"]

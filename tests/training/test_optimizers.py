"""Optimisers and schedules that a user chooses, and the settings for finding faults."""

from __future__ import annotations

import pytest
import pytorch_lightning as pl
import torch

from dynbench.config.check import check
from dynbench.config.compose import choices, compose
from dynbench.engine.optimizers import rate
from dynbench.engine.trainer import Trainer
from dynbench.errors import ConfigError


class Slope(pl.LightningModule):
    """One weight whose gradient is 1, and one whose rate is a tenth."""

    def __init__(self, several: bool = False):
        super().__init__()
        self.fast, self.slow = (torch.nn.Parameter(torch.ones(())) for _ in range(2))
        self.several, self.rates = several, []

    def training_step(self, batch, batch_idx):
        self.rates.append(self.optimizers().param_groups[0]["lr"])
        return self.fast + self.slow

    def configure_optimizers(self):
        groups = [{"params": [self.fast], "lr": 0.1}, {"params": [self.slow], "lr": 0.01}]
        made = torch.optim.SGD(groups, lr=0.1)
        return {"optimizer": made} if self.several else made


def trained(steps: int = 4, **settings) -> Slope:
    module = Slope()
    Trainer(**settings).train(module, steps)
    assert "configure_optimizers" not in vars(module)
    return module


def test_the_models_own_is_left_alone():
    module = trained()
    assert float(module.fast) == pytest.approx(1 - 4 * 0.1)
    assert float(module.slow) == pytest.approx(1 - 4 * 0.01)


def test_another_optimiser_keeps_the_groups_and_rates():
    adam = trained(optimizer="adam")
    assert float(adam.fast) == pytest.approx(0.6, abs=1e-4)
    assert float(adam.slow) == pytest.approx(0.96, abs=1e-4)
    decayed = trained(1, optimizer="sgd", weight_decay=0.5)
    assert float(decayed.fast) == pytest.approx(1 - 0.1 * 1.5)
    heavy = trained(2, optimizer="sgd", momentum=0.5)
    assert float(heavy.fast) == pytest.approx(1 - 0.1 - 0.15)


def test_the_rate_follows_its_schedule():
    module = trained(10, scheduler="linear", warmup=0.2)
    assert module.rates == pytest.approx([0.1 * rate(step, 10, "linear", 0.2) for step in range(10)])
    assert module.rates[0] == pytest.approx(0.05)
    assert [rate(step, 8, "step", 0) for step in (0, 4, 6)] == pytest.approx([1, 0.1, 0.01])
    assert rate(0, 8, "constant", 0) == 1


def test_a_model_with_optimisers_of_its_own_making_is_refused():
    with pytest.raises(ConfigError, match="Slope makes its optimisers itself"):
        Trainer(optimizer="adam").train(Slope(several=True), 1)


def test_most_steps_end_a_fit():
    assert len(trained(50, most_steps=1).rates) == 1


@pytest.mark.parametrize("group", ["optimizer", "scheduler", "debug", "experiment"])
def test_every_choice_composes(group):
    for name in choices(group):
        values = check(compose([f"{group}={name}"]))
        assert group not in values
    with pytest.raises(ConfigError, match=f"{group}=nothing is unknown"):
        compose([f"{group}=nothing"])


def test_debugging_stays_apart():
    values = check(compose(["debug=one_batch"]))
    assert (values["work_dir"], values["force"], values["budget"]["name"]) == ("runs/debug", True, "smoke")
    assert values["trainer"]["most_steps"] == 1
    chosen = check(compose(["optimizer=adamw", "scheduler=cosine"]))["trainer"]
    assert (chosen["optimizer"], chosen["weight_decay"], chosen["scheduler"]) == ("adamw", 0.01, "cosine")

"""Callbacks that a user chooses: checked without torch, new for every fit, told apart by what they may do."""

from __future__ import annotations

import subprocess
import sys

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback, LearningRateMonitor, TQDMProgressBar
from pytorch_lightning.loggers import Logger

from dynbench.config.check import check
from dynbench.config.compose import choices, compose, read_choice
from dynbench.engine.session import build, start
from dynbench.engine.trainer import Trainer
from dynbench.engine.watching import DeviceMonitor, GradientMonitor, RateMonitor
from dynbench.errors import ConfigError
from dynbench.records import fit_key, identify, identity_config

MINE = """
from pytorch_lightning.callbacks import Callback


class Halve(Callback):
    def __init__(self, factor: float = 0.5):
        self.factor = factor

    def on_before_optimizer_step(self, trainer, module, optimizer):
        for part in module.parameters():
            part.grad *= self.factor


class Look(Halve):
    watches = True
"""


class Slope(pl.LightningModule):
    """Two weights whose gradients are 1."""

    def __init__(self):
        super().__init__()
        self.weights = torch.nn.Parameter(torch.ones(2))

    def training_step(self, batch, batch_idx):
        return self.weights.sum()

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


class Kept(Logger):
    """Keeps what it is told."""

    name, version = "kept", 0

    def __init__(self):
        super().__init__()
        self.rows = []

    def log_metrics(self, metrics, step=None):
        self.rows += [(name, step, value) for name, value in metrics.items()]

    def log_hyperparams(self, params):
        pass

    def curve(self, name: str) -> dict[int, float]:
        return {step: value for found, step, value in self.rows if found == name}


def trained(*fits: int, logger=False, every: int = 2, **callbacks) -> Slope:
    module, trainer = Slope(), Trainer(callbacks=callbacks, scheduler="linear")
    trainer.prepare(logger=logger, log_every=every)
    trainer.stage("snapshot 1")
    for steps in fits or (4,):
        trainer.train(module, steps)
    return module


@pytest.fixture
def mine(tmp_path, monkeypatch):
    (tmp_path / "my_callbacks.py").write_text(MINE, encoding="utf-8")
    monkeypatch.setenv("DYNBENCH_PLUGINS", str(tmp_path))
    monkeypatch.setattr(sys, "path", [*sys.path])


def composed(*words: str) -> dict:
    return check(compose(["model=gae", "data=nlsm_process", "protocol=temporal_split", *words]))


def test_watchers_tell_rate_gradient_and_speed():
    logger = Kept()
    trained(4, 4, logger=[logger], rate=RateMonitor, gradients=GradientMonitor, device=lambda: DeviceMonitor(every=4))
    # Each fit has a schedule of its own, and the curve goes on.
    assert logger.curve("rate/snapshot 1") == pytest.approx({2: 0.075, 4: 0.025, 6: 0.075, 8: 0.025})
    assert logger.curve("gradient/snapshot 1") == pytest.approx(dict.fromkeys((2, 4, 6, 8), 2**0.5))
    assert set(logger.curve("steps_per_second/snapshot 1")) == set(logger.curve("memory_mb/snapshot 1")) == {4, 8}
    assert all(value > 0 for name, _, value in logger.rows)


def test_watchers_move_no_number():
    plain = trained(7)
    watched = trained(7, rate=RateMonitor, gradients=GradientMonitor, device=DeviceMonitor)
    assert torch.equal(plain.weights, watched.weights)


def test_every_fit_has_callbacks_of_its_own():
    made = []

    class Noted(Callback):
        def __init__(self):
            made.append(self)
            self.starts = 0

        def on_train_start(self, trainer, module):
            self.starts += 1

    trained(2, 2, 2, noted=Noted)
    assert [one.starts for one in made] == [1, 1, 1]


def test_a_callback_may_have_a_hand_in_the_fit():
    class Freeze(Callback):
        def on_before_optimizer_step(self, trainer, module, optimizer):
            module.weights.grad.zero_()

    assert trained(3, freeze=Freeze).weights.tolist() == [1, 1]
    assert trained(3).weights.tolist() != [1, 1]


def test_what_cannot_be_used_is_refused():
    with pytest.raises(ConfigError, match=r"trainer\.callbacks\.odd is a dict, no callback of Lightning"):
        trained(odd=dict)
    with pytest.raises(ConfigError, match="Lightning refuses what is chosen: Cannot use `LearningRateMonitor`"):
        trained(rate=LearningRateMonitor)


def test_a_progress_bar_of_lightning_takes_the_place_of_ours(capsys):
    trained(3, bar=lambda: TQDMProgressBar(refresh_rate=1))
    told = capsys.readouterr()
    assert "Epoch 0" in told.out + told.err
    assert "snapshot 1" not in told.out + told.err


@pytest.mark.parametrize("name", choices("callbacks"))
def test_every_choice_composes_and_can_be_made(name):
    values = composed(f"callbacks={name}")
    (entry,) = values["trainer"]["callbacks"].values()
    assert isinstance(build(entry), Callback)
    assert list(read_choice("callbacks", name)) == [name]
    assert start(values) is not None


def test_several_at_once():
    assert set(composed("callbacks=[rate,gradients]")["trainer"]["callbacks"]) == {"rate", "gradients"}
    with pytest.raises(ConfigError, match="callbacks=grads is unknown; did you mean 'gradients'"):
        compose(["callbacks=[rate,grads]"])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["callbacks=rate", "trainer.callbacks.rate.evry=2"], "'trainer.callbacks.rate.evry'; did you mean .*every'"),
        (["callbacks=rate", "trainer.callbacks.rate.every=0"], "trainer.callbacks.rate.every is 0; it must be"),
        (["+trainer.callbacks.a.size=1"], r"trainer.callbacks.a names no class; set trainer.callbacks.a._target_="),
        (["+trainer.callbacks.a._target_=my_callbacks.Gone"], "my_callbacks defines no class 'Gone'"),
        (["+trainer.callbacks.a._target_=my_callback.Look"], "there is no module 'my_callback'"),
        (["+trainer.callbacks.a={_target_:my_callbacks.Halve,factr:1}"], "a.factr is not .*; did you mean 'factor'?"),
        (["+trainer.callbacks.a={_target_:my_callbacks.Halve,factor:x}"], "a.factor is 'x' .*; expected float"),
        (["+callbacks.a._target_=my_callbacks.Look"], "begins with '# @package trainer.callbacks'"),
    ],
)
def test_mistakes_are_named(words, said, mine):
    with pytest.raises(ConfigError, match=said):
        composed(*words)


def test_nothing_heavy_is_loaded_for_it():
    program = (
        "import sys; from dynbench.config.check import check; from dynbench.config.compose import compose\n"
        "own = '+trainer.callbacks.a._target_=pytorch_lightning.callbacks.Timer'\n"
        "check(compose(['callbacks=[rate,progress]', own]))\n"
        "print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_only_what_may_move_a_number_is_part_of_a_runs_name(mine):
    def names(*words: str) -> tuple[str, str]:
        values = composed(*words)
        return str(identify(values)), fit_key(values)

    def own(target: str, **settings) -> str:
        told = "".join(f",{key}:{value}" for key, value in settings.items())
        return f"+trainer.callbacks.a={{_target_:{target}{told}}}"

    plain = names()
    every = "callbacks=[" + ",".join(choices("callbacks")) + "]"
    lightning = "pytorch_lightning.callbacks"
    for words in ([every], [own("my_callbacks.Look")], [own(f"{lightning}.LearningRateMonitor")]):
        assert names(*words) == plain
    others = [
        names(own("my_callbacks.Halve")),
        names(own("my_callbacks.Halve", factor=0.25)),
        names(own(f"{lightning}.StochasticWeightAveraging", swa_lrs=0.1)),
    ]
    runs, fits = zip(plain, *others, strict=True)
    assert len(set(runs)) == len(set(fits)) == 4


def test_a_record_keeps_what_may_have_moved_its_numbers(mine):
    own = "+trainer.callbacks={a:{_target_:my_callbacks.Halve},b:{_target_:my_callbacks.Look}}"
    config = identity_config(composed(own))["trainer"]
    assert config["callbacks"] == {"a": {"_target_": "my_callbacks.Halve"}}
    assert "callbacks" not in identity_config(composed("callbacks=rate"))["trainer"]

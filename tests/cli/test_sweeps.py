"""Sweeps end with a table; a search maximises the score on validation, and refuses to look at the test."""

from __future__ import annotations

import re

import pytest
from test_command_line import TINY, Command

pytestmark = pytest.mark.slow


@pytest.fixture
def command(tmp_path) -> Command:
    return Command(tmp_path)


def test_a_sweep_ends_with_a_table(command):
    text = command("-m", *TINY, "model=last_snapshot,decayed_count", "seed=0,1")
    last = text[text.index("micro_auc in percent under single_step_nlsm") :]
    found = {line.split()[0]: line for line in last.splitlines()[2:] if line.strip()}
    for model in ("last_snapshot", "decayed_count"):
        own = [record["metrics"]["micro_auc"] for record in command.records() if record["model"] == model]
        assert f"{50 * sum(own):.2f} ± " in found[model]
    assert last.count("*") == 2


def test_optuna_maximises_the_validation_score(command):
    pytest.importorskip("hydra_plugins.hydra_optuna_sweeper")
    search = ("-m", "hydra/sweeper=optuna", "hydra.sweeper.direction=maximize", "hydra.sweeper.n_trials=3",
              "hydra.sweeper.n_jobs=1", "hydra.sweeper.sampler.seed=0")  # fmt: skip
    tiny = ("budget=smoke", "data=nlsm_process", "data.nodes=60", "data.steps=12", "data.density=0.1")
    rate = "model.learning_rate=tag(log,interval(0.001,0.1))"
    text = command(*search, *tiny, "protocol=temporal_split", "model=gae", rate)
    best = float(re.search(r"Best value: ([\d.]+)", text)[1])
    assert best == max(record["metrics"]["val_ap"] for record in command.records())


def test_a_search_without_validation_is_refused_before_it_runs(command):
    pytest.importorskip("hydra_plugins.hydra_optuna_sweeper")
    search = ("-m", "hydra/sweeper=optuna", "hydra.sweeper.n_trials=2", "hydra.sweeper.n_jobs=1")
    text = command(*search, *TINY, "model=bas", "seed=choice(0,1)", code=1)
    assert "measures nothing on validation (every snapshot but the first is one of the test), and a search" in text
    assert re.search(r"protocols that do: single_step_dysat, .*\bwindowed_kg$", text, re.MULTILINE)
    assert command.records() == []

"""The runs of tables through Hydra's launchers: waves that share fits, and a table made by one command."""

from __future__ import annotations

import csv
import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from dynbench.errors import ConfigError
from dynbench.reporting.launching import launch, waves
from tests import warm

ROOT = Path(__file__).resolve().parents[2]


def test_fits_that_are_shared_are_made_once():
    tasks = [SimpleNamespace(fit=fit, name=name) for fit, name in (("a", 1), ("b", 2), ("a", 3), ("c", 4), ("b", 5))]
    assert [[task.name for task in wave] for wave in waves(tasks)] == [[1, 2, 4], [3, 5]]
    assert waves([]) == []


def test_a_launcher_that_is_not_there():
    with pytest.raises(ConfigError, match="hydra/launcher=slurmy"):
        launch([["model=nlsm"]], "slurmy")


@pytest.mark.slow
@pytest.mark.parametrize("launcher", ["basic", "joblib,n_jobs=2", "submitit_local,timeout_min=5"])
def test_one_command_makes_a_table(tmp_path, launcher):
    kind = launcher.partition("_")[0].partition(",")[0]
    if kind != "basic":
        pytest.importorskip(f"hydra_plugins.hydra_{kind}_launcher")
    (tmp_path / "plugin" / "conf" / "table").mkdir(parents=True)
    (tmp_path / "plugin" / "conf" / "table" / "mine_small.yaml").write_text(
        "# A small table.\npaper: mine\ntable: small\ntitle: Small\nruns: 2\nmetrics: {micro_auc: {label: AUC}}\n"
        "rows:\n  - {name: decayed_count, overrides: [model=decayed_count]}\n"
        "  - {name: last_snapshot, overrides: [model=last_snapshot]}\n"
        "columns:\n  - {name: made, overrides: [data=nlsm_process, data.nodes=30, data.steps=4]}\n"
        "overrides: [protocol=single_step_nlsm]\n"
    )
    own = {"DYNBENCH_PLUGINS": str(tmp_path / "plugin"), "DYNBENCH_CACHE": str(tmp_path / "cache")}
    environment = {**os.environ, **own, "PYTHONPATH": str(ROOT)}
    words = ["tables", "--tables", "mine_small", "--launcher", launcher, "--results-dir", "results"]
    assert "runs: 4 finished, 0 failed" in warm.run(["-m", "dynbench", *words], environment, tmp_path)
    with (tmp_path / "results" / "tables" / "mine_small.csv").open(newline="", encoding="utf-8") as file:
        assert [row["n"] for row in csv.DictReader(file)] == ["2", "2"]

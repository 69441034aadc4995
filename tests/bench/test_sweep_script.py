"""The sweep script chooses by validation alone, the first of equals; committed sweeps can be composed."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from dynbench.config.check import check
from dynbench.config.compose import CONF, compose

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def script(monkeypatch):
    """``scripts/sweep.py`` as a module."""
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    import sweep

    return sweep


@pytest.mark.parametrize("best", [0, 1, 2])
def test_validation_decides(script, monkeypatch, tmp_path, capsys, best):
    """The third candidate is best on test pairs, whatever validation says; the second ties with the last."""
    rates = {0.001: (0.9, 0.5), 0.002: (0.8, 0.6), 0.003: (0.7, 0.99)}
    values = {rate: 0.5 + 0.1 * (number == best) for number, rate in enumerate(rates)}

    def run(values_, words):
        rate, seed = values_["model"]["learning_rate"], values_["seed"]
        metrics = {"validation_micro_auc": values[rate] + 0.01 * seed, "micro_auc": rates[rate][1]}
        return SimpleNamespace(record=SimpleNamespace(metrics=metrics))

    monkeypatch.setattr(script, "run", run)
    content = {
        "title": "A sweep", "rule": "The best.", "metrics": ["validation_micro_auc"], "seeds": [0, 2],
        "overrides": ["protocol=single_step_dysat"], "columns": {"here": ["data=nlsm_process"]},
        "systems": {"dysat": [[f"model.learning_rate={rate}"] for rate in rates]},
    }  # fmt: skip
    (tmp_path / "sweep").mkdir()
    (tmp_path / "sweep" / "tiny.yaml").write_text(yaml.safe_dump(content))
    monkeypatch.setattr(script, "CONF", tmp_path)
    assert script.main(["tiny", "--results-dir", str(tmp_path)]) == 0
    chosen = f"model.learning_rate={list(rates)[best]}"
    page = (tmp_path / "sweeps" / "tiny_dysat.md").read_text()
    assert f"| **{chosen}** | **61.00** | **61.00** |" in page
    assert page.count("51.00") == 4
    assert "99" not in page
    assert f"{{row: dysat, column: [here], overrides: [{chosen}]}}" in capsys.readouterr().out


@pytest.mark.parametrize("path", sorted((CONF / "sweep").glob("*.yaml")), ids=lambda path: path.stem)
def test_committed_sweeps(path):
    sweep = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert all(name.startswith("validation_") for name in sweep["metrics"])
    assert len({len(candidates) for candidates in sweep["systems"].values()}) == 1, "one budget for all"
    for system, candidates in sweep["systems"].items():
        found = []
        for candidate in candidates:
            for column in sweep["columns"].values():
                check(compose([f"model={system}", *column, *sweep["overrides"], *candidate]))
            found.append(tuple(sorted(candidate)))
        assert len(set(found)) == len(candidates)

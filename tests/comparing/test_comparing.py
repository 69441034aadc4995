"""Runs side by side: ranks and tests against hand counts and slow twins, and the commands that show them."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pytest

from dynbench.comparing import ranks, tables
from dynbench.comparing.command import main
from dynbench.comparing.matrix import Matrix, build
from dynbench.comparing.searching import validation_score
from dynbench.comparing.sweep import begin, finished, note, table
from dynbench.errors import ConfigError
from dynbench.records import Record, Store


def record(model, data, seed, score, protocol="pairs", budget="quick", **settings) -> Record:
    config = {"model": {"_target_": "m.M", "name": model, **settings}, "data": {"name": data}, "protocol": {}}
    return Record(
        identity=f"{abs(hash((model, data, seed, str(settings)))) % 10**10:010d}", model=model, data=data,
        protocol=protocol, budget=budget, seed=seed, status="finished", metrics={"auc": score}, config=config,
        created="2026-01-01",
    )  # fmt: skip


def matrix(means: dict[str, list[float]], metric: str = "auc") -> Matrix:
    columns = tuple(f"d{k}" for k in range(len(next(iter(means.values())))))
    values = {(row, columns[k]): {0: v} for row, own in means.items() for k, v in enumerate(own)}
    return Matrix("pairs", metric, tuple(means), columns, values, {})


def slow_wilcoxon(differences) -> float:
    """Every way of giving signs, counted one by one."""
    size = [abs(d) for d in differences]
    rank = [sum(other < own for other in size) + (sum(other == own for other in size) + 1) / 2 for own in size]
    signed = [r for r, d in zip(rank, differences, strict=True) if d]
    observed = abs(sum(r if d > 0 else -r for r, d in zip(rank, differences, strict=True) if d))
    outcomes = [abs(sum(s * r for s, r in zip(signs, signed, strict=True))) for signs in
                itertools.product((1, -1), repeat=len(signed))]  # fmt: skip
    return sum(outcome >= observed - 1e-9 for outcome in outcomes) / len(outcomes)


@pytest.mark.parametrize("seed", range(5))
def test_wilcoxon_counts_all_signs(seed):
    draw = np.random.default_rng(seed)
    differences = draw.integers(-4, 6, size=7).astype(float)
    assert ranks.wilcoxon(differences) == pytest.approx(slow_wilcoxon(differences))


def test_wilcoxon_is_that_of_scipy_without_ties():
    from scipy.stats import wilcoxon

    draw = np.random.default_rng(0)
    for size in (6, 10, 14):
        differences = draw.normal(0.4, 1, size)
        assert ranks.wilcoxon(differences) == pytest.approx(wilcoxon(differences, method="exact").pvalue)
    assert ranks.wilcoxon(np.zeros(4)) == 1.0
    assert ranks.wilcoxon(draw.normal(1, 1, 40)) < 0.01


def test_holm_by_hand():
    assert ranks.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert ranks.holm([0.9, 0.8]) == [1.0, 1.0]


def test_the_critical_difference_is_the_printed_one():
    # Demšar 2006, section 3.2.2: four classifiers on 14 datasets.
    assert ranks.critical_difference(4, 14, 0.05) == pytest.approx(1.25, abs=0.005)
    assert ranks.critical_difference(4, 14, 0.10) == pytest.approx(2.291 * (4 * 5 / (6 * 14)) ** 0.5, abs=0.001)


def test_ranks_and_verdicts():
    better = matrix(
        {"a": [0.9, 0.8, 0.7, 0.95, 0.9, 0.8], "b": [0.8, 0.7, 0.6, 0.9, 0.85, 0.7], "c": [0.8, 0.6, 0.5] * 2}
    )
    found = ranks.compare(better)
    assert (found.blocks, found.count, found.rows) == ("datasets", 6, ("a", "b", "c"))
    assert found.ranks == pytest.approx((1, 2 + 1 / 12, 3 - 1 / 12))
    difference, p, corrected = found.pairs["a", "b"]
    assert difference == pytest.approx(np.mean([0.1, 0.1, 0.1, 0.05, 0.05, 0.1]))
    assert p == pytest.approx(2 / 2**6)
    assert corrected == pytest.approx(3 * 2 / 2**6)
    assert found.friedman < 0.01
    assert found.groups() == [(0, 1), (1, 2)]
    worse = ranks.compare(matrix({"a": [0.1, 0.2], "b": [0.3, 0.4]}, "calibration_error"))
    assert worse.rows == ("a", "b")
    assert worse.friedman is None
    assert any("too few" in line for line in tables.verdicts(worse))


def test_a_matrix_of_records():
    runs = [record("a", "x", s, 0.8 + s / 100) for s in range(3)] + [record("b", "x", s, 0.7) for s in range(2)]
    runs += [record("a", "y", 0, 0.6), record("b", "y", 0, 0.65, width=3), record("b", "y", 1, 0.5, width=4)]
    made = build(runs)
    assert made.rows == ("a", "b", "b (width=3)", "b (width=4)")
    assert made.mean("a", "x") == pytest.approx(0.81)
    assert made.sd("a", "x") == pytest.approx(0.01)
    assert made.sd("a", "y") is None
    assert made.best("y") == {"b (width=3)"}
    assert made.complete().columns == ("y",)
    text = tables.terminal(made)
    assert "*81.00 ± 1.00 (3)" in text
    assert "–" in text
    lines = tables.markdown(made).splitlines()
    assert "| a | **81.00 ± 1.00 (3)** | 60.00 |" in lines
    assert tables.to_csv(made).splitlines()[1] == "a,x,0,0.8"
    with pytest.raises(ConfigError, match="no run has the metric 'mrr'; there are auc"):
        build(runs, "mrr")
    with pytest.raises(ConfigError, match="several protocols"):
        build([*runs, record("a", "x", 0, 0.5, protocol="other")])


def test_one_dataset_is_tested_over_its_seeds():
    runs = [record(m, "x", s, v + s / 1000) for m, v in (("a", 0.8), ("b", 0.7)) for s in range(6 if m == "a" else 8)]
    found = ranks.compare(build(runs).complete())
    assert (found.blocks, found.count) == ("seeds", 6)
    assert found.pairs["a", "b"][1] == pytest.approx(2 / 2**6)
    with pytest.raises(ConfigError, match="1 rows have"):
        ranks.compare(build(runs[:6]).complete())


def test_the_command(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = [
        "data=enron,uci",
        "protocol=single_step_nlsm",
        "budget=quick",
        "model=decayed_count,edgebank,last_snapshot",
    ]
    assert main(words) == 0
    said = capsys.readouterr().out
    assert "micro_auc in percent under single_step_nlsm" in said
    assert "ranks over 2 datasets" in said
    folder = next(tmp_path.glob("runs/compare/*"))
    assert "**" in (folder / "table.md").read_text(encoding="utf-8")
    assert len((folder / "values.csv").read_text().splitlines()) > 60
    assert {path.name for path in folder.iterdir()} >= {"ranks.png", "ranks.pdf"}
    assert main(["data=none_such"]) == 2
    assert "no finished run is data=none_such" in capsys.readouterr().err
    assert main(["data=enron"]) == 2
    assert "add protocol=NAME: single_step_nlsm (" in capsys.readouterr().err


def test_a_sweep_ends_with_a_table(tmp_path, monkeypatch):
    monkeypatch.setenv("DYNBENCH_SWEEP", "")
    name = begin()
    store = Store(tmp_path / "results", tmp_path / "runs")
    runs = [record("a", "x", 0, 0.8), record("b", "x", 0, 0.7)]
    values = {"results_dir": str(tmp_path / "results"), "work_dir": str(tmp_path / "runs")}
    for one in runs:
        path = store.path(one.name)
        path.parent.mkdir(parents=True, exist_ok=True)
        config = {group: {"name": "of_a_plug_in", "_target_": "m.M"} for group in ("data", "protocol", "trainer")}
        path.write_text(json.dumps({**one.__dict__, "config": {**config, "model": one.config["model"]}}))
        note(values, one.name)
        note(values, one.name)
    found = finished(name, tmp_path / "results", tmp_path / "runs")
    assert [one.model for one in found] == ["a", "b"]
    assert "*80.00" in table(found)
    assert table(found[:1]) == ""


def test_a_search_looks_at_validation_only():
    assert validation_score({"ap": 0.9, "val_auc": 0.7, "val_ap": 0.6}) == 0.6
    assert validation_score({"validation_auc": 0.4, "validation_ap": 0.5}) == 0.5
    assert validation_score({"micro_auc": 0.9}) is None

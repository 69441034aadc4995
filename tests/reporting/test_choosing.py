"""Sweeps choose by validation alone, the first of equals; their runs are made and kept as those of tables are."""

from __future__ import annotations

import pytest

from dynbench.errors import ConfigError
from dynbench.reporting import make, make_sweeps, sweeps

SWEEP = """
    title: A sweep
    rule: The best.
    metrics: [validation_auc]
    runs: 2
    overrides: [protocol=pairs]
    columns: {here: [data=alpha]}
    systems:
      good: [[], [model.dim=16], [model.dim=32]]
    """
WIDTHS = (8, 16, 32)


@pytest.fixture
def sweep(lab):
    """A sweep of three widths in the laboratory, and the command on it."""
    lab.put("sweep", "tiny", SWEEP)

    def command(*words):
        return make_sweeps.main(["--results-dir", str(lab.results), "--work-dir", str(lab.work), *words])

    return command


def record(lab, width, seed, **metrics):
    words = ["protocol=pairs", "data=alpha", "model=good", "budget=quick", f"seed={seed}"]
    lab.record(*words, *([f"model.dim={width}"] if width != WIDTHS[0] else []), metrics=metrics, publish=False)


def page(lab):
    return (lab.results / "sweeps" / "tiny_good.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("best", range(3))
def test_validation_decides(lab, sweep, capsys, best):
    """The last candidate is best on test pairs, whatever validation says; those that are not best are equal."""
    for number, width in enumerate(WIDTHS):
        for seed in range(2):
            value = 0.5 + 0.1 * (number == best) + 0.01 * seed
            record(lab, width, seed, validation_auc=value, auc=0.5 + number / 10)
    assert sweep("tiny", "--no-run") == 0
    chosen = ["as released", "model.dim=16", "model.dim=32"][best]
    assert f"| **{chosen}** | **60.50** | **60.50** |" in page(lab)
    assert page(lab).count("**") == 6
    assert page(lab).count("50.50") == 4
    assert f"best: {{row: good, column: [here], overrides: [{chosen if best else ''}]}}" in capsys.readouterr().out


def test_the_first_of_equals_is_chosen(lab, sweep):
    for width in WIDTHS:
        for seed in range(2):
            record(lab, width, seed, validation_auc=0.5)
    sweep("--no-run")
    assert "| **as released** | **50.00** | **50.00** |" in page(lab)


def test_nothing_is_chosen_while_a_run_is_missing(lab, sweep, capsys):
    for width, seed in ((8, 0), (8, 1), (16, 0)):
        record(lab, width, seed, validation_auc=0.5)
    sweep("tiny", "--no-run")
    assert "| as released | 50.00 | 50.00 |" in page(lab)
    assert "| model.dim=16 | 1 of 2 runs; not run yet: seed 1 |  |" in page(lab)
    assert "not run yet" in page(lab)
    assert "**" not in page(lab)
    assert "best:" not in capsys.readouterr().out


def test_a_comparison_marks_nothing(lab, sweep):
    lab.put("sweep", "tiny", SWEEP + "choose: false\n")
    for width in WIDTHS:
        for seed in range(2):
            record(lab, width, seed, validation_auc=width / 100)
    sweep("--no-run")
    assert "32.00" in page(lab)
    assert "**" not in page(lab)


def test_what_is_missing_is_run_and_published(lab, sweep, fake):
    fake.metrics = {"validation_auc": 0.5}
    record(lab, 8, 0, validation_auc=0.5)
    assert sweep("tiny", "--systems", "good") == 0
    assert len(fake.commands) == 5
    assert "model.dim=32" in page(lab)
    assert sweep("tiny") == 0
    assert len(fake.commands) == 5
    assert len(list(lab.store.published.all())) == 6


def test_pruning_keeps_the_runs_of_sweeps(lab, sweep, fake):
    fake.metrics = {"validation_auc": 0.5}
    sweep("tiny")
    words = ["--results-dir", str(lab.results), "--work-dir", str(lab.work), "--no-run", "--prune"]
    assert make.main(words) == 0
    assert len(list(lab.store.published.all())) == 6


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            "metrics: [validation_auc]",
            "metrics: [auc]",
            "names 'auc'; what is chosen is chosen by metrics of",
        ),
        ("[model.dim=32]", "[model.dim=16]", "names 'model.dim=16' twice"),
        ("[model.dim=32]", "[dim]", "good[2].overrides holds 'dim'; expected key=value"),
        ("runs: 2", "runs: 0", "runs is 0; expected a whole number of at least 1"),
        ("rule:", "rules:", "rule is missing"),
        ("metrics: [validation_auc]", "metrics: []", "metrics is empty"),
        ("good: [[]", "good: all\n      other: [[]", "systems.good is 'all'; expected a list"),
        ("title: A sweep", "title: [", "not YAML"),
        ("runs: 2", "runs: 2\n    seeds: [0]", "seeds is not a key"),
    ],
)
def test_mistakes_are_named(lab, old, new, said):
    lab.put("sweep", "tiny", SWEEP.replace(old, new))
    with pytest.raises(ConfigError) as caught:
        sweeps.load("tiny")
    assert said in str(caught.value)
    assert "tiny.yaml" in str(caught.value)


def test_unknown_names_are_told(lab, sweep, capsys):
    assert sweep("tinny") == 2
    assert "there is no sweep 'tinny'; choose one of tiny" in capsys.readouterr().err
    assert sweep("tiny", "--systems", "godo") == 2
    assert "did you mean 'good'?" in capsys.readouterr().err
    lab.put("sweep", "tiny", SWEEP.replace("model.dim=16", "model.dmi=16"))
    assert sweep("tiny", "--no-run") == 2
    assert "dmi" in capsys.readouterr().err


@pytest.mark.parametrize("name", sweeps.names())
def test_a_committed_sweep_gives_all_systems_the_same_budget(name):
    tables = sweeps.load(name)
    chooses = all(metric.best != "none" for table in tables for metric in table.metrics.values())
    assert not chooses or len({len(table.rows) for table in tables}) == 1

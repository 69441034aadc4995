"""Planning and aggregation: numbers, statuses and reasons."""

import statistics
import subprocess
import sys

import pytest

from dynbench.config.check import resolved
from dynbench.config.compose import compose
from dynbench.errors import ConfigError
from dynbench.records import identify
from dynbench.reporting.plan import Planner
from dynbench.reporting.results import is_unavailable, one_line
from dynbench.reporting.table import load

GOOD = ("model=good", "data=alpha", "protocol=pairs", "budget=quick")


def test_mean_sd_and_difference(lab):
    values = [0.86, 0.88, 0.89]
    for seed, value in enumerate(values):
        lab.record(*GOOD, f"seed={seed}", metrics={"auc": value, "ap": 0.8})
    cell = lab.cells()["good", "alpha", "auc"]
    assert cell.mean == pytest.approx(100 * statistics.fmean(values))
    assert cell.sd == pytest.approx(100 * statistics.stdev(values))
    assert (cell.n, cell.status, cell.reason) == (3, "measured", "quick: passes over the links: 3 of 10")
    assert cell.difference == pytest.approx(cell.mean - 87.05)
    assert [(identity, value) for identity, value in cell.runs] == [
        (lab.identity(*GOOD, f"seed={seed}"), pytest.approx(100 * value)) for seed, value in enumerate(values)
    ]
    assert (cell.budget, cell.cuts) == ("quick", "passes over the links: 3 of 10")


def test_one_run_has_no_spread_and_is_partial(lab):
    lab.record(*GOOD, "seed=1", metrics={"auc": 0.9, "ap": 0.8})
    lab.record(*GOOD, "seed=2", reason="NaN in the loss")
    cell = lab.cells()["good", "alpha", "auc"]
    assert (cell.n, cell.sd, cell.status) == (1, None, "partial")
    assert cell.reason == "1 of 3 runs; not run yet: seeds 0, 2; quick: passes over the links: 3 of 10"


def test_every_cell_without_a_number_says_why(lab):
    cells = lab.cells()
    assert all(cell.reason and cell.mean is None and cell.n == 0 for cell in cells.values())
    said = {key[:2]: (cell.status, cell.reason) for key, cell in cells.items()}
    assert said["good", "alpha"] == ("not_run", "not run yet at budget quick")
    assert said["good", "lost"] == ("unavailable", "dataset 'lost' is not available: nobody kept it")
    assert said["heavy", "beta"] == ("skipped", "skipped at quick: it takes a day")
    assert said["future", "alpha"] == (
        "not_built",
        "model 'future' is not built yet",
    )
    assert said["embedder", "alpha"][0] == "unsupported"
    assert "cannot be run under protocol=pairs" in said["embedder", "alpha"][1]


def test_a_model_that_appears_later_is_picked_up(lab):
    assert lab.cells()["future", "alpha", "auc"].status == "not_built"
    lab.put("model", "future", "{name: future, _target_: labclasses.Scorer}")
    assert lab.cells()["future", "alpha", "auc"].status == "not_run"


def test_a_model_whose_class_is_not_written_yet(lab):
    lab.put("model", "future", "{name: future, _target_: labclasses.Nobody}")
    cell = lab.cells()["future", "alpha", "auc"]
    assert cell.status == "not_built"
    assert "labclasses defines no class 'Nobody'" in cell.reason


def test_a_skip_holds_for_its_budget_only_and_not_against_records(lab):
    assert lab.cells(budget="paper")["heavy", "beta", "auc"].status == "not_run"
    heavy = ("model=good", "data=beta", "protocol=pairs", "model.weights=heavy", "budget=quick")
    lab.record(*heavy, "seed=0", metrics={"auc": 0.5})
    assert lab.cells()["heavy", "beta", "auc"].n == 1


def test_data_in_a_folder_of_the_user_are_run_and_change_no_table_before(lab, tmp_path, monkeypatch):
    def plan():
        return next(one for one in Planner("quick").plan(load("lab_table1")) if one.column.name == "lost")

    assert not plan().runnable
    (tmp_path / "data" / "lost").mkdir(parents=True)
    monkeypatch.setenv("DYNBENCH_DATA", str(tmp_path / "data"))
    assert plan().runnable
    assert lab.cells()["good", "lost", "auc"].status == "unavailable"


def test_a_failure_leaves_no_trace_in_a_table(lab):
    before = lab.cells()
    lab.record(*GOOD, "seed=0", reason="RuntimeError: out of memory")
    assert lab.cells() == before


def test_reasons_are_told_in_one_line_without_folders():
    said = one_line("RuntimeError: out of memory\nin /home/somebody/code/x.py, https://a.b/c/d")
    assert said == "RuntimeError: out of memory in …/x.py, https://a.b/c/d"


@pytest.mark.parametrize(
    ("reason", "absent"),
    [
        ("dataset 'alpha' is not available; looked in /data/alpha.", True),
        ("dataset 'alpha': downloading https://x.y/z failed (timeout); try again later", True),
        ("DataUnavailable: whatever", True),
        ("RuntimeError: dataset 'alpha' is not available", False),
    ],
)
def test_failures_for_want_of_data_are_told_from_others(reason, absent):
    assert is_unavailable(reason) == absent


def test_a_missing_metric(lab):
    for seed in range(3):
        lab.record(*GOOD, f"seed={seed}", metrics={"ap": 0.5})
    cells = lab.cells()
    assert cells["good", "alpha", "auc"].status == "no_metric"
    assert cells["good", "alpha", "auc"].reason == "the runs do not measure auc; they measure ap"
    assert cells["good", "alpha", "ap"].mean == 50


def test_cuts_and_changes_are_the_reason_of_a_measured_cell(lab):
    for seed in range(3):
        more = {"comparable": False, "changed": {"share": 0.5}}
        lab.record(*GOOD, f"seed={seed}", metrics={"auc": 0.5, "ap": 0.5}, **more)
    cell = lab.cells()["good", "alpha", "auc"]
    assert (cell.status, cell.verdict) == ("measured", "not comparable")
    assert cell.reason == ("quick: passes over the links: 3 of 10; not comparable with the paper: protocol.share=0.5")


def test_a_cut_is_told_whoever_typed_it(lab):
    """A table that types a smaller number at one budget has cut as well, and one that types it always has not."""
    lab.add("cells", "row: good, column: alpha, budget: quick, overrides: [model.epochs=7]")
    lab.add("cells", "row: heavy, column: alpha, overrides: [model.epochs=7]")
    for words, row, cuts in (([], "good", "passes over the links: 7 of 10"), (["model.weights=heavy"], "heavy", "")):
        lab.record(*GOOD, *words, "model.epochs=7", "seed=0", metrics={"auc": 0.5})
        assert lab.cells()[row, "alpha", "auc"].cuts == cuts


def test_a_cell_shows_the_largest_budget_that_was_measured(lab):
    quick = lab.cells()["good", "alpha", "auc"]
    assert (quick.budget, quick.mean) == ("", None)
    for seed in range(3):
        lab.record(*GOOD, f"seed={seed}", metrics={"auc": 0.5})
    assert lab.cells()["good", "alpha", "auc"].budget == "quick"
    paper = (*GOOD[:3], "budget=paper")
    lab.record(*paper, "seed=0", metrics={"auc": 0.75})
    cell = lab.cells()["good", "alpha", "auc"]
    assert (cell.budget, cell.mean, cell.n, cell.cuts) == ("paper", 75, 1, "")
    assert cell.reason.startswith("1 of 10 runs")
    # What is run for the paper's budget shows quick until it is there.
    assert lab.cells(budget="paper")["good", "beta", "auc"].status == "not_run"
    # Smoke measures nothing, and is shown only where smoke is asked for.
    lab.record(*GOOD[:1], "data=beta", *GOOD[2:3], "model.dim=16", "budget=smoke", "seed=0", metrics={"auc": 0.1})
    assert lab.cells()["good", "beta", "auc"].budget == ""
    assert lab.cells(budget="smoke")["good", "beta", "auc"].budget == "smoke"


def test_what_draws_nothing_is_run_once(lab):
    lab.add("rows", "name: moved, overrides: [model=still]")
    lab.add("rows", "name: still, overrides: [model=still, protocol.split_seed=3]")
    plans = [plan for plan in Planner("quick").plan(load("lab_table1")) if plan.column.name == "alpha"]
    seeds = {plan.row.name: [run.identity.seed for run in plan.runs] for plan in plans}
    # Where the questions hang on the run's seed, they are asked with every seed.
    assert seeds == {"still": [0], "moved": [0, 1, 2], "good": [0, 1, 2], "heavy": [0, 1, 2], "future": [],
                     "embedder": [0, 1, 2]}  # fmt: skip


def test_verdicts_of_cells(lab):
    for seed, auc in enumerate([0.866, 0.868, 0.873]):
        lab.record(*GOOD, f"seed={seed}", metrics={"auc": auc, "ap": 0.8 + seed / 1000})
    cells = lab.cells()
    assert [cells["good", "alpha", name].verdict for name in ("auc", "ap")] == ["reproduced", "reproduced"]
    lab.change("auc: [87.05, 0.3], ap: 80", "auc: [82.05, 0.3], ap: 81")
    cells = lab.cells()
    assert [cells["good", "alpha", name].verdict for name in ("auc", "ap")] == ["above", "below"]
    assert cells["heavy", "alpha", "auc"].verdict == ""


@pytest.mark.parametrize(
    ("where", "verdict"),
    [
        ("name: alpha, label: Alpha", "not comparable"),
        ("name: good, label: Good", "not comparable"),
        ("row: good, column: beta", "reproduced"),
    ],
)
def test_what_a_table_calls_not_comparable_is_not_compared(lab, where, verdict):
    lab.change(where, f"{where}, comparable: false")
    for seed, auc in enumerate([0.866, 0.868, 0.873]):
        lab.record(*GOOD, f"seed={seed}", metrics={"auc": auc})
    assert lab.cells()["good", "alpha", "auc"].verdict == verdict


def test_a_change_that_the_table_asks_for_is_no_reason(lab):
    lab.change("overrides: [protocol=pairs]", "overrides: [protocol=pairs, protocol.share=0.5]")
    for seed in range(3):
        lab.record(
            *GOOD, "protocol.share=0.5", f"seed={seed}", metrics={"auc": 0.5}, comparable=False, changed={"share": 0.5}
        )
    cell = lab.cells()["good", "alpha", "auc"]
    assert (cell.changed, cell.verdict) == ("", "below")


def test_seeds_come_from_the_budget_unless_the_table_says(lab):
    table = load("lab_table1")
    cell = (table.rows[0], table.columns[0])
    assert Planner("quick").seeds(table, *cell) == [0, 1, 2]
    assert Planner("paper").seeds(table, *cell) == list(range(10))
    with pytest.raises(ConfigError, match="did you mean 'quick'"):
        Planner("quik")


def test_a_cell_may_have_more_runs_than_its_table(lab):
    lab.add("cells", "row: good, column: alpha, budget: quick, runs: 7")
    table = load("lab_table1")
    good, alpha, beta = table.rows[0], *table.columns[:2]
    assert Planner("quick").seeds(table, good, alpha) == list(range(7))
    assert Planner("quick").seeds(table, good, beta) == [0, 1, 2]
    assert Planner("paper").seeds(table, good, alpha) == list(range(10))


@pytest.mark.parametrize(
    ("override", "words"), [("model.weihgts=heavy", "did you mean 'model.weights'"), ("model.dim=many", "model.dim")]
)
def test_an_override_that_cannot_be_names_file_and_cell(lab, override, words):
    lab.change("model.weights=heavy", override)
    with pytest.raises(ConfigError) as caught:
        lab.cells()
    for word in ("lab_table1.yaml", "row 'heavy', column 'alpha'", words):
        assert word in str(caught.value)


def test_further_overrides_lead_to_other_runs(lab):
    table = load("lab_table1")
    plain, wide = (Planner("quick", extra).plan(table)[0].runs[0] for extra in ((), ("trainer.precision=2",)))
    assert plain.identity != wide.identity
    assert wide.identity == lab.identity(*GOOD, "trainer.precision=2", "seed=0")


def test_the_record_lies_where_the_typed_run_would_put_it(lab):
    run = Planner("quick").plan(load("lab_table1"))[1].runs[2]
    assert run.overrides == (
        *("protocol=pairs", "data=beta", "model=good", "model.dim=16"),
        *("budget=quick", "seed=2"),
    )
    assert run.identity == identify(resolved(compose(run.overrides)))


def test_nothing_heavy_is_imported():
    program = "import sys, dynbench.reporting.make, dynbench.reporting.published, dynbench.reporting.summary; "
    program += "sys.exit(any(name in sys.modules for name in ('torch', 'pytorch_lightning', 'pandas')))"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0

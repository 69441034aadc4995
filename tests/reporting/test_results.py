"""Planning and aggregation: numbers, statuses and reasons."""

import re
import statistics
import subprocess
import sys

import pytest

from dynbench.config.check import resolved
from dynbench.config.compose import compose
from dynbench.errors import ConfigError
from dynbench.records import identify
from dynbench.reporting.plan import Planner
from dynbench.reporting.table import load

GOOD = ("model=good", "data=alpha", "protocol=pairs", "budget=quick")


def test_mean_sd_and_difference(lab):
    values = [0.86, 0.88, 0.89]
    for seed, value in enumerate(values):
        lab.record(*GOOD, f"seed={seed}", metrics={"auc": value, "ap": 0.8})
    cell = lab.cells()["good", "alpha", "auc"]
    assert cell.mean == pytest.approx(100 * statistics.fmean(values))
    assert cell.sd == pytest.approx(100 * statistics.stdev(values))
    assert (cell.n, cell.status, cell.reason) == (3, "measured", "")
    assert cell.difference == pytest.approx(cell.mean - 87.05)
    assert cell.records == ("runs/pairs/alpha.jsonl",)


def test_one_run_has_no_spread_and_is_partial(lab):
    lab.record(*GOOD, "seed=1", metrics={"auc": 0.9, "ap": 0.8})
    lab.record(*GOOD, "seed=2", reason="NaN in the loss")
    cell = lab.cells()["good", "alpha", "auc"]
    assert (cell.n, cell.sd, cell.status) == (1, None, "partial")
    assert cell.reason == "1 of 3 runs; seed 2 failed: NaN in the loss; not run yet: seed 0"


def test_every_cell_without_a_number_says_why(lab):
    cells = lab.cells()
    assert all(cell.reason and cell.mean is None and cell.n == 0 for cell in cells.values())
    said = {key[:2]: (cell.status, cell.reason) for key, cell in cells.items()}
    assert said["good", "alpha"] == ("not_run", "not run yet at budget quick")
    assert said["good", "lost"] == ("unavailable", "dataset 'lost' is not available: nobody kept it")
    assert said["heavy", "beta"] == ("skipped", "skipped at quick: it takes a day")
    assert said["future", "alpha"] == (
        "not_built",
        "model 'future' is not built yet: there is no conf/model/future.yaml",
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


def test_data_in_a_folder_of_the_user_is_not_unavailable(lab, tmp_path, monkeypatch):
    (tmp_path / "data" / "lost").mkdir(parents=True)
    monkeypatch.setenv("DYNBENCH_DATA", str(tmp_path / "data"))
    assert lab.cells()["good", "lost", "auc"].status == "not_run"


def test_failures_tell_their_reason_without_folders(lab):
    lab.record(*GOOD, "seed=0", reason="RuntimeError: out of memory\nin /home/somebody/code/x.py, https://a.b/c/d")
    cell = lab.cells()["good", "alpha", "auc"]
    assert cell.status == "failed"
    assert cell.reason == "failed: RuntimeError: out of memory in …/x.py, https://a.b/c/d"


@pytest.mark.parametrize(
    "reason",
    [
        "dataset 'alpha' is not available; looked in /data/alpha.",
        "dataset 'alpha': downloading https://x.y/z failed (timeout); try again later",
        "DataUnavailable: whatever",
    ],
)
def test_failures_for_want_of_data_are_unavailable(lab, reason):
    lab.record(*GOOD, "seed=0", reason=reason)
    assert lab.cells()["good", "alpha", "auc"].status == "unavailable"


def test_a_damaged_record_and_a_missing_metric(lab, caplog):
    lab.record(*GOOD, "seed=0", reason="it failed").write_text("{")
    assert lab.cells()["good", "alpha", "auc"].status == "not_run"
    assert "set aside" in caplog.text
    for seed in range(3):
        lab.record(*GOOD, f"seed={seed}", metrics={"ap": 0.5})
    cells = lab.cells()
    assert cells["good", "alpha", "auc"].status == "no_metric"
    assert cells["good", "alpha", "auc"].reason == "the runs do not measure auc; they measure ap"
    assert cells["good", "alpha", "ap"].mean == 50


def test_cuts_and_changes_are_the_reason_of_a_measured_cell(lab):
    for seed in range(3):
        more = {"cuts": {"model.epochs": [300, 1000]}, "comparable": False, "changed": {"share": 0.5}}
        lab.record(*GOOD, f"seed={seed}", metrics={"auc": 0.5, "ap": 0.5}, **more)
    cell = lab.cells()["good", "alpha", "auc"]
    assert cell.status == "measured"
    assert cell.reason == ("cut at quick: model.epochs 300 of 1000; not comparable with the paper: protocol.share=0.5")


def test_a_change_that_the_table_asks_for_is_no_reason(lab):
    text = (lab.conf / "table" / "lab_table1.yaml").read_text()
    lab.put(
        "table",
        "lab_table1",
        text.replace("overrides: [protocol=pairs]", "overrides: [protocol=pairs, protocol.share=0.5]"),
    )
    for seed in range(3):
        lab.record(
            *GOOD, "protocol.share=0.5", f"seed={seed}", metrics={"auc": 0.5}, comparable=False, changed={"share": 0.5}
        )
    assert lab.cells()["good", "alpha", "auc"].reason == ""


def test_seeds_come_from_the_budget_unless_the_table_says(lab):
    table = load("lab_table1")
    cell = (table.rows[0], table.columns[0])
    assert Planner("quick").seeds(table, *cell) == [0, 1, 2]
    assert Planner("paper").seeds(table, *cell) == list(range(10))
    with pytest.raises(ConfigError, match="did you mean 'quick'"):
        Planner("quik")


def test_a_cell_may_have_more_runs_than_its_table(lab):
    text = (lab.conf / "table" / "lab_table1.yaml").read_text()
    first = "- {row: good, column: beta, overrides"
    more = "- {row: good, column: alpha, budget: quick, runs: 7}"
    lab.put("table", "lab_table1", re.sub(rf"^( *){re.escape(first)}", rf"\1{more}\n\1{first}", text, flags=re.M))
    table = load("lab_table1")
    good, alpha, beta = table.rows[0], *table.columns[:2]
    assert Planner("quick").seeds(table, good, alpha) == list(range(7))
    assert Planner("quick").seeds(table, good, beta) == [0, 1, 2]
    assert Planner("paper").seeds(table, good, alpha) == list(range(10))


@pytest.mark.parametrize(
    ("override", "words"), [("model.weihgts=heavy", "did you mean 'model.weights'"), ("model.dim=many", "model.dim")]
)
def test_an_override_that_cannot_be_names_file_and_cell(lab, override, words):
    text = (lab.conf / "table" / "lab_table1.yaml").read_text()
    lab.put("table", "lab_table1", text.replace("model.weights=heavy", override))
    with pytest.raises(ConfigError) as caught:
        lab.cells()
    for word in ("lab_table1.yaml", "row 'heavy', column 'alpha'", words):
        assert word in str(caught.value)


def test_further_overrides_lead_to_other_runs(lab):
    table = load("lab_table1")
    plain, wide = (Planner("quick", extra).plan(table)[0].runs[0] for extra in ((), ("trainer.devices=2",)))
    assert plain.identity != wide.identity
    assert wide.identity == lab.identity(*GOOD, "trainer.devices=2", "seed=0")


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

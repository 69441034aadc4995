"""The spool and the published store: what is kept, what is set aside, and what several writers do to each other."""

from __future__ import annotations

import itertools
import json
import math
import os
import random
import subprocess
import sys
from dataclasses import replace

import pytest

from dynbench import records
from dynbench.errors import RunError
from dynbench.records import Record, Store, record
from dynbench.records.published import Published


def make(seed=0, model="m", data="d", protocol="p", **fields) -> Record:
    """The record of a finished run whose classes are not to be had, so that any identity will do."""
    names = {"model": model, "data": data, "protocol": protocol, "budget": "smoke"}
    config = {
        group: {"name": names.get(group, "cpu"), "_target_": "gone.Gone"}
        for group in ("data", "model", "protocol", "trainer")
    }
    defaults = {
        "config": config,
        "versions": {"data": 1, "model": 2, "protocol": 3},
        "metrics": {"auc": 0.1 + seed / 1000, "ap": 0.5},
        "steps": [{"step": step, "n": 4, "auc": 0.5, "ap": None} for step in range(3)],
        "overrides": ["model=m", "model.dim=4", f"seed={seed}", "budget=smoke", "results_dir=/x"],
        "sizes": {"nodes": 16},
        "checksums": {"graph": "a" * 64, "queries": f"{seed:064d}"},
        "provenance": {"source": "generated"},
        "seconds": {"fit": 1.5},
        "peak_memory_mb": 300.5,
        "threads": 1,
        "environment": {"python": "3.11", "device": "CPU"},
        "created": "2026-01-01T00:00:00+00:00",
        "fit": "f" * 10,
    }
    return Record(identity=f"{seed:010d}", **names, seed=seed, **{"status": "finished", **defaults, **fields})


def published(run: Record) -> Record:
    """What is left of a record in the published store when no table tests on its steps."""
    words = [text for text in run.overrides if text.startswith("model")]
    return replace(run, steps=[], overrides=words)


def contents(folder) -> dict[str, str]:
    paths = (path for path in sorted(folder.rglob("*")) if path.is_file() and path.name != ".lock")
    return {str(path.relative_to(folder)): path.read_text() for path in paths}


def leftovers(folder) -> list[str]:
    return [str(path) for path in folder.rglob("*") if ".part" in path.name or ".probe" in path.name]


# ---- the spool --------------------------------------------------------------------------------------------


def test_writing_and_reading(tmp_path):
    written = make(cuts={"model.epochs": [3, 9]})
    path = records.write(written, tmp_path / "deep" / "er" / "one.json")
    assert records.read(path) == written
    assert not leftovers(tmp_path)
    assert records.read(tmp_path / "absent.json") is None


def test_a_write_that_fails_half_way_leaves_the_old_record(tmp_path, monkeypatch):
    path = records.write(make(metrics={"auc": 0.25}), tmp_path / "one.json")

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(RunError, match=r"cannot write .*one\.json: No space left on device; set results_dir"):
        records.write(make(metrics={"auc": 0.75}), path)
    assert records.read(path).metrics == {"auc": 0.25}
    assert not leftovers(tmp_path)


@pytest.mark.parametrize("value", [math.nan, math.inf, None, "0.5"])
def test_a_finished_run_has_numbers(tmp_path, value):
    with pytest.raises(RunError, match="macro_auc is NaN; a finished run has numbers"):
        records.write(make(metrics={"macro_auc": value, "macro_ap": 0.5}), tmp_path / "one.json")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(RunError, match=r"choose another folder with results_dir=… or work_dir=…"):
        records.require_writable(tmp_path / "file" / "results")
    records.require_writable(tmp_path / "new")
    assert not leftovers(tmp_path)


BAD = {
    "": "Expecting value",
    "{": "Expecting property name",
    "[]": "it holds no fields",
    "\udcff": "codec can't decode",
    '{"schema_version": 1}': "its schema_version is 1, this version reads 2",
    '{"schema_version": "2"}': "its schema_version is '2'",
    '{"schema_version": 2, "identity": "x"}': "missing 6 required positional arguments",
}


@pytest.mark.parametrize("text", BAD)
def test_files_that_are_no_records(tmp_path, text):
    path = tmp_path / "one.json"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(RunError, match=rf"one\.json is not a record that this version reads: .*{BAD[text]}"):
        records.read(path)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"seed": "0"}, "seed is '0'; expected int"),
        ({"seed": True}, "seed is True; expected int"),
        ({"metrics": [0.5]}, "metrics is"),
        ({"peak_memory_mb": None}, "peak_memory_mb is None"),
        ({"metrics": {"auc": math.nan}}, "auc is nan, which is no number"),
        ({"metrics": {"auc": "0.5"}}, "auc is '0.5', which is no number"),
        ({"schema_version": 3}, "its schema_version is 3"),
        ({"colour": "red"}, "unexpected keyword argument 'colour'"),
    ],
)
def test_records_that_are_wrong_are_set_aside_with_one_line(tmp_path, caplog, change, word):
    store = Store(tmp_path / "results", tmp_path / "runs")
    path = store.write(make())
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    assert store.find(make().name) is None
    assert len(caplog.records) == 1
    assert word in caplog.text


def test_a_record_under_another_name_is_set_aside(tmp_path, caplog):
    store = Store(tmp_path / "results", tmp_path / "runs")
    store.write(make(seed=1)).rename(store.path(make().name))
    assert store.find(make().name) is None
    assert "is the record of m-d-p-smoke-s1-" in caplog.text


def test_a_changed_default_sets_old_records_aside(tmp_path, monkeypatch, caplog):
    from dynbench.config.source import read_class

    monkeypatch.syspath_prepend(str(tmp_path))
    code = "class Thing:\n    def __init__(self, *, dim: int = {}): ...\n"
    (tmp_path / "things.py").write_text(code.format(8))
    thing = {"_target_": "things.Thing", "dim": 8}
    config = {group: {"name": group, **thing} for group in ("data", "model", "protocol", "trainer")}
    identity = records.identify({**config, "budget": {"name": "smoke"}, "seed": 0})
    run = make(
        model="model",
        data="data",
        protocol="protocol",
        config=config,
        versions=dict.fromkeys(("data", "model", "protocol"), 1),
    )
    store = Store(tmp_path / "results", tmp_path / "runs")
    run.identity = identity.digest
    store.write(run)
    store.publish({identity: ()})
    assert store.find(identity) == run
    assert store.published.find(identity) == published(run)
    (tmp_path / "things.py").write_text(code.format(16))
    read_class.cache_clear()
    fresh = Store(tmp_path / "results", tmp_path / "runs")
    assert fresh.find(identity) is None
    assert caplog.text.count("did a default change without a new version?") == 2
    read_class.cache_clear()


# ---- the published store ----------------------------------------------------------------------------------


def test_a_run_is_finished_if_either_place_has_it(tmp_path):
    store = Store(tmp_path / "results", tmp_path / "runs")
    run = make()
    assert store.find(run.name) is None
    store.write(run)
    assert store.find(run.name) == run
    assert store.place(run.name) == store.path(run.name)
    assert store.publish({run.name: ()}) == 1
    store.path(run.name).unlink()
    assert Store(tmp_path / "results", tmp_path / "other").find(run.name) == published(run)
    assert store.place(run.name) == tmp_path / "results" / "runs" / "p" / "d.jsonl"


def test_of_two_records_the_finished_and_then_the_later_counts(tmp_path):
    store = Store(tmp_path / "results", tmp_path / "runs")
    store.write(make())
    store.publish({make().name: ()})
    failed = make(status="failed", metrics={}, created="2026-02-01")
    store.write(failed)
    assert store.find(make().name).finished
    assert store.publish({make().name: ()}) == 0
    again = make(created="2026-03-01", metrics={"auc": 0.75})
    store.write(again)
    assert store.find(make().name).metrics == {"auc": 0.75}
    assert store.publish({make().name: ()}) == 1
    assert store.published.find(make().name).metrics == {"auc": 0.75}
    store.write(make())
    assert store.publish({make().name: ()}) == 0


def test_failed_and_foreign_runs_are_not_published(tmp_path):
    store = Store(tmp_path / "results", tmp_path / "runs")
    failed, own = make(seed=1, status="failed"), make(seed=2)
    for one in (failed, own):
        store.write(one)
    assert store.publish({failed.name: ()}) == 0
    assert not (tmp_path / "results" / "runs" / "p").exists()


def test_one_sorted_line_per_run_and_what_is_shared_once(tmp_path):
    runs = [make(seed) for seed in range(20)]
    random.Random(0).shuffle(runs)
    store = Published(tmp_path)
    assert store.add((run, ()) for run in runs) == 20
    files = contents(tmp_path / "runs")
    assert set(files) == {"configs.jsonl", "environments.jsonl", "sources.jsonl", "p/d.jsonl"}
    lines = [json.loads(line) for line in files["p/d.jsonl"].splitlines()]
    assert [line["seed"] for line in lines] == list(range(20))
    assert [files[name].count("\n") for name in ("configs.jsonl", "environments.jsonl", "sources.jsonl")] == [4, 1, 1]
    assert sorted(store.all(), key=lambda run: run.seed) == [published(make(seed)) for seed in range(20)]


def test_steps_are_kept_only_where_a_table_tests_on_them(tmp_path):
    store = Published(tmp_path)
    store.add([(make(0), ()), (make(1), {"auc"})])
    plain, tested = (store.find(make(seed).name) for seed in (0, 1))
    assert plain.steps == []
    assert tested.steps == [{"step": step, "n": 4, "auc": 0.5} for step in range(3)]
    # A table that does not test leaves what another one needs, also when the run was repeated.
    assert store.add([(make(1), ())]) == 0
    store.add([(make(1, created="2027-01-01"), ())])
    assert store.find(make(1).name).steps == tested.steps


def test_the_order_of_publishing_does_not_matter(tmp_path):
    runs = [make(0), make(1), make(0, created="2027-01-01", metrics={"auc": 0.9}), make(2, data="e")]
    seen = set()
    for number, order in enumerate(itertools.permutations(runs)):
        folder = tmp_path / str(number)
        for run in order:
            Published(folder).add([(run, ())])
        Published(folder).prune({run.name for run in runs})
        seen.add(json.dumps(contents(folder), sort_keys=True))
    assert len(seen) == 1


def test_several_processes_publish_at_once(tmp_path):
    program = (
        "import sys; sys.path[:0] = sys.argv[3:]; from test_store import make; "
        "from dynbench.records.published import Published\n"
        "for seed in range(int(sys.argv[2]), 30, 3): Published(sys.argv[1]).add([(make(seed), ())])"
    )
    here = os.path.dirname(__file__)
    words = [sys.executable, "-c", program, str(tmp_path)]
    processes = [subprocess.Popen([*words, str(start), here]) for start in range(3)]
    assert [process.wait(60) for process in processes] == [0, 0, 0]
    assert {run.seed for run in Published(tmp_path).all()} == set(range(30))
    assert not leftovers(tmp_path)


def test_two_branches_are_merged_line_by_line(tmp_path):
    path = tmp_path / "runs" / "p" / "d.jsonl"
    store = Published(tmp_path)
    store.add([(make(0), ()), (make(1), ())])
    ours = path.read_text()
    store.add([(make(0, created="2027-01-01", metrics={"auc": 0.9}), ())])
    path.write_text(ours + path.read_text())
    merged = [(0, 0.9), (1, make(1).metrics["auc"]), (2, make(2).metrics["auc"])]
    store = Published(tmp_path)
    assert [(run.seed, run.metrics["auc"]) for run in store.all()] == merged[:2]
    store.add([(make(2), ())])
    assert [(run.seed, run.metrics["auc"]) for run in store.all()] == merged
    assert path.read_text().count("\n") == 3


def test_bad_lines_are_set_aside_with_one_line_and_kept_for_others(tmp_path, caplog):
    path = tmp_path / "runs" / "p" / "d.jsonl"
    store = Published(tmp_path)
    store.add([(make(seed), ()) for seed in range(4)])
    lines = path.read_text().splitlines()
    newer = json.dumps({**json.loads(lines[1]), "schema": 3})
    nan = lines[2].replace('"ap":0.5', '"ap":NaN')
    lost = json.dumps({**json.loads(lines[3]), "environment": "gone"})
    path.write_text("\n".join([lines[0], newer, nan, lost, "<<<<<<< HEAD"]) + "\n")
    store = Published(tmp_path)
    assert [run.seed for run in store.all()] == [0]
    assert len(caplog.records) == 1
    assert "4 lines are set aside; line 2: its schema is 3, this version reads 2" in caplog.text
    store.add([(make(9), ())])
    assert newer in path.read_text()
    store.prune({make(0).name, make(9).name})
    assert [run.seed for run in Published(tmp_path).all()] == [0, 9]
    assert newer not in path.read_text()


def test_pruning_leaves_what_is_wanted_and_what_it_refers_to(tmp_path):
    store = Published(tmp_path)
    store.add([(make(0), ()), (make(1, environment={"python": "3.12"}), ()), (make(2, data="e"), ())])
    assert store.prune({make(0).name}) == 2
    assert [run.seed for run in store.all()] == [0]
    files = contents(tmp_path / "runs")
    assert set(files) == {"configs.jsonl", "environments.jsonl", "sources.jsonl", "p/d.jsonl"}
    assert "3.12" not in files["environments.jsonl"]
    assert files["configs.jsonl"].count("\n") == 4


def test_twelve_thousand_runs_fit(tmp_path):
    """40 systems on 30 datasets with 10 seeds make 15 MB at most; a fifth of the seeds is written here."""
    metrics = [f"{one}_{kind}" for one in ("raw", "static", "time") for kind in ("mrr", "hits@1", "hits@3", "hits@10")]
    draw = random.Random(0)

    def run(system, data, seed):
        config = {
            group: {"name": f"{group}{system}", "_target_": "gone.Gone", **{f"key{i}": i * system for i in range(15)}}
            for group in ("data", "model", "protocol", "trainer")
        }
        one = make(seed, model=f"model{system:02d}", data=f"data{data:02d}", protocol="windowed_kg", config=config)
        one.identity = f"{draw.getrandbits(40):010x}"
        one.metrics = {name: draw.random() for name in metrics}
        one.sizes = dict.fromkeys(
            ("nodes", "events", "relations", "steps", "queries", "parameters", "fit_steps"), 12345
        )
        one.seconds = {name: draw.random() * 100 for name in ("fit", "evaluate", "total", "per_fit_step")}
        one.checksums = {"graph": f"{data:064d}", "queries": f"{draw.getrandbits(256):064x}"}
        one.provenance = {"source": "user folder", "files": {"edges.csv.gz": f"{data:064d}"}}
        return one

    store = Published(tmp_path)
    runs = [run(system, data, seed) for system in range(40) for data in range(30) for seed in range(2)]
    assert store.add((one, ()) for one in runs) == 2_400
    assert sum(path.stat().st_size for path in tmp_path.rglob("*.jsonl")) <= 15e6 / 5


def test_the_projects_own_runs_stay_small():
    paths = list(Store().published.folder.rglob("*.jsonl"))
    lines = sum(path.read_text().count("\n") for path in paths if path.parent.parent.name == "runs")
    assert lines > 1000
    assert sum(path.stat().st_size for path in paths) <= 15e6 / 12_000 * lines


def test_the_record_to_believe_does_not_depend_on_the_order():
    failed = make(created="2030", status="failed")
    several = [make(created="2026"), make(created="2027"), failed, make(created="2027", steps=[])]
    best = {id(record.newest(list(order))) for order in itertools.permutations(several)}
    assert best == {id(several[1])}

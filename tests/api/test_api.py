"""dynbench from Python: the same runs, checks and records as on the command line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

import dynbench
from dynbench.errors import ConfigError, DynbenchError
from tests import warm

ROOT = Path(__file__).resolve().parents[2]
TINY = ["data.nodes=40", "data.steps=4", "data.density=0.15"]


@pytest.fixture
def places(tmp_path) -> dict:
    return {"results_dir": tmp_path / "results", "work_dir": tmp_path / "runs"}


def test_importing_costs_nothing():
    program = (
        "import sys, time; start = time.perf_counter(); import dynbench; spent = time.perf_counter() - start\n"
        "assert not {'torch', 'numpy', 'hydra', 'pandas', 'yaml'} & set(sys.modules)\n"
        "assert {'load', 'run', 'results'} <= set(dir(dynbench)); print(spent)"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert float(done.stdout) < 0.3
    with pytest.raises(AttributeError, match="no attribute 'lode'"):
        dynbench.lode  # noqa: B018


def test_load_takes_settings_and_refuses_others():
    assert dynbench.load("nlsm_process", nodes=30, steps=3).num_steps == 3
    with pytest.raises(ConfigError, match=r"data\.nods is not a setting of .*; did you mean 'nodes'"):
        dynbench.load("nlsm_process", nods=30)
    with pytest.raises(ConfigError, match="did you mean 'nlsm_process'"):
        dynbench.load("nlsm_proces")


def test_runs_are_those_of_the_command_line(places, tmp_path):
    found = dynbench.run("decayed_count", "nlsm_process", seeds=[0, 1], budget="smoke", overrides=TINY, **places)
    assert [record.seed for record in found] == [0, 1]
    words = ["model=decayed_count", "budget=smoke", *TINY, f"results_dir={tmp_path}/r", f"work_dir={tmp_path}/w"]
    warm.run(["run.py", *words], os.environ, ROOT)
    (path,) = (tmp_path / "w").glob("records/*/*.json")
    typed = json.loads(path.read_text())
    assert typed["identity"] == found[0].identity
    assert typed["metrics"] == found[0].metrics
    start = time.monotonic()
    again = dynbench.run("decayed_count", "nlsm_process", seeds=[0, 1], budget="smoke", overrides=TINY, **places)
    assert [record.created for record in again] == [record.created for record in found]
    assert time.monotonic() - start < 5


def test_combinations_settings_and_failures(places):
    models = ["decayed_count", {"name": "common_neighbors", "snapshots": "last"}, "none_such"]
    with pytest.raises(DynbenchError, match="model=none_such is unknown"):
        dynbench.run(models, budget="smoke", overrides=TINY, **places)
    found = dynbench.run(models, budget="smoke", overrides=TINY, seeds=range(2), collect=True, **places)
    assert len(found) == 4
    assert len(found.failures) == 2
    assert found.where(model="common_neighbors")[0].config["model"]["snapshots"] == "last"
    assert len(found.where(seed=[0], **{"model.snapshots": "last"})) == 1
    with pytest.raises(ConfigError, match="no field 'sed'"):
        found.where(sed=0)
    with pytest.raises(ConfigError, match="no run has the metric 'auc'; there are micro_auc"):
        found.mean("auc")
    rows = {row["model"]: row for row in found.summary("micro_auc")}
    assert rows["decayed_count"]["n"] == 2
    two = [record.metrics["micro_auc"] for record in found.where(model="decayed_count")]
    assert rows["decayed_count"]["mean"] == pytest.approx(sum(two) / 2)
    assert rows["decayed_count"]["sd"] == pytest.approx(abs(two[0] - two[1]) / 2**0.5)
    assert "decayed_count, nlsm_process" in repr(found)


def test_frames(places):
    pytest.importorskip("pandas")
    found = dynbench.run(
        [{"name": "common_neighbors", "snapshots": "last"}, "common_neighbors"],
        budget="smoke",
        overrides=TINY,
        **places,
    )
    frame = found.to_frame()
    assert frame["model.snapshots"].nunique() == 2
    assert frame["micro_auc"].tolist() == found.values("micro_auc")
    assert set(found.steps()["step"]) == {1, 2, 3}


def test_a_graph_at_hand_is_a_dataset(places):
    graph = dynbench.load("nlsm_process", nodes=40, steps=4, density=0.15)
    own = dynbench.run("decayed_count", graph, name="own", budget="smoke", **places)
    settings = ["data.nodes=40", "data.steps=4", "data.density=0.15"]
    named = dynbench.run("decayed_count", "nlsm_process", budget="smoke", overrides=settings, **places)
    assert own[0].data == "own"
    assert own[0].metrics == named[0].metrics
    events = dynbench.TemporalGraph.from_events(graph.src, graph.dst, graph.time * 86400.0, 40, seconds=1.0)
    cut = dynbench.cut(events, "1d", directed=False)
    assert cut.time.tolist() == graph.time.tolist()


def test_results_sees_own_runs_and_those_that_come_with_dynbench(places, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert len(dynbench.results(data="enron", protocol="single_step_nlsm", model="nlsm")) > 0
    assert len(dynbench.results(data="nlsm_process", shipped=False)) == 0
    made = dynbench.run("decayed_count", budget="smoke", overrides=TINY, **places)
    seen = dynbench.results(data="nlsm_process", model="decayed_count", budget="smoke", shipped=False, **places)
    assert [record.identity for record in seen] == [record.identity for record in made]


def test_the_notebook_runs_from_top_to_bottom(tmp_path, monkeypatch):
    for package in ("pandas", "networkx"):
        pytest.importorskip(package)
    monkeypatch.chdir(tmp_path)
    content = json.loads((ROOT / "docs" / "tour.ipynb").read_text(encoding="utf-8"))
    cells = ["".join(cell["source"]) for cell in content["cells"] if cell["cell_type"] == "code"]
    assert len(cells) >= 8
    names: dict = {}
    for cell in cells:
        exec(compile(cell, "tour.ipynb", "exec"), names)
    assert len(names["found"]) == 9
    assert names["frame"]["micro_auc"].between(0, 1).all()
    assert names["own"].node_names is not None
    assert list(tmp_path.glob("runs/records/mails/*.json"))

"""The recipes for a model and a protocol do what they say, as plug-ins in a folder of their own."""

from __future__ import annotations

import json
import os

import pytest
from extract import ROOT, files_of, write_files

from tests import warm

pytestmark = pytest.mark.slow


class Plugins:
    """A folder with the files of a page, and the commands that a reader would type."""

    def __init__(self, page: str, folder):
        self.folder, self.files = folder, write_files(page, folder)
        self.environment = {
            **os.environ,
            "DYNBENCH_PLUGINS": str(folder / "myplugins"),
            "DYNBENCH_CACHE": str(folder / "cache"),
            "OMP_NUM_THREADS": "1",
        }

    def python(self, *words: str, code: int = 0) -> str:
        """Run Python at the root of the project; returns all that was printed."""
        return warm.run(words, self.environment, ROOT, code)

    def run(self, *overrides: str) -> list[dict]:
        """A run or a sweep; returns its records, told apart by what was typed."""
        before = set(self.folder.glob("runs/records/*/*.json"))
        folders = [f"results_dir={self.folder}/results", f"work_dir={self.folder}/runs"]
        self.python("run.py", *overrides, "data=nlsm_process", "budget=smoke", *folders)
        paths = sorted(set(self.folder.glob("runs/records/*/*.json")) - before)
        return [json.loads(path.read_text(encoding="utf-8")) for path in paths]


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """The page on models."""
    return Plugins("add_a_model.md", tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def protocols(tmp_path_factory):
    """The page on protocols."""
    return Plugins("add_a_protocol.md", tmp_path_factory.mktemp("protocol"))


def test_pages_show_the_files_they_speak_of():
    model, protocol = files_of("add_a_model.md"), files_of("add_a_protocol.md")
    folder = "myplugins"
    assert sorted(model) == [
        f"{folder}/{name}" for name in ("conf/model/dot.yaml", "conf/model/repeat.yaml", "dot.py", "repeat.py")
    ]
    assert sorted(protocol) == [f"{folder}/conf/protocol/last_only.yaml", f"{folder}/last_only.py"]


def test_shown_code_has_the_projects_style(models, protocols):
    files = [str(path) for page in (models, protocols) for path in page.files if path.suffix == ".py"]
    assert len(files) == 3
    config = ["--config", str(ROOT / "pyproject.toml"), "--no-cache"]
    models.python("-m", "ruff", "check", *config, *files)
    models.python("-m", "ruff", "format", "--check", *config, *files)


def test_counting_model(models):
    one, five, last = models.run("-m", "model=repeat", "model.memory=1,5") + models.run("model=last_snapshot")
    if one["config"]["model"]["memory"] == 5:
        one, five = five, one
    assert one["metrics"] == last["metrics"]  # the same score, since a snapshot links a pair at most once
    assert one["checksums"] == five["checksums"] == last["checksums"]
    assert five["metrics"]["macro_auc"] > one["metrics"]["macro_auc"] + 0.05
    assert five["sizes"]["parameters"] == 0
    assert [row["step"] for row in five["steps"]] == list(range(1, 10))


def test_trained_model(models):
    scored, embedded = models.run("-m", "model=dot", "protocol=single_step_nlsm,single_step_dysat")
    if scored["protocol"] != "single_step_nlsm":
        scored, embedded = embedded, scored
    for record in (scored, embedded):
        assert record["status"] == "finished"
        assert record["sizes"]["parameters"] == 100 * 16 + 1
        assert record["sizes"]["fit_steps"] == 9 * 30
        assert record["cuts"] == {"model.epochs": [30, 1000]}
    assert scored["metrics"]["macro_auc"] > 0.7
    assert embedded["metrics"]["macro_auc"] > 0.6


def test_mistakes_are_answered_as_the_page_says(models):
    said = models.python("run.py", "model=repeat", "model.memory=five", code=2)
    assert said.strip() == "error: model.memory is 'five' (str); expected int"
    assert "did you mean 'model.memory'?" in models.python("run.py", "model=repeat", "model.memry=3", code=2)
    said = models.python("run.py", "model=repeat", "protocol=single_step_dysat", code=2)
    assert "model=repeat cannot be run under protocol=single_step_dysat" in said
    able = said.partition("Models that can embed: ")[2].strip().split(", ")
    assert {"bas", "dot", "nlsm"} <= set(able)
    assert "repeat" not in able


def test_help_lists_models_and_prints_cards(models):
    listed = models.python("run.py", "--help")
    assert "Number of recent snapshots that link a pair; no training." in listed
    assert "Static node vectors whose dot product scores a link." in listed
    card = models.python("run.py", "model=dot", "--help")
    assert "P(i and j are linked) = sigmoid(x_i . x_j + c)" in card
    assert "# width of a vector" in card


@pytest.mark.parametrize("model", ["repeat", "dot"])
def test_models_pass_the_contract(models, model):
    models.python("-c", f"from dynbench.testing import check_model; check_model('{model}')")


def test_protocol(protocols):
    records = protocols.run(
        "-m", "model=decayed_count", "protocol=last_only,single_step_nlsm", "protocol.links=all,new"
    )
    told = {(record["protocol"], record["config"]["protocol"]["links"]): record for record in records}
    for links in ("all", "new"):
        last, every = told["last_only", links], told["single_step_nlsm", links]
        assert last["steps"] == every["steps"][-1:]  # the same pairs, after the same history
        assert last["metrics"]["macro_auc"] == last["metrics"]["micro_auc"] == last["steps"][0]["auc"] > 0.6
    last, new = told["last_only", "all"], told["last_only", "new"]
    assert last["comparable"]
    assert not new["comparable"]
    assert new["changed"] == {"links": "new"}
    assert new["steps"][0]["n"] < last["steps"][0]["n"]


def test_protocol_meets_trained_models_and_says_what_is_wrong(protocols):
    (record,) = protocols.run("model=nlsm", "protocol=last_only")
    assert record["sizes"]["fit_steps"] == 3
    assert record["sizes"]["queries"] == record["steps"][0]["n"]
    said = protocols.python("run.py", "protocol=last_only", "protocol.links=old", code=2)
    assert said.strip() == "error: protocol.links is 'old'; choose one of all, new"
    folders = [f"results_dir={protocols.folder}/results", f"work_dir={protocols.folder}/runs"]
    said = protocols.python("run.py", "protocol=last_only", "data.steps=1", *folders, code=1)
    assert "error: the data have 1 snapshot; at least 2 are needed; shorten data.window" in said


def test_help_lists_the_protocol(protocols):
    assert "Links of the last snapshot, after training on all the others." in protocols.python("run.py", "--help")
    card = protocols.python("run.py", "protocol=last_only", "--help")
    assert "Benchmark pairs of the last snapshot" in card
    assert "# all links of the last snapshot, or only new ones" in card


def test_protocol_passes_the_contract(protocols):
    protocols.python("-c", "from dynbench.testing import check_protocol; check_protocol('last_only')")

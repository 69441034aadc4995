"""Whole runs under the temporal split: the record, the kept scores, and a story taken up again."""

import numpy as np
import pytest
import torch
from exams import blocks_of, validation_of

from dynbench.config.check import check
from dynbench.config.compose import compose
from dynbench.data.generators import NLSMProcess
from dynbench.engine.loop import Loop
from dynbench.engine.trainer import Trainer
from dynbench.errors import DataError
from dynbench.metrics.links import FoldMetrics
from dynbench.models.base import Model
from dynbench.protocols.temporal_split import TemporalSplit
from dynbench.runner import run

SMALL = ("data=nlsm_process", "data.steps=30", "data.nodes=30", "budget=smoke", "progress=false", "logger=none")


def carried_out(tmp_path, *words):
    return run(check(compose([*SMALL, f"results_dir={tmp_path}/results", f"work_dir={tmp_path}/runs", *words])))


@pytest.mark.parametrize("model", ["nglp", "gae", "graphsage"])
def test_a_run_leaves_metrics_and_scores(tmp_path, model):
    outcome = carried_out(tmp_path, f"model={model}")
    record = outcome.record
    assert record.protocol == "temporal_split"
    assert record.comparable
    assert {"auc", "ap", "f1", "threshold", "precision_at_k", "calibration_error", "tp", "val_ap"} <= set(
        record.metrics
    )
    assert len(record.steps) == 4
    scores = tmp_path / "runs" / "scores" / "nlsm_process" / f"{outcome.path.stem}.npz"
    with np.load(scores, allow_pickle=False) as kept:
        links = record.metrics["tp"] + record.metrics["fn"]
        assert kept["test_labels"].sum() == links
        assert len(kept["validation_scores"]) + len(kept["test_scores"]) == record.sizes["queries"]


def test_a_diagnosis_is_not_comparable(tmp_path):
    words = (
        "model=preferential_attachment",
        "model.snapshots=last",
        "protocol=temporal_split",
        "protocol.source=target",
    )
    record = carried_out(tmp_path, *words).record
    assert not record.comparable
    assert record.changed == {"source": "target"}


def test_a_window_longer_than_the_data(tmp_path):
    words = ["data=bursty_mail", "data.nodes=50", "data.days=30", "data.links=200", "data.window=40d", "model=nglp"]
    with pytest.raises(DataError, match=r"data\.window=40d is longer than the data"):
        run(check(compose([*words, f"results_dir={tmp_path}/results", f"work_dir={tmp_path}/runs"])))


class Diary(Model):
    """Writes down what happens to it."""

    def __init__(self):
        self.diary = []

    answers = frozenset({"score"})

    def fit(self, train, selector, trainer):
        self.diary.append(("fit", int(train.time.max())))

    def condition(self, context):
        self.diary.append(("condition", int(context.time.max())))

    def observe(self, events):
        self.diary.append(("observe", int(events.time.min())))

    def score(self, queries):
        self.diary.append(("asked", int(queries.time[0])))
        return torch.arange(len(queries)).float()


def test_the_order_of_the_story(tmp_path):
    graph, model = NLSMProcess("toy", nodes=20, steps=21).load(), Diary()
    story = Loop(model, TemporalSplit(), Trainer(), tmp_path)
    story.play(graph, 0)
    assert model.diary[:2] == [("fit", 14), ("condition", 14)]
    assert model.diary[2:] == [(what, step) for step in range(15, 21) for what in ("asked", "observe")]
    assert isinstance(story.metrics[""], FoldMetrics)
    assert [row["step"] for row in story.results()[1]] == [18, 19, 20]


@pytest.mark.parametrize("model", ["nglp", "preferential_attachment", "edgebank"])
def test_blocks_that_ask_nothing_only_reveal(tmp_path, model):
    words = (
        f"model={model}",
        "protocol=temporal_split",
        "protocol.links=repeated",
        "data.density=0.012",
        "data.nodes=20",
    )
    steps, protocol = 40, TemporalSplit(links="repeated")
    graph = NLSMProcess("toy", nodes=20, steps=steps, density=0.012).load()
    (episode,) = protocol.episodes(graph, 0)
    asked = [[len(block.queries) > 0 for block in fold] for fold in (validation_of(episode), blocks_of(episode))]
    assert all(any(fold) and not all(fold) for fold in asked)
    record = carried_out(tmp_path, *words, f"data.steps={steps}").record
    assert record.status == "finished"
    assert len(record.steps) == sum(asked[1])

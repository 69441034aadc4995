"""Figures of link forecasts: their numbers against scikit-learn, their files, and what is missing."""

import json

import numpy as np
import pytest
import torch
from sklearn import metrics as reference

from dynbench import records, runner
from dynbench.config.check import check
from dynbench.config.compose import choices, compose
from dynbench.contract import Block, Queries
from dynbench.errors import ConfigError, DataError
from dynbench.metrics import curves
from dynbench.metrics.links import FoldMetrics, precision_at_k
from dynbench.metrics.steps import LinkMetrics
from dynbench.reporting import figures, link_figures, make_figures
from dynbench.reporting.composer import Composer


def block(step, labels, fold="test"):
    nodes = torch.zeros(len(labels), dtype=torch.long)
    return Block(step, Queries(nodes, nodes, nodes), torch.from_numpy(labels), fold=fold)


@pytest.fixture(params=["free", "logit"])
def kept(request, tmp_path):
    """Scores with ties, kept as a run keeps them."""
    draw, metrics = np.random.default_rng(1), FoldMetrics()
    metrics.scale = request.param
    for step, fold in enumerate(("validation", "test")):
        labels = draw.integers(0, 2, 500)
        scores = np.round(draw.normal(labels, 1), 1)
        metrics.update(block(step, labels, fold), torch.from_numpy(scores))
    return records.write_arrays(metrics.arrays(), tmp_path / "scores" / "run.npz"), metrics


def test_the_numbers_are_those_of_the_metrics(kept):
    path, metrics = kept
    data, found = curves.points(curves.read_folds(path)), metrics.compute()
    assert data["threshold"] == found["threshold"]
    assert np.ravel(data["confusion"]).tolist() == [found[name] for name in ("tn", "fp", "fn", "tp")]
    roc = data["roc"]["test"]
    assert reference.auc(roc["false_positive_rate"], roc["true_positive_rate"]) == pytest.approx(found["auc"], abs=1e-5)
    curve = data["precision_recall"]["validation"]
    steps = np.diff(np.append(0, curve["recall"])) * curve["precision"]
    assert steps.sum() == pytest.approx(found["val_ap"], abs=1e-4)
    assert sum(data["calibration"]["count"]) == 500
    assert sum(data["scores"]["links"]) == found["tp"] + found["fn"]


def test_curves_against_scikit_learn(kept):
    fold = curves.read_folds(kept[0])["test"]
    data = curves.points(curves.read_folds(kept[0]))
    precision, recall, thresholds = reference.precision_recall_curve(fold.labels, fold.probabilities)
    grid = data["thresholds"]
    for place in (0, 37, 60):
        at = np.searchsorted(thresholds, grid["threshold"][place])
        assert grid["recall"][place] == pytest.approx(recall[at], abs=1e-5)
        assert grid["precision"][place] == pytest.approx(precision[at], abs=1e-5)
    scores, labels = torch.from_numpy(fold.probabilities), torch.from_numpy(fold.labels)
    for k, value in list(zip(*data["precision_at_k"].values(), strict=True))[::50]:
        assert value == pytest.approx(precision_at_k(scores, labels, k), abs=1e-5)
    assert data["gain"]["found"][0] == 0
    assert data["gain"]["found"][-1] == 1
    assert all(np.diff(data["gain"]["found"]) >= 0)


def test_long_curves_are_thinned():
    draw = np.random.default_rng(2)
    fold = curves.Fold(-np.sort(-draw.random(5000)), draw.integers(0, 2, 5000))
    data = curves.points({"validation": fold, "test": fold})
    assert max(len(data["roc"]["test"]["true_positive_rate"]), len(data["gain"]["found"])) <= 401


def test_files(kept, tmp_path):
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    names = {"roc": "figure_03", "confusion": "figure_10"}
    written = link_figures.draw(kept[0], tmp_path / "out", "A title", names)
    assert [path.name for path in written] == ["points.json", "figure_03.png", "figure_10.png"]
    before = written[1].read_bytes()
    assert json.loads(written[0].read_text())["threshold"] > 0
    link_figures.draw(kept[0], tmp_path / "out", "A title", names)
    assert written[1].read_bytes() == before


def test_without_a_validation_fold_there_is_no_threshold(tmp_path):
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    draw, metrics = np.random.default_rng(1), LinkMetrics()
    for step in range(3):
        labels = draw.integers(0, 2, 200)
        metrics.update(block(step, labels), torch.from_numpy(draw.normal(labels, 1)))
    path = records.write_arrays(metrics.arrays(), tmp_path / "run.npz")
    written = link_figures.draw(path, tmp_path / "out", "A title")
    drawn = {file.stem for file in written} - {"points"}
    assert drawn == set(link_figures.FIGURES) - {"confusion", "confusion_shares"}
    roc = json.loads(written[0].read_text())["roc"]["test"]
    area = reference.auc(roc["false_positive_rate"], roc["true_positive_rate"])
    assert area == pytest.approx(metrics.compute()["micro_auc"], abs=2e-3)
    assert LinkMetrics(pooled=False).arrays() == {}


@pytest.mark.long
def test_figures_of_any_run(tmp_path, capsys):
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    words = ["model=last_snapshot", "data=nlsm_process", "data.nodes=30", "data.steps=5"]
    code = make_figures.main(["--run", *words, "--budget", "smoke", "--results-dir", str(tmp_path)])
    assert code == 0, capsys.readouterr().err
    (folder,) = (tmp_path / "figures" / "runs").iterdir()
    assert (folder / "roc.png").is_file()
    assert make_figures.main(["--run", "model=nonsense", "--results-dir", str(tmp_path)]) == 1
    assert "nonsense" in capsys.readouterr().err


def test_what_is_missing_is_said(tmp_path):
    with pytest.raises(DataError, match="kept no scores; run it again with force=true"):
        link_figures.draw(tmp_path / "none.npz", tmp_path, "")
    (tmp_path / "bad.npz").write_text("nothing")
    with pytest.raises(DataError, match="does not hold the scores of a run"):
        curves.read_folds(tmp_path / "bad.npz")
    with pytest.raises(ConfigError, match="there is no figure 'pie'"):
        link_figures.draw(tmp_path / "none.npz", tmp_path, "", {"pie": "x"})


@pytest.mark.parametrize("name", choices("figure"))
def test_figure_files(name):
    entries = figures.load(name)
    assert all({"name", "label", "overrides"} <= set(run) for run in entries.get("runs", ()))
    if "table" in entries:
        assert entries["table"] in choices("table")


def test_figures_of_runs_that_are_missing(tmp_path, capsys):
    code = make_figures.main(["--figures", "nglp_figures", "--no-run", "--results-dir", str(tmp_path)])
    assert code == 1
    assert "nglp_figures, collegemsg: not run yet" in capsys.readouterr().err


def test_curves_of_several_seeds(tmp_path):
    """Against scikit-learn for one run; the mean and the spread of two that lie apart."""
    draw = np.random.default_rng(4)
    labels = draw.integers(0, 2, 3000)
    folds = []
    for strength in (0.5, 2.0):
        values = draw.normal(strength * labels, 1)
        order = np.argsort(-values, kind="stable")
        folds.append(curves.Fold(values[order], labels[order]))
    one, both = curves.over_seeds(folds[:1]), curves.over_seeds(folds)
    false, true, _ = reference.roc_curve(folds[0].labels, folds[0].probabilities)
    for place in (20, 100, 160):
        assert one["roc"]["mean"][place] == pytest.approx(np.interp(place / 200, false, true), abs=0.01)
    precision, recall, _ = reference.precision_recall_curve(folds[0].labels, folds[0].probabilities)
    for place in (20, 100, 160):
        best = precision[recall >= place / 200][-1]
        assert one["precision_recall"]["mean"][place] == pytest.approx(best, abs=0.01)
    assert one["auc"] == pytest.approx([reference.roc_auc_score(folds[0].labels, folds[0].probabilities)], abs=1e-6)
    assert not any(one["roc"]["sd"])
    other = curves.over_seeds(folds[1:])
    for kind in ("roc", "precision_recall"):
        pair = np.array([one[kind]["mean"], other[kind]["mean"]])
        assert both[kind]["mean"] == pytest.approx(pair.mean(0), abs=2e-6)
        assert both[kind]["sd"] == pytest.approx(np.abs(pair[0] - pair[1]) / 2**0.5, abs=2e-6)
    assert both["ap"] == one["ap"] + other["ap"]
    assert one["roc"]["mean"][-1] == other["roc"]["mean"][-1] == 1
    late = curves.over_seeds([curves.Fold(np.array([0.9, 0.8, 0.7, 0.6]), np.array([0, 0, 1, 1]))])
    assert late["precision_recall"]["mean"][0] == pytest.approx(1 / 3, abs=1e-6)


def test_several_models_in_one_picture(tmp_path, capsys, monkeypatch):
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    monkeypatch.setattr(make_figures, "_run", lambda words: runner.run(check(compose(words))))
    words = ["model=last_snapshot,decayed_count", "data=nlsm_process", "data.nodes=30", "data.steps=5"]
    places = ["--results-dir", str(tmp_path), "--work-dir", str(tmp_path / "runs"), "--budget", "smoke"]
    assert make_figures.main(["--curves", *words, "--seeds", "0", "1", *places]) == 0, capsys.readouterr().err
    drawn = sorted((tmp_path / "figures" / "curves").iterdir())
    assert [path.suffix for path in drawn] == [".json", ".pdf", ".png"]
    data = json.loads(drawn[0].read_text())
    assert list(data) == ["last snapshot", "decayed count"]
    for label, own in data.items():
        kept = [json.loads(path.read_text()) for path in sorted((tmp_path / "runs/records").rglob("*.json"))]
        found = {r["seed"]: r["metrics"]["micro_auc"] for r in kept if r["model"] == label.replace(" ", "_")}
        assert own["auc"] == pytest.approx([found[0], found[1]], abs=2e-6)
    assert make_figures.main(["--curves", "model=bass", *places]) == 2
    assert "error: model=bass is unknown; did you mean 'bas'?" in capsys.readouterr().err


def test_what_a_figure_file_is_drawn_from_is_published(tmp_path, capsys, monkeypatch):
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    words = ["model=last_snapshot", "data=nlsm_process", "data.nodes=30", "data.steps=5"]
    entries = {"kind": "link", "runs": [{"name": "one", "label": "One", "overrides": words}]}
    monkeypatch.setattr(figures, "load", lambda name: entries)
    monkeypatch.setattr(make_figures, "_run", lambda words: runner.run(check(compose(words))))
    places = ["--results-dir", str(tmp_path), "--work-dir", str(tmp_path / "runs")]
    assert make_figures.main(["--figures", "some", *places]) == 0, capsys.readouterr().err
    (drawn,) = (tmp_path / "figures" / "some").iterdir()
    assert drawn.name == "one"
    (record,) = records.Store(tmp_path, tmp_path / "elsewhere").published.all()
    assert record.name in figures.used(Composer(), ["some"])
    # A run that no file names is drawn, and is nobody's result.
    assert make_figures.main(["--run", *words, "--seed", "3", *places]) == 0, capsys.readouterr().err
    assert len(list(records.Store(tmp_path, tmp_path / "elsewhere").published.all())) == 1

"""Metrics of two folds, against scikit-learn."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as reference
from sklearn.calibration import calibration_curve

from dynbench.contract import Block, Queries
from dynbench.errors import RunError
from dynbench.metrics.links import (
    FoldMetrics,
    best_threshold,
    calibration_error,
    confusion,
    precision_at_k,
    reliability,
    to_probabilities,
)


def add(metrics, step, scores, labels, fold="test", groups=None):
    """Answer a block of labelled pairs."""
    nodes = torch.zeros(len(labels), dtype=torch.long)
    metrics.update(Block(step, Queries(nodes, nodes, nodes), labels, groups=groups, fold=fold), scores)


def fold(seed, n=400, ties=False):
    draw = np.random.default_rng(seed)
    labels = draw.integers(0, 2, n)
    scores = np.clip(draw.normal(0.35 + 0.3 * labels, 0.25, n), 0, 1)
    scores = np.round(scores, 1) if ties else scores
    return torch.from_numpy(scores), torch.from_numpy(labels)


@given(seed=st.integers(0, 10_000), ties=st.booleans())
@settings(max_examples=40, deadline=None)
def test_threshold_is_the_best_of_all(seed, ties):
    scores, labels = fold(seed, 60, ties)
    threshold, f1 = best_threshold(scores, labels)
    candidates = np.unique(scores.numpy())
    values = np.array([reference.f1_score(labels, scores.numpy() >= c) for c in candidates])
    assert f1 == pytest.approx(values.max())
    assert threshold == candidates[np.isclose(values, values.max(), atol=1e-12)][0]  # the smallest of several


@pytest.mark.parametrize("ties", [False, True])
def test_confusion_and_f1(ties):
    scores, labels = fold(3, ties=ties)
    counts = confusion(scores, labels, 0.5)
    tn, fp, fn, tp = reference.confusion_matrix(labels, scores.numpy() >= 0.5).ravel()
    assert counts == (tp, fp, fn, tn)
    assert counts.f1 == pytest.approx(reference.f1_score(labels, scores.numpy() >= 0.5))
    assert confusion(torch.zeros(3), torch.ones(3), 0.5).f1 == 0


@pytest.mark.parametrize("bins", [5, 10, 15])
@pytest.mark.parametrize("ties", [False, True])
def test_calibration_against_scikit_learn(bins, ties):
    scores, labels = fold(5, ties=ties)
    observed, predicted = calibration_curve(labels, scores, n_bins=bins, strategy="uniform")
    found = reliability(scores, labels, bins)
    np.testing.assert_allclose(found.predicted, predicted)
    np.testing.assert_allclose(found.observed, observed)
    weight = found.count / len(labels)
    assert found.count.sum() == len(labels)
    assert calibration_error(scores, labels, bins) == pytest.approx((weight * abs(observed - predicted)).sum())


def test_calibration_of_a_perfect_and_of_a_lying_forecast():
    labels = torch.tensor([0, 0, 1, 1])
    assert calibration_error(labels.double(), labels) == 0
    assert calibration_error(1 - labels.double(), labels) == 1


def test_precision_at_k():
    scores, labels = torch.tensor([0.9, 0.8, 0.7, 0.1]), torch.tensor([1, 0, 1, 0])
    assert precision_at_k(scores, labels) == 0.5
    assert precision_at_k(scores, labels, 3) == pytest.approx(2 / 3)
    # Ties at the cut count by their average, in whatever order they stand.
    assert precision_at_k(torch.zeros(4), torch.tensor([1, 1, 0, 0])) == 0.5
    assert precision_at_k(torch.tensor([1.0, 0, 0]), torch.tensor([1, 1, 0])) == pytest.approx((1 + 0.5) / 2)


def test_probabilities():
    scores = torch.tensor([-2.0, 0.0, 6.0])
    assert to_probabilities(scores, "free").tolist() == [0, 0.25, 1]
    torch.testing.assert_close(to_probabilities(scores, "logit"), torch.sigmoid(scores.double()))
    assert to_probabilities(torch.ones(2), "free").tolist() == [0.5, 0.5]


def accumulated(scale="logit"):
    metrics = FoldMetrics(groups={1: "repeated", 2: "new"})
    metrics.scale = scale
    parts = {}
    for step, name in ((3, "validation"), (4, "validation"), (5, "test"), (6, "test")):
        scores, labels = fold(step)
        groups = torch.where(labels == 1, 1 + (torch.arange(len(labels)) % 2), 0)
        add(metrics, step, torch.logit(scores.clamp(0.01, 0.99)), labels, fold=name, groups=groups)
        parts.setdefault(name, []).append((scores.clamp(0.01, 0.99).float(), labels, groups))
    return metrics, {name: [torch.cat(p) for p in zip(*blocks, strict=True)] for name, blocks in parts.items()}


def test_folds_are_pooled_and_the_threshold_is_that_of_validation():
    metrics, parts = accumulated()
    scores, labels, groups = parts["test"]
    found = metrics.compute()
    assert found["auc"] == pytest.approx(reference.roc_auc_score(labels, scores))
    assert found["ap"] == pytest.approx(reference.average_precision_score(labels, scores))
    assert found["val_ap"] == pytest.approx(reference.average_precision_score(*parts["validation"][1::-1]))
    assert found["threshold"] == pytest.approx(best_threshold(*parts["validation"][:2])[0], abs=1e-6)
    assert found["f1"] == pytest.approx(reference.f1_score(labels, scores >= found["threshold"] - 1e-7))
    assert found["tp"] + found["fn"] == labels.sum()
    assert found["precision_at_k"] == pytest.approx(precision_at_k(scores, labels))
    kept = (labels == 0) | (groups == 2)
    assert found["ap_new"] == pytest.approx(reference.average_precision_score(labels[kept], scores[kept]))
    steps = metrics.per_step()
    assert [row["step"] for row in steps] == [5, 6]
    assert found["macro_ap"] == pytest.approx(np.mean([row["ap"] for row in steps]))


def test_test_answers_do_not_move_the_threshold():
    one, _ = accumulated()
    other, _ = accumulated()
    other.scores[-1] = -other.scores[-1]
    assert one.compute()["threshold"] == other.compute()["threshold"]
    assert one.compute()["ap"] != other.compute()["ap"]


def test_kept_scores_are_those_measured():
    metrics, parts = accumulated()
    kept = metrics.arrays()
    assert str(kept["scale"]) == "logit"
    np.testing.assert_array_equal(kept["test_labels"], parts["test"][1])
    assert kept["validation_scores"].dtype == np.float32


@pytest.mark.parametrize("label", [0, 1])
def test_one_class_in_a_fold_is_refused(label):
    metrics = FoldMetrics()
    add(metrics, 1, torch.rand(4), torch.full((4,), label), fold="validation")
    add(metrics, 2, torch.rand(4), torch.tensor([0, 1, 0, 1]))
    with pytest.raises(RunError, match=r"the validation fold has \d links and \d non-links"):
        metrics.compute()


def test_an_empty_fold_and_a_score_that_is_no_number():
    with pytest.raises(RunError, match="no pair of the test fold"):
        FoldMetrics().compute()
    with pytest.raises(RunError, match="1 of 2 scores of step 7 are NaN or infinite"):
        add(FoldMetrics(), 7, torch.tensor([0.0, float("nan")]), torch.tensor([0, 1]))

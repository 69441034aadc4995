"""AUC and average precision beside their definitions; pooling over steps on examples made by hand."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import metrics_slow as slow
from sklearn.metrics import average_precision_score, roc_auc_score

from dynbench.contract import Block, Queries
from dynbench.errors import RunError
from dynbench.metrics.steps import LinkMetrics, auc, average_precision


@st.composite
def scored(draw):
    """Scores with many ties, and labels of both classes."""
    size = draw(st.integers(2, 30))
    scores = draw(st.lists(st.integers(-3, 3), min_size=size, max_size=size))
    labels = draw(st.lists(st.integers(0, 1), min_size=size - 2, max_size=size - 2))
    return [s / 2 for s in scores], [0, 1, *labels]


@settings(max_examples=60, deadline=None)
@given(scored())
def test_definitions(example):
    scores, labels = example
    tensors = torch.tensor(scores), torch.tensor(labels, dtype=torch.int8)
    assert auc(*tensors) == pytest.approx(slow.auc(scores, labels))
    assert average_precision(*tensors) == pytest.approx(slow.average_precision(scores, labels))
    assert auc(-tensors[0], tensors[1]) == pytest.approx(1 - auc(*tensors))


def test_scikit_learn_agrees_on_random_scores():
    generator = torch.Generator().manual_seed(0)
    scores = torch.randn(500, generator=generator).round(decimals=1)
    labels = (torch.rand(500, generator=generator) < 0.3).to(torch.int8)
    assert auc(scores, labels) == pytest.approx(roc_auc_score(labels.numpy(), scores.numpy()))
    assert average_precision(scores, labels) == pytest.approx(average_precision_score(labels.numpy(), scores.numpy()))


def test_scores_that_differ_in_their_last_digit_are_no_ties():
    scores = torch.tensor([1.0, 1.0 + 2**-23])
    assert auc(scores, torch.tensor([0, 1])) == 1.0
    assert auc(scores, torch.tensor([1, 0])) == 0.0


def add(metrics, step, scores, labels):
    """Answer a block of labelled pairs."""
    nodes = torch.zeros(len(labels), dtype=torch.long)
    metrics.update(Block(step, Queries(nodes, nodes, nodes), labels), scores)


def by_hand() -> LinkMetrics:
    """Two steps: in the first 3 of 4 pairs are in order, in the second all; the second's scores lie below."""
    metrics = LinkMetrics()
    add(metrics, 1, torch.tensor([9.0, 6.0, 7.0, 5.0]), torch.tensor([1, 1, 0, 0]))
    add(metrics, 2, torch.tensor([4.0, 1.0]), torch.tensor([1, 0]))
    return metrics


def test_macro_and_micro_by_hand():
    overall = by_hand().compute()
    assert set(overall) == {"macro_auc", "macro_ap", "micro_auc", "micro_ap"}
    assert overall["macro_auc"] == pytest.approx((3 / 4 + 1) / 2)
    # Pooled, in order of score: 9 yes, 7 no, 6 yes, 5 no, 4 yes, 1 no.
    assert overall["micro_auc"] == pytest.approx((3 + 2 + 1) / 9)
    assert overall["macro_ap"] == pytest.approx(((1 + 2 / 3) / 2 + 1) / 2)
    assert overall["micro_ap"] == pytest.approx((1 + 2 / 3 + 3 / 5) / 3)


def test_steps_by_hand():
    first, second = by_hand().per_step()
    assert first == {"step": 1, "n": 4, "auc": pytest.approx(0.75), "ap": pytest.approx(5 / 6)}
    assert second == {"step": 2, "n": 2, "auc": 1.0, "ap": 1.0}


def test_without_pooling_there_is_no_micro():
    metrics = LinkMetrics(pooled=False)
    add(metrics, 1, torch.tensor([2.0]), torch.tensor([1]))
    add(metrics, 1, torch.tensor([1.0]), torch.tensor([0]))
    add(metrics, 2, torch.tensor([1.0, 2.0]), torch.tensor([1, 0]))
    assert metrics.compute() == {"macro_auc": 0.5, "macro_ap": 0.75}
    assert [(row["step"], row["n"], row["auc"]) for row in metrics.per_step()] == [(1, 2, 1.0), (2, 2, 0.0)]
    assert len(metrics.scores) == 1  # those of a finished step are gone


@settings(max_examples=20, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 9), st.floats(-5, 5, width=32)), min_size=1, max_size=6))
def test_a_constant_per_step_gets_one_half_if_the_classes_are_balanced(steps):
    metrics = LinkMetrics()
    for step, (count, value) in enumerate(steps):
        add(metrics, step, torch.full((2 * count,), value), torch.tensor([1, 0] * count))
    overall = metrics.compute()
    assert overall["macro_auc"] == 0.5
    assert overall["micro_auc"] == pytest.approx(0.5)


def test_micro_sees_levels_that_macro_does_not():
    metrics = LinkMetrics()
    add(metrics, 1, torch.tensor([3.0, 2.0, 2.0]), torch.tensor([1, 1, 0]))
    add(metrics, 2, torch.tensor([-3.0, -4.0]), torch.tensor([1, 0]))
    assert metrics.compute()["macro_auc"] == pytest.approx((0.75 + 1) / 2)
    assert metrics.compute()["micro_auc"] == pytest.approx((2 + 1.5 + 1) / 6)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_scores_that_are_no_numbers(value):
    metrics = LinkMetrics()
    with pytest.raises(RunError, match=r"1 of 3 scores of step 7 are NaN or infinite; the model has diverged"):
        add(metrics, 7, torch.tensor([0.0, value, 1.0]), torch.tensor([0, 1, 1]))


@pytest.mark.parametrize("labels", [[1, 1], [0, 0]])  # blocks that ask nothing are not measured
def test_a_step_with_one_class_is_skipped_and_shown(labels):
    metrics = LinkMetrics()
    add(metrics, 1, torch.tensor([2.0, 1.0]), torch.tensor([1, 0]))
    add(metrics, 2, torch.zeros(len(labels)), torch.tensor(labels))
    assert metrics.compute()["macro_auc"] == 1.0
    assert metrics.per_step()[1] == {"step": 2, "n": len(labels), "auc": None, "ap": None}


def test_a_skipped_step_still_counts_in_the_pool():
    metrics = LinkMetrics()
    add(metrics, 1, torch.tensor([2.0, 1.0]), torch.tensor([1, 0]))
    add(metrics, 2, torch.tensor([0.0]), torch.tensor([1]))
    assert metrics.compute()["micro_auc"] == 0.5


def test_nothing_but_steps_with_one_class():
    metrics = LinkMetrics()
    add(metrics, 1, torch.tensor([2.0, 1.0]), torch.tensor([1, 1]))
    with pytest.raises(RunError, match="no step has both links and non-links"):
        metrics.compute()


def test_scores_are_kept_without_their_graph():
    metrics = LinkMetrics()
    add(metrics, 1, torch.tensor([2.0, 1.0], requires_grad=True, dtype=torch.double), torch.tensor([1, 0]))
    assert metrics.scores[0].dtype == torch.float32
    assert not metrics.scores[0].requires_grad

"""AUC and average precision of many groups at once, beside scikit-learn one group at a time."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score

from dynbench.metrics.grouped import ap_by_group, auc_by_group


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 8), st.sampled_from([2, 5, 1000]))
def test_equals_scikit_learn(seed, groups, values):
    draw = np.random.default_rng(seed)
    size = draw.integers(1, 120)
    group = draw.integers(0, groups, size)
    labels, scores = draw.integers(0, 2, size), draw.integers(0, values, size) / 7 - 3
    aucs, aps = auc_by_group(scores, labels, group, groups), ap_by_group(scores, labels, group, groups)
    for number in range(groups):
        own = group == number
        links = labels[own].sum()
        if 0 < links < own.sum():
            assert aucs[number] == pytest.approx(roc_auc_score(labels[own], scores[own]))
        else:
            assert np.isnan(aucs[number])
        if links:
            assert aps[number] == pytest.approx(average_precision_score(labels[own], scores[own]))
        else:
            assert np.isnan(aps[number])


def test_ties_are_level():
    scores, labels, group = np.zeros(6), np.array([1, 0, 1, 0, 1, 0]), np.array([0, 0, 0, 0, 1, 1])
    assert auc_by_group(scores, labels, group, 2).tolist() == [0.5, 0.5]
    assert ap_by_group(scores, labels, group, 2).tolist() == [0.5, 0.5]


def test_nothing():
    empty = np.zeros(0)
    assert np.isnan(auc_by_group(empty, empty, empty.astype(int), 1)).all()
    assert np.isnan(ap_by_group(empty, empty, empty.astype(int), 1)).all()

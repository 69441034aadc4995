"""AP and AUC of batches beside scikit-learn, and ranks of true destinations beside sorting."""

from __future__ import annotations

import time

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score

from dynbench.contract import Block, Queries
from dynbench.errors import RunError
from dynbench.metrics.base import all_finite
from dynbench.metrics.streams import ManyMetrics, StreamMetrics


def block(number: int, labels, times=None, groups=None) -> Block:
    count = len(labels)
    ends = torch.zeros(count, dtype=torch.long)
    times = torch.full((count,), number) if times is None else torch.tensor(times)
    labels = torch.tensor(labels, dtype=torch.int8)
    return Block(number, Queries(ends, ends, times), labels, groups=groups)


def measured(batches, aggregate="per_batch"):
    metric = StreamMetrics(aggregate)
    for number, (labels, scores, *times) in enumerate(batches):
        metric.update(block(number, labels, *times), torch.tensor(scores, dtype=torch.float32))
    return metric


def flat(batches) -> list[list]:
    """Labels and scores of all batches."""
    return [[value for batch in batches for value in batch[k]] for k in range(2)]


def sklearn(labels, scores) -> tuple[float, float]:
    scores = np.array(scores, dtype=np.float32)
    return average_precision_score(labels, scores), roc_auc_score(labels, scores)


BATCHES = [
    ([1, 1, 1, 0, 0, 0], [0.9, 0.8, 0.1, 0.7, 0.2, 0.1]),
    ([1, 1, 1, 0, 0, 0], [1.0, 0.0, 0.0, 0.0, 1.0, 0.0]),  # EdgeBank's ties
    ([1, 0], [0.3, 0.3]),  # the short last one counts as much as any
]


def test_three_batches_by_hand():
    result = measured(BATCHES).compute()
    # Batch 2: recall 1/3 at precision 1/2, and all at 1/2. Batch 3: everything is level.
    ap = [(1 + 1 + 3 / 6) / 3, 0.5, 0.5]
    auc = [(3 + 3 + 0.5) / 9, (2 + 2 * 1.0 + 0) / 9 + 0.5 / 9, 0.5]
    assert result["ap"] == pytest.approx(np.mean(ap))
    assert result["auc"] == pytest.approx(np.mean([auc[0], sklearn(*BATCHES[1])[1], auc[2]]))
    pooled = sklearn(*flat(BATCHES))
    assert (result["pooled_ap"], result["pooled_auc"]) == pytest.approx(pooled)
    rows = measured(BATCHES).per_step()
    assert [(row["step"], row["n"]) for row in rows] == [(0, 6), (1, 6), (2, 2)]
    assert [row["ap"] for row in rows] == pytest.approx(ap)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.lists(st.sampled_from([-2.5, -1.0, 0.0, 0.25, 0.3, 3.0]), min_size=2, max_size=12), min_size=1,
             max_size=6),
)  # fmt: skip
def test_beside_scikit_learn(scores):
    batches = [([1] * (len(row) // 2) + [0] * (len(row) - len(row) // 2), row) for row in scores]
    result = measured(batches).compute()
    expected = np.mean([sklearn(*batch) for batch in batches], axis=0)
    assert (result["ap"], result["auc"]) == pytest.approx(tuple(expected), abs=1e-12)
    assert (result["pooled_ap"], result["pooled_auc"]) == pytest.approx(sklearn(*flat(batches)), abs=1e-12)


def test_means_over_times_and_over_all():
    batches = [
        ([1, 1, 0, 0], [0.9, 0.2, 0.3, 0.1], [5, 7, 5, 7]),
        ([1, 1, 0, 0], [0.4, 0.6, 0.5, 0.7], [7, 9, 7, 9]),
    ]
    result = measured(batches, "per_time").compute()
    groups = [([1, 0], [0.9, 0.3]), ([1, 0, 1, 0], [0.2, 0.1, 0.4, 0.5]), ([1, 0], [0.6, 0.7])]
    expected = np.mean([sklearn(*group) for group in groups], axis=0)
    assert (result["ap"], result["auc"]) == pytest.approx(tuple(expected))
    result = measured(batches, "pooled").compute()
    assert result["ap"] == result["pooled_ap"]


def test_what_cannot_be_measured():
    with pytest.raises(RunError, match="1 of 2 scores of step 0 are NaN or infinite"):
        measured([([1, 0], [float("nan"), 0.0])])
    with pytest.raises(RunError, match="no pair was asked about"):
        StreamMetrics().compute()
    with pytest.raises(RunError, match="AUC is undefined"):
        measured([([1, 1], [0.1, 0.2])]).compute()


def test_ten_thousand_batches_take_seconds_at_most():
    generator = torch.Generator().manual_seed(0)
    metric, asked = StreamMetrics(), block(0, [1] * 200 + [0] * 200)
    scores = torch.randn(2000, 400, generator=generator)
    started = time.process_time()
    for row in scores:
        metric.update(asked, row)
    metric.compute()
    assert time.process_time() - started < 3  # scikit-learn needs 5 ms a batch


# ---- ranks ------------------------------------------------------------------------------------------------


def ranked(rows) -> ManyMetrics:
    """Each row is the score of the true destination followed by those of its negatives."""
    metric = ManyMetrics()
    scores = torch.tensor([score for row in rows for score in row], dtype=torch.float32)
    group = torch.repeat_interleave(torch.arange(len(rows)), torch.tensor([len(row) for row in rows]))
    labels = [int(k == 0) for row in rows for k in range(len(row))]
    order = torch.randperm(len(scores), generator=torch.Generator().manual_seed(0))
    asked = block(0, labels, groups=group)
    metric.update(asked[order], scores[order])
    return metric


def test_ranks_by_hand():
    metric = ranked([[3.0, 1, 2], [2.0, 2, 3], [1.0, 1, 1, 1], [0.0]])
    assert metric.ranks[0].tolist() == [1.0, 2.5, 2.5, 1.0]
    result = metric.compute()
    assert result["mrr"] == pytest.approx((1 + 0.4 + 0.4 + 1) / 4)
    assert (result["hits@1"], result["hits@3"], result["hits@10"]) == (0.5, 1.0, 1.0)
    assert metric.per_step() == [{"step": 0, "n": 4, **result}]


@pytest.mark.parametrize(("count", "mrr"), [(20, 0.0909), (100, 0.0196), (999, 0.0020)])
def test_a_constant_gets_the_middle_rank(count, mrr):
    assert ranked([[0.5] * (count + 1)] * 3).compute()["mrr"] == pytest.approx(mrr, abs=5e-5)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.lists(st.floats(-5, 5, width=16), min_size=1, max_size=9, unique=True), min_size=1, max_size=5))
def test_without_ties_a_rank_is_a_place(rows):
    expected = [1 + sorted(row, reverse=True).index(row[0]) for row in rows]
    assert ranked(rows).ranks[0].tolist() == expected


def test_a_nan_is_no_first_place():
    with pytest.raises(RunError, match="NaN"):
        ranked([[float("nan"), 1.0]])
    with pytest.raises(RunError, match="no event was asked about"):
        ManyMetrics().compute()


@pytest.mark.parametrize("shape", [(5,), (2, 3), (2, 3, 4), (0,), (0, 3)])
def test_all_finite_sees_every_place(shape):
    assert all_finite(torch.zeros(shape))
    for bad in (float("nan"), float("inf"), -float("inf")):
        for place in range(torch.zeros(shape).numel()):
            answer = torch.zeros(shape)
            answer.view(-1)[place] = bad
            assert not all_finite(answer)

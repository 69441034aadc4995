"""Agreement of clusters with classes, beside scikit-learn; the protocol around it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from exams import blocks_of, read
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as reference

from dynbench.contract import Block, Queries
from dynbench.errors import DataError, RunError
from dynbench.graph import TemporalGraph
from dynbench.metrics.clustering import ClusteringMetrics, JointClusteringMetrics, agreement, behaviours, matched
from dynbench.metrics.stability import StabilityMetrics, shift_test
from dynbench.protocols.node_clustering import NodeClustering

labelings = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=2, max_size=60)


@given(labelings)
@settings(deadline=None, max_examples=30)
def test_beside_scikit_learn(pairs):
    clusters, classes = np.array(pairs).T
    found = agreement(clusters, classes)
    named = matched(clusters, classes)
    assert found["acc"] == pytest.approx(reference.accuracy_score(classes, named))
    assert found["nmi"] == pytest.approx(reference.normalized_mutual_info_score(classes, clusters))
    assert found["ari"] == pytest.approx(reference.adjusted_rand_score(classes, clusters))
    names = np.unique(classes)
    f1 = reference.f1_score(classes, named, labels=names, average="macro", zero_division=0)
    assert found["f1"] == pytest.approx(f1)


@given(labelings, st.permutations(range(4)))
@settings(deadline=None, max_examples=30)
def test_names_of_clusters_do_not_matter(pairs, order):
    clusters, classes = np.array(pairs).T
    assert agreement(np.array(order)[clusters], classes) == pytest.approx(agreement(clusters, classes))
    perfect = agreement(np.array(order)[classes], classes)
    assert perfect == pytest.approx(dict.fromkeys(perfect, 1.0))


def test_by_hand():
    assert agreement(np.zeros(6, int), np.array([0, 0, 0, 1, 1, 1])) == {
        "acc": 0.5,
        "nmi": 0.0,
        "ari": 0.0,
        "f1": pytest.approx(1 / 3),
    }
    assert sorted(matched(np.array([0, 0, 1, 2]), np.array([4, 4, 5, 5])).tolist()) == [-1, 4, 4, 5]


def test_missing_labels_and_steps_without_classes():
    metrics = ClusteringMetrics()
    labels = torch.tensor([[0, 0, 1, 1], [0, 0, 0, -1], [0, -1, 1, 1]])
    metrics.add(0, torch.tensor([[1, 1, 0, 0], [0, 0, 0, 0], [0, 1, 0, 1]]), labels)
    rows = metrics.per_step()
    assert [row["n"] for row in rows] == [4, 3, 3]
    assert [row["acc"] for row in rows] == [1.0, None, pytest.approx(2 / 3)]
    assert metrics.compute()["acc"] == pytest.approx(5 / 6)
    metrics = ClusteringMetrics()
    metrics.add(0, labels[1:2], labels[1:2])
    with pytest.raises(DataError, match="two classes"):
        metrics.compute()


def test_behaviours_and_joint_metrics():
    labels = torch.tensor([[0, 0, 1, -1], [1, 1, 0, -1], [0, 1, 1, -1]])
    assert behaviours(labels).tolist() == [[0, 0, 1, -1], [0, 0, 1, -1], [2, 3, 3, -1]]
    metrics = JointClusteringMetrics()
    metrics.add(0, behaviours(labels), labels)
    assert metrics.compute()["acc"] == 1.0


# ---- protocol ------------------------------------------------------------------------------------------------


def labelled(labels, steps=2) -> TemporalGraph:
    return TemporalGraph.from_events([0, 1], [1, 2], [0, 1], 4, directed=False, num_steps=steps, node_labels=labels)


def test_one_label_per_node_serves_all_times():
    (episode,) = NodeClustering().episodes(labelled([0, 0, 1, -1]), 0)
    (block,) = blocks_of(episode)
    assert episode.train[""].node_labels is None
    assert block.answers.tolist() == [[0, 0, 1, -1]] * 2
    assert block.queries.time.tolist() == [0, 1]
    assert len(block.queries) == 2


def test_clusters_are_found_and_the_unlabelled_left_out():
    protocol = NodeClustering(starts=2)
    (episode,) = protocol.episodes(labelled([0, 0, 1, -1]), 0)
    points = torch.tensor([[0.0], [0.1], [5.0], [9.0]]).expand(2, 4, 1)
    clusters = read(episode, blocks_of(episode)[0], points)
    assert bool((clusters[:, 3] == -1).all())
    metrics = protocol.metric()
    metrics.add(0, clusters, blocks_of(episode)[0].answers)
    assert metrics.compute() == dict.fromkeys(("acc", "nmi", "ari", "f1"), 1.0)


def test_fewer_distinct_points_than_classes_is_no_error():
    protocol = NodeClustering(starts=1)
    (episode,) = protocol.episodes(labelled([0, 1, 2, 2]), 0)
    clusters = read(episode, blocks_of(episode)[0], torch.zeros(2, 4, 3))
    metrics = protocol.metric()
    metrics.add(0, clusters, blocks_of(episode)[0].answers)
    assert metrics.compute()["acc"] == 0.5


def test_the_mean_over_times():
    protocol = NodeClustering(times="mean", starts=1)
    (episode,) = protocol.episodes(labelled([0, 0, 1, 1]), 0)
    points = torch.stack([torch.tensor([[1.0], [-1.0], [5.0], [5.0]]), torch.tensor([[-1.0], [1.0], [5.0], [5.0]])])
    clusters = read(episode, blocks_of(episode)[0], points)
    assert torch.equal(clusters[0], clusters[1])
    with pytest.raises(DataError, match="stay the same"):
        next(protocol.episodes(labelled([[0, 0, 1, 1], [0, 1, 1, 1]]), 0))


def test_what_is_refused():
    with pytest.raises(DataError, match="no node labels"):
        next(NodeClustering().episodes(labelled(None), 0))
    (episode,) = NodeClustering().episodes(labelled([0, 0, 1, 1]), 0)
    with pytest.raises(RunError, match="NaN"):
        read(episode, blocks_of(episode)[0], torch.full((2, 4, 1), float("nan")))


def test_seeds():
    points = torch.rand(2, 4, 2, generator=torch.Generator().manual_seed(0))
    results = []
    for seed in (3, 3):
        protocol = NodeClustering(starts=1)
        (episode,) = protocol.episodes(labelled([0, 0, 1, 1]), seed)
        results.append(read(episode, blocks_of(episode)[0], points))
    assert torch.equal(*results)


# ---- stability -----------------------------------------------------------------------------------------------


def embedded(labels):
    nobody = torch.empty(0, dtype=torch.long)
    return Block(0, Queries(nobody, None, torch.arange(len(labels))), labels)


def test_stability_by_hand():
    labels = torch.tensor([[0, 0, 1], [0, 0, 1]])
    metrics = StabilityMetrics()
    metrics.update(embedded(labels), torch.tensor([[[0.0], [0.0], [3.0]], [[1.0], [1.0], [4.0]]]))
    found = metrics.compute()
    assert found["cross_sectional"] == 0.0
    assert found["longitudinal"] == pytest.approx(1 / 3)
    with pytest.raises(DataError, match="two classes"):
        StabilityMetrics().update(embedded(torch.zeros(2, 3, dtype=torch.long)), torch.zeros(2, 3, 1))


def test_shift_test():
    draw = np.random.default_rng(0)
    here, there = draw.standard_normal((2, 40, 2))
    assert shift_test(here, there) > 0.05
    assert shift_test(here, there + 2) == pytest.approx(0.001)

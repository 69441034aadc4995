"""Clustering of several graphs: each stands alone, and mean and spread are those of single runs."""

import numpy as np
import pytest
import torch
from exams import blocks_of, read

from dynbench.data.generators import DynamicSBM, RepeatedSBM
from dynbench.errors import DataError
from dynbench.metrics.clustering import agreement
from dynbench.models.spectral.uase import UASE
from dynbench.protocols.node_clustering import NodeClustering
from dynbench.protocols.repeated_clustering import RepeatedClustering


def answers(protocol, graph):
    metrics = protocol.metric()
    for episode in protocol.episodes(graph, 0):
        model = UASE(dim=3)
        model.fit(episode.train[""], None, None)
        for block in blocks_of(episode):
            metrics.update(block, read(episode, block, model.embed(block.queries.time)))
    return metrics


def test_graphs_are_those_that_are_drawn_singly():
    whole = RepeatedSBM("x", runs=3, run_id=4, nodes=60).load()
    assert (whole.num_steps, whole.node_labels.shape) == (9, (9, 60))
    episodes = list(RepeatedClustering().episodes(whole, 0))
    assert [episode.name for episode in episodes] == ["graph 1 of 3", "graph 2 of 3", "graph 3 of 3"]
    for run, episode in enumerate(episodes, 4):
        single = DynamicSBM("x", run_id=run, nodes=60).load()
        assert torch.equal(episode.train[""].src, single.src)
        assert torch.equal(episode.train[""].time, single.time)
        assert episode.train[""].num_steps == 3
        assert episode.train[""].node_labels is None
        assert torch.equal(blocks_of(episode)[0].answers, single.node_labels)


def test_mean_and_spread_over_graphs():
    settings = {"starts": 3, "kmeans_seed": 1}
    together = answers(RepeatedClustering(**settings), RepeatedSBM("x", runs=3, nodes=80, p=0.45).load())
    singly = [
        answers(NodeClustering(**settings), DynamicSBM("x", run_id=run, nodes=80, p=0.45).load()).compute()
        for run in range(3)
    ]
    found = together.compute()
    for name in ("acc", "nmi", "ari", "f1"):
        values = [one[name] for one in singly]
        assert found[name] == pytest.approx(np.mean(values))
        assert found[f"{name}_sd"] == pytest.approx(np.std(values))
        assert [row[name] for row in together.per_step()] == pytest.approx(values)
    assert [row["step"] for row in together.per_step()] == [0, 1, 2]
    assert agreement(np.array([0, 1]), np.array([1, 0]))["acc"] == 1


def test_what_is_refused():
    with pytest.raises(DataError, match="snapshots=4 and the data have 3"):
        next(RepeatedClustering(snapshots=4).episodes(DynamicSBM("x", nodes=20).load(), 0))
    with pytest.raises(DataError, match=r"runs=0 must be at least 1"):
        RepeatedSBM("x", runs=0).load()

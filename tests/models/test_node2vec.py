"""node2vec on snapshots: communities are found, awkward snapshots are borne, pairs are scored by the last snapshot."""

import numpy as np
import pytest
import torch
from sklearn.cluster import KMeans

from dynbench.contract import Queries
from dynbench.errors import ConfigError
from dynbench.graph import TemporalGraph
from dynbench.metrics.clustering import agreement
from dynbench.models.walks.node2vec import Node2Vec


def planted(steps: int = 2) -> tuple[TemporalGraph, np.ndarray]:
    draw, classes = np.random.default_rng(0), np.repeat([0, 1, 2], [40, 30, 30])
    rows = []
    for step in range(steps):
        chance = np.where(classes[:, None] == classes[None, :], 0.4, 0.02)
        src, dst = np.nonzero(np.triu(draw.random(chance.shape) < chance, 1))
        rows.append(np.stack([src, dst, np.full(len(src), step)]))
    src, dst, time = np.concatenate(rows, axis=1)
    return TemporalGraph.from_events(src, dst, time, 101, directed=False, num_steps=steps + 1), classes


def test_communities_are_found_at_every_time():
    torch.manual_seed(0)
    graph, classes = planted()
    model = Node2Vec(dim=3)
    model.fit(graph, None, None)
    embedding = model.embed(torch.arange(3))
    assert embedding.shape == (3, 101, 3)
    for step in (0, 1):
        clusters = KMeans(3, n_init=10, random_state=0).fit_predict(embedding[step, :100].numpy())
        assert agreement(clusters, classes)["acc"] == 1.0
    # Nothing happens at the last time; the node without a link keeps its random vector.
    assert torch.equal(embedding[1], embedding[2])
    assert 0 < float(embedding[0, 100].abs().max()) <= 0.5 / 3


@pytest.mark.parametrize("rate", [0.05, 0.1])
def test_higher_rates_do_not_diverge(rate):
    torch.manual_seed(0)
    model = Node2Vec(dim=3, learning_rate=rate)
    model.fit(planted(1)[0], None, None)
    assert 0.5 < float(model.embeddings.abs().max()) < 3


def test_scores_come_from_the_last_snapshot():
    torch.manual_seed(0)
    graph, classes = planted()
    model = Node2Vec(dim=8)
    model.fit(graph, None, None)
    src, dst = torch.triu_indices(100, 100, 1)
    scores = model.score(Queries.pairs(src, dst, 7))
    same = torch.from_numpy(classes[src] == classes[dst])
    assert float(scores[same].mean()) > float(scores[~same].mean()) + 0.5
    last = model.embed(torch.tensor([1]))[0]
    torch.testing.assert_close(scores, (last[src] * last[dst]).sum(-1))
    torch.testing.assert_close(model.score(Queries.pairs(dst, src, 7)), scores)


def test_silent_snapshots_and_seeds():
    results = []
    for seed in (3, 3, 4):
        torch.manual_seed(seed)
        model = Node2Vec(dim=2, walks=2, length=5)
        history = TemporalGraph.from_events([0, 3, 4], [1, 3, 5], [1, 1, 2], 7, directed=False, num_steps=3)
        model.fit(history, None, None)
        results.append(model.embed(torch.arange(3)))
    assert bool(torch.isfinite(results[0]).all())
    assert torch.equal(results[0], results[1])
    assert not torch.equal(results[0], results[2])


@pytest.mark.parametrize("key", ["walks", "window", "negatives", "epochs", "dim"])
def test_what_is_refused(key):
    with pytest.raises(ConfigError, match=f"model.{key}=0"):
        Node2Vec(**{key: 0})
    with pytest.raises(ConfigError, match="at least two nodes"):
        Node2Vec(length=1)

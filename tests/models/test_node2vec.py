"""node2vec on snapshots: communities are found, awkward snapshots are borne, pairs are scored by the last snapshot."""

import numpy as np
import pytest
import torch
from sklearn.cluster import KMeans

from dynbench.config.check import check
from dynbench.config.compose import compose
from dynbench.contract import Queries
from dynbench.errors import ConfigError, DataError
from dynbench.graph import TemporalGraph
from dynbench.metrics.clustering import agreement
from dynbench.models.walks import node2vec as module
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
    with pytest.raises(ConfigError, match=rf"model\.{key} is 0; it must be at least 1"):
        check(compose(["model=node2vec", f"model.{key}=0"]))


def weighted(steps: int = 3) -> TemporalGraph:
    draw = np.random.default_rng(1)
    src, dst, time = draw.integers(0, 9, 40), draw.integers(0, 9, 40), np.sort(draw.integers(0, steps, 40))
    weight = draw.integers(1, 5, 40)
    return TemporalGraph.from_events(src, dst, time, 12, directed=False, num_steps=steps, weight=weight)


def fitted(history: TemporalGraph, model: Node2Vec | None = None, **settings) -> Node2Vec:
    model = (
        Node2Vec(**{"dim": 4, "walks": 2, "length": 6, "subsample": 0, "epochs": 2, **settings})
        if model is None
        else model
    )
    torch.manual_seed(0)
    model.fit(history, None, None)
    return model


@pytest.mark.parametrize(
    ("kind", "weights"), [("union", "counts"), ("union", "log"), ("snapshot", "counts"), ("union", "binary")]
)
def test_what_is_walked_on(monkeypatch, kind, weights):
    walked = []
    original = module.random_walks

    def noted(matrix, *arguments, **more):
        walked.append((matrix.toarray(), more["weighted"]))
        return original(matrix, *arguments, **more)

    monkeypatch.setattr(module, "random_walks", noted)
    graph = weighted()
    fitted(graph, graph=kind, weights=weights)
    assert len(walked) == 3
    for step, (matrix, by_weight) in enumerate(walked):
        expected = np.zeros((12, 12))
        rows = zip(*(part.tolist() for part in (graph.src, graph.dst, graph.time, graph.weight)), strict=True)
        for i, j, time, weight in rows:
            if time == step or (kind == "union" and time < step):
                expected[i, j] += weight
                expected[j, i] += weight if i != j else 0
        assert by_weight == (weights != "binary")
        if weights == "binary":
            assert ((matrix > 0) == (expected > 0)).all()
        else:
            np.testing.assert_allclose(matrix, np.log1p(expected) if weights == "log" else expected, rtol=1e-6)


def test_snapshots_are_embedded_once():
    graph = weighted()
    model = fitted(graph.before(2))
    known = model.embeddings.clone()
    fitted(graph, model)
    assert torch.equal(model.embeddings[:2], known)
    assert not torch.equal(model.embeddings[2], known[1])
    restored = Node2Vec(dim=4)
    restored.load_state_dict(model.state_dict())
    torch.manual_seed(1)
    model.fit(graph, None, None)  # the same once more is embedded anew
    assert not torch.equal(model.embeddings[:2], known)
    other = TemporalGraph.from_events([0, 1], [1, 2], [0, 3], 12, directed=False, num_steps=4)
    restored.fit(other, None, None)  # and so is another network
    assert not torch.equal(restored.embeddings[:2], known)


def test_a_warm_start_goes_on_from_the_snapshot_before():
    silent = TemporalGraph.from_events([0, 3, 4], [1, 3, 5], [0, 0, 2], 7, directed=False, num_steps=3)
    model = fitted(silent, graph="snapshot", warm_start=True)
    assert torch.equal(model.embeddings[1], model.embeddings[0])
    rows = [0, 1, 2, 6]  # no link in the last snapshot
    assert torch.equal(model.embeddings[2, rows], model.embeddings[0, rows])
    assert not torch.equal(model.embeddings[2, 4], model.embeddings[0, 4])
    graph = weighted()
    whole = fitted(graph, warm_start=True)
    again = Node2Vec(dim=4, walks=2, length=6, subsample=0, epochs=2, warm_start=True)
    again.load_state_dict(fitted(graph.before(2), warm_start=True).state_dict())
    torch.manual_seed(0)
    again.fit(graph, None, None)
    assert torch.equal(again.embeddings[:2], fitted(graph.before(2), warm_start=True).embeddings)
    assert float((again.embeddings[2] - again.embeddings[1]).norm() / again.embeddings[1].norm()) < 1
    assert whole.embeddings.shape == (3, 12, 4)


def test_weights_that_are_none_are_refused():
    graph = TemporalGraph.from_events([0], [1], [0], 3, directed=False, num_steps=1, weight=[0.0])
    with pytest.raises(DataError, match=r"has the weight 0 .*model\.weights=binary"):
        fitted(graph)
    fitted(graph, weights="binary")

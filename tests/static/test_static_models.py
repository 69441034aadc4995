"""Models of one graph: recovery of planted communities, invariances, and what they refuse."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy import sparse
from sklearn.metrics import adjusted_rand_score, roc_auc_score

from dynbench.contract import Queries
from dynbench.data.overlapping import OverlappingBlocks
from dynbench.engine.trainer import Trainer
from dynbench.errors import ConfigError, DataError
from dynbench.graph import TemporalGraph
from dynbench.models.static.dglfrm import DGLFRM, Decoder
from dynbench.models.static.dglfrm_b import DGLFRMB
from dynbench.models.static.gae_static import StaticGAE
from dynbench.models.static.graph import StaticGraph
from dynbench.models.static.groups import spectral_groups
from dynbench.models.static.known import Known
from dynbench.models.static.osbm import OSBM, Pairs, moments
from dynbench.models.static.sbm import SBM, Posterior, update_memberships
from dynbench.models.static.spectral_embedding import SpectralEmbedding, leading
from dynbench.models.static.vgae import VGAE
from dynbench.protocols.static_links import StaticLinks


def counting():
    """Stands for the Trainer: counts sweeps."""
    return SimpleNamespace(sweeps=lambda sampler, count: range(count))


def split(graph: TemporalGraph, seed: int = 0):
    (episode,) = StaticLinks().episodes(graph, seed)
    (block,) = episode.exams[0].blocks()
    return episode.train[""], block


def auc(model, block) -> float:
    return roc_auc_score(block.answers.numpy(), model.score(block.queries).numpy())


def planted(nodes=90, blocks=3, inside=0.4, outside=0.03, seed=0) -> tuple[TemporalGraph, np.ndarray]:
    rng = np.random.default_rng(seed)
    groups = np.arange(nodes) % blocks
    chance = np.where(groups[:, None] == groups[None], inside, outside)
    src, dst = np.nonzero(np.triu(rng.random((nodes, nodes)) < chance, 1))
    graph = TemporalGraph.from_events(src, dst, np.zeros_like(src), nodes, directed=False, num_steps=1)
    return graph, groups


# ---- auto-encoders --------------------------------------------------------------------------------------------

SMALL = {"communities": 12, "epochs": 150, "dropout": 0.0}
AUTOENCODERS = [
    (DGLFRM, SMALL, 0.95),
    (DGLFRM, {**SMALL, "decoder": "shallow", "alpha": 3.0}, 0.95),
    (DGLFRM, {**SMALL, "decoder": "signed"}, 0.9),
    (DGLFRM, {**SMALL, "v_sampling": "global", "scoring": "mean"}, 0.8),
    (DGLFRMB, SMALL, 0.8),
    (VGAE, {}, 0.85),
    (StaticGAE, {}, 0.85),
]


@pytest.mark.parametrize(("kind", "settings", "least"), AUTOENCODERS)
def test_the_toy_graph(kind, settings, least):
    torch.manual_seed(0)
    train, block = split(OverlappingBlocks("toy", noise=0.0).load())
    model = kind(**settings)
    model.fit(train, None, Trainer())
    assert auc(model, block) > least
    if isinstance(model, DGLFRM):
        described = model.describe()
        assert 1 < described["active_communities"] <= described["nonempty_communities"] <= 12


def test_only_signed_codes_can_count_against_a_link():
    """Products of a node's own code are never negative with themselves: their matrix has no negative eigenvalue."""
    z = torch.randn(40, 6, generator=torch.Generator().manual_seed(0))
    for kind, below in (("deep", False), ("linear", False), ("shallow", False), ("signed", True)):
        torch.manual_seed(0)
        p, q = Decoder(6, kind)(z)
        logits = p @ q.T
        assert torch.allclose(logits, logits.T, atol=1e-5)
        assert bool(torch.linalg.eigvalsh(logits)[0] < -1e-3) is below


def test_permuted_nodes_have_permuted_communities():
    graph, _ = planted()
    train, _ = split(graph)
    order = torch.randperm(90, generator=torch.Generator().manual_seed(1))
    x = torch.rand(90, 4, generator=torch.Generator().manual_seed(2)).round()
    turned = TemporalGraph.from_events(
        order[train.src], order[train.dst], train.time, 90, directed=False, num_steps=1,
        node_features=x[order.argsort()], unknown=order[train.unknown],
    )  # fmt: skip
    train = dataclasses.replace(train, node_features=x)
    embedded = []
    for graph in (train, turned):
        torch.manual_seed(0)
        model = DGLFRM(**SMALL | {"epochs": 1}, scoring="mean")
        model.fit(graph, None, Trainer())
        torch.manual_seed(3)
        model.create(**model.sizes)  # the same weights, which no draw of a training step has touched
        known = StaticGraph.of(graph)
        model.edges = _edges(known)
        model.rows = _rows(known)
        with torch.no_grad():
            model.keep()
        embedded.append(model.embed(torch.tensor([0]))[0])
    assert torch.allclose(embedded[0], embedded[1][order], atol=1e-5)


def _edges(known):
    from dynbench.nn.graph_conv import gcn_edges

    return gcn_edges(*known.both_ways(), known.num_nodes)


def _rows(known):
    from dynbench.nn.graph_encoder import SparseRows

    return SparseRows.of(known.features)


def test_attributes_help_and_must_be_binary():
    graph, groups = planted(inside=0.08, outside=0.03)
    train, block = split(graph)
    x = torch.from_numpy(np.eye(3)[groups]).float()
    scores = {}
    for name, features in (("none", None), ("binary", x), ("counts", 3 * x)):
        torch.manual_seed(0)
        model = DGLFRM(**SMALL, binarize=True)
        model.fit(dataclasses.replace(train, node_features=features), None, Trainer())
        scores[name] = auc(model, block)
    assert scores["binary"] > scores["none"]
    with pytest.raises(ConfigError, match=r"the attributes hold 3.*model\.reconstruct=false"):
        DGLFRM(**SMALL, binarize=False).fit(dataclasses.replace(train, node_features=3 * x), None, Trainer())
    DGLFRM(**SMALL | {"epochs": 1}, binarize=False, reconstruct=False).fit(
        dataclasses.replace(train, node_features=3 * x), None, Trainer()
    )


def test_what_is_kept_is_the_best_by_validation():
    train, block = split(OverlappingBlocks("toy").load())
    values, model = [], DGLFRM(**SMALL | {"epochs": 60}, judge_every=10)

    def selector(judged):
        state = torch.get_rng_state()
        values.append(auc(judged, block))
        assert torch.equal(torch.get_rng_state(), state)
        return {"auc": values[-1]}

    torch.manual_seed(0)
    model.fit(train, selector, Trainer())
    assert len(values) == 6
    assert len(set(values)) > 1  # states that differ


@pytest.mark.parametrize("kind", [DGLFRM, VGAE, SBM, OSBM])
def test_bad_input_is_named(kind):
    empty = TemporalGraph.from_events([1], [1], [0], 40, directed=False, num_steps=1)
    with pytest.raises(DataError, match="no edge is left to train on"):
        kind().fit(empty, None, counting() if kind in (SBM, OSBM) else Trainer())
    if kind is VGAE:
        return
    few = TemporalGraph.from_events([1], [2], [0], 40, directed=False, num_steps=1)
    model = SBM(blocks=(50,)) if kind is SBM else kind(communities=50)
    with pytest.raises(ConfigError, match="=50 is more than the 40 nodes"):
        model.fit(few, None, counting() if kind in (SBM, OSBM) else Trainer())


def test_a_node_without_links_is_scored():
    graph = TemporalGraph.from_events([0, 1, 2, 3], [1, 2, 3, 0], [0] * 4, 6, directed=False, num_steps=1)
    asked = Queries.pairs(torch.tensor([4, 0]), torch.tensor([5, 2]), 1)
    for model in (DGLFRM(communities=3, epochs=3), SBM(blocks=(2,)), OSBM(communities=2, sweeps=3)):
        model.fit(graph, None, Trainer())
        assert torch.isfinite(model.score(asked)).all()


# ---- block models ---------------------------------------------------------------------------------------------


def test_sbm_finds_the_blocks_and_their_number():
    torch.manual_seed(0)
    graph, groups = planted()
    train, block = split(graph)
    model = SBM(blocks=(2, 3, 5), starts=2)
    model.fit(train, None, counting())
    assert model.describe()["blocks"] == 3
    assert adjusted_rand_score(groups, model.embed(torch.tensor([0]))[0].argmax(1).numpy()) > 0.95
    assert auc(model, block) > 0.75
    expected = torch.tensor([[0.4 if k == m else 0.03 for m in range(3)] for k in range(3)])
    found = model.chances.sort(dim=1).values
    assert torch.allclose(found, expected.sort(dim=1).values, atol=0.08)


def test_the_bound_of_sbm_only_rises():
    rng = np.random.default_rng(0)
    train, _ = split(planted(inside=0.2)[0])
    known, tau = Known.of(StaticGraph.of(train)), rng.dirichlet(np.ones(4), 90)
    posterior, bounds = Posterior.of(tau, known), []
    for _ in range(25):
        bounds.append(posterior.bound(tau))
        link, other, log_pi = posterior.expected_logs()
        pointers = [part for matrix in known for part in (matrix.indptr, matrix.indices)]
        update_memberships(*pointers, tau, log_pi, link, other)
        posterior = Posterior.of(tau, known)
    assert (np.diff(bounds) > -1e-8).all()
    assert bounds[-1] > bounds[0] + 1


def test_posterior_counts_each_known_pair_once():
    train, _ = split(planted(nodes=30)[0])
    known, groups = StaticGraph.of(train), torch.arange(30) % 2
    posterior = Posterior.of(np.eye(2)[groups], Known.of(known))
    linked, hidden = torch.zeros(30, 30), torch.zeros(30, 30)
    linked[known.src, known.dst], hidden[known.unknown[0], known.unknown[1]] = 1, 1
    links, others = np.zeros((2, 2)), np.zeros((2, 2))
    for i in range(30):
        for j in range(i + 1, 30):
            k, m = sorted((int(groups[i]), int(groups[j])))
            links[k, m] += float(linked[i, j])
            others[k, m] += float(1 - linked[i, j] - hidden[i, j])
    upper = np.triu_indices(2)
    assert np.allclose(posterior.links[upper], 1 + links[upper])
    assert np.allclose(posterior.others[upper], 1 + others[upper])


def test_the_bound_of_osbm_only_rises_and_is_one():
    torch.manual_seed(0)
    train, _ = split(planted(nodes=40, inside=0.5)[0])
    known = Known.of(StaticGraph.of(train))
    model = OSBM(communities=3)
    model.tau = torch.rand(40, 3, dtype=torch.double)
    model.weights = torch.randn(4, 4, dtype=torch.double)
    model.weights = model.weights + model.weights.T
    model.pairs, bounds = Pairs(known), []
    for _ in range(6):
        for step in (model.solve_weights, *(lambda n=n: model.update(torch.tensor([n])) for n in range(40))):
            step()
            bounds.append(model.bound())
    assert (np.diff(bounds) > -1e-6).all()
    # Below the mean log-likelihood under the posterior, which is sampled here.
    draws = (torch.rand(4000, *model.tau.shape) < model.tau).double()
    z = torch.cat([draws, torch.ones(4000, 40, 1, dtype=torch.double)], dim=2)
    eta = z @ model.weights @ z.transpose(1, 2)
    linked, seen = torch.from_numpy(known.links.toarray()), torch.from_numpy(1 - known.unknown.toarray()).triu(1)
    mean = ((linked * eta - torch.nn.functional.softplus(eta)) * seen).sum((1, 2)).mean()
    likelihood = 0.5 * model.pairs.bound(torch.arange(40), model.tau, model.weights)
    assert float(likelihood) < float(mean) + 1


def test_second_moments_of_osbm():
    torch.manual_seed(0)
    tau, weights = torch.rand(5, 2, dtype=torch.double), torch.randn(3, 3, dtype=torch.double)
    weights = weights + weights.T
    train, _ = split(planted(nodes=30)[0])
    found = Pairs(Known.of(StaticGraph.of(train)))._second_moment(torch.arange(5), tau, weights)
    draws = torch.cat([(torch.rand(200_000, 5, 2) < tau).double(), torch.ones(200_000, 5, 1).double()], dim=2)
    eta = (draws[:, 0] @ weights * draws[:, 3]).sum(1)
    assert float(found[0, 3]) == pytest.approx(float(eta.square().mean()), rel=0.02)
    mean, second = moments(tau)
    assert torch.allclose(draws[:, 1].mean(0), mean[1], atol=0.01)
    assert torch.allclose((draws[:, 1, :, None] * draws[:, 1, None]).mean(0), second[1], atol=0.01)


def test_osbm_finds_overlapping_communities():
    torch.manual_seed(0)
    train, block = split(OverlappingBlocks("toy").load())
    model = OSBM(communities=10, sweeps=30)
    model.fit(train, None, counting())
    assert auc(model, block) > 0.9
    assert model.describe()["nonempty_communities"] >= 8


def test_spectral_groups():
    graph, groups = planted(nodes=120)
    matrix = sparse.csr_array((np.ones(len(graph)), (graph.src.numpy(), graph.dst.numpy())), shape=(120, 120))
    found = spectral_groups(matrix, 3, np.random.default_rng(0))
    assert adjusted_rand_score(groups, found) > 0.9


def test_spectral_embedding():
    train, block = split(planted(inside=0.6)[0])
    model = SpectralEmbedding(dim=3)
    model.fit(train, None, counting())
    assert auc(model, block) > 0.75
    # Rows of the walk's transition matrix, whose leading eigenvector is constant on a connected graph.
    y = model.embed(torch.tensor([0]))[0]
    assert torch.allclose(y[:, 0], y[0, 0].expand(90), atol=1e-6)
    links = Known.of(StaticGraph.of(train)).links.toarray()
    walk = torch.from_numpy(links / links.sum(1, keepdims=True)).float()
    second = y[:, 1]
    value = (walk @ second)[0] / second[0]
    assert torch.allclose(walk @ second, value * second, atol=1e-5)


def test_solvers_of_the_spectral_embedding_agree(monkeypatch):
    matrix = Known.of(StaticGraph.of(split(planted(inside=0.6)[0])[0])).links
    dense = leading(matrix, 4)
    monkeypatch.setattr("dynbench.models.static.spectral_embedding._DENSE", 10)
    assert np.allclose(np.abs(leading(matrix, 4)), np.abs(dense), atol=1e-4)


@pytest.mark.parametrize(
    "model",
    [SpectralEmbedding(), SBM(blocks=(2,), starts=1), OSBM(communities=2, sweeps=2), DGLFRM(communities=4, epochs=2)],
)
def test_fits_are_restored(model):
    torch.manual_seed(0)
    train, block = split(planted(nodes=30)[0])
    model.fit(train, None, Trainer())
    fresh = type(model)()
    if isinstance(fresh, DGLFRM):
        fresh = DGLFRM(communities=4)
    fresh.load_state_dict(model.state_dict())
    assert torch.equal(fresh.score(block.queries), model.score(block.queries))
    assert fresh.describe() == model.describe()

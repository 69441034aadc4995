"""iELSM's score and bound beside versions written out, and what it finds in a drawn network."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from dynbench.contract import Queries
from dynbench.engine.trainer import Trainer
from dynbench.graph import TemporalGraph
from dynbench.models.latent.ielsm import IELSM, distance_logits, tanh_logits
from dynbench.sampling.pairs import EdgeSampler


def drawn(steps=5, nodes=30, seed=0) -> TemporalGraph:
    """Nodes on a circle that move to either side from snapshot to snapshot, linked where they are near."""
    rng = np.random.default_rng(seed)
    angle = 2 * np.pi * np.arange(nodes) / nodes
    speed = rng.choice([-0.08, 0.08], nodes)
    places = [2 * np.stack([np.cos(angle + t * speed), np.sin(angle + t * speed)], 1) for t in range(steps)]
    between = np.stack([((z[:, None] - z[None]) ** 2).sum(-1) for z in places])
    chance = 1 / (1 + np.exp(-(1 - 3 * between)))
    linked = np.triu(rng.random(chance.shape) < chance, 1)
    step, src, dst = np.nonzero(linked)
    return TemporalGraph.from_events(src, dst, step, nodes, directed=False, num_steps=steps)


def test_the_score_is_a_distance():
    z = torch.randn(2, 4, 3, generator=torch.Generator().manual_seed(0))
    step, src, dst = torch.tensor([0, 1, 1]), torch.tensor([0, 1, 2]), torch.tensor([3, 2, 2])
    found = distance_logits(z, torch.tensor(1.5), step, src, dst)
    expected = [
        1.5 - sum((float(z[t, i, k]) - float(z[t, j, k])) ** 2 for k in range(3))
        for t, i, j in zip(step.tolist(), src.tolist(), dst.tolist(), strict=True)
    ]
    assert found.tolist() == pytest.approx(expected, abs=1e-5)
    assert found[2] == 1.5


def test_the_other_link_is_the_log_odds_of_what_it_says():
    z = torch.tensor([[[0.0, 0.0], [0.3, -0.4], [3.0, 4.0]]], requires_grad=True)
    step, src, dst = torch.zeros(4, dtype=torch.long), torch.tensor([0, 1, 2, 0]), torch.tensor([1, 2, 0, 0])
    found = tanh_logits(z, torch.tensor(-0.5), step, src, dst)
    for place, apart in enumerate([0.25, 2.7**2 + 4.4**2, 25.0]):
        x = math.exp(-0.5) * apart
        chance = 2 / (1 + math.exp(2 * x))  # has digits left where the plain form has none
        assert chance == pytest.approx(1 - math.tanh(x), abs=1e-12)
        assert found[place].item() == pytest.approx(math.log(chance / (1 - chance)), rel=1e-3)
    assert found[3].item() == pytest.approx(-math.log(1e-6), rel=1e-3)
    found.sum().backward()
    assert z.grad.isfinite().all()


def test_the_loss_is_the_negative_bound(monkeypatch):
    graph = drawn(steps=3, nodes=8)
    torch.manual_seed(0)
    model = IELSM(dim=2, start_constant=0.7, node_wide=2.0, node_drift=0.5, first_step_noise=True)
    model.create(steps=3, nodes=8, entries=3)
    assert {name.partition(".")[0] for name, _ in model.named_parameters()} == {"nodes", "constant"}
    model.trainer = SimpleNamespace(world_size=1, global_rank=0)
    model.sampler = EdgeSampler(graph, 3)
    pairs = model.sampler.pairs(None, "balanced")
    monkeypatch.setattr(model.sampler, "pairs", lambda *_: pairs)
    monkeypatch.setattr(model, "noise", torch.zeros)
    mean, log_variance = (part.detach() for part in model.nodes(3))
    mean, log_variance = mean[:, model.sampler.seen], log_variance[:, model.sampler.seen]
    place = {node: n for n, node in enumerate(model.sampler.seen.tolist())}
    expected = 0.0
    for step, src, dst, linked, weight in zip(*(part.tolist() for part in pairs), strict=True):
        gap = (mean[step, place[src]] - mean[step, place[dst]]).square().sum()
        eta = 0.7 - float(gap)
        expected += weight * (math.log1p(math.exp(eta)) - linked * eta)
    variance = log_variance.exp()
    first = (variance[0] + mean[0] ** 2) / 4 - log_variance[0] + math.log(4) - 1
    later = (variance[1:] + variance[:-1] + mean.diff(dim=0) ** 2) / 0.25 - log_variance[1:] + math.log(0.25) - 1
    expected += 0.5 * float(first.sum() + later.sum())
    assert model.training_step(0, 0).item() == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("link", ["logit", "tanh"])
def test_moving_nodes_are_forecast(link):
    graph = drawn()
    torch.manual_seed(0)
    model = IELSM(dim=4, epochs=250, link=link)
    history = graph.before(4)
    model.fit(history, None, Trainer())
    model.condition(history)
    src, dst = torch.triu_indices(30, 30, 1)
    scores = model.score(Queries.pairs(src, dst, 4))
    truth = graph.step(4)
    labels = torch.zeros(30, 30)
    labels[truth.src, truth.dst] = 1
    assert roc_auc_score(labels[src, dst], scores) > 0.9
    assert torch.equal(scores, model.score(Queries.pairs(dst, src, 4)))
    assert model.embed(torch.tensor([0, 4])).shape == (2, 30, 4)


def test_a_fit_is_restored():
    graph = drawn(steps=2)
    torch.manual_seed(0)
    model, fresh = IELSM(dim=3, epochs=5), IELSM(dim=3, epochs=5)
    model.fit(graph, None, Trainer())
    fresh.load_state_dict(model.state_dict())
    asked = Queries.pairs(torch.arange(10), torch.arange(10, 20), 2)
    assert torch.equal(model.score(asked), fresh.score(asked))

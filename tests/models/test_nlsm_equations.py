"""NLSM's closed form and its bound beside versions written out term by term."""

from __future__ import annotations

import itertools
import math
from types import SimpleNamespace

import pytest
import torch
from reference import latent_slow as slow

from dynbench.contract import Queries
from dynbench.engine.trainer import Trainer
from dynbench.graph import TemporalGraph
from dynbench.models.latent import base
from dynbench.models.latent.bas import BAS
from dynbench.models.latent.interaction import Interaction, interaction_terms, link_logits
from dynbench.models.latent.nlsm import NLSM
from dynbench.sampling.pairs import EdgeSampler


def scores(z, theta):
    """``(T, n, n)`` scores of all ordered pairs."""
    steps, nodes, _ = z.shape
    grid = torch.cartesian_prod(torch.arange(steps), torch.arange(nodes), torch.arange(nodes))
    return link_logits(z, interaction_terms(theta), *grid.unbind(1)).reshape(steps, nodes, nodes)


def draw(steps=2, nodes=5, dim=4, entries=4, seed=0):
    generator = torch.Generator().manual_seed(seed)
    z = torch.rand(steps, nodes, dim, dtype=torch.double, generator=generator)
    return z, torch.randn(steps, dim, entries, dtype=torch.double, generator=generator)


# ---- eta --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("entries", [3, 4])
def test_closed_form_is_the_double_sum(entries):
    z, theta = draw(entries=entries)
    expected = [[[slow.eta(zi, zj, th) for zj in zt] for zi in zt]
                for zt, th in zip(z.tolist(), theta.tolist(), strict=True)]  # fmt: skip
    torch.testing.assert_close(scores(z, theta), torch.tensor(expected, dtype=torch.double), rtol=0, atol=1e-12)


def test_three_entries_are_symmetric_and_four_are_not():
    for entries, symmetric in ((3, True), (4, False)):
        eta = scores(*draw(entries=entries))
        assert torch.allclose(eta, eta.mT, atol=1e-12) == symmetric
    terms = interaction_terms(draw(entries=3)[1])
    assert torch.equal(terms.a, terms.b)


def test_the_first_index_belongs_to_the_source():
    # Only Theta10 is set: a link from a node that has the attribute to one that lacks it.
    z = torch.tensor([[[1.0], [0.0]]])
    eta = scores(z, torch.tensor([[[0.0, 0.0, 7.0, 0.0]]]))[0]
    assert eta.tolist() == [[0.0, 7.0], [0.0, 0.0]]


@pytest.mark.parametrize("entries", [3, 4])
def test_flipping_an_attribute_changes_nothing(entries):
    z, theta = draw(entries=entries)
    flipped, swapped = z.clone(), theta.clone()
    flipped[..., 1] = 1 - flipped[..., 1]
    swapped[:, 1] = theta[:, 1].flip(-1)  # rows and columns: 00 <-> 11, 01 <-> 10
    torch.testing.assert_close(scores(flipped, swapped), scores(z, theta), rtol=0, atol=1e-12)


def test_permuting_attributes_and_moving_constants_change_nothing():
    z, theta = draw()
    order = torch.tensor([2, 0, 3, 1])
    torch.testing.assert_close(scores(z[..., order], theta[:, order]), scores(z, theta), rtol=0, atol=1e-12)
    moved = theta.clone()
    moved[:, 0] += 1.5
    moved[:, 1] -= 1.5
    torch.testing.assert_close(scores(z, moved), scores(z, theta), rtol=0, atol=1e-12)


def test_binary_attributes_read_off_the_matrix():
    theta = torch.tensor([[[1.0, 2.0, 3.0, 4.0]]])
    assert scores(torch.tensor([[[0.0], [1.0]]]), theta)[0].tolist() == [[1.0, 2.0], [3.0, 4.0]]
    assert isinstance(interaction_terms(theta), Interaction)


# Nodes that appeared by each step of `history`.
KNOWN = [[0, 1, 2, 3], [0, 1, 2, 3], [0, 1, 2, 3, 4, 5]]


# ---- the bound --------------------------------------------------------------------------------------------


def history(directed: bool = False) -> TemporalGraph:
    """Seven nodes, three snapshots; node 5 comes late, node 6 never, and (2, 2) is a self-loop."""
    events = [(0, 1, 0), (1, 2, 0), (0, 3, 0), (0, 1, 1), (2, 3, 1), (2, 2, 1), (1, 4, 2), (3, 5, 2), (0, 1, 2)]
    src, dst, time = zip(*events, strict=True)
    return TemporalGraph.from_events(src, dst, time, 7, directed=directed, num_steps=5)


def ready(kind=NLSM, directed=False, seed=0, **settings):
    """A model in the middle of a fit, without a Trainer."""
    torch.manual_seed(seed)
    model = kind(dim=3, **settings)
    graph = history(directed)
    model.create(steps=3, nodes=graph.num_nodes, entries=3 + directed)
    with torch.no_grad():  # so that no two terms are alike
        for parameter in model.parameters():
            parameter += 0.3 * torch.randn_like(parameter)
    model.sampler = EdgeSampler(graph, 3)
    model.place = SimpleNamespace(world_size=1, global_rank=0)
    model.trainer = model.place
    return model, graph


def written_out(model, seed: int) -> float:
    """The loss of one step, with the draws that the model makes at this seed."""
    torch.manual_seed(seed)
    edges = model.sampler.edges(model.edges_per_step)
    non_edges = model.sampler.non_edges(edges[0])
    drawn = [list(zip(*(part.tolist() for part in kind), strict=True)) for kind in (edges, non_edges)]
    if model.weights == "none":
        rows = sorted({node for kind in drawn for _, i, j in kind for node in (i, j)})
    else:
        rows = model.sampler.seen.tolist()
    nodes, matrices = (trajectory(3) for trajectory in (model.nodes, model.matrices))
    noise = [torch.randn(3, len(rows), 3), torch.randn_like(matrices[0])]
    total = {t: sum(step == t and i != j for i, j, step in links()) for t in range(3)}
    pairs = []
    for linked, kind in ((True, drawn[0]), (False, drawn[1])):
        for t, i, j in kind:
            number = sum(step == t for step, _, _ in kind)
            everything = (
                len(KNOWN[t]) * (len(KNOWN[t]) - 1) // (1 if model.matrices.forecast(1, 0).shape[-1] == 4 else 2)
            )
            aim = {"none": number, "balanced": total[t], "unbiased": total[t] if linked else everything - total[t]}
            pairs.append((t, i, j, linked, aim[model.weights] / number))
    return slow.loss(
        *([part.tolist() for part in family] for family in (nodes, matrices)),
        [part.tolist() for part in noise],
        pairs,
        rows,
        (model.node_prior, model.matrix_prior),
        model.kl_weight,
        model.first_step_noise,
    )


def links():
    graph = history()
    return list(zip(graph.src.tolist(), graph.dst.tolist(), graph.time.tolist(), strict=True))


@pytest.mark.parametrize("directed", [False, True])
@pytest.mark.parametrize("edges_per_step", [None, 2])
@pytest.mark.parametrize("first_step_noise", [False, True])
@pytest.mark.parametrize("weights", ["balanced", "unbiased", "none"])
def test_loss_is_the_bound_written_out(weights, first_step_noise, edges_per_step, directed):
    settings = {"weights": weights, "first_step_noise": first_step_noise, "edges_per_step": edges_per_step}
    for kl_weight in (1.0, 0.0):
        model, _ = ready(directed=directed, kl_weight=kl_weight, **settings)
        expected = written_out(model, seed=3)
        torch.manual_seed(3)
        assert model.training_step(0, 0).item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("coupled", [True, False])
def test_loss_of_free_parameters(coupled):
    model, _ = ready(BAS, coupled=coupled)
    if coupled:
        expected = written_out(model, seed=3)
    else:
        model.kl_weight = 0.0
        expected = written_out(model, seed=3)
        for trajectory, (wide, _) in ((model.nodes, model.node_prior), (model.matrices, model.matrix_prior)):
            mean, log_variance = trajectory(3, model.sampler.seen if trajectory is model.nodes else None)
            for m, log_v in zip(mean.flatten().tolist(), log_variance.flatten().tolist(), strict=True):
                expected += slow.walk_kl([m], [log_v], wide, 1.0)
        model.kl_weight = 1.0
    torch.manual_seed(3)
    assert model.training_step(0, 0).item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("kind", [NLSM, BAS])
def test_many_nodes_are_unrolled_in_parts(monkeypatch, kind):
    found = []
    for whole, part in ((4096, 1024), (3, 2)):
        monkeypatch.setattr(base, "_WHOLE", whole)
        monkeypatch.setattr(base, "_PART", part)
        model, _ = ready(kind)
        torch.manual_seed(3)
        loss = model.training_step(0, 0)
        loss.backward()
        found.append([loss.detach(), *(parameter.grad for parameter in model.parameters())])
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)


def test_the_first_step_takes_its_mean():
    mean, log_variance = torch.randn(3, 4, 2), torch.zeros(3, 4, 2)
    model = NLSM(dim=2)
    assert torch.equal(model.sample(mean, log_variance)[0], mean[0])
    assert not torch.isclose(model.sample(mean, log_variance)[1:], mean[1:]).any()
    model.first_step_noise = True
    assert not torch.isclose(model.sample(mean, log_variance), mean).any()


def likelihood(model, step: int, linked: bool) -> float:
    """``- sum log p`` over all links, or all non-links, of known nodes in a snapshot, at the means."""
    mean, theta = model.nodes(3)[0][step], model.matrices(3)[0][step].tolist()
    total = 0.0
    for i, j in itertools.combinations(KNOWN[step], 2):
        if ((i, j, step) in links()) == linked:
            score = slow.eta(*(torch.sigmoid(mean[n]).tolist() for n in (i, j)), theta)
            total -= math.log(slow.sigmoid(score if linked else -score))
    return total


@pytest.mark.parametrize("edges_per_step", [None, 1, 2])
def test_the_unbiased_estimate_averages_to_the_full_likelihood(edges_per_step):
    model, _ = ready(weights="unbiased", kl_weight=0.0, edges_per_step=edges_per_step)
    with torch.no_grad():  # no noise worth speaking of, so that only the sampling of pairs is left
        model.nodes.start[1], model.matrices.start[1] = -60.0, -60.0
        for trajectory in (model.nodes, model.matrices):
            size = trajectory.start.shape[-1]
            trajectory.bias[1, :, size : 2 * size] = 40.0
    expected = 0.0
    for step in range(3):
        number = sum(t == step and i != j for i, j, t in links())
        # A draw that hits a link is dropped; where all draws of a snapshot are, its non-links are missing in this
        # step. In a sparse graph that never happens, here it does.
        dropped = number / math.comb(len(KNOWN[step]), 2)
        none_left = dropped ** min(number, edges_per_step or number)
        expected += likelihood(model, step, True) + (1 - none_left) * likelihood(model, step, False)
    torch.manual_seed(0)
    drawn = torch.tensor([model.training_step(0, 0).item() for _ in range(3000)], dtype=torch.double)
    error = drawn.std() / len(drawn) ** 0.5
    assert abs(drawn.mean() - expected) < 4 * error
    assert error < 0.01 * expected


# ---- the forecast -----------------------------------------------------------------------------------------


def fitted(kind=NLSM, directed=False, **settings):
    torch.manual_seed(0)
    model = kind(dim=3, epochs=5, **settings)
    model.fit(history(directed), None, Trainer())
    return model


@pytest.mark.parametrize("directed", [False, True])
def test_scores_are_those_of_the_evolved_means(directed):
    model = fitted(directed=directed)
    mean, theta = model.nodes.forecast(3, 1), model.matrices.forecast(3, 1)
    src, dst = torch.cartesian_prod(torch.arange(7), torch.arange(7)).unbind(1)
    expected = [slow.eta(torch.sigmoid(mean[i]).tolist(), torch.sigmoid(mean[j]).tolist(), theta.tolist())
                for i, j in zip(src.tolist(), dst.tolist(), strict=True)]  # fmt: skip
    got = model.score(Queries.pairs(src, dst, 3))
    torch.testing.assert_close(got, torch.tensor(expected), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(model.embed(torch.tensor([3]))[0], torch.sigmoid(mean))


def test_queries_of_several_times_are_each_answered_at_their_own():
    model = fitted()
    src, dst, time = torch.tensor([0, 1, 0, 2]), torch.tensor([1, 2, 1, 3]), torch.tensor([4, 3, 3, 4])
    together = model.score(Queries(src, dst, time))
    for k in range(4):
        alone = model.score(Queries(src[k : k + 1], dst[k : k + 1], time[k : k + 1]))
        torch.testing.assert_close(together[k : k + 1], alone)
    assert together[0] != together[2]


def test_free_parameters_forecast_the_last_snapshot():
    model = fitted(BAS)
    last = model.sizes["steps"] - 1
    z = torch.sigmoid(model.nodes.table[0, -1])
    torch.testing.assert_close(model.embed(torch.tensor([last, last + 1, last + 2])), z.expand(3, -1, -1))


def test_warm_start_goes_on_and_a_cold_one_does_not():
    graph = history()
    for warm in (True, False):
        torch.manual_seed(0)
        model = NLSM(dim=3, epochs=2, warm_start=warm)
        model.fit(graph.before(2), None, Trainer())
        start = model.nodes.start.detach().clone()
        model.fit(graph, None, Trainer())
        moved = (model.nodes.start - start).abs().max()
        # Two steps of Adam move a parameter by twice the learning rate at most.
        assert (moved <= 0.021) == warm


def test_number_of_parameters():
    nodes, dim, entries = 7, 3, 3
    cells = 2 * (3 * dim**2 + 4 * dim) + 2 * (3 * entries**2 + 4 * entries)
    assert fitted().num_parameters() == 2 * nodes * dim + 2 * dim * entries + cells

"""Samplers of binary features: against enumeration, against their own prior, and on planted features."""

from __future__ import annotations

import hashlib
import inspect
import itertools
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from dynbench.contract import Queries
from dynbench.errors import ConfigError, DataError, RunError
from dynbench.graph import TemporalGraph
from dynbench.models.latent_features import kernels, weight_moves
from dynbench.models.latent_features.arrays import (
    add_of_states,
    both_sides,
    effects_of,
    links_array,
    logits_of,
    sample_constant,
    transitions,
)
from dynbench.models.latent_features.dmmg import DMMG, effects_of_groups, logits_of_groups
from dynbench.models.latent_features.drift import DRIFT
from dynbench.models.latent_features.lfrm import LFRM
from dynbench.models.latent_features.slopes import cell_slopes

DIRECTIONS = pytest.mark.parametrize("directed", [False, True], ids=["undirected", "directed"])


def counting(calls=None):
    """Stands for the Trainer: counts sweeps."""
    return SimpleNamespace(sweeps=lambda sampler, count: range(count))


def draw_links(rng, logits, directed) -> np.ndarray:
    """``(S, T, N, N)`` links drawn with the given ``(T, N, N)`` logits."""
    linked = rng.random(logits.shape) < 1 / (1 + np.exp(-np.clip(logits, -50, 50).astype(float)))
    if not directed:
        linked = np.triu(linked, 1)
    step, src, dst = np.nonzero(linked)
    return links_array(step, src, dst, len(logits), logits.shape[1], directed)


def weights_of(rng, count, directed) -> np.ndarray:
    weights = rng.standard_normal((count, count))
    return weights if directed else np.triu(weights) + np.triu(weights, 1).T


# ---- compiled steps -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 110, 512, 1300])
def test_likelihood_of_a_row(count):
    rng = np.random.default_rng(0)
    x, change = (30 * rng.standard_normal(count)).astype(np.float32), rng.standard_normal(count)
    y = rng.integers(-1, 2, count).astype(np.int8)
    logits = x + 1.5 * change
    expected = np.where(y >= 0, y * logits - np.logaddexp(0, logits), 0).sum()
    assert kernels.row_likelihood(x, y, change, 1.5) == pytest.approx(expected, rel=1e-9)


@DIRECTIONS
def test_logits_and_effects_are_kept_up_to_date(directed):
    rng = np.random.default_rng(0)
    features, weights = (rng.random((3, 9, 4)) < 0.4).astype(np.uint8), weights_of(rng, 4, directed)
    logits, effects = logits_of(features, weights, -1.0, directed), effects_of(features, weights, directed)
    links = draw_links(rng, logits[0], directed)
    known, before = links >= 0, features.copy()
    kernels.sample_features(rng, links, features, logits, weights, effects, np.full((3, 4), 0.3), np.full((3, 4), 0.7))
    assert (features != before).any()
    assert np.allclose(effects, effects_of(features, weights, directed))
    assert np.allclose(logits[known], logits_of(features, weights, -1.0, directed)[known], atol=1e-4)
    accepted, made = weight_moves.sample_weights(rng, links, features, logits, weights, 4, 1.0, 0.5)
    assert made == (16 if directed else 10)
    assert accepted
    assert directed or np.array_equal(weights, weights.T)
    logits = logits_of(features, weights, -1.0, directed)
    constant, moved = sample_constant(rng, links, logits, -1.0, 3.0, 0.1, 20)
    assert 0 < moved <= 20
    assert constant != -1.0
    assert np.allclose(logits[known], logits_of(features, weights, constant, directed)[known], atol=1e-4)


@DIRECTIONS
@pytest.mark.parametrize("move", [0.3, -25.0])
def test_gain_of_a_weight_is_that_of_the_likelihood(directed, move):
    rng = np.random.default_rng(0)
    features, weights = (rng.random((2, 40, 3)) < 0.5).astype(np.uint8), weights_of(rng, 3, directed)
    before = logits_of(features, weights, -1.0, directed)
    links = draw_links(rng, before[0], directed)
    links[..., 3, 7] = links[..., 7, 3] = -1
    held = before.copy()
    linked = weight_moves.linked_weights(links, features, 3)
    weight_moves.hide_unknown(links, held)
    members, counts = weight_moves.members_of(features, 3)
    for k, m in itertools.product(range(3), repeat=2):
        moved = weights.copy()
        moved[k, m] += move
        if k != m and not directed:
            moved[m, k] += move
        gain = move * linked[k, m]
        for t in range(2):
            ends = members[t, k, : counts[t, k]], members[t, m, : counts[t, m]]
            gain -= weight_moves.moved_weight(held[0, t], features[t], *ends, k, m, move, directed)
        after = kernels.likelihood_at(links, logits_of(features, moved, -1.0, directed), 0.0)
        assert gain == pytest.approx(after - kernels.likelihood_at(links, before, 0.0), rel=1e-5, abs=1e-4)


@DIRECTIONS
def test_rows_that_kernels_read_lie_in_one_piece(directed):
    rng = np.random.default_rng(0)
    features, weights = (rng.random((3, 9, 4)) < 0.4).astype(np.uint8), weights_of(rng, 4, directed)
    alive, theta = np.ones((3, 4), dtype=np.uint8), rng.standard_normal((4, 2, 2))
    arrays = [
        draw_links(rng, rng.standard_normal((3, 9, 9)), directed),
        logits_of(features, weights, -1.0, directed),
        effects_of(features, weights, directed),
        logits_of_groups(features, alive, theta, np.zeros(3), directed),
        effects_of_groups(features, alive, theta, directed)[0],
    ]
    assert all(array.flags.c_contiguous for array in arrays), "rows with gaps take five times as long"


@DIRECTIONS
def test_what_joining_a_group_adds(directed):
    rng = np.random.default_rng(0)
    features, alive = (rng.random((2, 7, 3)) < 0.5).astype(np.uint8), np.array([[1, 1, 0], [1, 0, 1]], dtype=np.uint8)
    theta = rng.standard_normal((3, 2, 2))
    if not directed:
        theta[:, 1, 0] = theta[:, 0, 1]
    effects, _ = effects_of_groups(features, alive, theta, directed)
    for node, k in itertools.product(range(7), range(3)):
        without, joined = features.copy(), features.copy()
        without[:, node, k], joined[:, node, k] = 0, 1
        less, more = (logits_of_groups(z, alive, theta, np.zeros(2), directed) for z in (without, joined))
        others = np.arange(7) != node
        assert np.allclose((more - less)[:, :, node][..., others], effects[:, :, k][..., others], atol=1e-5)


@DIRECTIONS
def test_slopes_of_what_a_group_binds(directed):
    rng = np.random.default_rng(0)
    logits = both_sides(rng.standard_normal((1, 9, 9)).astype(np.float32), directed)
    if not directed:
        logits = (logits + logits.transpose(0, 1, 3, 2)) / 2
    links = draw_links(rng, logits[0], directed)
    links[..., 3, 7] = links[..., 7, 3] = -1
    states = rng.integers(0, 2, 9)
    change = rng.standard_normal((2, 2))
    change[1, 0] = change[1, 0] if directed else change[0, 1]

    def value(cells: np.ndarray) -> float:
        changed = logits.copy()
        add_of_states(changed[:, 0], cells, states)
        return kernels.likelihood_at(links, changed, 0.0)

    out = np.zeros((2, 2, 2))
    total = cell_slopes(links, logits, 0, states.astype(float), change, out)
    assert total == pytest.approx(value(change), rel=1e-5)
    for source, target in itertools.product(range(2), repeat=2):
        step = np.zeros((2, 2))
        step[source, target] = 0.01
        slope, bend = out[:, source, target]
        if not directed and source != target:
            step[target, source], (slope, bend) = 0.01, out[:, source, target] + out[:, target, source]
        ahead, behind = value(change + step), value(change - step)
        assert (ahead - behind) / 0.02 == pytest.approx(slope, rel=1e-2, abs=1e-2)
        assert -(ahead - 2 * value(change) + behind) / 0.01**2 == pytest.approx(bend, rel=0.1, abs=0.1)


def test_what_cached_files_compile_in_is_as_it_was():
    source = inspect.getsource(kernels.exp_minus.py_func) + repr((kernels.FACTORS, kernels.LARGE))
    assert hashlib.sha256(source.encode()).hexdigest().startswith("941a9d691503"), (
        "numba keeps what weight_moves.py and slopes.py were compiled to: change these files too, then this number"
    )


@DIRECTIONS
def test_buffet_keeps_its_books(directed):
    rng = np.random.default_rng(0)
    features, weights = np.zeros((1, 8, 12), dtype=np.uint8), np.zeros((12, 12))
    features[0, :, :3], weights[:3, :3], active = rng.random((8, 3)) < 0.5, weights_of(rng, 3, directed), 3
    logits, effects = logits_of(features, weights, -1.0, directed), effects_of(features, weights, directed)
    links, sizes = draw_links(rng, logits[0], directed), []
    for _ in range(60):
        counts = features[0].sum(0, dtype=np.int64)
        active = kernels.sample_buffet(
            rng, links, features, logits, weights, effects, counts, active, 3.0, 1.0
        )  # fmt: skip
        sizes.append(active)
        assert np.array_equal(counts, features[0].sum(0))
        assert not features[0, :, active:].any()
        assert not weights[active:].any()
        assert not weights[:, active:].any()
        assert directed or np.array_equal(weights, weights.T)
        assert np.allclose(effects, effects_of(features, weights, directed))
        known = links >= 0
        assert np.allclose(logits[known], logits_of(features, weights, -1.0, directed)[known], atol=1e-4)
    assert len(set(sizes)) > 3


def test_filtering_against_enumeration():
    rng = np.random.default_rng(1)
    likelihood, on, stay = 2 * rng.standard_normal((4, 2)), rng.random(4), rng.random(4)
    paths = np.array(list(itertools.product((0, 1), repeat=4)))
    joint = np.zeros(len(paths))
    for number, path in enumerate(paths):
        last = 0
        for t, state in enumerate(path):
            up = stay[t] if last else on[t]
            joint[number] += np.log(up if state else 1 - up) + likelihood[t, state]
            last = state
    out = np.empty((4, 2))
    assert kernels.filtered(likelihood, on, stay, out) == pytest.approx(np.logaddexp.reduce(joint))
    exact = np.exp(joint - np.logaddexp.reduce(joint))
    assert out[-1, 1] == pytest.approx(exact[paths[:, -1] == 1].sum())
    states, found = np.empty(4, dtype=np.uint8), np.zeros(len(paths))
    for _ in range(20_000):
        kernels.sample_chain(rng, likelihood, on, stay, out, states)
        found[states @ [8, 4, 2, 1]] += 1
    assert np.abs(found / 20_000 - exact).max() < 0.02


@DIRECTIONS
def test_chains_of_three_nodes_against_enumeration(directed):
    """The sampler's long-run frequencies are the posterior over all 64 states of three nodes at two steps."""
    rng = np.random.default_rng(2)
    weights, on, stay = np.array([[1.5]]), np.array([[0.3], [0.3]]), np.array([[0.8], [0.8]])
    links = draw_links(rng, np.zeros((2, 3, 3)), directed)
    states, scores = list(itertools.product((0, 1), repeat=6)), []
    for state in states:
        z = np.array(state, dtype=np.uint8).reshape(2, 3, 1)
        score = kernels.likelihood_at(links, logits_of(z, weights, -0.5, directed), 0.0)
        last = np.zeros(3, dtype=int)
        for now in z[:, :, 0].astype(int):
            up = np.where(last == 1, 0.8, 0.3)
            score += np.log(np.where(now == 1, up, 1 - up)).sum()
            last = now
        scores.append(score)
    exact = np.exp(np.array(scores) - np.logaddexp.reduce(scores))
    z, found = np.zeros((2, 3, 1), dtype=np.uint8), np.zeros(64)
    logits, effects = logits_of(z, weights, -0.5, directed), effects_of(z, weights, directed)
    for _ in range(20_000):
        kernels.sample_features(rng, links, z, logits, weights, effects, on, stay)
        found[z.ravel() @ [32, 16, 8, 4, 2, 1]] += 1
    assert np.abs(found / 20_000 - exact).max() < 0.02


def test_transitions_are_counted():
    rng = np.random.default_rng(0)
    features = (rng.random((4, 5, 3)) < 0.5).astype(np.uint8)
    expected = np.zeros((3, 2, 2), dtype=int)
    for i, k in itertools.product(range(5), range(3)):
        last = 0
        for t in range(4):
            expected[k, last, features[t, i, k]] += 1
            last = features[t, i, k]
    assert np.array_equal(transitions(features), expected)


# ---- whole sweeps, against the prior --------------------------------------------------------------------------


def agree(sampler, prior, redraw, statistics, sweeps: int) -> None:
    """Draws from prior and model, and sweeps alternating with new data, have the same means (Geweke, 2004)."""
    rng = np.random.default_rng(0)
    alone = []
    for _ in range(sweeps):
        chain = prior(rng)
        alone.append(statistics(chain, redraw(rng, chain)))
    sampler.chain, sampler.samples = prior(rng), [{}]  # a sample is kept, so that no proposal adapts any more
    together = []
    for _ in range(sweeps):
        sampler.links = redraw(rng, sampler.chain)
        sampler.sweep(rng)
        together.append(statistics(sampler.chain, sampler.links))
    alone, together = np.array(alone, dtype=float), np.array(together, dtype=float)
    batches = together.reshape(40, -1, together.shape[1]).mean(1)
    spread = np.sqrt(alone.var(0) / sweeps + batches.var(0, ddof=1) / 40)
    assert (np.abs(alone.mean(0) - together.mean(0)) < 4 * spread + 1e-12).all()
    assert (spread <= 0.2 * alone.std(0)).all()  # otherwise the comparison could not fail


@DIRECTIONS
def test_lfrm_agrees_with_its_prior(directed):
    nodes, room = 3, 40

    def prior(rng):
        alpha, z = rng.gamma(1.0), np.zeros((nodes, 0), dtype=np.uint8)
        for i in range(nodes):
            row = rng.random(z.shape[1]) < z[:i].sum(0) / (i + 1)
            z = np.concatenate([z, np.zeros((nodes, rng.poisson(alpha / (i + 1))), dtype=np.uint8)], axis=1)
            z[i] = np.arange(z.shape[1]) >= len(row)
            z[i, : len(row)] = row
        count = z.shape[1]
        features, weights = np.zeros((1, nodes, room), dtype=np.uint8), np.zeros((room, room))
        features[0, :, :count] = z
        scale = 1 / np.sqrt(rng.gamma(1.0))
        weights[:count, :count] = scale * weights_of(rng, count, directed)
        values = {"constant": rng.standard_normal(), "active": count, "alpha": alpha, "scale": scale}
        arrays = {name: np.array(value) for name, value in values.items()}
        return {"features": features, "weights": weights, "steps": np.array([1.0, 1.0]), **arrays}

    def redraw(rng, chain):
        return draw_links(
            rng, logits_of(chain["features"], chain["weights"], float(chain["constant"]), directed)[0], directed
        )  # fmt: skip

    def statistics(chain, links):
        active = int(chain["active"])
        z, weights = chain["features"][0, :, :active], np.tanh(chain["weights"][:active, :active])
        linked, constant = (links == 1).sum(), np.tanh(chain["constant"])
        shared = (z.sum(0) > 1).sum()
        values = [active, z.sum(), shared, linked, constant, linked * constant, (weights**2).sum()]
        return [*values, np.tanh(chain["alpha"]), np.tanh(chain["scale"])]

    agree(LFRM(constant_moves=2, max_features=room, constant_scale=1.0), prior, redraw, statistics, 6000)


@DIRECTIONS
def test_drift_agrees_with_its_prior(directed):
    nodes, steps, count = 3, 3, 2

    def prior(rng):
        alpha = rng.gamma(1.0)
        on, stay = np.clip(rng.beta(alpha / count, 1.0, count), 1e-9, 1), rng.beta(3.0, 1.0, count)
        z = np.zeros((steps, nodes, count), dtype=np.uint8)
        for t in range(steps):
            last = z[t - 1] if t else np.zeros_like(z[0])
            z[t] = rng.random((nodes, count)) < np.where(last == 1, stay, on)
        values = {"constant": np.array(rng.standard_normal()), "alpha": np.array(alpha), "on": on, "stay": stay}
        weights = weights_of(rng, count, directed)
        return {"features": z, "weights": weights, "steps": np.array([1.5, 1.0]), **values}

    def redraw(rng, chain):
        return draw_links(
            rng, logits_of(chain["features"], chain["weights"], float(chain["constant"]), directed)[0], directed
        )  # fmt: skip

    def statistics(chain, links):
        z, weights = chain["features"], np.tanh(chain["weights"])
        linked, constant = (links == 1).sum(), np.tanh(chain["constant"])
        held = [z[t].sum() for t in range(steps)]
        kept = (z[1:] & z[:-1]).sum()
        values = [*held, kept, linked, constant, linked * constant, weights.sum(), (z.sum((0, 1)) * weights).sum()]
        return [*values, chain["on"].sum(), chain["stay"].sum(), np.tanh(chain["alpha"])]

    agree(DRIFT(features=count, constant_moves=2, constant_scale=1.0), prior, redraw, statistics, 6000)


@pytest.mark.parametrize(("directed", "lives"), [(False, "moving"), (True, "moving"), (False, "fixed")])
def test_dmmg_agrees_with_its_prior(directed, lives):
    nodes, steps, room = 3, 3, 9 if lives == "moving" else 2
    sampler = DMMG(
        features=room, start_groups=1, lives=lives, mean_groups=1.0, death=0.4, constant_scale=1.0, walk_scale=0.5
    )
    sampler.links = np.zeros((1 + directed, steps, nodes, nodes), dtype=np.int8)  # for its direction

    def prior(rng):
        alive, used = np.zeros((steps, room), dtype=np.uint8), 0
        if lives == "fixed":
            alive[:], used = 1, room
        else:
            for t in range(steps):
                for _ in range(min(rng.poisson(0.4 if t else 1.0), room - used)):
                    alive[t : t + rng.geometric(0.4), used] = 1
                    used += 1
        values = [sampler.draw(rng) for _ in range(room)]
        theta, on, stay = (np.array(part) for part in zip(*values, strict=True))
        features = np.zeros((steps, nodes, room), dtype=np.uint8)
        for t in range(steps):
            last = features[t - 1] if t else np.zeros_like(features[0])
            features[t] = (rng.random((nodes, room)) < np.where(last == 1, stay, on)) * alive[t]
        walk = np.cumsum(rng.standard_normal(steps) * [1.0, 0.5, 0.5])
        chain = {"features": features, "alive": alive, "theta": theta, "on": on, "stay": stay, "epsilon": walk}
        return {**chain, "steps": np.array([1.0, 1.0])}

    def redraw(rng, chain):
        logits = logits_of_groups(
            chain["features"], chain["alive"], chain["theta"], chain["epsilon"], directed
        )  # fmt: skip
        return draw_links(rng, logits[0], directed)

    def statistics(chain, links):
        used, z = chain["alive"].any(0), chain["features"]
        theta, walk = np.tanh(chain["theta"][used]), np.tanh(chain["epsilon"])
        ends = [chain["alive"][t].sum() for t in range(steps)]
        linked, kept = (links == 1).sum(), (z[1:] & z[:-1]).sum()
        squares = [(theta[:, 1, 1] ** 2).sum(), (theta[:, 0, 1] * theta[:, 1, 0]).sum()]
        both = [linked * walk.sum(), (z.sum((0, 1))[used] * theta[:, 1, 1]).sum()]
        return [*ends, z.sum(), kept, linked, *walk, *squares, *both, chain["on"][used].sum(), used.sum()]

    agree(sampler, prior, redraw, statistics, 2000)


# ---- planted features -----------------------------------------------------------------------------------------


def planted(steps: int, directed: bool = False, seed: int = 0) -> tuple[TemporalGraph, np.ndarray]:
    """Forty nodes, three overlapping features that a tenth of the nodes change per step, and their graph."""
    rng = np.random.default_rng(seed)
    z = np.zeros((steps, 40, 3), dtype=np.uint8)
    z[0] = rng.random((40, 3)) < 0.4
    for t in range(1, steps):
        z[t] = np.where(rng.random((40, 3)) < 0.05, 1 - z[t - 1], z[t - 1])
    logits = logits_of(z, np.array([[5.0, -1, 0], [-1, 5, 0], [0, 0, 5]]), -3.0, directed)[0]
    links = draw_links(rng, logits, directed)[0]
    step, src, dst = np.nonzero(links == 1)
    kept = slice(None) if directed else src < dst
    graph = TemporalGraph.from_events(
        src[kept], dst[kept], step[kept], 40, directed=directed, num_steps=steps
    )  # fmt: skip
    return graph, logits


def correlation(model, logits: np.ndarray, time: int) -> float:
    src, dst = np.triu_indices(40, 1)
    scores = model.score(Queries.pairs(torch.from_numpy(src), torch.from_numpy(dst), time))
    return float(np.corrcoef(scores, logits[src, dst])[0, 1])


@DIRECTIONS
@pytest.mark.parametrize(("start", "least"), [("groups", 0.9), ("random", 0.75)])
def test_lfrm_recovers_planted_features(directed, start, least):
    torch.manual_seed(0)
    graph, logits = planted(1, directed)
    model = LFRM(burn_in=150, sweeps=50, start=start, start_features=3, max_features=20)
    model.fit(graph, None, counting())
    assert correlation(model, logits[0], 1) > least
    assert 3 <= model.describe()["nonempty_communities"] < 12


@DIRECTIONS
def test_drift_recovers_planted_features(directed):
    torch.manual_seed(0)
    graph, logits = planted(6, directed)
    model = DRIFT(features=4, burn_in=100, sweeps=40, keep_every=4)
    model.fit(graph.before(5), None, counting())
    assert correlation(model, logits[5], 5) > 0.75
    model.fit(graph, None, counting())  # goes on where it stands
    assert model.chain["features"].shape == (6, 40, 4)


@DIRECTIONS
@pytest.mark.parametrize("lives", ["moving", "fixed"])
def test_dmmg_recovers_planted_features(directed, lives):
    torch.manual_seed(0)
    graph, logits = planted(6, directed)
    model = DMMG(features=5, start_groups=3, lives=lives, mean_groups=3.0, weight_scale=3.0, burn_in=60, sweeps=40)
    model.fit(graph.before(5), None, counting())
    assert correlation(model, logits[5], 5) > 0.6
    model.fit(graph, None, counting())
    assert model.chain["features"].shape == (6, 40, 5)
    assert model.chain["epsilon"].shape == (6,)


def test_unknown_pairs_say_nothing():
    graph, _ = planted(1)
    hidden = torch.stack([graph.src[::4], graph.dst[::4]])
    kept = torch.ones(len(graph), dtype=torch.bool)
    kept[::4] = False
    told = TemporalGraph(**{**vars(graph.subset(kept)), "unknown": hidden})
    model, answers = LFRM(burn_in=5, sweeps=5, start_features=3), []
    # Whether the hidden links are among the links or not: they are unknown.
    for links in (told, TemporalGraph(**{**vars(graph), "unknown": hidden})):
        torch.manual_seed(0)
        model.read(links)
        answers.append(model.links.copy())
    assert np.array_equal(*answers)
    assert (answers[0][0, 0, hidden[0], hidden[1]] == -1).all()
    assert (answers[0][0, 0, hidden[1], hidden[0]] == -1).all()


def test_saved_chains_answer_alike():
    torch.manual_seed(0)
    graph, _ = planted(3)
    few = {"burn_in": 3, "sweeps": 4}
    for model, fresh in ((LFRM(**few), LFRM()), (DRIFT(**few), DRIFT()), (DMMG(**few), DMMG())):
        model.keep_every = 2
        model.fit(graph, None, counting())
        fresh.load_state_dict(model.state_dict())
        asked = Queries.pairs(graph.src, graph.dst, 3)
        assert torch.equal(model.score(asked), fresh.score(asked))
        assert torch.equal(model.embed(torch.tensor([3])), fresh.embed(torch.tensor([3])))
        assert model.describe() == fresh.describe()


# ---- bad input ------------------------------------------------------------------------------------------------


def test_bad_input_is_named():
    empty = TemporalGraph.from_events([1], [1], [0], 4, directed=False, num_steps=1)
    for model in (LFRM(start_features=2), DRIFT(features=2)):
        with pytest.raises(DataError, match="no edge is left"):
            model.fit(empty, None, counting())
    few = TemporalGraph.from_events([1], [2], [0], 4, directed=False, num_steps=1)
    with pytest.raises(ConfigError, match=r"model\.features=15 is more than the 4 nodes"):
        DRIFT().fit(few, None, counting())
    with pytest.raises(ConfigError, match="at most 5000 nodes"):
        LFRM().fit(TemporalGraph.from_events([1], [2], [0], 6000, directed=False, num_steps=1), None, counting())


def test_a_chain_that_went_astray_names_sweep_and_parameter():
    torch.manual_seed(0)
    model = LFRM(burn_in=2, sweeps=2, start_features=2)
    sweep = model.sweep

    def break_down(rng):
        sweep(rng)
        model.chain["constant"] = np.array(np.nan)

    model.sweep = break_down
    with pytest.raises(RunError, match=r"LFRM: constant is NaN or infinite in sweep 0;"):
        model.fit(planted(1)[0], None, counting())

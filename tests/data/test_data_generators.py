"""Drawn datasets: the published random stream, and NLSM's probabilities."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dynbench.data import DynamicSBM, NLSMProcess, cards
from dynbench.data.generators import interaction_scores
from dynbench.errors import DataError

CONF = Path(__file__).resolve().parents[2] / "conf" / "data"


def _card(name, where, **settings):
    return cards.build(cards.read_card(CONF / f"{name}.yaml"), where, **settings)


# ---- block model ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "sizes", "edges"),
    [("synthetic_1", [66, 74, 60], [5482, 6391, 6218]), ("synthetic_2", [90, 91, 19], [5861, 7362, 6043])],
)
def test_the_published_graphs(where, name, sizes, edges):
    dataset = _card(name, where)
    graph = dataset.load("snapshots")
    assert np.bincount(graph.node_labels[0]).tolist() == sizes
    assert np.bincount(graph.node_labels[1]).tolist() == [sizes[0] + sizes[1], sizes[2]]
    assert np.bincount(graph.node_labels[2]).tolist() == [sizes[0], sizes[1] + sizes[2]]
    assert np.bincount(graph.time).tolist() == edges
    loops = graph.src == graph.dst
    assert np.bincount(graph.time[loops]).tolist() == [87, 72, 83]
    assert not graph.directed
    assert bool((graph.src <= graph.dst).all())
    assert dataset.provenance() == {
        "source": "generated",
        "files": {},
        "arguments": {
            **{"view": "snapshots", "nodes": 200, "p": 0.4, "q": 0.2, "run_id": 5, "label_seed": 42, "graph_seed": 42},
            **{"proportions": dataset.proportions, "merges": [[0, 1, 2], [0, 0, 1], [0, 1, 1]]},
        },
    }


@pytest.mark.parametrize("run_id", [0, 5])
def test_the_stream_is_that_of_one_scalar_draw_per_pair(run_id):
    dataset = DynamicSBM("x", nodes=40, proportions=[0.4, 0.5, 0.1], run_id=run_id)
    state = np.random.get_state()
    try:
        np.random.seed(42)
        static = np.random.choice(3, size=40, p=[0.4, 0.5, 0.1])
        np.random.seed(42 + run_id)
        expected = []
        for step, merge in enumerate([(0, 1, 2), (0, 0, 1), (0, 1, 1)]):
            for i in range(40):
                for j in range(i + 1):
                    same = merge[static[i]] == merge[static[j]]
                    if np.random.random_sample() < (0.4 if same else 0.2):
                        expected.append((step, j, i))
    finally:
        np.random.set_state(state)
    graph = dataset.load()
    assert sorted(expected) == sorted(zip(graph.time.tolist(), graph.src.tolist(), graph.dst.tolist(), strict=True))


def test_drawing_leaves_the_global_generator_alone():
    before = np.random.get_state()[1].copy()
    DynamicSBM("x", nodes=10).load()
    NLSMProcess("x", nodes=10).load()
    np.testing.assert_array_equal(np.random.get_state()[1], before)


def test_runs_share_labels_but_not_links(where):
    first, second = (_card("synthetic_2", where, run_id=run).load() for run in (0, 1))
    assert bool((first.node_labels == second.node_labels).all())
    assert first.checksum() != second.checksum()


def test_noise_free_probabilities(where):
    chance = _card("synthetic_1", where).probabilities()
    assert chance.shape == (3, 200, 200)
    assert set(np.unique(chance)) == {0.2, 0.4}
    np.testing.assert_array_equal(chance, chance.transpose(0, 2, 1))


def test_link_frequencies_follow_p_and_q():
    dataset = DynamicSBM("x", nodes=300, p=0.7, q=0.1, run_id=1)
    graph, chance = dataset.load(), dataset.probabilities()
    linked = np.zeros(chance.shape, dtype=bool)
    linked[graph.time, graph.dst, graph.src] = True
    high, low = np.tril_indices(300)
    for value in (0.7, 0.1):
        drawn = linked[:, high, low][chance[:, high, low] == value]
        assert abs(drawn.mean() - value) < 4 * np.sqrt(value * (1 - value) / drawn.size)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"p": 1.2}, r"data\.p=1.2 must be between 0 and 1"),
        ({"nodes": 0}, r"data\.nodes=0 must be at least 1"),
        ({"proportions": [0.5, 0.4]}, r"data\.proportions=\[0.5, 0.4\] must be positive and sum to 1"),
        ({"merges": [[0, 1]]}, r"data\.merges=\[\[0, 1\]\] must be one list per step"),
    ],
)
def test_block_model_parameters_are_checked(settings, words):
    with pytest.raises(DataError, match=words):
        DynamicSBM("x", **settings).load()


def test_a_draw_that_is_not_the_cards_is_refused(where):
    with pytest.raises(DataError, match="promises 1 links, the data have 18,091"):
        _card("synthetic_1", where, expected={"links": 1}).load()
    assert _card("synthetic_1", where, expected={"links": 1}, p=0.5).load().num_steps == 3


# ---- NLSM -------------------------------------------------------------------------------------------------


GOLDEN_NLSM = [264, 255, 235, 280, 253, 225, 226, 215, 288, 290]


def test_same_seed_same_graph(where):
    first, again, other = (_card("nlsm_process", where, seed=seed).load() for seed in (3, 3, 4))
    assert first.checksum() == again.checksum() != other.checksum()
    assert np.bincount(_card("nlsm_process", where).load().time).tolist() == GOLDEN_NLSM


def test_the_default_graph_is_sparse_and_simple(where):
    dataset = _card("nlsm_process", where)
    graph, chance = dataset.load(), dataset.probabilities()
    assert (graph.num_nodes, graph.num_steps, graph.directed) == (100, 10, False)
    assert bool((graph.src < graph.dst).all())
    np.testing.assert_allclose(chance, chance.transpose(0, 2, 1))
    assert chance.sum() / (10 * 100 * 99) == pytest.approx(0.05, abs=1e-6)


@pytest.mark.parametrize("directed", [False, True])
def test_edge_frequencies_follow_the_models_probabilities(directed):
    dataset = NLSMProcess("x", nodes=150, steps=6, directed=directed, density=0.2, seed=1)
    graph, chance = dataset.load(), dataset.probabilities()
    linked = np.zeros(chance.shape, dtype=bool)
    linked[graph.time, graph.src, graph.dst] = True
    eligible = ~np.eye(150, dtype=bool) if directed else np.triu(np.ones((150, 150), dtype=bool), 1)
    wanted, drawn = chance[:, eligible].ravel(), linked[:, eligible].ravel()
    assert linked.sum() == drawn.sum() == len(graph)
    # In each class of probability, the number of links is a sum of independent Bernoulli draws.
    for low, high in zip(np.linspace(0, 0.9, 10), np.linspace(0.1, 1, 10), strict=True):
        chosen = (wanted >= low) & (wanted < high)
        deviation = np.sqrt((wanted[chosen] * (1 - wanted[chosen])).sum())
        assert abs(drawn[chosen].sum() - wanted[chosen].sum()) < 4 * deviation + 1e-9
    assert np.allclose(chance[0], chance[0].T) != directed


def test_scores_are_the_explicit_expectation():
    draw = np.random.RandomState(0)
    z, theta = draw.rand(2, 4, 3), draw.randn(2, 3, 2, 2)
    expected = np.zeros((2, 4, 4))
    for t, i, j, k in np.ndindex(2, 4, 4, 3):
        for x in (0, 1):
            for y in (0, 1):
                chance = (z[t, i, k] if x else 1 - z[t, i, k]) * (z[t, j, k] if y else 1 - z[t, j, k])
                expected[t, i, j] += chance * theta[t, k, x, y]
    np.testing.assert_allclose(interaction_scores(z, theta), expected, atol=1e-12)


def test_latents_walk_with_the_stated_spread():
    dataset = NLSMProcess("x", nodes=10, steps=200, sigma_psi=5.0, s_psi=0.25)
    walk = dataset._walk(np.random.RandomState(0), (2000,), 5.0, 0.25)
    assert walk[0].std() == pytest.approx(5.0, rel=0.1)
    assert np.diff(walk, axis=0).std() == pytest.approx(0.25, rel=0.02)


def test_events_view_has_the_step_as_time(where):
    events = _card("nlsm_process", where).load("events")
    assert events.num_steps is None
    assert np.bincount(events.time).tolist() == GOLDEN_NLSM


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"density": 0.0}, r"data\.density=0.0 must be strictly between 0 and 1"),
        ({"nodes": 1}, r"data\.nodes=1 must be at least 2"),
        ({"s_psi": -1.0}, r"data\.s_psi=-1.0 must be 0 or more"),
        ({"steps": 0}, r"data\.steps=0 must be at least 1"),
    ],
)
def test_process_parameters_are_checked(settings, words):
    with pytest.raises(DataError, match=words):
        NLSMProcess("x", **settings).load()

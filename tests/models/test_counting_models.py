"""Counting models beside loops over a list of events."""

from __future__ import annotations

import pytest
import torch
from reference.counting_slow import History

from dynbench.config.check import answers
from dynbench.config.compose import choices, read_choice
from dynbench.config.source import read_class
from dynbench.contract import Queries
from dynbench.engine.trainer import Trainer
from dynbench.graph import TemporalGraph
from dynbench.models.counting.decayed_count import DecayedCount
from dynbench.models.counting.last_snapshot import LastSnapshot
from dynbench.testing import make, tiny_graph

CARDS = {name: read_choice("model", name) for name in choices("model")}
COUNTING = [
    name
    for name, card in CARDS.items()
    if ".models.counting." in card["_target_"] and "score" in answers(read_class(card["_target_"]))
]


def grid(nodes: int, time: int) -> Queries:
    """All ordered pairs, those with themselves included."""
    return Queries.pairs(*torch.cartesian_prod(torch.arange(nodes), torch.arange(nodes)).unbind(1), time)


def fitted(name: str, graph: TemporalGraph, *overrides: str):
    model = make("model", name, *overrides)
    model.fit(graph, None, Trainer())
    model.condition(graph)
    return model


@pytest.mark.parametrize("directed", [False, True])
@pytest.mark.parametrize("name", COUNTING)
def test_scores_of_all_pairs(name, directed):
    graph = tiny_graph("snapshots", directed).before(5)
    queries, slow = grid(graph.num_nodes, 5), History(graph)
    expected = [getattr(slow, name)(i, j) for i, j in zip(queries.src.tolist(), queries.dst.tolist(), strict=True)]
    got = fitted(name, graph).score(queries)
    assert got.tolist() == pytest.approx(expected, rel=1e-6)
    assert len(set(expected)) > 1


def test_decayed_rows_hold_what_a_classifier_is_to_weigh():
    graph, decay = tiny_graph("snapshots", False).before(5), 0.5
    vectors = fitted("decayed_rows", graph, f"model.decay={decay}").embed(torch.tensor([2, 7])).double()
    assert vectors.shape == (2, 20, 21)
    for found, last in zip(vectors, (2, 4), strict=True):
        count = torch.zeros(20, 20, dtype=torch.double)
        for i, j, step in zip(graph.src.tolist(), graph.dst.tolist(), graph.time.tolist(), strict=True):
            if step <= last and i != j:
                count[i, j] += decay ** (last - step)
                count[j, i] += decay ** (last - step)
        for i, j in [(0, 1), (3, 5), (2, 2), (0, 19)]:
            product, shared = found[i] * found[j], count[i] * count[j]
            near = [k for k in range(20) if k not in (i, j)]
            torch.testing.assert_close(product[near], shared[near], atol=1e-5, rtol=1e-5)
            if i != j:
                torch.testing.assert_close(product[[i, j]], count[i, j].expand(2), atol=1e-5, rtol=1e-5)
            active = (1 + count[i].sum()).log() * (1 + count[j].sum()).log()
            assert float(product[20]) == pytest.approx(float(active), rel=1e-5)


def test_every_counting_model_has_a_reference():
    assert set(COUNTING) >= {"last_snapshot", "common_neighbors", "decayed_count", "preferential_attachment"}
    assert all(hasattr(History, name) for name in COUNTING)


@pytest.mark.parametrize("name", COUNTING)
def test_observing_equals_fitting_on_the_whole(name):
    graph = tiny_graph()
    model = fitted(name, graph.before(3))
    queries = grid(graph.num_nodes, 6)
    before = model.score(queries)
    model.observe(graph.between(3, 5))
    model.observe(graph.step(5))
    assert torch.equal(model.score(queries), fitted(name, graph.before(6)).score(queries))
    assert not torch.equal(model.score(queries), before)


@pytest.mark.parametrize("name", COUNTING)
def test_conditioning_anew_forgets(name):
    graph = tiny_graph()
    queries = grid(graph.num_nodes, 4)
    model = fitted(name, graph)
    model.condition(graph.before(4))
    assert torch.equal(model.score(queries), fitted(name, graph.before(4)).score(queries))


@pytest.mark.parametrize("name", COUNTING)
def test_going_back_forgets_what_was_revealed_since(name):
    graph = tiny_graph()
    queries = grid(graph.num_nodes, 6)
    model, answers, states = fitted(name, graph.before(3)), [], []
    for step in range(3, 7):
        answers.append(model.score(queries))
        states.append({key: part.clone() for key, part in model.running_state().items()})
        model.observe(graph.step(step))
    assert not torch.equal(model.score(queries), answers[0])
    for position in (3, 1, 0):
        model.restore(states[position])
        assert torch.equal(model.score(queries), answers[position])
    model.observe(graph.between(3, 6))
    assert torch.equal(model.score(queries), answers[3])


@pytest.mark.parametrize("name", COUNTING)
def test_nothing_is_learnt(name):
    model = fitted(name, tiny_graph())
    assert model.state_dict() == {}
    assert model.num_parameters() == 0


@pytest.mark.parametrize("name", COUNTING)
def test_few_queries(name):
    model, queries = fitted(name, tiny_graph()), grid(20, 10)
    whole = model.score(queries)
    for index in ([], [3], [3, 3], [25, 3]):
        assert torch.equal(model.score(queries[torch.tensor(index, dtype=torch.long)]), whole[index])


@pytest.mark.parametrize("directed", [False, True])
@pytest.mark.parametrize("memory", ["recent", "interval", "frequent"])
def test_memories_of_edgebank(memory, directed):
    graph = tiny_graph("snapshots", directed)
    queries, slow = grid(graph.num_nodes, graph.num_steps), History(graph)
    pairs = list(zip(queries.src.tolist(), queries.dst.tolist(), strict=True))
    got = fitted("edgebank", graph, f"model.memory={memory}").score(queries).tolist()
    assert got == [slow.edgebank(i, j, memory) for i, j in pairs]
    assert 0 < sum(got) < sum(slow.edgebank(i, j) for i, j in pairs)


@pytest.mark.parametrize("memory", ["unlimited", "recent", "interval", "frequent"])
def test_memories_grow_as_they_are_filled_at_once(memory):
    graph = tiny_graph("events", True)
    queries = grid(graph.num_nodes, 2000)
    model = fitted("edgebank", graph.events(0, 50), f"model.memory={memory}")
    for start in range(50, len(graph), 7):
        if start % 3:  # not every batch is followed by a question
            model.score(queries)
        model.observe(graph.events(start, min(start + 7, len(graph))))
    assert torch.equal(model.score(queries), fitted("edgebank", graph, f"model.memory={memory}").score(queries))


@pytest.mark.parametrize("memory", ["unlimited", "recent", "interval", "frequent"])
def test_edgebank_without_a_past_remembers_nothing(memory):
    graph = tiny_graph().before(0)
    assert not fitted("edgebank", graph, f"model.memory={memory}").score(grid(20, 0)).any()


def test_settings_of_the_decayed_count():
    graph = tiny_graph().before(5)
    queries, slow = grid(20, 5), History(graph)
    overrides = ("model.decay=0.5", "model.neighbor_weight=2.0", "model.degree_weight=0.25")
    expected = [slow.decayed_count(i, j, 0.5, 2.0, 0.25)
                for i, j in zip(queries.src.tolist(), queries.dst.tolist(), strict=True)]  # fmt: skip
    assert fitted("decayed_count", graph, *overrides).score(queries).tolist() == pytest.approx(expected)


def test_a_silent_last_snapshot_is_the_last_snapshot():
    graph = TemporalGraph.from_events([0, 1], [1, 2], [0, 0], num_nodes=3, num_steps=4, directed=False)
    pairs = Queries.pairs(torch.tensor([0]), torch.tensor([1]), 2)
    last, decayed = LastSnapshot(), DecayedCount(decay=0.5, neighbor_weight=0.0, degree_weight=0.0)
    for model in (last, decayed):
        model.condition(graph.before(2))
    assert last.score(pairs).tolist() == [0.0]
    assert decayed.score(pairs).tolist() == [0.5]

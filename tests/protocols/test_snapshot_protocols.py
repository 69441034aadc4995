"""Single-step, all-pairs and multi-step questions beside brute force; the classifier beside one fitted by hand."""

from __future__ import annotations

import pytest
import torch
from exams import blocks_of, read, validation_of
from reference import graphs_slow as slow
from sklearn.linear_model import LogisticRegression

from dynbench.contract import Block, Queries
from dynbench.errors import DataError
from dynbench.graph import TemporalGraph
from dynbench.metrics.steps import LinkMetrics
from dynbench.protocols.multi_step import MultiStep
from dynbench.protocols.pairs import PairSplitter
from dynbench.protocols.single_step import AllPairs, SingleStep, SingleStepClassifier, hadamard_scores
from dynbench.protocols.statistics import Statistics
from dynbench.testing import tiny_graph


@pytest.fixture(params=[False, True], ids=["undirected", "directed"])
def graph(request):
    return tiny_graph("snapshots", request.param)


def asked(block) -> list[tuple[int, int, int]]:
    parts = block.queries.src, block.queries.dst, block.answers
    return list(zip(*(part.tolist() for part in parts), strict=True))


def single_block(episode):
    (block,) = blocks_of(episode)
    return block


# ---- single step ------------------------------------------------------------------------------------------


def test_one_episode_per_snapshot_but_the_first(graph):
    episodes = list(SingleStep().episodes(graph, 0))
    assert [single_block(e).step for e in episodes] == list(range(1, 10))
    for target, episode in enumerate(episodes, start=1):
        assert (single_block(episode).queries.time == target).all()
        assert set(episode.train[""].time.tolist()) == set(range(target))
        assert episode.name == f"snapshot {target} of 9"
        assert not validation_of(episode)


def test_test_pairs_are_those_of_the_splitter(graph):
    for target, episode in enumerate(SingleStep().episodes(graph, 5), start=1):
        part = PairSplitter(graph, 5).split(target, target - 1)["test"]
        assert torch.equal(single_block(episode).queries.src, part.src)
        assert torch.equal(single_block(episode).queries.dst, part.dst)
        assert torch.equal(single_block(episode).answers, part.labels)


def test_all_positives_are_asked_about_on_demand(graph):
    for target, episode in enumerate(SingleStep(pairs="all_positives").episodes(graph, 0), start=1):
        known = slow.seen_by(graph, target - 1)
        links = {p for p in slow.links_of(graph, target) if set(p) <= known and (graph.directed or p[0] <= p[1])}
        positives = [(i, j) for i, j, label in asked(single_block(episode)) if label]
        assert sorted(positives) == sorted(links)
        assert len(asked(single_block(episode))) == 2 * len(links)


def test_a_fixed_split_does_not_follow_the_seed(graph):
    def first(seed, **settings):
        return asked(single_block(next(SingleStep(**settings).episodes(graph, seed))))

    assert first(0, split_seed=123) == first(1, split_seed=123) == first(123)
    assert first(0) != first(1)


def test_self_loops_can_be_dropped(graph):
    def loops(setting):
        return sum(
            i == j for e in SingleStep(self_loops=setting).episodes(graph, 0) for i, j, _ in asked(blocks_of(e)[0])
        )

    assert loops("keep") > 0
    assert loops("drop") == 0


def test_one_snapshot_is_too_few():
    graph = TemporalGraph.from_events([0], [1], [0], 2, num_steps=1)
    with pytest.raises(DataError, match="needs at least 2 snapshots, the data have 1"):
        next(SingleStep().episodes(graph, 0))
    with pytest.raises(DataError, match="needs at least 2 snapshots, the data have 1"):
        next(AllPairs().episodes(graph, 0))


def test_continuous_time_must_be_cut_first():
    for protocol in (SingleStep(), AllPairs(), MultiStep()):
        with pytest.raises(DataError, match=r"cut it into snapshots with data\.window"):
            next(protocol.episodes(tiny_graph("events"), 0))


def test_a_target_without_known_links_asks_nothing():
    graph = TemporalGraph.from_events([0, 2, 0], [1, 3, 1], [0, 1, 2], 9, directed=False, num_steps=3)
    first, second = SingleStep(pairs="all_positives").episodes(graph, 0)
    assert blocks_of(first) == []
    assert len(single_block(second).answers) == 2


# ---- classifier -------------------------------------------------------------------------------------------


def test_the_classifier_gets_the_parts_of_the_splitter(graph):
    for target, episode in enumerate(SingleStepClassifier().episodes(graph, 2), start=1):
        parts = PairSplitter(graph, 2).split(target, target - 1)
        block, (validation,) = single_block(episode), validation_of(episode)
        for queries, labels, name in (
            *((block.queries, block.answers, "test"), (*block.support, "train")),
            *((validation.queries, validation.answers, "validation"), (*validation.support, "train")),
        ):
            assert torch.equal(queries.src, parts[name].src)
            assert torch.equal(queries.dst, parts[name].dst)
            assert torch.equal(labels, parts[name].labels)


@pytest.mark.parametrize("penalty", [1.0, 0.01])
def test_the_read_out_is_logistic_regression_on_products(graph, penalty):
    embedding = torch.randn(20, 4, generator=torch.Generator().manual_seed(0))
    protocol = SingleStepClassifier(penalty=penalty)
    episode = list(protocol.episodes(graph, 0))[-1]
    block = single_block(episode)
    known, labels = block.support
    rows = [(embedding[i] * embedding[j]).tolist() for i, j in zip(known.src, known.dst, strict=True)]
    by_hand = LogisticRegression(C=penalty, max_iter=10_000, tol=1e-8).fit(rows, labels.tolist())
    wanted = [(embedding[i] * embedding[j]).tolist() for i, j, _ in asked(block)]
    expected = torch.tensor(by_hand.predict_proba(wanted)[:, 1])
    got = read(episode, block, embedding[None])
    torch.testing.assert_close(torch.sigmoid(got), expected, rtol=0, atol=1e-6)
    assert torch.equal(got, hadamard_scores(embedding, block.support, block.queries, penalty))


def test_scaled_products_do_not_depend_on_the_length_of_vectors(graph):
    embedding = torch.randn(20, 4, generator=torch.Generator().manual_seed(0))
    embedding[:, 3] = 0  # a product that never varies
    episode = list(SingleStepClassifier(scaled=True).episodes(graph, 0))[-1]
    block = single_block(episode)
    long, short = (read(episode, block, (length * embedding)[None]) for length in (1.0, 0.01))
    torch.testing.assert_close(short, long, rtol=1e-5, atol=1e-6)
    known = block.support[0]
    spread = (embedding[known.src] * embedding[known.dst]).std(0, correction=0).where(embedding[0] != 0, torch.ones(4))
    by_hand = hadamard_scores(embedding / spread.sqrt(), block.support, block.queries, 1.0)
    torch.testing.assert_close(long, by_hand, rtol=1e-4, atol=1e-5)


def test_scores_of_the_read_out_are_log_odds():
    # One feature that separates the classes: positive log-odds on the side of the links.
    embedding = torch.tensor([[2.0], [1.0], [-1.0], [-2.0]])
    support = Queries.pairs(torch.tensor([0, 1, 0, 1]), torch.tensor([1, 0, 2, 3]), 0), torch.tensor([1, 1, 0, 0])
    wanted = Queries.pairs(torch.tensor([0, 0]), torch.tensor([0, 3]), 0)
    link, other = hadamard_scores(embedding, support, wanted, 1.0).tolist()
    assert link > 0 > other


def test_the_read_out_tells_pairs_of_short_vectors_apart():
    """Vectors that training has hardly moved are small; what little they say is heard."""
    generator = torch.Generator().manual_seed(1)
    embedding = torch.randn(40, 3, generator=generator)
    src, dst = torch.combinations(torch.arange(40)).unbind(1)
    linked = ((embedding[src] * embedding[dst]).sum(1) > 0).to(torch.int8)
    half = torch.rand(len(src), generator=generator) < 0.5
    support, wanted = (Queries.pairs(src[part], dst[part], 1) for part in (half, ~half))
    found = []
    for scale in (1.0, 1e-3):
        metric, block = LinkMetrics(precise=True), Block(1, wanted, linked[~half], support=(support, linked[half]))
        metric.update(block, SingleStepClassifier().readout(block, scale * embedding[None]))
        found.append(metric.compute()["macro_auc"])
    assert min(found) > 0.9


# ---- all pairs --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("known_only", [False, True])
def test_all_pairs_beside_brute_force(graph, known_only):
    for target, episode in enumerate(AllPairs(known_nodes_only=known_only).episodes(graph, 0), start=1):
        nodes = slow.seen_by(graph, target - 1) if known_only else set(range(graph.num_nodes))
        links = slow.links_of(graph, target)
        expected = {(i, j, int((i, j) in links)) for i, j in slow.all_pairs(graph, nodes)}
        got = asked(single_block(episode))
        assert len(got) == len(expected)
        assert set(got) == expected
        assert (single_block(episode).queries.time == target).all()


def test_all_pairs_are_not_pooled(graph):
    assert not next(AllPairs().episodes(graph, 0)).exams[0].metric().pooled


# ---- several steps ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("horizon", [1, 3, 6])
def test_several_steps_ahead(graph, horizon):
    (episode,) = MultiStep(horizon=horizon).episodes(graph, 0)
    trained = 10 - horizon - 1
    assert int(episode.train[""].time.max()) == trained
    assert [block.step for block in blocks_of(episode)] == list(range(1, horizon + 1))
    known = slow.seen_by(graph, trained)
    for block in blocks_of(episode):
        target = trained + block.step
        assert (block.queries.time == target).all()
        assert {node for i, j, _ in asked(block) for node in (i, j)} <= known
        part = PairSplitter(graph, 0).split(target, trained)["test"]
        assert torch.equal(block.queries.src, part.src)
        assert torch.equal(block.queries.dst, part.dst)
        assert block.reveal is None


@pytest.mark.parametrize("horizon", [0, 10, 11])
def test_a_horizon_that_leaves_nothing(graph, horizon):
    with pytest.raises(DataError, match=f"protocol.horizon={horizon} leaves no snapshot to train on; the data have 10"):
        next(MultiStep(horizon=horizon).episodes(graph, 0))


# ---- description ------------------------------------------------------------------------------------------


def test_statistics_ask_nothing(graph):
    distinct = {
        (i, j) if graph.directed else (min(i, j), max(i, j))
        for step in range(10)
        for i, j in slow.links_of(graph, step)
    }
    for links, expected in (("per_step", len(graph)), ("overall", len(distinct))):
        protocol = Statistics(links=links)
        assert list(protocol.episodes(graph, 0)) == []
        assert protocol.describe(graph) == {"nodes": 20, "links": expected, "steps": 10, "relations": 1}

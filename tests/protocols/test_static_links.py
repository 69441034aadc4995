"""Hidden links of one graph: the split, what a model is told, and what cannot be split."""

from __future__ import annotations

import pytest
import torch

from dynbench.errors import ConfigError, DataError
from dynbench.graph import TemporalGraph
from dynbench.protocols.static_links import StaticLinks


def graph(nodes=60, links=200, directed=False, seed=0) -> TemporalGraph:
    generator = torch.Generator().manual_seed(seed)
    ordered = torch.cartesian_prod(torch.arange(nodes), torch.arange(nodes))
    pairs = ordered[ordered[:, 0] != ordered[:, 1]] if directed else torch.combinations(torch.arange(nodes), 2)
    src, dst = pairs[torch.randperm(len(pairs), generator=generator)[:links]].T
    return TemporalGraph.from_events(src, dst, torch.zeros_like(src), nodes, directed=directed, num_steps=1)


def keys(graph, src, dst) -> set[int]:
    if not graph.directed:
        src, dst = torch.minimum(src, dst), torch.maximum(src, dst)
    return set((src * graph.num_nodes + dst).tolist())


@pytest.mark.parametrize("directed", [False, True])
def test_the_split(directed):
    whole = graph(directed=directed)
    (episode,) = StaticLinks().episodes(whole, 3)
    train, links = episode.train[""], keys(whole, whole.src, whole.dst)
    (validation,), (test,) = episode.validation.blocks(), episode.exams[0].blocks()
    assert [len(validation.answers), len(test.answers), len(train)] == [20, 40, 170]
    asked = []
    for block in (validation, test):
        pairs, positive = block.queries, block.answers == 1
        assert int(positive.sum()) * 2 == len(positive)
        assert keys(whole, pairs.src[positive], pairs.dst[positive]) <= links
        others = keys(whole, pairs.src[~positive], pairs.dst[~positive])
        assert not others & links
        assert (pairs.src != pairs.dst).all()
        assert (pairs.time == 1).all()
        asked.append(keys(whole, pairs.src, pairs.dst))
        assert len(asked[-1]) == len(positive)
    assert not asked[0] & asked[1]
    assert keys(whole, train.src, train.dst) == links - asked[0] - asked[1]
    # What is told to be unknown is what is asked about, in an order that gives nothing away.
    unknown = train.unknown[0] * whole.num_nodes + train.unknown[1]
    assert set(unknown.tolist()) == asked[0] | asked[1]
    assert torch.equal(unknown, unknown.sort().values)
    assert directed or (train.unknown[0] < train.unknown[1]).all()
    assert episode.context is train


def test_seeds_split_differently_and_again_the_same():
    whole = graph()

    def asked(seed, **settings):
        (episode,) = StaticLinks(**settings).episodes(whole, seed)
        return episode.train[""].unknown.tolist()

    assert asked(0) == asked(0)
    assert asked(0) != asked(1)
    assert asked(0) == asked(5, split_seed=0)


def test_several_snapshots_are_merged():
    src, dst = torch.arange(30), torch.arange(30) + 1
    twice = TemporalGraph.from_events(
        torch.cat([src, dst, src]), torch.cat([dst, src, src]), torch.arange(90) // 45, 31, directed=False, num_steps=2,
        node_labels=torch.zeros(31), node_features=torch.ones(31, 2),
    )  # fmt: skip
    (episode,) = StaticLinks().episodes(twice, 0)
    train = episode.train[""]
    assert len(train) == 30 - 1 - 3
    assert (train.num_steps, train.node_labels) == (1, None)
    assert train.node_features.shape == (31, 2)


def test_no_validation():
    (episode,) = StaticLinks(validation=0).episodes(graph(), 0)
    assert episode.validation is None
    assert len(episode.train[""]) == 180


def test_what_cannot_be_split_is_named():
    with pytest.raises(ConfigError, match=r"protocol\.test=0\.9"):
        StaticLinks(validation=0.2, test=0.9)
    with pytest.raises(DataError, match="5 links are too few"):
        list(StaticLinks().episodes(graph(links=5), 0))
    with pytest.raises(DataError, match="fewer than 6 pairs of nodes that are not linked"):
        list(StaticLinks().episodes(graph(nodes=10, links=44), 0))
    loops = TemporalGraph.from_events([1, 2], [1, 2], [0, 0], 4, directed=False, num_steps=1)
    with pytest.raises(DataError, match="no links between different nodes"):
        list(StaticLinks().episodes(loops, 0))

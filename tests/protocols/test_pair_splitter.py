"""Splits and non-links of one target: sizes, membership, independence of everything but the seed."""

from __future__ import annotations

import math

import pytest
import torch
from reference import graphs_slow as slow
from scipy.stats import chisquare

from dynbench.errors import DataError
from dynbench.graph import TemporalGraph
from dynbench.protocols.pairs import LabelledPairs, PairSplitter
from dynbench.testing import tiny_graph

TARGET = 6


@pytest.fixture(params=[False, True], ids=["undirected", "directed"])
def graph(request):
    return tiny_graph("snapshots", request.param)


def pairs(part: LabelledPairs, label: int) -> list[tuple[int, int]]:
    chosen = part.labels == label
    return list(zip(part.src[chosen].tolist(), part.dst[chosen].tolist(), strict=True))


def key(graph, pair):
    return pair if graph.directed else tuple(sorted(pair))


def possible(graph, target, trained, loops=True):
    """Links of the target between nodes seen by ``trained``, smaller end first where direction does not count."""
    known = slow.seen_by(graph, trained)
    found = {key(graph, pair) for pair in slow.links_of(graph, target) if set(pair) <= known}
    return {pair for pair in found if loops or pair[0] != pair[1]}


@pytest.mark.parametrize("self_loops", ["keep", "drop"])
@pytest.mark.parametrize("trained", [TARGET - 1, 2])
def test_parts_are_a_partition_of_the_links(graph, trained, self_loops):
    parts = PairSplitter(graph, 0, self_loops).split(TARGET, trained)
    links = [key(graph, pair) for part in parts.values() for pair in pairs(part, 1)]
    assert set(links) == possible(graph, TARGET, trained, self_loops == "keep")
    assert len(links) == len(set(links))
    assert any(i == j for i, j in links) == (self_loops == "keep")


def test_sizes_are_a_fifth_and_three_fifths():
    for size in range(1, 40):
        # A star at the target; a clique before it makes all nodes known and leaves room for non-links.
        nodes = size + 9
        src = [*range(nodes - 1), *[0] * size]
        dst = [*range(1, nodes), *range(1, size + 1)]
        graph = TemporalGraph.from_events(src, dst, [0] * (nodes - 1) + [1] * size, nodes, directed=False, num_steps=2)
        parts = PairSplitter(graph, 0).split(1, 0)
        counts = {name: int(part.labels.sum()) for name, part in parts.items()}
        expected = {"validation": math.floor(0.2 * size), "test": math.floor(0.6 * size)}
        assert counts == {**expected, "train": size - sum(expected.values())}


def test_each_part_has_as_many_non_links_as_links(graph):
    known = slow.seen_by(graph, TARGET - 1)
    for part in PairSplitter(graph, 0).split(TARGET, TARGET - 1).values():
        negatives = pairs(part, 0)
        assert len(negatives) == len(pairs(part, 1)) > 0
        assert len({key(graph, pair) for pair in negatives}) == len(negatives)
        assert {key(graph, pair) for pair in negatives} <= slow.non_links(graph, TARGET, known)
        assert part.labels.tolist() == sorted(part.labels.tolist(), reverse=True)


def test_links_of_earlier_snapshots_may_be_non_links(graph):
    earlier = set().union(*(slow.links_of(graph, step) for step in range(TARGET)))
    drawn = [pair for seed in range(20) for part in PairSplitter(graph, seed).split(TARGET, TARGET - 1).values()
             for pair in pairs(part, 0)]  # fmt: skip
    assert earlier & set(drawn)


def test_non_links_are_uniform(graph):
    known = slow.seen_by(graph, TARGET - 1)
    everything = sorted(slow.non_links(graph, TARGET, known))
    counts = dict.fromkeys(everything, 0)
    for seed in range(600):
        for pair in pairs(PairSplitter(graph, seed).split(TARGET, TARGET - 1)["test"], 0):
            counts[key(graph, pair)] += 1
    assert chisquare(list(counts.values())).pvalue > 1e-3


def same(one, other) -> bool:
    return all(torch.equal(getattr(one[n], f), getattr(other[n], f)) for n in one for f in ("src", "dst", "labels"))


def test_the_seed_and_the_target_decide_and_nothing_else(graph):
    splitter = PairSplitter(graph, 3)
    first = splitter.split(TARGET, TARGET - 1)
    splitter.split(2, 1)
    torch.manual_seed(99)
    assert same(first, splitter.split(TARGET, TARGET - 1))
    assert same(first, PairSplitter(graph, 3).split(TARGET, TARGET - 1))
    assert not same(first, PairSplitter(graph, 4).split(TARGET, TARGET - 1))


def test_new_links_only(graph):
    past = set().union(*(slow.links_of(graph, step) for step in range(TARGET)))
    parts = PairSplitter(graph, 0, links="new").split(TARGET, TARGET - 1)
    links = {key(graph, pair) for part in parts.values() for pair in pairs(part, 1)}
    assert links == {pair for pair in possible(graph, TARGET, TARGET - 1) if pair not in past}
    assert links


def two_sided(bipartite=True) -> TemporalGraph:
    generator = torch.Generator().manual_seed(0)
    src, dst = torch.randint(0, 6, (60,), generator=generator), torch.randint(6, 16, (60,), generator=generator)
    graph = TemporalGraph.from_events(
        src, dst, torch.arange(60) // 20, 16, directed=False, bipartite=bipartite
    )  # fmt: skip
    return graph.snapshots(graph.time, 3)


def test_bipartite_non_links_join_the_two_sides():
    for part in PairSplitter(two_sided(), 0, negatives="bipartite").split(2, 1).values():
        assert all(i < 6 <= j for i, j in pairs(part, 0))
        assert len(pairs(part, 0)) == len(pairs(part, 1))
    uniform = PairSplitter(two_sided(), 0).split(2, 1)["test"]
    assert not all(min(pair) < 6 <= max(pair) for pair in pairs(uniform, 0))


def test_bipartite_non_links_need_a_bipartite_graph():
    with pytest.raises(DataError, match="negatives=bipartite needs a bipartite graph; use negatives=uniform"):
        PairSplitter(two_sided(bipartite=False), 0, negatives="bipartite")


def dense(missing: int) -> TemporalGraph:
    """A complete snapshot of six nodes but for some pairs, after a path that makes all nodes known."""
    complete = torch.combinations(torch.arange(6), 2)[missing:]
    src, dst = torch.cat([torch.tensor([[k, k + 1] for k in range(5)]), complete]).unbind(1)
    return TemporalGraph.from_events(src, dst, [0] * 5 + [1] * len(complete), 6, directed=False, num_steps=2)


def test_a_snapshot_that_is_too_dense():
    with pytest.raises(DataError, match=r"snapshot 1 has 2 pairs without a link among its 6 known nodes and \d are "
                       r"needed; cut the data into shorter windows or use protocol=single_step_allpairs"):  # fmt: skip
        PairSplitter(dense(missing=2), 0).split(1, 0)


def test_all_non_links_are_found_where_there_is_just_room():
    # 9 links: 1 for validation, 5 for test, 3 for training; the 6 non-links must be found for the largest part.
    parts = PairSplitter(dense(missing=6), 0).split(1, 0)
    assert [len(pairs(parts[name], 0)) for name in ("validation", "test", "train")] == [1, 5, 3]


def test_a_target_without_links_between_known_nodes():
    graph = TemporalGraph.from_events([0, 2], [1, 3], [0, 1], 4, directed=False, num_steps=2)
    assert all(len(part.labels) == 0 for part in PairSplitter(graph, 0).split(1, 0).values())

"""Draws of edges and non-edges: what may be drawn, how often, and from which nodes."""

from __future__ import annotations

from collections import Counter

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import graphs_slow as slow
from scipy.stats import chisquare

from dynbench.graph import TemporalGraph
from dynbench.sampling.pairs import EdgeSampler, PairIndex, contains_sorted, draw_pairs, drawn_distinct, redrawn
from dynbench.testing import tiny_graph

STEPS = 6


@pytest.fixture(params=[False, True], ids=["undirected", "directed"])
def graph(request):
    """A history of six snapshots of the tiny graph."""
    torch.manual_seed(0)
    return tiny_graph("snapshots", request.param).before(STEPS)


def triples(parts):
    return list(zip(*(part.tolist() for part in parts), strict=True))


def loop_free(graph):
    return {(t, i, j) for t, i, j in triples((graph.time, graph.src, graph.dst)) if i != j}


# ---- membership -------------------------------------------------------------------------------------------


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(-20, 20)), st.lists(st.integers(-25, 25)))
def test_contains_sorted(keys, wanted):
    found = contains_sorted(torch.tensor(sorted(keys), dtype=torch.long), torch.tensor(wanted, dtype=torch.long))
    assert found.tolist() == [w in keys for w in wanted]


def test_pair_index(graph):
    index = PairIndex(graph)
    for step in range(STEPS):
        src, dst = torch.cartesian_prod(torch.arange(20), torch.arange(20)).unbind(1)
        links = slow.links_of(graph, step)
        pairs = zip(src.tolist(), dst.tolist(), strict=True)
        assert index.contains(step, src, dst).tolist() == [pair in links for pair in pairs]


# ---- edges ------------------------------------------------------------------------------------------------


def test_without_a_limit_all_edges_but_loops(graph):
    sampler = EdgeSampler(graph, STEPS)
    drawn = triples(sampler.edges(None))
    assert len(drawn) == len(set(drawn))
    assert set(drawn) == loop_free(graph)
    assert sampler.num_edges.tolist() == [sum(t == step for t, _, _ in loop_free(graph)) for step in range(STEPS)]


@pytest.mark.parametrize("limit", [1, 5, 1000])
def test_a_limit_per_snapshot_without_replacement(graph, limit):
    sampler = EdgeSampler(graph, STEPS)
    for _ in range(20):
        drawn = triples(sampler.edges(limit))
        assert len(drawn) == len(set(drawn))
        assert set(drawn) <= loop_free(graph)
        counts = Counter(t for t, _, _ in drawn)
        assert [counts[step] for step in range(STEPS)] == [min(limit, int(n)) for n in sampler.num_edges]


def test_all_edges_are_equally_likely(graph):
    sampler = EdgeSampler(graph, STEPS)
    counts = Counter(triple for _ in range(1500) for triple in triples(sampler.edges(2)))
    for step in range(STEPS):
        seen = [counts[edge] for edge in loop_free(graph) if edge[0] == step]
        # Draws without replacement vary less than independent ones, so the test errs on the safe side.
        assert chisquare(seen).pvalue > 1e-3


# ---- non-edges --------------------------------------------------------------------------------------------


def test_non_edges_are_pairs_of_known_nodes_that_are_not_linked(graph):
    sampler = EdgeSampler(graph, STEPS)
    drawn = triples(sampler.non_edges(torch.arange(STEPS).repeat_interleave(500)))
    for t, i, j in drawn:
        assert i != j
        assert (i, j) not in slow.links_of(graph, t)
        assert {i, j} <= slow.seen_by(graph, t)
    sizes = [len(slow.non_links(graph, step, slow.seen_by(graph, step))) for step in range(STEPS)]
    assert sampler.num_non_edges.tolist() == sizes


def test_non_edges_are_uniform(graph):
    sampler = EdgeSampler(graph, STEPS)
    step = 2
    drawn = Counter((i, j) for _, i, j in triples(sampler.non_edges(torch.full((60_000,), step))))
    ordered = [(i, j) for i in slow.seen_by(graph, step) for j in slow.seen_by(graph, step)
               if i != j and (i, j) not in slow.links_of(graph, step)]  # fmt: skip
    assert set(drawn) == set(ordered)
    assert chisquare([drawn[pair] for pair in ordered]).pvalue > 1e-3
    # A draw that hits a link is dropped, not repeated.
    known = len(slow.seen_by(graph, step))
    assert sum(drawn.values()) / 60_000 == pytest.approx(len(ordered) / (known * (known - 1)), abs=0.01)


def test_seen_nodes_come_in_order_of_appearance(graph):
    seen = EdgeSampler(graph, STEPS).seen.tolist()
    assert set(seen) == slow.seen_by(graph, STEPS - 1)
    first = graph.first_seen()[seen]
    assert (first[1:] >= first[:-1]).all()


def test_silent_snapshots():
    graph = TemporalGraph.from_events([0, 0], [1, 2], [0, 3], 4, directed=False, num_steps=5)
    sampler = EdgeSampler(graph, 5)
    assert sampler.num_edges.tolist() == [1, 0, 0, 1, 0]
    assert sampler.num_non_edges.tolist() == [0, 1, 1, 2, 3]
    assert triples(sampler.edges(1)) == [(0, 0, 1), (3, 0, 2)]
    assert {frozenset((i, j)) for _, i, j in triples(sampler.non_edges(torch.full((200,), 3)))} == {
        *(frozenset((0, 1)), frozenset((1, 2))),
    }


# ---- uniform pairs ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("known", [2, 3, 5])
def test_ordered_pairs_are_uniform(known):
    pool = torch.tensor([7, 3, 9, 0, 4])
    generator = torch.Generator().manual_seed(0)
    src, dst = draw_pairs(pool, torch.full((20_000,), known), generator)
    counts = Counter(zip(src.tolist(), dst.tolist(), strict=True))
    nodes = pool[:known].tolist()
    assert set(counts) == {(i, j) for i in nodes for j in nodes if i != j}
    assert chisquare(list(counts.values())).pvalue > 1e-3


def test_each_draw_keeps_to_its_own_bound():
    known = torch.tensor([2, 3, 4, 5]).repeat(500)
    src, dst = draw_pairs(torch.arange(5), known, torch.Generator().manual_seed(0))
    assert (src < known).all()
    assert (dst < known).all()
    assert (src != dst).all()


def test_a_generator_of_its_own():
    bound = torch.full((50,), 9)
    state = torch.get_rng_state()
    one, other = (draw_pairs(torch.arange(9), bound, torch.Generator().manual_seed(4)) for _ in range(2))
    assert torch.equal(torch.stack(one), torch.stack(other))
    assert torch.equal(torch.get_rng_state(), state)


def test_what_is_refused_is_drawn_again_in_its_place():
    calls = []

    def draw(places):
        calls.append(places.tolist())
        return places.clone(), torch.full_like(places, len(calls))

    src, dst, left = redrawn(draw, lambda src, dst: (dst < 3) & (src != 1), 4, tries=5)
    assert calls == [[0, 1, 2, 3], [0, 2, 3], [0, 2, 3]]
    assert src.tolist() == [0, 1, 2, 3]
    assert dst.tolist() == [3, 1, 3, 3]
    assert not len(left)
    *_, left = redrawn(draw, lambda src, dst: src == 2, 4, tries=2)
    assert left.tolist() == [2]


def test_different_pairs_in_the_order_of_their_draws():
    stream = iter([5, 5, 2, 9, 5, 2, 7, *range(100)])

    def draw(number):
        src = torch.tensor([next(stream) for _ in range(min(number, 7))])
        return src, src + 1

    src, dst = drawn_distinct(draw, lambda src, dst: src == 9, lambda src, dst: src, 5)
    assert src.tolist() == [5, 2, 7, 0, 1]
    assert torch.equal(dst, src + 1)

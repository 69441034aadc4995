"""One true destination against many: TGB's rule beside sets, its variants, and portions that change nothing."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import negatives_slow as slow

from dynbench.errors import ConfigError
from dynbench.graph import TemporalGraph
from dynbench.sampling.hashing import hashed, hashed_below
from dynbench.sampling.one_vs_many import OneVersusMany

events_ = st.lists(st.tuples(st.integers(0, 3), st.integers(4, 15), st.integers(0, 8)), min_size=10, max_size=40)


def graph_of(rows) -> TemporalGraph:
    return TemporalGraph.from_events(*([row[k] for row in rows] for k in range(3)), 18)


def rows_of(graph) -> list[tuple]:
    return list(zip(graph.src.tolist(), graph.dst.tolist(), graph.time.tolist(), strict=True))


@settings(max_examples=60, deadline=None)
@given(
    events_,
    st.integers(1, 14),
    st.sampled_from([0.0, 0.5, 1.0]),
    st.sampled_from(["train", "past"]),
    st.sampled_from(["dst_range", "dst_seen", "all_nodes"]),
    st.sampled_from(["source_time", "none"]),
)
def test_lists_beside_sets(rows, count, share, history, pool, kept):
    graph = graph_of(rows)
    train, part = graph.events(0, len(graph) // 2), graph.events(len(graph) // 2, len(graph))
    lists = OneVersusMany(graph, train, part, count, share, history, pool, kept).draw(0, len(part))
    dst = graph.dst.tolist()
    pools = {"dst_range": range(min(dst), max(dst) + 1), "dst_seen": set(dst), "all_nodes": range(18)}
    for row, found in zip(rows_of(part), lists.tolist(), strict=True):
        known = rows_of(train) if history == "train" else [r for r in rows_of(graph) if r[2] < row[2]]
        past, other = slow.one_vs_many(row, rows_of(part), known, pools[pool], 0, kept == "source_time")
        drawn = [d for d in found if d >= 0]
        assert found == drawn + [-1] * (count - len(drawn))
        assert len(set(drawn)) == len(drawn)
        wanted = min(int(count * share), len(past))
        assert set(drawn[:wanted]) <= past
        assert set(drawn[wanted:]) <= other
        assert len(drawn) == wanted + min(count - wanted, len(other))


def test_all_candidates():
    graph = graph_of([(0, 4, 0), (0, 9, 1), (1, 6, 2), (0, 5, 3), (0, 5, 3), (0, 7, 3)])
    part = graph.events(3, 6)
    lists = OneVersusMany(graph, graph.events(0, 3), part, None)
    assert lists.count == 6
    assert [sorted(row) for row in lists.draw(0, 3).tolist()] == [[-1, -1, 4, 6, 8, 9]] * 3


def test_equal_events_share_a_list():
    graph = graph_of([(0, 4 + k, k) for k in range(8)] + [(1, 5, 20), (1, 5, 20), (1, 6, 20), (1, 5, 21)])
    lists = OneVersusMany(graph, graph.events(0, 8), graph.events(8, 12), 3).draw(0, 4)
    assert torch.equal(lists[0], lists[1])
    assert not torch.equal(lists[0], lists[3])


@settings(max_examples=30, deadline=None)
@given(events_, st.integers(1, 9), st.sampled_from(["train", "past"]), st.integers(1, 6))
def test_portions_change_nothing(rows, size, history, count):
    graph = graph_of(rows)
    part = graph.events(len(graph) // 2, len(graph))
    sampler = OneVersusMany(graph, graph.events(0, len(graph) // 2), part, count, history=history)
    whole = sampler.draw(0, len(part))
    pieces = [sampler.draw(start, min(start + size, len(part))) for start in range(0, len(part), size)]
    assert torch.equal(whole, torch.cat(pieces))
    again = OneVersusMany(graph, graph.events(0, len(graph) // 2), part, count, history=history)
    assert torch.equal(whole, again.draw(0, len(part)))


def test_random_negatives_are_uniform():
    rows = [(0, 4, 0), (0, 15, 0)] + [(2, 4, 1 + k) for k in range(4000)]
    graph = graph_of(rows)
    drawn = OneVersusMany(graph, graph.events(0, 2), graph.events(2, 4002), 3).draw(0, 4000)
    counts = torch.bincount(drawn.flatten(), minlength=18)
    assert counts[4] == 0  # always true
    expected = 12_000 / 11
    assert (((counts[5:16] - expected) ** 2) / expected).sum() < 40
    assert torch.bincount(drawn[:, 0], minlength=18)[5:16].min() > 250


def test_a_seed_changes_the_lists():
    graph = graph_of([(0, 4, 0), (0, 15, 0), (0, 7, 1), (0, 8, 2)])
    one, other = (
        OneVersusMany(graph, graph.events(0, 2), graph.events(2, 4), 5, 0.0, seed=seed).draw(0, 2) for seed in (42, 43)
    )
    assert not torch.equal(one, other)


def test_what_is_refused():
    graph = graph_of([(0, 4, 0), (0, 15, 0)])
    for settings_, words in (
        ({"pool": "x"}, "no pool 'x'"),
        ({"filter": "x"}, "no filter 'x'"),
        ({"historical": 1.5}, "a share of 1.5"),
        ({"negatives": 0}, "take at least 1"),
    ):
        with pytest.raises(ConfigError, match=words):
            OneVersusMany(graph, graph, graph, **settings_)


def test_hashed_numbers_are_uniform_and_belong_to_their_place():
    row, place = np.arange(200)[:, None], np.arange(300)[None]
    numbers = hashed(7, row, place)
    assert len(np.unique(numbers)) == 60_000
    assert (hashed(7, np.array([3]), np.array([5])) == numbers[3, 5]).all()
    counts = np.bincount(hashed_below(7, row, place, 10).ravel(), minlength=10)
    assert ((counts - 6000) ** 2 / 6000).sum() < 30
    assert not (hashed(8, row, place) == numbers).any()

"""Random, historical and inductive negatives of batches beside loops over sets."""

from __future__ import annotations

import time

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import negatives_slow as slow

from dynbench.graph import TemporalGraph
from dynbench.sampling.negatives import batch_negatives

events_ = st.lists(
    st.tuples(st.integers(0, 5), st.integers(3, 9), st.integers(0, 12)), min_size=8, max_size=60
)  # fmt: skip


def graph_of(rows) -> TemporalGraph:
    return TemporalGraph.from_events(*([row[k] for row in rows] for k in range(3)), 10)


def rows_of(graph) -> list[tuple]:
    return list(zip(graph.src.tolist(), graph.dst.tolist(), graph.time.tolist(), strict=True))


def pairs_of(drawn) -> list[tuple]:
    return list(zip(drawn[0].tolist(), drawn[1].tolist(), strict=True))


def test_random_negatives_are_the_published_stream():
    graph = graph_of([(k % 4, 4 + k % 3, k) for k in range(450)])
    part = graph.events(20, 450)
    src, dst = batch_negatives(part, graph, "random", seed=2)
    assert torch.equal(src, part.src)
    assert dst.tolist() == slow.random_destinations(430, graph.src, graph.dst, 2, 200)
    # Stored, so that no other generator can take the place of this one.
    assert dst[:16].tolist() == [6, 5, 5, 4, 5, 4, 6, 4, 5, 5, 4, 5, 4, 6, 5, 5]
    assert dst.tolist() == batch_negatives(part, graph, "random", seed=2)[1].tolist()
    assert dst.tolist() != batch_negatives(part, graph, "random", seed=3)[1].tolist()
    assert dst.tolist() != batch_negatives(part, graph, "random", seed=2, batch=100)[1].tolist()


@settings(max_examples=80, deadline=None)
@given(events_, st.integers(1, 7), st.booleans(), st.integers(0, 3))
def test_candidates_beside_sets(rows, size, inductive, seed):
    graph = graph_of(rows)
    cut = len(graph) // 3
    part, observed = graph.events(cut, len(graph)), int(graph.time[cut])
    name = "inductive" if inductive else "historical"
    found = pairs_of(batch_negatives(part, graph, name, seed, size, observed))
    assert len(found) == len(part)
    for start in range(0, len(part), size):
        batch = rows_of(part.events(start, start + size))
        drawn = found[start : start + size]
        allowed = slow.candidates(rows, batch[0][2], batch[-1][2], observed if inductive else None)
        if len(allowed) >= len(batch):
            assert set(drawn) <= allowed
            assert len(set(drawn)) == len(drawn)
            continue
        # All candidates stand behind, and random pairs that the batch does not hold in front.
        front, behind = drawn[: len(batch) - len(allowed)], drawn[len(batch) - len(allowed) :]
        assert set(behind) == allowed
        possible = slow.fillers(rows, batch)
        assert set(front) <= possible or not possible
        if len(possible) >= len(front):
            assert len(set(front)) == len(front)


def test_candidates_stand_in_the_order_of_their_first_events():
    rows = [(0, 5, 0), (3, 4, 1), (0, 5, 2), (1, 6, 3), (2, 7, 9), (2, 8, 9), (2, 9, 9), (3, 9, 9)]
    graph = graph_of(rows)
    found = pairs_of(batch_negatives(graph.events(4, 8), graph, "historical", 0, 4))
    assert found[1:] == [(0, 5), (3, 4), (1, 6)]


@pytest.mark.parametrize("pairs", [30, 4000])
def test_draws_are_uniform_and_without_replacement(pairs):
    """Both ways to draw: by listing the candidates, and by drawing until they differ."""
    codes = np.arange(pairs)
    past = [(int(c // 70), int(100 + c % 70), 0) for c in codes]
    batch = [(0, 500, 10 + k) for k in range(20)]
    counts = np.zeros(pairs)
    graph = TemporalGraph.from_events(*([row[k] for row in past + batch] for k in range(3)), 600)
    for seed in range(400):
        src, dst = batch_negatives(graph.events(pairs, pairs + 20), graph, "historical", seed, 20)
        drawn = src.numpy() * 70 + dst.numpy() - 100
        assert len(np.unique(drawn)) == 20
        counts[drawn] += 1
    expected = 400 * 20 / pairs
    chi2 = ((counts - expected) ** 2 / expected).sum() * pairs / (pairs - 20)
    assert abs(chi2 - pairs) < 5 * np.sqrt(2 * pairs)


def test_a_graph_of_one_pair_leaves_its_own():
    graph = graph_of([(0, 5, k) for k in range(9)])
    for strategy in ("random", "historical", "inductive"):
        found = pairs_of(batch_negatives(graph.events(4, 9), graph, strategy, 0, 2, 3))
        assert found == [(0, 5)] * 5


def test_equal_times_throughout():
    graph = graph_of([(k % 3, 3 + k % 4, 7) for k in range(30)])
    found = pairs_of(batch_negatives(graph, graph, "historical", 0, 10))
    assert len(found) == 30  # nothing lies before, so all are random pairs


def test_no_events_need_no_negatives():
    graph = graph_of([(0, 5, 1), (1, 6, 2)])
    for strategy in ("random", "historical", "inductive"):
        src, dst = batch_negatives(graph.events(2, 2), graph, strategy, 0)
        assert (len(src), len(dst)) == (0, 0)


def test_a_hundred_batches_of_a_large_graph_take_little():
    generator = torch.Generator().manual_seed(0)
    ends = (torch.rand(2, 400_000, generator=generator) ** 2 * 30_000).long()
    graph = TemporalGraph(ends[0], ends[1], torch.arange(400_000) // 3, 30_000)
    started = time.process_time()
    for strategy in ("random", "historical", "inductive"):
        batch_negatives(graph.events(380_000, 400_000), graph, strategy, 0, observed=100_000)
    assert time.process_time() - started < 4

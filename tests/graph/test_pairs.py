"""Pairs and neighbourhoods that grow, beside lists of events."""

from __future__ import annotations

import dataclasses
from collections import defaultdict

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dynbench.graph import TemporalGraph
from dynbench.graph.pairs import PairEvents, SortedRuns
from dynbench.graph.union import UnionGraph

NODES = 12
batches = st.lists(st.lists(st.tuples(st.integers(0, 11), st.integers(0, 11)), max_size=12), max_size=12)


def graphs(parts, directed):
    """A graph for each list of pairs, one after the other in time; and all events."""
    time, found, events = 0, [], []
    for pairs in parts:
        src, dst = ([pair[end] for pair in pairs] for end in (0, 1))
        times = list(range(time, time + len(pairs)))
        found.append(TemporalGraph.from_events(src, dst, times, NODES, directed=directed))
        events += zip(src, dst, times, strict=True)
        time += len(pairs) // 2  # so that some times occur twice
    return found, events


def all_pairs():
    return torch.cartesian_prod(torch.arange(NODES), torch.arange(NODES)).unbind(1)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(st.integers(0, 9), max_size=20), max_size=10), st.integers(0, 9), st.integers(0, 9))
def test_runs_keep_the_order_of_keys_and_of_arrival(parts, low, width):
    runs, rows, number = SortedRuns(), [], 0
    for keys in parts:
        runs.append(np.array(keys, dtype=np.int64), np.arange(number, number + len(keys)))
        rows += [(key, number + place) for place, key in enumerate(keys)]
        number += len(keys)
        assert all(len(a[0]) >= 4 * len(b[0]) for a, b in zip(runs._runs, runs._runs[1:], strict=False))
    ask = np.arange(10)
    asked = np.asarray(ask, dtype=np.int64)
    found = np.isin(np.arange(len(asked)), runs.within(asked, asked + 1)[0])
    assert found.tolist() == [key in {k for k, _ in rows} for key in ask]
    high = low + width
    query, key, value = runs.within(np.array([low, 3]), np.array([high, 4]))
    for which, (start, stop) in enumerate(((low, high), (3, 4))):
        mine = list(zip(key[query == which].tolist(), value[query == which].tolist(), strict=True))
        assert sorted(mine) == sorted(row for row in rows if start <= row[0] < stop)
        for one in range(start, stop):
            arrived = [number for k, number in mine if k == one]
            assert arrived == sorted(arrived)
    assert (np.diff(query) >= 0).all()


@pytest.mark.parametrize("directed", [False, True])
@settings(max_examples=40, deadline=None)
@given(parts=batches)
def test_times_of_pairs(parts, directed):
    found, events = graphs(parts, directed)
    slow = defaultdict(list)
    for i, j, t in events:
        slow[(i, j) if directed else (min(i, j), max(i, j))].append(t)
    seen = PairEvents(TemporalGraph.from_events([], [], [], NODES, directed=directed))
    src, dst = all_pairs()
    for number, graph in enumerate(found):
        seen.append(graph)
        if number % 2:
            seen.spans(seen.key(src, dst))  # asking in between changes nothing
    assert len(seen) == len(events)
    query, time = seen.times(seen.key(src, dst))
    count, first, last = seen.spans(seen.key(src, dst))
    for place, (i, j) in enumerate(zip(src.tolist(), dst.tolist(), strict=True)):
        expected = slow[(i, j) if directed else (min(i, j), max(i, j))]
        assert time[query == place].tolist() == expected
        assert count[place] == len(expected)
        if expected:
            assert (first[place], last[place]) == (expected[0], expected[-1])


@settings(max_examples=40, deadline=None)
@given(parts=batches)
def test_neighbours(parts):
    found, events = graphs(parts, True)
    slow = {node: set() for node in range(NODES)}
    for i, j, _ in events:
        if i != j:
            slow[i].add(j)
            slow[j].add(i)
    union = UnionGraph(TemporalGraph.from_events([], [], torch.zeros(0, dtype=torch.long), NODES))
    src, dst = all_pairs()
    for number, graph in enumerate(found):
        union.append(dataclasses.replace(graph, time=torch.full_like(graph.time, number, dtype=torch.long)))
    assert union.degree.tolist() == [len(slow[node]) for node in range(NODES)]
    names = 2.0 ** np.arange(NODES)  # a sum of these tells which nodes are shared
    expected = [sum(2.0**w for w in slow[i] & slow[j]) for i, j in zip(src.tolist(), dst.tolist(), strict=True)]
    assert union.shared(src, dst, names).tolist() == expected


def test_a_batch_is_sorted_in_with_little_work():
    """Of a hundred thousand rows, few are moved when two hundred more come."""
    generator, moved = torch.Generator().manual_seed(0), 0
    runs = SortedRuns()
    runs.append(torch.randint(1 << 40, (100_000,), generator=generator).numpy(), np.arange(100_000))
    for _ in range(100):
        before = {id(run[0]) for run in runs._runs}
        runs.append(torch.randint(1 << 40, (200,), generator=generator).numpy(), np.arange(200))
        moved += sum(len(run[0]) for run in runs._runs if id(run[0]) not in before)
        assert len(runs._runs) <= 8
    assert moved / 100 < 20 * 200

"""What is remembered of pairs, and the union of all events, beside dictionaries and sets."""

from __future__ import annotations

import itertools
import time

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dynbench.graph import TemporalGraph
from dynbench.graph.pair_memory import PairMemory
from dynbench.graph.union import UnionGraph

NODES = 7
rows_ = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5), st.integers(-9, 30)), max_size=40)


def graph_of(rows, directed=True) -> TemporalGraph:
    src, dst, when = ([row[k] for row in rows] for k in range(3))
    return TemporalGraph.from_events(src, dst, torch.tensor(when, dtype=torch.long), NODES, directed=directed)


def pieces(graph, sizes) -> list[TemporalGraph]:
    bounds = [0]
    while bounds[-1] < len(graph):
        bounds.append(bounds[-1] + sizes[len(bounds) % len(sizes)])
    return [graph.events(*pair) for pair in itertools.pairwise(bounds)]


def all_pairs() -> tuple[torch.Tensor, torch.Tensor]:
    return torch.cartesian_prod(torch.arange(NODES), torch.arange(NODES)).unbind(1)


def check_memory(memory: PairMemory, graph: TemporalGraph) -> None:
    times: dict[tuple, list] = {}
    for src, dst, when in zip(graph.src.tolist(), graph.dst.tolist(), graph.time.tolist(), strict=True):
        key = (src, dst) if graph.directed else (min(src, dst), max(src, dst))
        times.setdefault(key, []).append(when)
    assert len(memory) == len(times)
    assert memory.events == len(graph)
    rows = memory.find(*all_pairs())
    for src, dst, row in zip(*(part.tolist() for part in all_pairs()), rows.tolist(), strict=True):
        key = (src, dst) if graph.directed else (min(src, dst), max(src, dst))
        known = times.get(key)
        assert (row >= 0) == (known is not None)
        if known:
            found = (memory.count[row], memory.first[row], memory.last[row])
            assert found == (len(known), known[0], known[-1])
    gaps = sum((w[-1] - w[0]) / (len(w) - 1) for w in times.values() if len(w) > 1)
    assert memory.gaps == pytest.approx(gaps, abs=1e-9)
    if len(graph):
        for share in (0, 0.3, 0.85, 1):
            assert memory.quantile(share) == pytest.approx(np.quantile(graph.time.numpy(), share))


@settings(max_examples=60, deadline=None)
@given(rows_, st.lists(st.integers(1, 9), min_size=1, max_size=3), st.booleans())
def test_memory_beside_lists(rows, sizes, directed):
    graph = graph_of(rows, directed)
    memory, marks = PairMemory(graph.events(0, 0)), []
    for piece in pieces(graph, sizes):
        marks.append((memory.events, memory.mark()))
        memory.append(piece)
        check_memory(memory, graph.events(0, memory.events))
    for events, mark in reversed(marks):
        memory.rewind(mark)
        check_memory(memory, graph.events(0, events))
    memory.append(graph)
    check_memory(memory, graph)


@settings(max_examples=60, deadline=None)
@given(rows_, st.lists(st.integers(1, 9), min_size=1, max_size=3))
def test_union_beside_sets(rows, sizes):
    graph = graph_of(rows)
    union, marks = UnionGraph(graph.events(0, 0)), []
    value = np.arange(1.0, NODES + 1)

    def check(part):
        near = {node: set() for node in range(NODES)}
        for src, dst in zip(part.src.tolist(), part.dst.tolist(), strict=True):
            if src != dst:
                near[src].add(dst)
                near[dst].add(src)
        assert union.degree.tolist() == [len(near[node]) for node in range(NODES)]
        expected = [sum(value[list(near[i] & near[j])]) for i in range(NODES) for j in range(NODES)]
        assert union.shared(*all_pairs(), value).tolist() == pytest.approx(expected)

    done = 0
    for piece in pieces(graph, sizes):
        marks.append((done, union.mark()))
        before = union.degree.copy()
        nodes = union.append(piece)
        assert set(nodes.tolist()) == set(np.flatnonzero(union.degree != before).tolist())
        done += len(piece)
        check(graph.events(0, done))
    for count, mark in reversed(marks):
        union.rewind(mark)
        check(graph.events(0, count))
    union.append(graph)
    check(graph)


@pytest.mark.parametrize("kind", [PairMemory, UnionGraph])
def test_revealing_costs_no_recount(kind):
    generator = torch.Generator().manual_seed(0)
    ends = (torch.rand(2, 240_000, generator=generator) ** 2 * 20_000).long()
    graph = TemporalGraph(ends[0], ends[1], torch.arange(240_000), 20_000)
    memory = kind(graph.events(0, 200_000))
    memory.append(graph.events(200_000, 200_200))
    started = time.process_time()
    for begin in range(200_200, 240_000, 200):
        memory.append(graph.events(begin, begin + 200))
    assert (time.process_time() - started) / 199 < 0.002

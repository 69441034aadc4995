"""The temporal neighbour index beside loops over lists: growth, ties, empty nodes, going back, and both ways to run."""

from __future__ import annotations

import itertools
import time

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from reference.neighbors_slow import SlowNeighbors

from dynbench.errors import DataError
from dynbench.graph import TemporalGraph, compiled, neighbors, vectorised
from dynbench.graph.neighbors import TemporalNeighbors

NODES, K = 6, 3
WORK = {"compiled": compiled, "vectorised": vectorised}
events_ = st.lists(st.tuples(st.integers(0, NODES - 2), st.integers(0, NODES - 2), st.integers(-4, 9)), max_size=40)


@pytest.fixture(params=WORK, autouse=True)
def work(request, monkeypatch):
    monkeypatch.setattr(neighbors, "_implementation", lambda device: WORK[request.param])
    return request.param


def graph_of(rows, scale=1, double=False) -> TemporalGraph:
    """Node ``NODES - 1`` is in no event."""
    src, dst, when = ([row[k] for row in rows] for k in range(3))
    when = torch.tensor(when, dtype=torch.double if double else torch.long) * scale
    return TemporalGraph.from_events(src, dst, when, NODES)


def rows_of(graph: TemporalGraph) -> list[tuple]:
    return list(zip(graph.src.tolist(), graph.dst.tolist(), graph.ids.tolist(), graph.time.tolist(), strict=True))


def pieces(graph: TemporalGraph, sizes) -> list[TemporalGraph]:
    """Views of the graph, one behind the other."""
    bounds = [0]
    while bounds[-1] < len(graph):
        bounds.append(bounds[-1] + sizes[len(bounds) % len(sizes)])
    return [graph.events(a, b) for a, b in itertools.pairwise(bounds)]


def questions(graph: TemporalGraph) -> tuple[torch.Tensor, torch.Tensor]:
    """Every node at every time of the graph, before and after all of them."""
    times = torch.unique(torch.cat([graph.time, graph.time.new_tensor([-99, 99])]))
    return torch.arange(NODES).repeat(len(times)), times.repeat_interleave(NODES)


def found(answer, row: int) -> list[tuple]:
    mask = answer.mask[row]
    return [tuple(part[row][mask][k].item() for part in answer[:3]) for k in range(int(mask.sum()))]


def check(index: TemporalNeighbors, slow: SlowNeighbors, graph: TemporalGraph) -> None:
    nodes, times = questions(graph)
    asked = list(zip(nodes.tolist(), times.tolist(), strict=True))
    recent = index.before(nodes, times, K)
    assert [found(recent, row) for row in range(len(asked))] == [slow.recent(n, t, K) for n, t in asked]
    # Padding stands at the left, and is zero.
    assert torch.equal(recent.mask, recent.mask.sort(dim=1).values)
    assert all((part[~recent.mask] == 0).all() for part in recent[:3])
    assert index.degree_before(nodes, times).tolist() == [len(slow.earlier(n, t)) for n, t in asked]
    for strategy, twin in (("uniform", slow.uniform), ("time_weighted", slow.weighted)):
        answer = index.before(nodes, times, K, strategy, torch.Generator().manual_seed(7))
        draws = torch.rand(len(nodes), K, dtype=torch.double, generator=torch.Generator().manual_seed(7)).tolist()
        expected = [twin(n, t, d) if slow.earlier(n, t) else [] for (n, t), d in zip(asked, draws, strict=True)]
        assert [found(answer, row) for row in range(len(asked))] == expected


@settings(max_examples=60, deadline=None)
@given(
    events_, st.lists(st.integers(1, 9), min_size=1, max_size=4), st.booleans(), st.sampled_from(["both", "out", "in"])
)
def test_growing_beside_lists(rows, sizes, double, directed):
    graph = graph_of(rows, 100_000, double)
    index = TemporalNeighbors(graph.events(0, 0), directed=directed)
    slow = SlowNeighbors(NODES, directed)
    for k, piece in enumerate(pieces(graph, sizes)):
        index.append(piece)
        slow.append(rows_of(piece))
        if k % 3 == 0:
            check(index, slow, graph)
    check(index, slow, graph)
    assert len(index) == len(graph)


@settings(max_examples=60, deadline=None)
@given(events_, events_, st.integers(0, 40))
def test_going_back(rows, others, keep):
    """After a rewind, other events take the place of the first ones, and the mark of those is refused."""
    graph = graph_of(rows, 1000)
    index = TemporalNeighbors(graph.events(0, keep))
    mark = index.mark()
    index.before(*questions(graph), K, "time_weighted")  # weights exist from here on
    index.append(graph.events(keep, len(graph)))
    full = index.mark()
    index.rewind(mark)
    slow = SlowNeighbors(NODES)
    slow.append(rows_of(graph.events(0, keep)))
    check(index, slow, graph)
    index.rewind(full)  # nothing was appended meanwhile, so the way forward is open
    slow.append(rows_of(graph.events(keep, len(graph))))
    check(index, slow, graph)
    index.rewind(mark)
    last = int(graph.time[keep - 1]) if 0 < keep <= len(graph) else int(graph.time[-1]) if len(graph) else 0
    more = graph_of([(src, dst, max(when, last)) for src, dst, when in others])
    index.append(more)
    slow = SlowNeighbors(NODES)
    slow.append(rows_of(graph.events(0, keep)) + rows_of(more))
    check(index, slow, graph)
    replaced = graph.events(keep, len(graph))
    if len(replaced) and len(more) and rows_of(replaced)[0] != rows_of(more)[0]:
        with pytest.raises(DataError, match="an index keeps one history"):
            index.rewind(full)


def test_both_implementations_draw_alike():
    graph = TemporalGraph.from_events(*torch.randint(0, 40, (2, 3000)), torch.randint(0, 10**9, (3000,)), 40)
    nodes, times = torch.randint(0, 40, (300,)), torch.randint(0, 10**9, (300,))
    answers = []
    for module in WORK.values():
        neighbors._implementation = lambda device, module=module: module
        index = TemporalNeighbors(graph, rate=1e-7)
        for strategy in ("uniform", "time_weighted"):
            answers.append(index.before(nodes, times, 20, strategy, torch.Generator().manual_seed(1)))
    for one, other in zip(answers[:2], answers[2:], strict=True):
        assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def test_whole_times_are_never_rounded():
    late = 2**62 + 1
    graph = TemporalGraph.from_events([0, 0, 0], [1, 2, 3], [late, late + 1, late + 2])
    index = TemporalNeighbors(graph)
    answer = index.before(torch.tensor([0, 0]), torch.tensor([late + 1, late + 2]), 2)
    assert answer.times.dtype == torch.long
    assert answer.times.tolist() == [[0, late], [late, late + 1]]
    assert answer.nodes.tolist() == [[0, 1], [1, 2]]


def test_fractional_questions_to_whole_times():
    index = TemporalNeighbors(TemporalGraph.from_events([0, 0], [1, 2], [3, 4]))
    times = torch.tensor([2.5, 3.0, 3.5, 4.0, 4.5])
    assert index.degree_before(torch.zeros(5, dtype=torch.long), times).tolist() == [0, 0, 1, 1, 2]


def test_a_self_loop_stands_at_both_ends():
    graph = TemporalGraph.from_events([1], [1], [5], 3)
    answer = TemporalNeighbors(graph).before(torch.tensor([1]), torch.tensor([6]), 3)
    assert (answer.nodes.tolist(), answer.mask.tolist()) == ([[0, 1, 1]], [[False, True, True]])
    assert TemporalNeighbors(graph, directed="out").degree_before(torch.tensor([1]), torch.tensor([6])).tolist() == [1]


def test_ids_are_those_of_the_whole_graph():
    graph = graph_of([(0, 1, 1), (1, 2, 2), (0, 2, 3), (0, 1, 4)])
    part = graph.subset(torch.tensor([True, False, True, True]))
    index = TemporalNeighbors(part)
    assert index.before(torch.tensor([0]), torch.tensor([9]), 3).events.tolist() == [[0, 2, 3]]


def test_what_is_refused():
    index = TemporalNeighbors(graph_of([(0, 1, 5)]), num_nodes=4)
    with pytest.raises(DataError, match="an event at time 4 comes after one at 5"):
        index.append(graph_of([(0, 1, 4)]))
    with pytest.raises(DataError, match="node 4 in an index of 4 nodes"):
        index.append(graph_of([(0, 4, 6)]))
    with pytest.raises(DataError, match="times of type"):
        index.append(graph_of([(0, 1, 6)], double=True))
    with pytest.raises(DataError, match="does not fit 32 bits"):
        index.append(TemporalGraph.from_events([0], [1], [6], ids=[2**31]))
    with pytest.raises(IndexError, match="nodes 1 to 4 asked of 4 nodes"):
        index.before(torch.tensor([1, 4]), torch.tensor([9, 9]), 2)
    with pytest.raises(IndexError, match="nodes -1 to 0"):
        index.degree_before(torch.tensor([-1, 0]), torch.tensor([9, 9]))
    with pytest.raises(ValueError, match="no strategy 'latest'"):
        index.before(torch.tensor([1]), torch.tensor([9]), 2, "latest")
    assert len(index) == 1


def test_an_empty_index_answers():
    index = TemporalNeighbors(graph_of([]))
    mark = index.mark()
    for strategy in ("recent", "uniform", "time_weighted"):
        answer = index.before(torch.arange(NODES), torch.zeros(NODES, dtype=torch.long), K, strategy)
        assert not answer.mask.any()
        assert answer.nodes.shape == (NODES, K)
    assert index.before(torch.empty(0, dtype=torch.long), torch.empty(0, dtype=torch.long), K).mask.shape == (0, K)
    index.append(graph_of([(0, 1, 1)]))
    index.rewind(mark)
    assert len(index) == 0
    index.append(graph_of([(0, 1, -7)]))  # earlier than what was forgotten
    assert len(index) == 1


def test_the_draw_follows_the_weights():
    times = [0, 400_000, 2_000_000, 2_100_000]
    graph = TemporalGraph.from_events([0] * 4, [1, 2, 3, 4], times)
    index, slow = TemporalNeighbors(graph), SlowNeighbors(5)
    slow.append(rows_of(graph))
    answer = index.before(torch.tensor([0]), torch.tensor([10**7]), 40_000, "time_weighted")
    share = torch.bincount(answer.nodes[0], minlength=5)[1:] / 40_000
    weights = torch.tensor(slow.weights(0, 10**7))
    assert torch.allclose(share, weights / weights.sum(), atol=0.01)


def test_growth_costs_no_copy_of_the_whole(work):
    """Blocks of 200 events onto a hundred thousand: within a few times what an idle machine needs."""
    generator = torch.Generator().manual_seed(0)
    ends = (torch.rand(2, 140_000, generator=generator) ** 3 * 5000).long()
    graph = TemporalGraph(ends[0], ends[1], torch.arange(140_000), 5000)
    index = TemporalNeighbors(graph.events(0, 100_000))
    started = time.process_time()
    for begin in range(100_000, 140_000, 200):
        index.append(graph.events(begin, begin + 200))
    assert (time.process_time() - started) / 200 < (0.002 if work == "compiled" else 0.01)
    assert len(index._arena) < 3 * 280_000

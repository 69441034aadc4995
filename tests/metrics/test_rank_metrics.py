"""The rank evaluator: by hand, beside a slow reference, and what must never move a rank."""

from __future__ import annotations

import pytest
import torch

from dynbench.contract import Block, Queries
from dynbench.errors import RunError
from dynbench.graph import TemporalGraph
from dynbench.graph.facts import FactIndex, with_inverses
from dynbench.metrics.ranks import HITS, RankMetrics, expected, rank_counts, ranks

# Five entities, one relation of two, two steps.
HAND = TemporalGraph.from_events(
    [0, 0, 0, 1, 0, 3], [1, 2, 3, 2, 1, 2], [0, 0, 1, 1, 1, 1], 5, relation=[0, 0, 0, 0, 0, 1], num_relations=2,
    num_steps=2,
)  # fmt: skip
TIES = ("optimistic", "realistic", "pessimistic")


def _queries(facts: list[tuple[int, int, int]], time: int) -> Queries:
    head, relation, _ = torch.tensor(facts).unbind(1)
    return Queries(head, None, torch.full_like(head, time), relation)


def _random(seed: int, queries: int = 200, nodes: int = 37, values: int = 4):
    """Scores with many ties, targets, and a random graph whose facts are the filters."""
    draw = torch.Generator().manual_seed(seed)
    graph = TemporalGraph.from_events(
        *(torch.randint(0, nodes, (600,), generator=draw) for _ in range(2)),
        torch.randint(0, 5, (600,), generator=draw),
        nodes,
        relation=torch.randint(0, 3, (600,), generator=draw),
        num_relations=3,
        num_steps=5,
    )
    head, relation, answer, time = (part[:queries] for part in with_inverses(graph))
    order = torch.randperm(queries, generator=draw)
    asked = Queries(head, None, time, relation)[order]
    scores = torch.randint(0, values, (queries, nodes), generator=draw).float()
    return graph, asked, answer[order], scores


def _filters(graph: TemporalGraph, queries: Queries):
    return [FactIndex(graph, timed).answers(queries.src, queries.relation, queries.time) for timed in (False, True)]


def _slow(graph: TemporalGraph, queries: Queries, targets, scores, filtered: str, ties: str) -> list[float]:
    """One query at a time, by sorting."""
    facts = list(zip(*(part.tolist() for part in with_inverses(graph)), strict=True))
    result = []
    for number, target in enumerate(targets.tolist()):
        head, relation, time = (int(part[number]) for part in (queries.src, queries.relation, queries.time))
        true = {o for h, r, o, t in facts if (h, r) == (head, relation) and (filtered == "static" or t == time)}
        out = set() if filtered == "raw" else true - {target}
        mine = float(scores[number, target])
        rest = sorted((float(s) for c, s in enumerate(scores[number].tolist()) if c not in out), reverse=True)
        places = [place for place, score in enumerate(rest, start=1) if score == mine]
        pick = {"optimistic": places[0], "pessimistic": places[-1], "realistic": (places[0] + places[-1]) / 2}
        result.append(pick[ties])
    return result


def test_known_answers_by_hand():
    asked = _queries([(0, 0, 1), (2, 2, 1), (4, 0, 0), (3, 1, 2), (2, 3, 3)], time=1)
    static, timed = (FactIndex(HAND, timed).answers(asked.src, asked.relation, asked.time) for timed in (False, True))
    assert [part.tolist() for part in static] == [[0, 0, 0, 1, 1, 3, 4], [1, 2, 3, 0, 1, 2, 3]]
    assert [part.tolist() for part in timed] == [[0, 0, 1, 3, 4], [1, 3, 1, 2, 3]]
    none = FactIndex(HAND.before(0), True).answers(asked.src, asked.relation, asked.time)
    assert [part.tolist() for part in none] == [[], []]


@pytest.mark.parametrize(
    ("fact", "scores", "expected"),
    [
        # (0, 0, ?): 1 is true; 2 was true at step 0, 3 is true now. Ranks by hand: raw, static, time.
        ((0, 0, 1), [0, 5, 9, 7, 1], [(3, 3, 3), (1, 1, 1), (2, 2, 2)]),
        ((0, 0, 1), [5, 5, 9, 5, 5], [(2, 3.5, 5), (1, 2, 3), (2, 3, 4)]),
        ((0, 0, 1), [0, 0, 0, 0, 0], [(1, 3, 5), (1, 2, 3), (1, 2.5, 4)]),
        # (2, inverse of 0, ?): 1 is true now, 0 was at step 0.
        ((2, 2, 1), [4, 3, 3, 2, 9], [(3, 3.5, 4), (2, 2.5, 3), (3, 3.5, 4)]),
        # (4, 0, ?) never held: filters leave out nothing.
        ((4, 0, 0), [1, 1, 2, 0, 0], [(2, 2.5, 3), (2, 2.5, 3), (2, 2.5, 3)]),
    ],
)
def test_ranks_by_hand(fact, scores, expected):
    asked = _queries([fact], time=1)
    counts = rank_counts(torch.tensor([scores]).float(), torch.tensor([fact[2]]), _filters(HAND, asked))
    found = [tuple(float(ranks(counts[0, number], ties)) for ties in TIES) for number in range(3)]
    assert found == expected


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("ties", TIES)
def test_slow_reference(seed, ties):
    graph, asked, targets, scores = _random(seed)
    counts = rank_counts(scores, targets, _filters(graph, asked))
    for number, name in enumerate(("raw", "static", "time")):
        assert ranks(counts[:, number], ties).tolist() == _slow(graph, asked, targets, scores, name, ties)


def test_ties_broken_at_random():
    """All places that an answer may get, each as likely."""
    counts = torch.tensor([[0, 1], [0, 4], [2, 3], [8, 5], [9, 1], [11_000, 1623]])
    reciprocal, odds = expected(counts)
    for (above, level), one, hits in zip(counts.tolist(), reciprocal.tolist(), odds.tolist(), strict=True):
        places = range(above + 1, above + level + 1)
        assert one == pytest.approx(sum(1 / place for place in places) / level, rel=1e-9)
        assert hits == pytest.approx([sum(place <= k for place in places) / level for k in HITS])
    assert bool((reciprocal >= 1 / ranks(counts) - 1e-12).all())


def test_many_candidates_level_or_above():
    # More equal bytes than a lane of the packed sum holds, and a last block that is not full.
    for nodes in (1, 8, 255, 2040, 2041, 10_623):
        scores = torch.zeros(3, nodes)
        scores[1, 0] = -1
        scores[2, :-1] = 2
        counts = rank_counts(scores, torch.tensor([0, 0, nodes - 1]))[:, 0]
        assert counts.tolist() == [[0, nodes], [nodes - 1, 1], [nodes - 1, 1]], nodes


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_scores_are_read_only_and_of_any_layout(dtype):
    graph, asked, targets, scores = _random(3)
    known = _filters(graph, asked)
    expected = rank_counts(scores, targets, known)
    wide = scores.to(dtype).T.contiguous().T
    kept = wide.clone()
    assert torch.equal(rank_counts(wide, targets, known), expected)
    assert torch.equal(wide, kept)


def test_invariances():
    graph, asked, targets, scores = _random(4)
    known = _filters(graph, asked)
    expected = rank_counts(scores, targets, known)
    assert torch.equal(rank_counts(scores + 17, targets, known), expected)
    assert torch.equal(rank_counts(scores * 0.25, targets, known), expected)
    for size in (1, 7, 512):
        parts = [
            rank_counts(scores[i : i + size], targets[i : i + size], _filters(graph, asked[i : i + size]))
            for i in range(0, len(targets), size)
        ]
        assert torch.equal(torch.cat(parts), expected)
    swap = torch.randperm(graph.num_nodes, generator=torch.Generator().manual_seed(1))
    other = TemporalGraph.from_events(
        swap[graph.src], swap[graph.dst], graph.time, graph.num_nodes, relation=graph.relation, num_relations=3
    )
    moved = torch.empty_like(scores)
    moved[:, swap] = scores
    renamed = Queries(swap[asked.src], None, asked.time, asked.relation)
    assert torch.equal(rank_counts(moved, swap[targets], _filters(other, renamed)), expected)


def test_oracle_and_its_opposite():
    graph, asked, targets, scores = _random(5)
    known = _filters(graph, asked)
    oracle = torch.zeros_like(scores).scatter_(1, targets[:, None], 1.0)
    assert bool((rank_counts(oracle, targets, known) == torch.tensor([0, 1])).all())
    worst = rank_counts(-oracle, targets, known)
    left_out = [torch.bincount(row[node != targets[row]], minlength=len(targets)) for row, node in known]
    sizes = torch.stack([torch.full_like(targets, graph.num_nodes), *(graph.num_nodes - n for n in left_out)], dim=1)
    assert torch.equal(worst[..., 0] + 1, sizes)


def test_filters_only_help_and_static_helps_most():
    graph, asked, targets, scores = _random(6)
    raw, static, time = rank_counts(scores, targets, _filters(graph, asked)).unbind(1)
    assert bool(((static <= time) & (time <= raw)).all())
    assert bool((raw[:, 1] >= 1).all())
    assert bool((static[:, 1] >= 1).all())


def test_nan_and_absent_targets_are_refused():
    scores = torch.zeros(4, 5)
    scores[2, 1] = float("nan")
    targets = torch.tensor([0, 1, 2, 3])
    with pytest.raises(RunError, match="1 of 4 queries hold NaN"):
        rank_counts(scores, targets)
    scores[2, 1] = float("-inf")  # a candidate that a model rules out
    assert rank_counts(scores, targets)[2, 0].tolist() == [0, 4]
    for target in (-1, 5):
        targets[3] = target
        with pytest.raises(RunError, match=f"query 3 has no true answer: its target is {target}, and there are 5"):
            rank_counts(scores, targets)


class _LeftOut:
    """A filter that leaves out given nodes of a query, found by its head."""

    def __init__(self, nodes: dict[int, list[int]]):
        self.nodes = nodes

    def answers(self, head, relation, time):
        pairs = [(row, node) for row, name in enumerate(head.tolist()) for node in self.nodes.get(name, ())]
        return tuple(torch.tensor(pairs).reshape(-1, 2).unbind(1))


def _asked(step: int, head: list[int], relation: int, answers: list[int]) -> Block:
    heads = torch.tensor(head)
    same = torch.full_like(heads, relation)
    return Block(step, Queries(heads, None, torch.full_like(heads, step), same), torch.tensor(answers))


def _scores(*tops: int) -> torch.Tensor:
    """Rows of 12 scores with so many nodes above node 11; node 10 is level with it where anything is above."""
    rows = torch.zeros(len(tops), 12)
    for row, above in zip(rows, tops, strict=True):
        row[:above], row[11] = 2, 1
        row[10] = 1 if above else 0
    return rows


def test_metrics_by_hand():
    metrics = RankMetrics({"static": _LeftOut({1: list(range(7)), 2: [0, 10]})}, num_relations=1)
    metrics.update(_asked(3, [0, 1], 0, [11, 11]), _scores(0, 9))
    metrics.update(_asked(4, [2], 1, [11]), _scores(2))
    found = metrics.compute()
    assert found["raw_mrr"] == pytest.approx((1 + 1 / 10.5 + 1 / 3.5) / 3)
    assert [found[f"raw_hits@{k}"] for k in (1, 3, 10)] == pytest.approx([1 / 3, 1 / 3, 2 / 3])
    assert [found[f"static_hits@{k}"] for k in (1, 3, 10)] == pytest.approx([1 / 3, 2 / 3, 1])
    assert (found["raw_ties"], found["static_ties"]) == pytest.approx((2 / 3, 1 / 3))
    assert found["static_mrr_object"] == pytest.approx((1 + 1 / 3.5) / 2)
    assert found["static_mrr_subject"] == pytest.approx(1 / 2)
    first, second = metrics.per_step()
    assert (first["step"], first["n"], second["step"], second["n"]) == (3, 2, 4, 1)
    assert first["raw_mean_rank"] == pytest.approx(5.75)
    assert "raw_mrr_subject" not in first
    kept = metrics.arrays()
    assert kept["columns"].tolist() == [
        "step", "side", "relation", "raw_above", "raw_level", "static_above", "static_level",
    ]  # fmt: skip
    assert kept["ranks"].tolist() == [[3, 0, 0, 0, 1, 0, 1], [3, 0, 0, 9, 2, 2, 2], [4, 1, 0, 2, 2, 1, 1]]


def test_ties_by_name():
    found = {}
    for ties in TIES:
        metrics = RankMetrics({}, 1, ties)
        metrics.update(_asked(0, [0], 0, [3]), torch.zeros(1, 100))
        found[ties] = metrics.compute()["raw_mrr"]
    assert found == pytest.approx({"optimistic": 1, "realistic": 1 / 50.5, "pessimistic": 1 / 100})


def test_nothing_asked():
    with pytest.raises(RunError, match="no query was asked"):
        RankMetrics({}).compute()

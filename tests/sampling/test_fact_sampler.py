"""Draws of facts and of entities that corrupt them."""

from __future__ import annotations

import torch
from scipy.stats import chisquare

from dynbench.graph import TemporalGraph
from dynbench.sampling.facts import FactSampler


def window(directed: bool = True) -> TemporalGraph:
    """Steps 3 to 5 of a graph with a self-loop, a fact under two relations, and a silent step."""
    events = [(0, 1, 0, 3), (0, 2, 0, 3), (4, 1, 0, 3), (0, 1, 1, 3), (2, 2, 0, 3), (0, 1, 0, 5), (3, 0, 1, 5)]
    src, dst, relation, time = zip(*events, strict=True)
    graph = TemporalGraph.from_events(src, dst, time, 6, relation=relation, num_relations=2, num_steps=9)
    return graph.between(3, 6)


def test_all_facts_but_loops():
    sampler = FactSampler(window(), 3, 3)
    step, relation, src, dst = (part.tolist() for part in sampler.draw(None))
    expected = [(0, 0, 0, 1), (0, 0, 0, 2), (0, 0, 4, 1), (0, 1, 0, 1), (2, 0, 0, 1), (2, 1, 3, 0)]
    assert list(zip(step, relation, src, dst, strict=True)) == expected
    assert sampler.num_facts.tolist() == [4, 0, 2]


def test_some_facts_of_every_step():
    sampler = FactSampler(window(), 3, 3)
    seen = torch.zeros(6)
    everything = list(zip(*(part.tolist() for part in sampler.facts), strict=True))
    torch.manual_seed(0)
    for _ in range(300):
        drawn = sampler.draw(2)
        assert drawn.step.tolist() == [0, 0, 2, 2]
        found = list(zip(*(part.tolist() for part in drawn), strict=True))
        assert len(set(found)) == 4
        for fact in found:
            seen[everything.index(fact)] += 1
    assert seen[4:].tolist() == [300, 300]
    assert chisquare(seen[:4].numpy()).pvalue > 1e-3


def test_entities_are_distinct_and_uniform():
    sampler = FactSampler(window(), 3, 3)
    torch.manual_seed(0)
    counts = torch.zeros(3, 6)
    for _ in range(400):
        drawn = sampler.entities(2)
        assert drawn.shape == (3, 2)
        assert bool((drawn[:, 0] != drawn[:, 1]).all())
        counts.scatter_add_(1, drawn, torch.ones(3, 2))
    assert chisquare(counts.flatten().numpy()).pvalue > 1e-3
    assert sampler.entities(100).sort().values.tolist() == [list(range(6))] * 3


def test_true_answers_are_no_corruptions():
    sampler = FactSampler(window(), 3, 3)
    entities = torch.tensor([[1, 2, 3], [1, 2, 3], [0, 1, 2]])
    # Objects of (0, 0, ?) at 3, 4 and 5 and of (0, 1, ?) at 3; subjects of (?, 0, 1) and (?, 1, 0) at 5.
    step, head = torch.tensor([0, 0, 1, 2, 2, 2]), torch.tensor([0, 0, 0, 0, 1, 0])
    relation = torch.tensor([0, 1, 0, 0, 2, 3])
    expected = [[0, 0, 1], [0, 1, 1], [1, 1, 1], [1, 0, 1], [0, 1, 1], [1, 1, 1]]
    assert sampler.false(step, head, relation, entities).int().tolist() == expected
    # The order of the entities is that of the columns.
    again = sampler.false(step, head, relation, entities.flip(1))
    assert again.flip(1).int().tolist() == expected


def test_a_window_without_relations_or_facts():
    graph = window()
    plain = TemporalGraph.from_events(graph.src, graph.dst, graph.time, 6, num_steps=9)
    sampler = FactSampler(plain, 3, 3)
    assert sampler.facts.relation.tolist() == [0] * 6
    silent = FactSampler(graph.between(4, 5), 4, 1)
    assert [len(part) for part in silent.draw(3)] == [0] * 4
    nothing = torch.zeros(0, dtype=torch.long)
    assert silent.false(nothing, nothing, nothing, silent.entities(2)).shape == (0, 2)

"""Counts on a graph that can be checked by hand."""

from __future__ import annotations

import torch

from dynbench.graph import TemporalGraph
from dynbench.graph.statistics import statistics


def _graph(**fields):
    return TemporalGraph.from_events([0, 1, 2, 0, 2], [1, 0, 2, 1, 3], [0, 1, 1, 3, 3], 6, **fields)


def test_snapshots_by_hand():
    assert statistics(_graph(directed=False, num_steps=4, weight=[1, 2, 1, 1, 4])) == {
        "nodes": 6,
        "active_nodes": 4,
        "relations": 1,
        "classes": 0,
        "events": 9,
        "links_distinct": 3,
        "self_loops": 1,
        "steps": 4,
        "links_per_step_sum": 5,
        "links_per_step": [1, 2, 0, 2],
        "events_per_step": [1, 3, 0, 5],
        "nodes_per_step": [2, 3, 3, 4],
        "new_links_per_step": [1, 0, 0, 1],
    }


def test_direction_tells_pairs_apart():
    found = statistics(_graph(directed=True, num_steps=4))
    assert (found["links_distinct"], found["new_links_per_step"]) == (4, [1, 1, 0, 1])


def test_events_have_no_steps():
    found = statistics(_graph(relation=[0, 0, 2, 1, 0], seconds=1.0))
    assert found == {
        "nodes": 6,
        "active_nodes": 4,
        "relations": 3,
        "classes": 0,
        "events": 5,
        "links_distinct": 4,
        "self_loops": 1,
    }


def test_an_empty_graph():
    empty = torch.zeros(0, dtype=torch.long)
    found = statistics(TemporalGraph.from_events(empty, empty, empty, 3, num_steps=2))
    assert (found["links_distinct"], found["links_per_step"], found["nodes_per_step"]) == (0, [0, 0], [0, 0])
    assert found["new_links_per_step"] == [0, 0]

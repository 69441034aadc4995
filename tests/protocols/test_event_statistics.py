"""Counts of event streams against the algorithm as it is printed, event by event."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from dynbench.graph import TemporalGraph
from dynbench.protocols.event_statistics import EventStatistics, reconnection


def slow(graph: TemporalGraph) -> tuple[float, float]:
    """Algorithm 2, pair by pair."""
    events = list(zip(graph.src.tolist(), graph.dst.tolist(), graph.time.tolist(), strict=True))
    degree = [sum((u == node) + (v == node) for u, v, _ in events) for node in range(graph.num_nodes)]
    share = [degree[v] / (degree[u] + degree[v]) for u, v, _ in events]
    again = [any((a, b) == (u, v) and s > t for a, b, s in events) for u, v, t in events]
    return float(np.mean(again)), float(np.corrcoef(share, again)[0, 1])


@pytest.mark.parametrize("whole", [True, False])
def test_reconnection_is_that_of_the_printed_algorithm(whole):
    draw = torch.Generator().manual_seed(0)
    src, dst = (torch.randint(8, (150,), generator=draw) for _ in range(2))
    time = torch.randint(60, (150,), generator=draw)
    graph = TemporalGraph.from_events(src, dst, time if whole else time / 7.0, 9)
    found = reconnection(graph)
    assert (found["reconnection"], found["reconnection_correlation"]) == pytest.approx(slow(graph))


def test_the_correlation_is_left_out_where_no_pair_meets_again():
    graph = TemporalGraph.from_events([0, 1, 2], [1, 2, 3], [5, 6, 7], 4)
    assert reconnection(graph) == {"reconnection": 0.0}


def test_counts():
    graph = TemporalGraph.from_events([0, 0, 1, 0], [2, 2, 2, 3], [0, 86_400, 86_400, 43_200], 6, seconds=1.0)
    found = EventStatistics().describe(graph)
    assert found.pop("reconnection_correlation") == pytest.approx(slow(graph)[1])
    assert found == {
        "nodes": 4, "events": 4, "pairs": 3, "src_dst_ratio": 1.0, "unique_steps": 3, "days": 1.0, "reconnection": 0.25,
    }  # fmt: skip

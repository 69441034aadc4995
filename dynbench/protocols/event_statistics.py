"""Not a forecast: what CrossLink's Tables 2, 17 and 18 tell about a stream of events, its reconnection among it.

Equations:
    Of every event (u, v, t): x = deg(v) / (deg(u) + deg(v)), with the number of all events of a node as its degree, and
    y = 1 if the same pair has an event after t. Told are the mean of y and the correlation of x with it.

Deviations:
    The paper prints deg(b) for the second degree, which names no node; the destination is meant.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch

from dynbench.contract import Episode
from dynbench.graph import TemporalGraph
from dynbench.protocols.base import Protocol

_DAY = 86_400


class EventStatistics(Protocol):
    """Counts nodes, events and times, and measures how often a pair meets again; asks no model."""

    version = 1
    asks = None
    view = "events"
    unvalidated = "it asks no model"
    seeds = frozenset()

    def __init__(self) -> None:
        """Nothing can be set."""

    def num_episodes(self, graph: TemporalGraph) -> int:
        """None."""
        return 0

    def episodes(self, graph: TemporalGraph, seed: int) -> Iterator[Episode]:
        """Nothing is asked."""
        return iter(())

    def describe(self, graph: TemporalGraph) -> dict[str, float]:
        """What the tables have, and ``pairs``, the number of distinct ones.

        ``src_dst_ratio`` is that of the numbers of distinct sources and destinations; ``reconnection_correlation`` is
        left out where it is not defined.
        """
        active = torch.unique(torch.cat([graph.src, graph.dst]))
        found = {
            "nodes": len(active),
            "events": len(graph),
            "pairs": len(torch.unique(graph.src * graph.num_nodes + graph.dst)),
            "src_dst_ratio": len(graph.src.unique()) / len(graph.dst.unique()),
            "unique_steps": len(graph.time.unique()),
        }
        if graph.seconds is not None:
            found["days"] = float(graph.time[-1] - graph.time[0]) * graph.seconds / _DAY
        return found | reconnection(graph)


def reconnection(graph: TemporalGraph) -> dict[str, float]:
    """``reconnection``: share of events whose pair has a later one; ``reconnection_correlation`` with the degrees."""
    degree = torch.bincount(torch.cat([graph.src, graph.dst]), minlength=graph.num_nodes).double()
    pair, code = torch.unique(graph.src * graph.num_nodes + graph.dst, return_inverse=True)
    last = torch.zeros(len(pair), dtype=graph.time.dtype)
    last.scatter_reduce_(0, code, graph.time, "amax", include_self=False)
    again = (graph.time < last[code]).double()
    share = degree[graph.dst] / (degree[graph.src] + degree[graph.dst])
    found = {"reconnection": float(again.mean())}
    if float(again.std()) > 0 and float(share.std()) > 0:
        found["reconnection_correlation"] = float(torch.corrcoef(torch.stack([share, again]))[0, 1])
    return found

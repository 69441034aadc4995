"""Not a forecast: the counts of a dataset, for the tables in which papers describe their data."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from dynbench.contract import Episode
from dynbench.graph import TemporalGraph
from dynbench.graph.statistics import statistics
from dynbench.protocols.base import Protocol


class Statistics(Protocol):
    """Counts nodes, links, snapshots and relations; asks no model.

    Args:
        links: How links are counted: distinct pairs (and relations) ``per_step``, summed over the snapshots, distinct
            pairs ``overall``, or all ``events``, repeated ones included.
    """

    version = 1
    asks = None
    view = "snapshots"
    unvalidated = "it asks no model"
    seeds = frozenset()

    def __init__(self, *, links: Literal["per_step", "overall", "events"] = "per_step"):
        self.links = links

    def num_episodes(self, graph: TemporalGraph) -> int:
        """None."""
        return 0

    def episodes(self, graph: TemporalGraph, seed: int) -> Iterator[Episode]:
        """Nothing is asked."""
        return iter(())

    def describe(self, graph: TemporalGraph) -> dict[str, float]:
        """``nodes``, ``links``, ``steps``, ``relations``."""
        counts = statistics(graph)
        names = {"per_step": "links_per_step_sum", "overall": "links_distinct", "events": "events"}
        links = counts[names[self.links]]
        return {"nodes": graph.num_nodes, "links": links, "steps": graph.num_steps, "relations": graph.num_relations}

"""Temporal graphs: what everything else stands on."""

from dynbench.graph.temporal_graph import TemporalGraph

__all__ = ["TemporalGraph"]

"""Counts that describe a graph, and that a dataset's card promises."""

from __future__ import annotations

import torch
from torch import Tensor

from dynbench.graph.temporal_graph import TemporalGraph


def statistics(graph: TemporalGraph) -> dict[str, float | list[float]]:
    """Count what the papers' dataset tables count.

    Args:
        graph: Snapshots, or events in continuous time.

    Returns:
        ``nodes``, ``active_nodes`` (with at least one event), ``relations``, ``classes`` (of nodes), ``events`` (for
        snapshots the sum of weights), ``links_distinct`` (pairs over the whole time; unordered where the graph is
        undirected) and ``self_loops``. For snapshots also ``steps``, ``links_per_step_sum`` and the lists
        ``links_per_step``, ``events_per_step``, ``nodes_per_step`` (nodes seen up to and including each step) and
        ``new_links_per_step`` (pairs never linked before, self-loops excluded). For data
        with published parts also ``train_events``, ``valid_events`` and ``test_events``.
    """
    pairs = _pair_keys(graph)
    snapshots = graph.num_steps is not None
    events = graph.weight.double() if snapshots and graph.weight is not None else torch.ones(len(graph)).double()
    result = {
        "nodes": graph.num_nodes,
        "active_nodes": len(torch.unique(torch.cat([graph.src, graph.dst]))),
        "relations": graph.num_relations,
        "classes": 0 if graph.node_labels is None else len(torch.unique(graph.node_labels[graph.node_labels >= 0])),
        "events": _number(events.sum().item()),
        "links_distinct": len(torch.unique(pairs)),
        "self_loops": int((graph.src == graph.dst).sum()),
    }
    if graph.split is not None:
        validation, test = graph.split
        bounds = {"train": graph.time < validation, "test": graph.time >= test}
        bounds["valid"] = ~(bounds["train"] | bounds["test"])
        result |= {f"{part}_events": _number(events[mask].sum().item()) for part, mask in bounds.items()}
    return {**result, **_per_step(graph, pairs, events)} if snapshots else result


def _per_step(graph: TemporalGraph, pairs: Tensor, events: Tensor) -> dict[str, float | list[float]]:
    steps = graph.require_steps()
    links = torch.bincount(graph.time, minlength=steps)
    totals = torch.zeros(steps, dtype=torch.double).index_add_(0, graph.time, events)
    seen = graph.first_seen()
    nodes = torch.bincount(seen[seen < steps], minlength=steps).cumsum(0)
    return {
        "steps": steps,
        "links_per_step_sum": int(links.sum()),
        "links_per_step": links.tolist(),
        "events_per_step": [_number(total) for total in totals.tolist()],
        "nodes_per_step": nodes.tolist(),
        "new_links_per_step": _first_links(graph, pairs, steps).tolist(),
    }


def _first_links(graph: TemporalGraph, pairs: Tensor, steps: int) -> Tensor:
    """``(steps,)`` pairs whose first link falls into each step."""
    proper = graph.src != graph.dst
    _, group = torch.unique(pairs[proper], return_inverse=True)
    first = torch.full((int(group.max()) + 1 if len(group) else 0,), steps)
    first.scatter_reduce_(0, group, graph.time[proper], "amin")
    return torch.bincount(first, minlength=steps)


def _pair_keys(graph: TemporalGraph) -> Tensor:
    src, dst = graph.src, graph.dst
    if not graph.directed:
        src, dst = torch.minimum(src, dst), torch.maximum(src, dst)
    return src * graph.num_nodes + dst


def _number(value: float) -> float | int:
    return int(value) if float(value).is_integer() else value

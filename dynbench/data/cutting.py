"""From raw events to graphs: continuous time, the published cut, or windows of equal length."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import torch

from dynbench.data.duration import describe, in_units
from dynbench.data.events import MAX_STEPS, RawEvents
from dynbench.errors import DataError
from dynbench.graph import TemporalGraph

# Unix times above this (March 1973) cannot grow a hundredfold unless their unit changes.
_RECENT = 1e8


def to_events(raw: RawEvents, directed: bool, bipartite: bool, seconds: float | None) -> TemporalGraph:
    """The events as a graph in continuous time.

    Raises:
        DataError: If an id or a time is invalid, or a bipartite graph has a node on both sides.
    """
    if bipartite:
        both = np.intersect1d(raw.src, raw.dst)
        if len(both):
            raise DataError(
                f"node {both[0]} occurs as source and as destination, so the graph is not bipartite; "
                "set data.bipartite=false or number the two sides apart"
            )
    return TemporalGraph.from_events(
        raw.src,
        raw.dst,
        raw.time,
        raw.num_nodes,
        directed=directed,
        bipartite=bipartite,
        relation=raw.relation,
        num_relations=raw.num_relations or 1,
        weight=raw.weight,
        edge_features=raw.edge_features,
        node_features=raw.node_features,
        node_labels=raw.node_labels,
        seconds=seconds,
        split=None if raw.part is None else _boundaries(raw.part, raw.time),
    )


def _boundaries(part: np.ndarray, time: np.ndarray) -> tuple[float, float]:
    """Times at which the validation and the test part begin; the same time where there is no validation part."""
    return tuple(time[part >= number].min().item() for number in (1, 2))


def published_cut(raw: RawEvents, directed: bool, bipartite: bool) -> TemporalGraph:
    """Snapshots as the reader (or the file) assigned them.

    Args:
        raw: Events with ``snapshot``.
        directed: Whether ``(i, j)`` and ``(j, i)`` stay apart.
        bipartite: Passed on to the graph.
    """
    num_steps = raw.num_steps or int(raw.snapshot.max()) + 1
    # Events are grouped, not timed, from here on: the step takes the place of the time, so sorting keeps them paired.
    kept = raw.snapshot >= 0
    parts = {f: getattr(raw, f) for f in ("src", "dst", "weight", "relation", "snapshot", "part")}
    parts = {f: None if values is None else values[kept] for f, values in parts.items()}
    raw = dataclasses.replace(raw, **parts, time=parts["snapshot"], edge_features=None)
    graph = to_events(raw, True, bipartite, None)
    if graph.split is not None:
        # Facts come merged, and in an order that is worth keeping.
        return dataclasses.replace(graph, num_steps=num_steps)
    return graph.snapshots(graph.time, num_steps, directed)


def cut(graph: TemporalGraph, window: str | float, span: str | float | None, directed: bool) -> TemporalGraph:
    """Windows of equal length, counted from the first event.

    Args:
        graph: Events in continuous time.
        window: Length of a snapshot, as in :mod:`dynbench.data.duration`.
        span: Only events within this time from the first one, or ``None`` for all.
        directed: Whether ``(i, j)`` and ``(j, i)`` stay apart.

    Returns:
        A snapshot graph; ``ceil(span / window)`` steps, or up to the last event where there is no span.

    Raises:
        DataError: If a length is malformed or exceeds the data, or the snapshots would be too many.
    """
    width = in_units(window, graph.seconds, "data.window")
    start, end = graph.time[0].item(), graph.time[-1].item()
    if start > _RECENT and end > 100 * start:
        raise DataError(
            f"times run from {start:,.0f} to {end:,.0f}, more than a hundredfold; some seem to be seconds and others "
            "milliseconds since 1970: write all in one unit"
        )
    _check_length("data.window", window, width, end - start, graph.seconds)
    if span is None:
        num_steps = math.floor((end - start) / width) + 1
    else:
        length = in_units(span, graph.seconds, "data.span")
        _check_length("data.span", span, length, end - start, graph.seconds)
        _check_length("data.window", window, width, length, graph.seconds, "data.span")
        graph = graph.before(start + length)
        num_steps = math.ceil(length / width)
    if num_steps > MAX_STEPS:
        raise DataError(f"data.window={window} cuts the data into {num_steps:,} snapshots; take a longer window")
    whole = width.is_integer() and not graph.time.is_floating_point()
    step = torch.div(graph.time - start, int(width) if whole else width, rounding_mode="floor").long()
    # Rounding may lift an event at the very end of a fractional window by one.
    step = step.clamp(max=num_steps - 1)
    return graph.snapshots(step, num_steps, directed)


def _check_length(key: str, value, units: float, available: float, seconds: float | None, of: str = "the data") -> None:
    if units > available:
        raise DataError(f"{key}={value} is longer than {of} ({describe(available, seconds)}); take a shorter one")

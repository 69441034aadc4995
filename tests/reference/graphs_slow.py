"""Snapshots and pairs of a graph with loops and dictionaries."""

from __future__ import annotations

import itertools


def merged(src, dst, step, weight, relation, num_steps: int, directed: bool) -> dict[tuple, float]:
    """Weight of every (step, relation, src, dst) with repeated pairs merged."""
    found: dict[tuple, float] = {}
    for i, j, t, w, r in zip(src, dst, step, weight, relation, strict=True):
        if 0 <= t < num_steps:
            key = (t, r, i, j) if directed or i <= j else (t, r, j, i)
            found[key] = found.get(key, 0.0) + w
    return found


def links_of(graph, step: int) -> set[tuple[int, int]]:
    """Pairs of a snapshot, in both orders when the graph is undirected."""
    pairs = {(i, j) for i, j, t in zip(graph.src.tolist(), graph.dst.tolist(), graph.time.tolist(), strict=True)
             if t == step}  # fmt: skip
    return pairs if graph.directed else pairs | {(j, i) for i, j in pairs}


def seen_by(graph, step: int) -> set[int]:
    """Nodes with an event in a snapshot up to ``step``."""
    times = graph.time.tolist()
    return {n for ends in (graph.src, graph.dst) for n, t in zip(ends.tolist(), times, strict=True) if t <= step}


def all_pairs(graph, nodes: set[int]) -> set[tuple[int, int]]:
    """Pairs of distinct nodes: ordered in a directed graph, else with the smaller first."""
    make = itertools.permutations if graph.directed else itertools.combinations
    return set(make(sorted(nodes), 2))


def non_links(graph, step: int, nodes: set[int]) -> set[tuple[int, int]]:
    """Pairs of distinct nodes that a snapshot does not link."""
    return all_pairs(graph, nodes) - links_of(graph, step)

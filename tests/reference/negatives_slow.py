"""Negatives with sets and loops, by the published rules."""

from __future__ import annotations

import itertools

import numpy as np


def random_destinations(count: int, sources, destinations, seed: int, batch: int) -> list[int]:
    """The published stream: a source that is thrown away, then a destination, batch by batch."""
    draw, result = np.random.RandomState(seed), []
    sources, destinations = np.unique(sources), np.unique(destinations)
    for start in range(0, count, batch):
        size = min(batch, count - start)
        draw.randint(0, len(sources), size)
        result += destinations[draw.randint(0, len(destinations), size)].tolist()
    return result


def candidates(rows, start, stop, observed=None) -> set[tuple]:
    """Historical candidates of a batch whose times run from ``start`` to ``stop``; inductive ones if ``observed``."""
    past = {(s, d) for s, d, t in rows if t <= start}
    seen = set() if observed is None else {(s, d) for s, d, t in rows if t <= observed}
    return past - seen - {(s, d) for s, d, t in rows if start <= t <= stop}


def fillers(rows, batch) -> set[tuple]:
    """All pairs of a source and a destination that are no pair of the batch."""
    pairs = itertools.product({s for s, _, _ in rows}, {d for _, d, _ in rows})
    return set(pairs) - {(s, d) for s, d, _ in batch}


def one_vs_many(row, part, history, pool, limit: int, filtered: bool = True) -> tuple[set, set]:
    """What the historical and what the random negatives of an event may be."""
    src, dst, time = row
    true = {d for s, d, t in part if (s, t) == (src, time)} if filtered else {dst}
    past = {d for s, d, _ in history if s == src}
    return past - true, set(pool) - true - past

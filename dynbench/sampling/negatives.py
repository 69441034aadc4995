"""Negatives for batches of a stream: random, historical and inductive (Poursafaei et al., NeurIPS 2022).

Each sampler knows some events, its *pool*, and works through the events of an evaluation in batches. Everything is
decided by the pool, the batches and a seed, so that all models meet the same pairs.

``random`` keeps an event's source and draws a destination among those of the pool. It is the published stream of
numbers, draw for draw, including a source that is drawn and thrown away. Whether what it draws is true is not asked.

``historical`` draws both ends: pairs seen up to the batch's first time, except those that occur within the times of
the batch. ``inductive`` leaves out those seen up to the last time of the part before, too. Where such pairs are too
few, all are taken, and random pairs of a source and a destination stand in front, none of which is a pair of the batch.
Published code draws from Python sets, in an order that depends on hashes; here pairs stand in the order of their first
events, so that published values are met on average.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from dynbench.graph import TemporalGraph

Strategy = Literal["random", "historical", "inductive"]
STRATEGIES = ("random", "historical", "inductive")


def batch_negatives(
    events: TemporalGraph,
    pool: TemporalGraph,
    strategy: Strategy,
    seed: int,
    batch: int = 200,
    observed: float | None = None,
    known: KnownPairs | None = None,
) -> tuple[Tensor, Tensor]:
    """One negative pair for every event.

    Args:
        events: What is asked about, in batches of consecutive events.
        pool: What the sampler knows: sources, destinations, and pairs with their times. Contains ``events``.
        strategy: See the module.
        seed: Of NumPy's legacy generator, whose streams never change.
        batch: Events per batch; the last one may be smaller.
        observed: Of ``inductive``: pairs up to this time, included, count as observed.
        known: What was made of the pool before, if it was.

    Returns:
        Sources and destinations, each ``(E,) long``.
    """
    draw = np.random.RandomState(seed)
    if strategy == "random":
        return events.src.clone(), _random(draw, pool, len(events), batch)
    known = KnownPairs(pool) if known is None else known
    unseen = strategy == "inductive" and observed is not None
    begin = int(np.searchsorted(known.first, observed, side="right")) if unseen else 0
    parts = [_drawn(draw, known, part, begin) for part in batches(events, batch)]
    codes = np.concatenate(parts) if parts else np.zeros(0, dtype=np.int64)
    return torch.from_numpy(codes // known.num_nodes), torch.from_numpy(codes % known.num_nodes)


def batches(events: TemporalGraph, size: int) -> Iterator[TemporalGraph]:
    """Views of consecutive events; the last one may be smaller."""
    return (events.events(start, start + size) for start in range(0, len(events), size))


def _random(draw: np.random.RandomState, pool: TemporalGraph, count: int, batch: int) -> Tensor:
    sources, destinations = len(_distinct_ends(pool.src)), torch.from_numpy(_distinct_ends(pool.dst))
    chosen = np.empty(count, dtype=np.int64)
    for start in range(0, count, batch):
        size = min(batch, count - start)
        draw.randint(0, sources, size)  # published code draws a source, too, and keeps the event's
        chosen[start : start + size] = draw.randint(0, len(destinations), size)
    return destinations[torch.from_numpy(chosen)]


class KnownPairs:
    """Distinct ordered pairs of a pool in the order of their first events.

    Attributes:
        code: ``(P,)`` a number per pair.
        first: ``(P,)`` time of its first event, ascending.
        sources, destinations: Distinct ends of the pool, ascending.
    """

    def __init__(self, pool: TemporalGraph):
        self.num_nodes = pool.num_nodes
        self._time = pool.time.cpu().numpy()
        code = pool.src.cpu().numpy() * self.num_nodes + pool.dst.cpu().numpy()
        code, first, own = np.unique(code, return_index=True, return_inverse=True)
        order = np.argsort(first)
        self.code, self.first = code[order], self._time[first[order]]
        place = np.empty(len(order), dtype=np.int64)
        place[order] = np.arange(len(order))
        self._place = place[own.ravel()]  # of the pair of every event
        self.sources, self.destinations = _distinct_ends(pool.src), _distinct_ends(pool.dst)

    def between(self, start, stop) -> np.ndarray:
        """Places of the distinct pairs of events at ``start <= time <= stop``."""
        begin, end = np.searchsorted(self._time, start), np.searchsorted(self._time, stop, side="right")
        return np.unique(self._place[begin:end])


def _distinct_ends(nodes: Tensor) -> np.ndarray:
    """The nodes that occur, ascending."""
    return np.flatnonzero(np.bincount(nodes.cpu().numpy()))


def _drawn(draw: np.random.RandomState, known: KnownPairs, batch: TemporalGraph, begin: int) -> np.ndarray:
    """Codes of the negatives of one batch, none of the first ``begin`` pairs among them."""
    start, stop = (batch.time[k].item() for k in (0, -1))
    end = int(np.searchsorted(known.first, start, side="right"))
    size, count = len(batch), max(end - begin, 0)
    busy = known.between(start, stop) - begin
    busy = busy[(busy >= 0) & (busy < count)]
    free = count - len(busy)
    if free >= 4 * size and 2 * free >= count:
        return known.code[begin + _distinct(draw, count, busy, size)]
    left = known.code[begin + np.setdiff1d(np.arange(count), busy)]
    if free >= size:
        return left[draw.permutation(free)[:size]]
    return np.concatenate([_filler(draw, known, batch, size - free), left])


def _distinct(draw: np.random.RandomState, bound: int, refused: np.ndarray, size: int) -> np.ndarray:
    """``(size,)`` distinct numbers below ``bound`` that are not refused, in the order of their draws."""
    found = np.empty(0, dtype=np.int64)
    while len(found) < size:
        more = draw.randint(0, bound, 2 * size, dtype=np.int64)
        found = np.concatenate([found, more[~np.isin(more, refused)]])
        found = found[np.sort(np.unique(found, return_index=True)[1])]
    return found[:size]


def _filler(draw, known: KnownPairs, batch: TemporalGraph, size: int) -> np.ndarray:
    """Codes of random pairs of a source and a destination of the pool, none of which is a pair of the batch.

    They are distinct as long as there are enough.
    """
    columns = len(known.destinations)
    possible = len(known.sources) * columns
    src, dst = (part.cpu().numpy() for part in (batch.src, batch.dst))
    taken = np.unique(np.searchsorted(known.sources, src) * columns + np.searchsorted(known.destinations, dst))
    left = possible - len(taken)
    if left >= 4 * size:
        place = _distinct(draw, possible, taken, size)
    else:
        # A small graph: every pair can be listed. Where the batch holds all of them, nothing is left but its own.
        free = np.setdiff1d(np.arange(possible), taken) if left else np.arange(possible)
        place = free[draw.permutation(left)[:size]] if left >= size else free[draw.randint(0, len(free), size)]
    return known.sources[place // columns] * known.num_nodes + known.destinations[place % columns]

"""One true destination against many false ones: TGB's negatives (Huang et al., NeurIPS 2023), for any graph.

For an event from ``s`` to ``d`` at ``t``, let ``D`` be the destinations that are true for ``s`` at ``t`` in the part
that is asked about, and ``H`` the distinct earlier destinations of ``s``. Up to a share of the ``n`` negatives comes
from ``H`` without ``D``, the rest from the pool without ``D`` and ``H``, all without replacement. Where candidates run
out there are fewer. Events that are equal in source, destination and time share one list. Every list is drawn from
numbers that belong to it alone, so lists can be drawn in any portions.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from torch import Tensor

from dynbench.errors import ConfigError
from dynbench.graph import TemporalGraph
from dynbench.sampling.hashing import hashed, hashed_below

_FAR = np.iinfo(np.uint64).max


class OneVersusMany:
    """Draws the negatives of the events of one part.

    Args:
        graph: All events; says what the pool is, and with ``past`` what is history.
        train: The training events: the history of TGB.
        part: What is asked about.
        negatives: Number ``n`` of negatives; ``None`` for every candidate.
        historical: Share of them that comes from the history, as far as it reaches.
        history: ``train`` events, or all in the ``past`` of the question.
        pool: ``dst_range``, all ids from the smallest destination to the largest, as in TGB; ``dst_seen``, those that
            are a destination at some time; or ``all_nodes``.
        filter: Which true destinations cannot be negatives: those of the ``source_time``, as in TGB, or ``none`` but
            the answer itself.
        seed: Of all draws.
    """

    def __init__(
        self,
        graph: TemporalGraph,
        train: TemporalGraph,
        part: TemporalGraph,
        negatives: int | None = 100,
        historical: float = 0.5,
        history: Literal["train", "past"] = "train",
        pool: Literal["dst_range", "dst_seen", "all_nodes"] = "dst_range",
        filter: Literal["source_time", "none"] = "source_time",
        seed: int = 42,
    ):
        if not 0 <= historical <= 1:
            raise ConfigError(f"a share of {historical} historical negatives; it must be between 0 and 1")
        self.num_nodes, self.seed, self.past = graph.num_nodes, seed, history == "past"
        self.pool = _pool(graph, pool)
        self.count = len(self.pool) if negatives is None else negatives
        self.limit = self.count if negatives is None else int(self.count * historical)
        if self.count < 1:
            raise ConfigError(f"{self.count} negatives for each event; take at least 1")
        src, dst, when = (tensor.cpu().numpy() for tensor in (part.src, part.dst, part.time))
        times, rank = np.unique(when, return_inverse=True)
        self._list(src, dst, rank, times, filter)
        self._history(graph if self.past else train)

    def _list(self, src, dst, rank, times, filter: str) -> None:
        """One list per distinct source, destination and time, and what is true for each of them."""
        keys = np.stack([src, rank, dst], axis=1)
        keys, first, self.list_of = np.unique(keys, axis=0, return_index=True, return_inverse=True)
        # Lists are numbered by their first events, so that the numbers do not depend on how nodes are numbered.
        order = np.argsort(first, kind="stable")
        number = np.empty(len(order), dtype=np.int64)
        number[order] = np.arange(len(order))
        self.list_of, keys = number[self.list_of.ravel()], keys[order]
        self.source, self.time, self.answer = keys[:, 0], times[keys[:, 1]], keys[:, 2]
        if filter == "source_time":
            group = np.unique(keys[:, :2], axis=0, return_inverse=True)[1].ravel()
        elif filter == "none":
            group = np.arange(len(keys))
        else:
            raise ConfigError(f"no filter {filter!r}; there are source_time and none")
        self.group = group
        self.true = np.unique(group * self.num_nodes + self.answer)
        self.true_sizes = np.bincount(self.true // self.num_nodes)

    def _history(self, known: TemporalGraph) -> None:
        """Distinct pairs, by number and by source and first time."""
        src, dst, when = (tensor.cpu().numpy() for tensor in (known.src, known.dst, known.time))
        self.seen, first = np.unique(src * self.num_nodes + dst, return_index=True)
        self.since = when[first]
        source = self.seen // self.num_nodes
        order = np.lexsort((self.since, source))
        self.entry_dst, self.entry_since = (self.seen % self.num_nodes)[order], self.since[order]
        self.begin = np.searchsorted(source[order], np.arange(self.num_nodes + 1))

    def draw(self, start: int, stop: int) -> Tensor:
        """Negatives of the events from position ``start`` up to before ``stop`` of the part.

        Returns:
            ``(stop - start, n) long`` destinations, -1 where there are no more.
        """
        lists, place = np.unique(self.list_of[start:stop], return_inverse=True)
        result = np.full((len(lists), self.count), -1, dtype=np.int64)
        taken = self._historical(lists, result)
        self._random(lists, result, taken)
        return torch.from_numpy(result[place.ravel()])

    def _historical(self, lists: np.ndarray, result: np.ndarray) -> np.ndarray:
        """Fill the historical part; returns how many each list got."""
        begin = self.begin[self.source[lists]]
        size = self.begin[self.source[lists] + 1] - begin
        if self.past:
            size = _earlier(self.entry_since, begin, size, self.time[lists])
        row = np.repeat(np.arange(len(lists)), size)
        place = np.arange(len(row)) - np.repeat(np.cumsum(size) - size, size)
        dst = self.entry_dst[begin[row] + place]
        free = ~self._is_true(lists[row], dst)
        row, dst = row[free], dst[free]
        # A number of its own for each entry, by which a list's entries are shuffled.
        order = np.lexsort((hashed(self.seed, lists[row], dst), row))
        row, dst = row[order], dst[order]
        count = np.bincount(row, minlength=len(lists))
        place = np.arange(len(row)) - (np.cumsum(count) - count)[row]
        kept = place < self.limit
        result[row[kept], place[kept]] = dst[kept]
        return np.minimum(count, self.limit)

    def _random(self, lists: np.ndarray, result: np.ndarray, taken: np.ndarray) -> None:
        """Fill up with candidates that are neither true nor history."""
        wanted = self.count - taken
        # Draws in vain are few as long as the pool is several times as large as what is wanted and what is refused.
        refused = self.begin[self.source[lists] + 1] - self.begin[self.source[lists]]
        refused = refused + self.true_sizes[self.group[lists]]
        easy = 2 * wanted + refused < len(self.pool)
        rows = np.flatnonzero(easy & (wanted > 0))
        for part in _portions(rows, int(wanted[rows].max(initial=1)) * 2):
            self._draw_again(lists[part], part, result, taken)
        rows = np.flatnonzero(~easy & (wanted > 0))
        for part in _portions(rows, len(self.pool)):
            self._shuffle(lists[part], part, result, taken)

    def _draw_again(self, lists, rows, result, taken) -> None:
        """Draw until each list has what it wants."""
        columns = int((self.count - taken[rows]).max()) + 16
        drawn = 0
        found = np.empty((len(rows), 0), dtype=np.int64)
        while True:
            place = np.arange(drawn, drawn + columns)
            more = self.pool[hashed_below(self.seed + 1, lists[:, None], place[None], len(self.pool))]
            found = np.concatenate([found, more], axis=1)
            drawn += columns
            good = ~self._is_refused(np.repeat(lists, drawn), found.ravel()).reshape(found.shape)
            good &= _first_in_row(found)
            rank = np.cumsum(good, axis=1) - 1
            wanted = (self.count - taken[rows])[:, None]
            if (good.sum(1) >= wanted[:, 0]).all():
                break
        row, column = np.nonzero(good & (rank < wanted))
        result[rows[row], taken[rows[row]] + rank[row, column]] = found[row, column]

    def _shuffle(self, lists, rows, result, taken) -> None:
        """List all candidates and keep the first ones of an order of their own."""
        pool = np.broadcast_to(self.pool, (len(rows), len(self.pool)))
        key = hashed(self.seed + 2, lists[:, None], pool)
        key[self._is_refused(np.repeat(lists, len(self.pool)), pool.ravel()).reshape(pool.shape)] = _FAR
        order = np.argsort(key, axis=1, kind="stable")
        key = np.take_along_axis(key, order, axis=1)
        place = np.broadcast_to(np.arange(len(self.pool)), pool.shape)
        row, column = np.nonzero((key != _FAR) & (place < (self.count - taken[rows])[:, None]))
        result[rows[row], taken[rows[row]] + column] = self.pool[order[row, column]]

    def _is_true(self, lists: np.ndarray, dst: np.ndarray) -> np.ndarray:
        return _contains(self.true, self.group[lists] * self.num_nodes + dst)

    def _is_refused(self, lists: np.ndarray, dst: np.ndarray) -> np.ndarray:
        code = self.source[lists] * self.num_nodes + dst
        place = np.minimum(np.searchsorted(self.seen, code), max(len(self.seen) - 1, 0))
        known = self.seen[place] == code if len(self.seen) else np.zeros(len(code), dtype=bool)
        if self.past and len(self.seen):
            known &= self.since[place] < self.time[lists]
        return known | self._is_true(lists, dst)


def _pool(graph: TemporalGraph, pool: str) -> np.ndarray:
    dst = graph.dst.cpu().numpy()
    if pool == "dst_range":
        return np.arange(dst.min(), dst.max() + 1)
    if pool == "dst_seen":
        return np.unique(dst)
    if pool == "all_nodes":
        return np.arange(graph.num_nodes)
    raise ConfigError(f"no pool {pool!r}; there are dst_range, dst_seen and all_nodes")


def _earlier(since: np.ndarray, begin: np.ndarray, size: np.ndarray, time: np.ndarray) -> np.ndarray:
    """How many entries of each stretch, ascending in time, lie strictly before a time."""
    low, high = np.zeros_like(size), size.copy()
    while (low < high).any():
        middle = (low + high) // 2
        open_ = low < high
        earlier = open_ & (since[np.minimum(begin + middle, len(since) - 1)] < time)
        low, high = np.where(earlier, middle + 1, low), np.where(open_ & ~earlier, middle, high)
    return low


def _contains(keys: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    if not len(keys):
        return np.zeros(len(wanted), dtype=bool)
    return keys[np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)] == wanted


def _first_in_row(values: np.ndarray) -> np.ndarray:
    """``(R, K) bool`` whether a value occurs for the first time in its row."""
    order = np.argsort(values, axis=1, kind="stable")
    ordered = np.take_along_axis(values, order, axis=1)
    first = np.ones_like(values, dtype=bool)
    first[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    result = np.empty_like(first)
    np.put_along_axis(result, order, first, axis=1)
    return result


def _portions(rows: np.ndarray, width: int, entries: int = 4_000_000) -> list[np.ndarray]:
    """Rows in portions whose tables of this width fit into memory."""
    size = max(1, entries // max(width, 1))
    return [rows[start : start + size] for start in range(0, len(rows), size)]

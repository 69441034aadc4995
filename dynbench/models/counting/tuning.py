"""The decay and the weight of the past of every relation, as they would have forecast the validation part best.

The procedure of Gastinger et al. (IJCAI 2024): first the decay with the past alone, then at that decay the weight of
the past against frequent answers; of equal values the smallest. Every relation and every inverse one is tuned by the
mean of one over the rank of its own validation facts, other answers that are true at the same step left out.

A query looks at the triples that share its head and relation. No other candidate has a past, so that the scores of
these are shares of their relation's answers, of which bisection tells how many lie above or level with a target.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from dynbench.models.counting.past_facts import Occurrences, Past

DECAYS = np.array([0, 0.0001, 0.0005, 0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.5, 0.9, 1.0001])
WEIGHTS = np.array([0, 0.00001, 0.0001, 0.001, 0.01, 0.1, 0.5, 0.9, 0.99, 0.999, 0.9999, 0.99999, 1])

# Pairs of a query and a triple that are compared at once; bounds memory.
_AT_ONCE = 1_000_000


class Tuned(NamedTuple):
    """What was found.

    Attributes:
        decay, weight: ``(2R,)`` of the past.
        queries: ``(2R,)`` validation facts of each relation.
    """

    decay: np.ndarray
    weight: np.ndarray
    queries: np.ndarray


class Asked(NamedTuple):
    """Validation facts as queries, with the candidates to which each is compared.

    Attributes:
        facts: The facts, each a query about its answer.
        other: ``(F,) long`` answers of other facts of the same step, head and relation: these are left out.
        of_other: ``(F,) long`` the query that leaves out each; ascending.
    """

    facts: Occurrences
    other: np.ndarray
    of_other: np.ndarray

    @classmethod
    def about(cls, facts: Occurrences) -> Asked:
        """Ask about facts."""
        block = np.stack([facts.time, facts.group])
        order = np.lexsort(block[::-1])
        facts = facts.chosen(order)
        fresh = np.ones(len(order), dtype=bool)
        fresh[1:] = (block[:, order[1:]] != block[:, order[:-1]]).any(0)
        start = np.flatnonzero(fresh)
        size = np.diff(np.append(start, len(order)))
        start, size = np.repeat(start, size), np.repeat(size, size)
        query, other = ranges(start, start + size)
        apart = facts.answer[other] != facts.answer[query]
        return cls(facts, facts.answer[other[apart]], query[apart])

    def part(self, start: int, stop: int) -> Asked:
        """Some of the queries."""
        begin, end = np.searchsorted(self.of_other, (start, stop))
        chosen = self.facts.chosen(slice(start, stop))
        return Asked(chosen, self.other[begin:end], self.of_other[begin:end] - start)

    def parts(self, past: Past) -> Iterator[Asked]:
        """Parts whose slices of the triples fit into memory."""
        begin, end = past.slices(self.facts.group)
        whole = (end - begin).cumsum()
        cuts = np.searchsorted(whole, np.arange(_AT_ONCE, whole[-1], _AT_ONCE)) if len(whole) else []
        bounds = np.unique([0, *cuts, len(whole)])
        return (self.part(start, stop) for start, stop in zip(bounds, bounds[1:], strict=False))


def ranges(start: np.ndarray, stop: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Numbers ``start .. stop - 1`` of many ranges end to end: the range that each belongs to, and the numbers."""
    size = stop - start
    owner = np.repeat(np.arange(len(size)), size)
    return owner, np.arange(len(owner)) + (start - size.cumsum() + size)[owner]


class Compared:
    """Queries beside the triples of their slices, for one state of the past.

    Args:
        past: What is known.
        asked: Queries.
    """

    def __init__(self, past: Past, asked: Asked):
        facts = asked.facts
        self.past, self.asked, self.relation = past, asked, facts.relation
        self.begin, self.end = past.slices(facts.group)
        self.owner, self.entry = ranges(self.begin, self.end)
        size = self.end - self.begin
        self._stop = size.cumsum()
        self._start = self._stop - size
        self.target = _found(past.triple, facts.group * past.nodes + facts.answer)
        self.other = _found(past.triple, facts.group[asked.of_other] * past.nodes + asked.other)

    def sums(self, flags: np.ndarray) -> np.ndarray:
        """``(Q,)`` how many entries of each query's slice are flagged."""
        total = np.zeros(len(flags) + 1, dtype=np.int64)
        np.cumsum(flags, out=total[1:])
        return total[self._stop] - total[self._start]

    def left_out(self, flags: np.ndarray) -> np.ndarray:
        """``(Q,)`` how many of the candidates that each query leaves out are flagged."""
        return np.bincount(self.asked.of_other[flags], minlength=len(self.relation))

    def by_past(self) -> np.ndarray:
        """``(D, Q)`` one over the rank by the past alone, for each decay."""
        absent, result = self.past.nodes - (self.end - self.begin), []
        for value in self.past.value:
            value = np.append(value, 0.0)  # of what never held
            goal, entries, others = value[self.target], value[self.entry], value[self.other]
            wanted = goal[self.owner]
            above = self.sums(entries > wanted) - self.left_out(others > goal[self.asked.of_other])
            level = self.sums(entries == wanted) - self.left_out(others == goal[self.asked.of_other])
            result.append(1 / (above + (level + np.where(goal == 0, absent, 0) + 1) / 2))
        return np.stack(result)

    def by_both(self, weights: np.ndarray) -> np.ndarray:
        """``(W, Q)`` one over the rank by the past and shares of answers, for each weight of the past."""
        past, facts, query = self.past, self.asked.facts, self.asked.of_other
        value, share = np.append(past.scaled()[0], 0.0), Shares(past)
        pair = past.triple[self.entry] % len(share.table)
        goal = value[self.target], share.table[facts.relation * past.nodes + facts.answer]
        entries = value[self.entry], share.table[pair]
        others = value[self.other], share.table[facts.relation[query] * past.nodes + self.asked.other]
        result = []
        for weight in weights:
            wanted, alone = weight * goal[0] + (1 - weight) * goal[1], (1 - weight) * entries[1]
            here, out = weight * entries[0] + alone, weight * others[0] + (1 - weight) * others[1]
            beside, limit = wanted[self.owner], wanted[query]
            above, level = share.counts(facts.relation, wanted, 1 - weight)
            above += self.sums((here > beside).view(np.int8) - (alone > beside).view(np.int8))
            level += self.sums((here == beside).view(np.int8) - (alone == beside).view(np.int8))
            above -= self.left_out(out > limit)
            level -= self.left_out(out == limit)
            result.append(1 / (above + (level + 1) / 2))
        return np.stack(result)


class Shares:
    """Shares of all answers of every relation, in order.

    Args:
        past: What is known.
    """

    def __init__(self, past: Past):
        self.nodes, relations = past.nodes, past.decay.shape[1]
        share = past.share()
        self.table = np.zeros(relations * past.nodes)
        self.table[past.pair] = share
        relation = past.pair // past.nodes
        self._sorted = share[np.lexsort((share, relation))]
        self._bounds = np.searchsorted(relation, np.arange(relations + 1))

    def counts(self, relation: np.ndarray, wanted: np.ndarray, factor: float) -> tuple[np.ndarray, np.ndarray]:
        """Among all entities, the shares that lie above and level with given scores once they are multiplied.

        Args:
            relation: ``(Q,) long`` whose answers.
            wanted: ``(Q,)`` scores.
            factor: Of the shares.
        """
        start, stop = self._bounds[relation], self._bounds[relation + 1]
        upper = self._bisect(start, stop, lambda share, which: factor * share <= wanted[which])
        lower = self._bisect(start, upper, lambda share, which: factor * share < wanted[which])
        return stop - upper, upper - lower + np.where(wanted == 0, self.nodes - (stop - start), 0)

    def _bisect(self, low: np.ndarray, high: np.ndarray, passes) -> np.ndarray:
        """``(Q,)`` the first place in each range whose share does not pass; those that do come first."""
        low, high = low.copy(), high.copy()
        while len(open_ := np.flatnonzero(low < high)):
            middle = (low[open_] + high[open_]) // 2
            up = passes(self._sorted[middle], open_)
            low[open_[up]] = middle[up] + 1
            high[open_[~up]] = middle[~up]
        return low


def tune(facts: Occurrences, nodes: int, relations: int, start: int, stepwise: bool) -> Tuned:
    """Tune every relation by itself.

    Args:
        facts: All that may be learnt from.
        nodes: Entities.
        relations: Relations, inverse ones included.
        start: First step of the validation part.
        stepwise: Whether a validation step is forecast from all steps before it, or all from those before ``start``.
    """
    queries = Asked.about(facts.between(start, int(facts.time[-1]) + 1))

    def swept(decay: np.ndarray, ranked) -> np.ndarray:
        total = 0.0
        for compared in _story(facts, queries, Past.nothing(decay, nodes), start, stepwise):
            found, asked = ranked(compared), compared.asked.facts
            total = total + np.stack([np.bincount(asked.relation, row * asked.times, relations) for row in found])
        return total

    decay = DECAYS[swept(np.repeat(DECAYS[:, None], relations, axis=1), Compared.by_past).argmax(0)]
    weight = WEIGHTS[swept(decay[None], lambda compared: compared.by_both(WEIGHTS)).argmax(0)]
    return Tuned(decay, weight, np.bincount(queries.facts.relation, queries.facts.times, relations))


def _story(facts: Occurrences, queries: Asked, past: Past, start: int, stepwise: bool) -> Iterator[Compared]:
    """All queries beside what is known when they are asked."""
    past = past.advanced(facts.between(0, start), start)
    steps = np.unique(queries.facts.time).tolist() if stepwise else [start]
    for step, after in zip(steps, [*steps[1:], None], strict=True):
        past = past.advanced(facts.between(past.now, step), step)
        bounds = np.searchsorted(queries.facts.time, [step, after if after is not None else facts.time[-1] + 1])
        for part in queries.part(*bounds).parts(past):
            yield Compared(past, part)


def _found(keys: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Places of keys among ascending ones; -1 for those that are not there."""
    if not len(keys):
        return np.full(len(wanted), -1)
    place = np.searchsorted(keys, wanted).clip(max=len(keys) - 1)
    return np.where(keys[place] == wanted, place, -1)

"""The decay and the weight of the past of every relation, as they would have forecast the validation part best.

The procedure of Gastinger et al. (IJCAI 2024): first the decay with the past alone, then at that decay the weight of
the past against frequent answers; of equal values the smallest. Every relation and every inverse one is tuned by the
mean of one over the rank of its own validation facts, other answers that are true at the same step left out.

A query looks at the triples that share its head and relation. No other candidate has a past, so that the scores of
these are shares of their relation's answers, of which bisection tells how many lie above or level with a target.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from dynbench.models.counting.past_facts import Occurrences, Past

DECAYS = np.array([0, 0.0001, 0.0005, 0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.5, 0.9, 1.0001])
WEIGHTS = np.array([0, 0.00001, 0.0001, 0.001, 0.01, 0.1, 0.5, 0.9, 0.99, 0.999, 0.9999, 0.99999, 1])

# Pairs of a query and a triple that are compared at once; bounds memory.
_AT_ONCE = 1_000_000


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
        return (self.part(start, stop) for start, stop in pairwise(bounds))


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


class Tuner:
    """Tries decays and weights on a validation part.

    Args:
        facts: All that may be learnt from, in order of time.
        nodes: Entities.
        relations: Relations, inverse ones included.
        start: First step of the validation part.
        stepwise: Whether a validation step is forecast from all steps before it, or all of them from before ``start``.

    Attributes:
        queries: ``(2R,)`` validation facts of each relation.
    """

    def __init__(self, facts: Occurrences, nodes: int, relations: int, start: int, stepwise: bool):
        self._facts, self._nodes, self._relations = facts, nodes, relations
        self._start, self._stepwise = start, stepwise
        self._asked = Asked.about(facts.chosen(slice(np.searchsorted(facts.time, start), None)))
        self.queries = np.bincount(self._asked.facts.relation, self._asked.facts.times, relations)

    def by_relation(self) -> tuple[np.ndarray, np.ndarray]:
        """``(2R,)`` decay and weight of the past that suit each relation; of equally good ones the smallest."""
        decay = DECAYS[self._decays().argmax(0)]
        return decay, WEIGHTS[self._weights(decay).argmax(0)]

    def pooled(self) -> tuple[float, float]:
        """The decay and the weight of the past that suit all validation facts together."""
        decay = float(DECAYS[self._decays().sum(1).argmax()])
        return decay, float(WEIGHTS[self._weights(np.full(self._relations, decay)).sum(1).argmax()])

    def _decays(self) -> np.ndarray:
        """``(14, 2R)`` sums of one over the rank by the past alone."""
        return self._sums(np.repeat(DECAYS[:, None], self._relations, axis=1), Compared.by_past)

    def _weights(self, decay: np.ndarray) -> np.ndarray:
        """``(13, 2R)`` sums of one over the rank by both, at given decays."""
        return self._sums(decay[None], lambda compared: compared.by_both(WEIGHTS))

    def _sums(self, decay: np.ndarray, ranked: Callable[[Compared], np.ndarray]) -> np.ndarray:
        total = np.zeros((1, self._relations))
        for compared in self._story(Past.nothing(decay, self._nodes)):
            asked = compared.asked.facts
            rows = [np.bincount(asked.relation, row * asked.times, self._relations) for row in ranked(compared)]
            total = total + np.stack(rows)
        return total

    def _story(self, past: Past) -> Iterator[Compared]:
        """All queries beside what is known when they are asked."""
        steps = np.unique(self._asked.facts.time) if self._stepwise else np.array([self._start])
        bounds = [*np.searchsorted(self._asked.facts.time, steps), len(self._asked.facts.time)]
        for step, begin, end in zip(steps.tolist(), bounds, bounds[1:], strict=False):
            past = past.advanced(self._facts.between(past.now, step), step)
            for part in self._asked.part(begin, end).parts(past):
                yield Compared(past, part)


def _found(keys: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Places of keys among ascending ones; -1 for those that are not there."""
    if not len(keys):
        return np.full(len(wanted), -1)
    place = np.searchsorted(keys, wanted).clip(max=len(keys) - 1)
    return np.where(keys[place] == wanted, place, -1)

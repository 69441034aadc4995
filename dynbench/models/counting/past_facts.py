"""What has held before: decayed counts of the triples of a temporal knowledge graph, and counts of answers.

A *triple* ``(head, relation, answer)`` is a fact without its time; relations from R on are inverse ones, so that both
ends of a fact are answers. Triples are kept in order of head and relation: a query looks at a slice of them.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from dynbench.graph import TemporalGraph
from dynbench.graph.facts import with_inverses

# Least denominator of psi; a relation known for a single step has none.
_LEAST = 1e-15


class Occurrences(NamedTuple):
    """Facts in both directions, in order of time; each part is ``(2E,)``.

    Attributes:
        group: ``head * 2R + relation``, which a query is about.
        relation, answer: What it is, and who completes it.
        time: Step.
        times: How often the step holds the fact.
    """

    group: np.ndarray
    relation: np.ndarray
    answer: np.ndarray
    time: np.ndarray
    times: np.ndarray

    @classmethod
    def of(cls, facts: TemporalGraph) -> Occurrences:
        """Those of a graph."""
        head, relation, answer, time = (part.cpu().numpy() for part in with_inverses(facts))
        times = np.ones(len(facts)) if facts.weight is None else facts.weight.double().cpu().numpy()
        order = np.argsort(time, kind="stable")
        parts = (head * (2 * facts.num_relations) + relation, relation, answer, time, np.tile(times, 2))
        return cls(*(part[order] for part in parts))

    def chosen(self, index) -> Occurrences:
        """Those at an index or in a slice."""
        return Occurrences(*(part[index] for part in self))

    def between(self, start: int, stop: int) -> Occurrences:
        """Those with ``start <= time < stop``."""
        return self.chosen(slice(*np.searchsorted(self.time, (start, stop))))


class Past(NamedTuple):
    """Counts at a step, for ``D`` vectors of decays side by side.

    Attributes:
        decay: ``(D, 2R) double`` halvings per step of each relation.
        now: The step before which all is known.
        nodes: Entities, N.
        triple: ``(M,) long`` triples in order, ``group * N + answer``.
        value: ``(D, M) double`` sums over a triple's steps k of ``2^(decay (k - now))``, as often as a step holds it.
        pair: ``(P,) long`` relations and answers in order, ``relation * N + answer``.
        count: ``(P,) double`` facts of each pair.
        first, last: ``(2R,) long`` first and last step of each relation; ``first > last`` for those without facts.
    """

    decay: np.ndarray
    now: int
    nodes: int
    triple: np.ndarray
    value: np.ndarray
    pair: np.ndarray
    count: np.ndarray
    first: np.ndarray
    last: np.ndarray

    @classmethod
    def nothing(cls, decay: np.ndarray, nodes: int) -> Past:
        """Before the first fact."""
        relations, none = decay.shape[1], np.zeros(0, dtype=np.int64)
        value, never = np.zeros((len(decay), 0)), np.iinfo(np.int64).max
        return cls(
            decay, 0, nodes, none, value, none, np.zeros(0), np.full(relations, never), np.full(relations, -1)
        )  # fmt: skip

    def advanced(self, facts: Occurrences, now: int) -> Past:
        """What is known at a later step, with the facts between.

        Triples that held at the same steps have the same bits: facts are added in order of time.
        """
        triple, place, value = _grown(self.triple, facts.group * self.nodes + facts.answer, self.value)
        relation = triple // self.nodes % self.decay.shape[1]
        age = now - facts.time
        for row, decay in zip(value, self.decay, strict=True):
            row *= np.exp2(-decay * (now - self.now))[relation]
            row += np.bincount(place, facts.times * np.exp2(-decay[facts.relation] * age), len(row))
        pair, place, (count,) = _grown(self.pair, facts.relation * self.nodes + facts.answer, self.count[None])
        count += np.bincount(place, facts.times, len(count))
        first, last = self.first.copy(), self.last.copy()
        np.minimum.at(first, facts.relation, facts.time)
        np.maximum.at(last, facts.relation, facts.time)
        return Past(self.decay, now, self.nodes, triple, value, pair, count, first, last)

    def whole(self) -> np.ndarray:
        """``(D, 2R)`` sums of ``2^(decay (i - now))`` over steps i from a relation's first one to before its last."""
        step = np.arange(self.last.max(initial=0))
        powers = np.exp2(self.decay[..., None] * (step - self.now))
        inside = (step >= self.first[:, None]) & (step < self.last[:, None])
        return np.maximum((powers * inside).sum(-1), _LEAST)

    def scaled(self) -> np.ndarray:
        """``(D, M)`` psi of every triple."""
        return self.value / self.whole()[:, self.triple // self.nodes % self.decay.shape[1]]

    def share(self) -> np.ndarray:
        """``(P,)`` xi: share of an answer among all of its relation."""
        relation = self.pair // self.nodes
        return self.count / np.bincount(relation, self.count)[relation]

    def slices(self, group: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """``(Q,) long`` where the triples of each group begin and end."""
        return np.searchsorted(self.triple, group * self.nodes), np.searchsorted(self.triple, (group + 1) * self.nodes)


def _grown(key: np.ndarray, more: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Keys in order with those of ``more`` among them, the places of the latter, and values with zeros for new keys."""
    place = np.searchsorted(key, more)
    known = key[np.minimum(place, len(key) - 1)] == more if len(key) else np.zeros(len(more), dtype=bool)
    fresh = np.unique(more[~known])
    at = np.searchsorted(key, fresh)
    grown = np.insert(key, at, fresh)
    return grown, np.searchsorted(grown, more), np.insert(values, at, 0.0, axis=1)

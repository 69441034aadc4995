"""Recurrency fact by fact: every candidate is scored for every query, decay and weight. Slow, and obvious."""

from __future__ import annotations

from collections import Counter

DECAYS = [0, 0.0001, 0.0005, 0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.5, 0.9, 1.0001]
WEIGHTS = [0, 0.00001, 0.0001, 0.001, 0.01, 0.1, 0.5, 0.9, 0.99, 0.999, 0.9999, 0.99999, 1]


def both_ways(facts, relations):
    """``(head, relation, answer, time)`` for ``(s, r, o, t)``, and the same from the other end."""
    return [*facts, *((o, r + relations, s, t) for s, r, o, t in facts)]


def scores(history, head, relation, decay, weight, nodes):
    """Of all candidates, from a history in both directions."""
    steps = [t for _, r, _, t in history if r == relation]
    if not steps:
        return [0.0] * nodes
    now = max(steps) + 1
    whole = sum(2.0 ** (decay * (step - now)) for step in range(min(steps), max(steps))) or 1e-15
    count = Counter(c for _, r, c, _ in history if r == relation)
    result = []
    for candidate in range(nodes):
        held = sorted(t for h, r, c, t in history if (h, r, c) == (head, relation, candidate))
        past = sum(2.0 ** (decay * (t - now)) for t in held) / whole
        result.append(weight * past + (1 - weight) * count[candidate] / len(steps))
    return result


def rank(found, answer, others):
    """Place of an answer among candidates, other true ones left out; ties share places."""
    rest = [score for candidate, score in enumerate(found) if candidate not in others or candidate == answer]
    above = sum(score > found[answer] for score in rest)
    level = sum(score == found[answer] for score in rest)
    return above + (level + 1) / 2


def mean_reciprocal(facts, asked, start, stepwise, decay, weight, nodes):
    """Over validation queries ``asked``, all facts of which are in ``facts``."""
    total = 0.0
    for head, relation, answer, time in asked:
        history = [fact for fact in facts if fact[3] < (time if stepwise else start)]
        others = {c for h, r, c, t in asked if (h, r, t) == (head, relation, time)}
        total += 1 / rank(scores(history, head, relation, decay, weight, nodes), answer, others)
    return total / len(asked)


def tuned(facts, relations, nodes, start, stepwise):
    """Decay and weight of every relation in both directions, ``None`` without validation facts."""
    facts, found = both_ways(facts, relations), []
    for relation in range(2 * relations):
        mine = [fact for fact in facts if fact[1] == relation]
        asked = [fact for fact in mine if fact[3] >= start]
        if not asked:
            found.append(None)
            continue
        best = max(DECAYS, key=lambda decay: mean_reciprocal(mine, asked, start, stepwise, decay, 1, nodes))
        weight = max(WEIGHTS, key=lambda weight: mean_reciprocal(mine, asked, start, stepwise, best, weight, nodes))
        found.append((best, weight))
    return found

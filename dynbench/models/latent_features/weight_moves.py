"""Metropolis steps for the weights of pairs of binary features, compiled.

A weight ``w`` that moves by ``d`` adds ``f d`` to the logits of the pairs that hold it ``f`` times. Then the likelihood
gains ``f d`` for each of their links, whose number is counted once for all weights, and loses
``log (1 + e^(l + f d)) / (1 + e^l)`` for each pair, which takes one exponential.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from dynbench.models.latent_features.kernels import FACTORS, LARGE, exp_minus

# Taken from the logits of pairs of which nothing is known, it leaves no chance of a link.
_HIDDEN = 1e6


@njit(fastmath=True, cache=True)
def _few_moved(logits: np.ndarray, odds: float) -> float:
    """Sum of ``log (1 + odds e^l) / (1 + e^l)`` over a few logits: one exponential a pair."""
    moved, still = 1.0, 1.0
    for j in range(len(logits)):
        logit = np.float64(logits[j])
        e = exp_minus(min(abs(logit), LARGE))
        moved *= e + odds if logit > 0.0 else 1.0 + e * odds
        still *= 1.0 + e
    return math.log(moved) - math.log(still)


@njit(cache=True)
def _moved(logits: np.ndarray, sources: np.ndarray, targets: np.ndarray, move: float) -> float:
    """What ``log(1 + e^l)``, summed over all pairs of a source and a target, gains when ``l`` grows by ``move``."""
    move = min(max(move, -LARGE), LARGE)
    # As many factors as fit into a number.
    few, total, odds = min(FACTORS, int(600.0 / (1.0 + abs(move)))), 0.0, math.exp(move)
    gathered, found = np.empty(few, np.float32), 0
    for i in sources:
        row = logits[i]
        for j in targets:
            gathered[found] = row[j]
            found += 1
            if found == few:
                total += _few_moved(gathered, odds)
                found = 0
    return total + _few_moved(gathered[:found], odds)


@njit(cache=True)
def _divided(members: np.ndarray, has: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The members of a feature that have another one as well, and those that do not."""
    chosen = has[members] != 0
    return members[chosen], members[~chosen]


@njit(cache=True)
def moved_weight(
    logits: np.ndarray, features: np.ndarray, sources: np.ndarray, targets: np.ndarray, k: int, m: int, move: float,
    directed: bool,
) -> float:  # fmt: skip
    """:func:`_moved` for all pairs whose logit, in one step, holds the weight of features ``k`` and ``m``."""
    if directed:
        return _moved(logits, sources, targets, move)
    if k == m:
        return 0.5 * _moved(logits, sources, sources, move)
    # Pairs of nodes that have both features hold the weight twice, and are met from either end.
    both, sources = _divided(sources, features[:, m])
    _, others = _divided(targets, features[:, k])
    return (
        _moved(logits, sources, targets, move)
        + _moved(logits, both, others, move)
        + 0.5 * _moved(logits, both, both, 2.0 * move)
    )


@njit(cache=True)
def members_of(features: np.ndarray, active: int) -> tuple[np.ndarray, np.ndarray]:
    """``(T, K, N)`` the nodes with each of the first ``active`` features, in order, and ``(T, K)`` their number."""
    steps, nodes, _ = features.shape
    members, counts = np.empty((steps, active, nodes), np.int32), np.zeros((steps, active), np.int64)
    for t in range(steps):
        for i in range(nodes):
            for k in range(active):
                if features[t, i, k]:
                    members[t, k, counts[t, k]] = i
                    counts[t, k] += 1
    return members, counts


@njit(cache=True)
def linked_weights(links: np.ndarray, features: np.ndarray, active: int) -> np.ndarray:
    """``(K, K)`` how often the logits of links hold each weight, with every link counted once."""
    steps, nodes, _ = features.shape
    counts = np.zeros((active, active))
    for t in range(steps):
        for i in range(nodes):
            for j in range(nodes):
                if links[0, t, i, j] > 0:
                    for k in range(active):
                        if features[t, i, k]:
                            counts[k] += features[t, j, :active]
    if len(links) == 1:  # Links were met from either end, and both ends may hold a weight.
        for k in range(active):
            counts[k, k] *= 0.5
    return counts


@njit(cache=True)
def hide_unknown(links: np.ndarray, logits: np.ndarray) -> None:
    """Set logits of unknown pairs so low that no weight that moves notices them."""
    for t in range(links.shape[1]):
        for i in range(links.shape[2]):
            for j in range(links.shape[3]):
                if links[0, t, i, j] < 0:
                    logits[0, t, i, j] = -_HIDDEN


@njit(cache=True)
def _move_pairs(logits: np.ndarray, sources: np.ndarray, targets: np.ndarray, move: float) -> None:
    """Add ``move`` to the logits of all pairs of a source and a target."""
    for i in sources:
        for j in targets:
            logits[i, j] += move


@njit(cache=True)
def sample_weights(
    rng: np.random.Generator, links: np.ndarray, features: np.ndarray, logits: np.ndarray, weights: np.ndarray,
    active: int, scale: float, step: float,
) -> tuple[int, int]:  # fmt: skip
    """One Metropolis step for every weight of the first ``active`` features, with prior ``N(0, scale^2)``.

    Effects are not kept up to date, and logits of unknown pairs are lost.

    Returns:
        How many proposals were accepted, and how many were made.
    """
    steps, directed = links.shape[1], len(links) == 2
    members, counts = members_of(features, active)
    linked = linked_weights(links, features, active)
    hide_unknown(links, logits)
    accepted = made = 0
    for k in range(active):
        for m in range(0 if directed else k, active):
            old, move = weights[k, m], step * rng.standard_normal()
            gain = (old * old - (old + move) * (old + move)) / (2 * scale * scale) + move * linked[k, m]
            for t in range(steps):
                sources, targets = members[t, k, : counts[t, k]], members[t, m, : counts[t, m]]
                gain -= moved_weight(logits[0, t], features[t], sources, targets, k, m, move, directed)
            made += 1
            if not math.log(rng.random()) < gain:
                continue
            accepted += 1
            weights[k, m] = old + move
            if not directed:
                weights[m, k] = old + move
            for t in range(steps):
                sources, targets = members[t, k, : counts[t, k]], members[t, m, : counts[t, m]]
                _move_pairs(logits[0, t], sources, targets, move)
                if directed or k != m:
                    _move_pairs(logits[-1, t], targets, sources, move)
    return accepted, made

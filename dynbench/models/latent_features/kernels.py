"""Compiled steps for links whose logit is bilinear in binary features, ``z_i W z_j + c`` and what resembles it.

Arrays have a first axis of *sides*: an undirected graph has one; a directed one has two, of which the second is the
first seen from the targets, so that a node's row holds all its pairs on either side. Then comes an axis of steps, of
which a static graph has one.

* ``links (S, T, N, N) int8``: 1 for a link, 0 for none, -1 where nothing is known, as on the diagonal.
* ``features (T, N, K) uint8``, ``weights (K, K)``, symmetric for an undirected graph.
* ``logits (S, T, N, N) float32`` and ``effects (S, T, K, N)``, what each feature adds to the logits of a node's row;
  both are kept up to date by every step.

Compiled functions that call each other stand in one file: numba keeps compiled code, and notices edits of a function's
own file only. All that other files compile in is :func:`exp_minus` and the two constants before it; who edits them
makes sure that those files change as well.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

# Beyond this logit the other outcome has a probability of e^-40, which no sum in double precision notices.
LARGE = 40.0
# Factors between 1 and 2 whose product is taken before its logarithm; 2^512 is far from overflow.
FACTORS = 512


@njit(inline="always")
def exp_minus(a: float) -> float:
    """``e^-a`` for ``0 <= a <= 40`` to seven digits, in operations that a compiler can run on many numbers at once."""
    u = -a / 256.0
    e = 1 + u * (1 + u * (1 / 2 + u * (1 / 6 + u * (1 / 24 + u * (1 / 120 + u / 720)))))
    e *= e
    e *= e
    e *= e
    e *= e
    e *= e
    e *= e
    e *= e
    return e * e


@njit(fastmath=True, cache=True)
def _few(x: np.ndarray, y: np.ndarray, change: np.ndarray, factor: float) -> float:
    """:func:`row_likelihood` of at most ``FACTORS`` pairs: one plain loop, which runs on many numbers at once."""
    product, linear = 1.0, 0.0
    for j in range(len(x)):
        logit, link = x[j] + factor * change[j], np.float64(y[j])
        known = 1.0 if link >= 0.0 else 0.0
        product *= 1.0 + known * exp_minus(min(abs(logit), LARGE))
        linear += known * (link * logit - max(logit, 0.0))
    return linear - math.log(product)


@njit(cache=True)
def row_likelihood(x: np.ndarray, y: np.ndarray, change: np.ndarray, factor: float) -> float:
    """Sum over pairs of ``y l - log(1 + e^l)`` with ``l = x + factor change``; pairs with ``y < 0`` add nothing."""
    count, total = len(x), 0.0
    for start in range(0, count, FACTORS):
        stop = min(count, start + FACTORS)
        total += _few(x[start:stop], y[start:stop], change[start:stop], factor)
    return total


@njit(cache=True)
def node_likelihood(
    links: np.ndarray, logits: np.ndarray, t: int, node: int, effects: np.ndarray, feature: int, factor: float
) -> float:
    """Log-likelihood of all pairs of a node in step ``t``, with ``factor`` times a feature added to it."""
    total = 0.0
    for side in range(len(links)):
        total += row_likelihood(logits[side, t, node], links[side, t, node], effects[side, t, feature], factor)
    return total


@njit(cache=True)
def flip(
    logits: np.ndarray, t: int, node: int, feature: int, effects: np.ndarray, weights: np.ndarray, sign: float
) -> None:
    """Add ``sign`` times a feature to a node in step ``t``: to its logits, and to its part in others' effects."""
    sides, nodes = logits.shape[0], logits.shape[3]
    for side in range(sides):
        # Twice over on the diagonal, where nothing is known anyway.
        for j in range(nodes):
            logits[side, t, node, j] += sign * effects[side, t, feature, j]
        for j in range(nodes):
            logits[sides - 1 - side, t, j, node] += sign * effects[side, t, feature, j]
    for k in range(len(weights)):
        effects[0, t, k, node] += sign * weights[k, feature]
        if sides == 2:
            effects[1, t, k, node] += sign * weights[feature, k]


@njit(cache=True)
def likelihood_at(links: np.ndarray, logits: np.ndarray, shift: float) -> float:
    """Log-likelihood of all pairs, each counted once, with ``shift`` added to every logit."""
    steps, nodes, undirected = links.shape[1], links.shape[2], len(links) == 1
    total, ones = 0.0, np.ones(nodes)
    for t in range(steps):
        for i in range(nodes):
            start = i + 1 if undirected else 0
            total += row_likelihood(logits[0, t, i, start:], links[0, t, i, start:], ones[start:], shift)
    return total


@njit(cache=True)
def filtered(likelihood: np.ndarray, on: np.ndarray, stay: np.ndarray, out: np.ndarray) -> float:
    """Forward filtering of a chain that starts from 0.

    Args:
        likelihood: ``(T, 2)`` log-likelihoods of what is seen at each step, given the state.
        on, stay: ``(T,)`` probabilities of going to 1 at each step, from 0 and from 1.
        out: ``(T, 2)``, filled with the probabilities of the state given what was seen up to each step.

    Returns:
        The log-likelihood of all that was seen.
    """
    total, zero, one = 0.0, 1.0, 0.0
    for t in range(len(likelihood)):
        ahead_one = zero * on[t] + one * stay[t]
        ahead_zero = zero * (1 - on[t]) + one * (1 - stay[t])
        high = max(likelihood[t, 0], likelihood[t, 1])
        zero = ahead_zero * math.exp(likelihood[t, 0] - high)
        one = ahead_one * math.exp(likelihood[t, 1] - high)
        total += high + math.log(zero + one)
        zero, one = zero / (zero + one), one / (zero + one)
        out[t, 0], out[t, 1] = zero, one
    return total


@njit(cache=True)
def sample_chain(
    rng: np.random.Generator,
    likelihood: np.ndarray,
    on: np.ndarray,
    stay: np.ndarray,
    room: np.ndarray,
    states: np.ndarray,
) -> None:
    """Draw the states ``(T,) uint8`` of a chain from their joint posterior; ``room`` is ``(T, 2)``."""
    filtered(likelihood, on, stay, room)
    last = len(likelihood) - 1
    states[last] = rng.random() < room[last, 1]
    for t in range(last - 1, -1, -1):
        into_one = states[t + 1] == 1
        from_zero = room[t, 0] * (on[t + 1] if into_one else 1 - on[t + 1])
        from_one = room[t, 1] * (stay[t + 1] if into_one else 1 - stay[t + 1])
        states[t] = rng.random() * (from_zero + from_one) < from_one


@njit(cache=True)
def sample_features(
    rng: np.random.Generator, links: np.ndarray, features: np.ndarray, logits: np.ndarray, weights: np.ndarray,
    effects: np.ndarray, on: np.ndarray, stay: np.ndarray,
) -> None:  # fmt: skip
    """Draw the chain of every feature of every node, one after the other, given all others.

    Args:
        rng: Source of randomness.
        links, features, logits, weights, effects: See the module; features, logits
            and effects are changed.
        on, stay: ``(T, K)`` probabilities of going to 1 at each step, from 0 and from 1.
    """
    steps, nodes, count = features.shape
    likelihood, forward = np.empty((steps, 2)), np.empty((steps, 2))
    states, current = np.empty(steps, np.uint8), np.empty(steps)
    for i in range(nodes):
        for t in range(steps):
            current[t] = node_likelihood(links, logits, t, i, effects, 0, 0.0)
        for k in range(count):
            for t in range(steps):
                held = features[t, i, k]
                likelihood[t, held] = current[t]
                if on[t, k] + stay[t, k] == 0.0:  # The chain cannot be at 1 here, whatever is seen.
                    likelihood[t, 1 - held] = current[t]
                    continue
                likelihood[t, 1 - held] = node_likelihood(links, logits, t, i, effects, k, 1.0 - 2.0 * held)
            sample_chain(rng, likelihood, on[:, k], stay[:, k], forward, states)
            for t in range(steps):
                if states[t] != features[t, i, k]:
                    flip(logits, t, i, k, effects, weights, 2.0 * states[t] - 1.0)
                    features[t, i, k] = states[t]
                    current[t] = likelihood[t, states[t]]


@njit(cache=True)
def _propose(
    rng: np.random.Generator, features: np.ndarray, effects: np.ndarray, own: np.ndarray, new: int, active: int,
    scale: float, change: np.ndarray, fresh: np.ndarray,
) -> None:  # fmt: skip
    """Draw the weights of ``new`` features of one node, and what changes in its logits when they replace its own.

    ``change (S, 1, 1, N)`` and ``fresh (S, new, active + new)``, the weights as source and as target, are filled.
    """
    sides, nodes = effects.shape[0], effects.shape[3]
    change[:] = 0.0
    for k in range(active):
        if own[k]:
            change[:, 0, 0] -= effects[:, 0, k]
    for side in range(sides):
        for number in range(new):
            for k in range(active + new):
                fresh[side, number, k] = scale * rng.standard_normal()
                if k < active:
                    for j in range(nodes):
                        change[side, 0, 0, j] += fresh[side, number, k] * features[0, j, k]


@njit(cache=True)
def _drop(
    features: np.ndarray, weights: np.ndarray, effects: np.ndarray, counts: np.ndarray, k: int, last: int
) -> None:
    """Forget feature ``k``; the last one takes its place."""
    features[0, :, k] = features[0, :, last]
    weights[k, :] = weights[last, :]
    weights[:, k] = weights[:, last]
    effects[:, :, k] = effects[:, :, last]
    counts[k] = counts[last]
    features[0, :, last], weights[last, :], weights[:, last], effects[:, :, last], counts[last] = 0, 0.0, 0.0, 0.0, 0


@njit(cache=True)
def sample_buffet(
    rng: np.random.Generator, links: np.ndarray, features: np.ndarray, logits: np.ndarray, weights: np.ndarray,
    effects: np.ndarray, counts: np.ndarray, active: int, alpha: float, scale: float,
) -> int:  # fmt: skip
    """Draw every feature of every node under an Indian buffet process, and replace features that a node has alone.

    Arrays have room for more features than the ``active`` first ones; what would not fit is refused.

    Args:
        rng: Source of randomness.
        links, features, logits, weights, effects: See the module; ``T = 1``.
        counts: ``(K,)`` nodes that have each feature.
        active: Features in use.
        alpha: Concentration of the process.
        scale: Prior standard deviation of a weight.

    Returns:
        Features in use now.
    """
    sides, nodes, room = links.shape[0], links.shape[2], weights.shape[0]
    change, own = np.zeros((sides, 1, 1, nodes)), np.zeros(room, np.uint8)
    for i in range(nodes):
        current = node_likelihood(links, logits, 0, i, effects, 0, 0.0)
        alone = 0
        for k in range(active):
            held = features[0, i, k]
            others = counts[k] - held
            own[k] = others == 0
            if others == 0:
                alone += 1
                continue
            sign = 1.0 - 2.0 * held
            flipped = node_likelihood(links, logits, 0, i, effects, k, sign)
            odds = (math.log(others) - math.log(nodes - others)) * sign + flipped - current  # for a flip
            if rng.random() * (1.0 + math.exp(-min(max(odds, -500.0), 500.0))) < 1.0:
                flip(logits, 0, i, k, effects, weights, sign)
                features[0, i, k] = 1 - held
                counts[k] += np.int64(sign)
                current = flipped
        new = rng.poisson(alpha / nodes)
        if alone + new == 0 or active - alone + new > room or active + new > room:
            continue
        fresh = np.empty((sides, new, active + new))
        _propose(rng, features, effects, own, new, active, scale, change, fresh)
        if not math.log(rng.random()) < node_likelihood(links, logits, 0, i, change, 0, 1.0) - current:
            continue
        for number in range(new):
            at = active + number
            weights[at, : active + new] = fresh[0, number]
            weights[: active + new, at] = fresh[sides - 1, number]
            effects[0, 0, at] = 0.0
            effects[sides - 1, 0, at] = 0.0
            for k in range(active):
                for j in range(nodes):
                    effects[0, 0, at, j] += fresh[0, number, k] * features[0, j, k]
                    if sides == 2:
                        effects[1, 0, at, j] += fresh[1, number, k] * features[0, j, k]
        for number in range(new):
            flip(logits, 0, i, active + number, effects, weights, 1.0)
            features[0, i, active + number] = 1
            counts[active + number] = 1
        active += new
        for k in range(active - new - 1, -1, -1):
            if own[k]:
                flip(logits, 0, i, k, effects, weights, -1.0)
                features[0, i, k] = 0
                active -= 1
                _drop(features, weights, effects, counts, k, active)
    return active

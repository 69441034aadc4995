"""Likelihood, slopes and curvatures of what a group adds to the logits of its four kinds of pairs, compiled."""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from dynbench.models.latent_features.kernels import FACTORS, LARGE, exp_minus


# A division that may raise an error keeps a compiler from running a loop on many numbers at once.
@njit(fastmath=True, cache=True, error_model="numpy")
def _few_slopes(
    x: np.ndarray, y: np.ndarray, z: np.ndarray, base: float, more: float
) -> tuple[float, float, float, float, float]:
    """Log-likelihood of at most ``FACTORS`` pairs with ``base + z more`` added to their logits.

    Returns:
        It, the sums of its slopes and curvatures in the logits, and their sums over pairs with ``z = 1``.
    """
    product, linear, slope, curvature, slope_one, curvature_one = 1.0, 0.0, 0.0, 0.0, 0.0, 0.0
    for j in range(len(x)):
        logit, link = x[j] + base + more * z[j], np.float64(y[j])
        known = 1.0 if link >= 0.0 else 0.0
        e = exp_minus(min(abs(logit), LARGE))
        chance = (1.0 if logit >= 0.0 else e) / (1.0 + e)
        product *= 1.0 + known * e
        linear += known * (link * logit - max(logit, 0.0))
        rise, bend = known * (link - chance), known * chance * (1.0 - chance)
        slope, curvature = slope + rise, curvature + bend
        slope_one, curvature_one = slope_one + z[j] * rise, curvature_one + z[j] * bend
    return linear - math.log(product), slope, curvature, slope_one, curvature_one


@njit(cache=True)
def cell_slopes(
    links: np.ndarray, logits: np.ndarray, t: int, z: np.ndarray, change: np.ndarray, out: np.ndarray
) -> float:
    """Log-likelihood of step ``t`` when a pair's logit grows by what ``change`` holds for its two states.

    Args:
        links, logits: See the module.
        t: The step.
        z: ``(N,) float`` states of the nodes, 0 or 1.
        change: ``(2, 2)``, by the states of source and target.
        out: ``(2, 2, 2)``, to which slopes and curvatures in the entries of ``change`` are added.

    Returns:
        The log-likelihood. In an undirected graph every pair is counted once, in the order of its nodes.
    """
    nodes, total, undirected = links.shape[2], 0.0, len(links) == 1
    for i in range(nodes):
        own = int(z[i])
        base, more = change[own, 0], change[own, 1] - change[own, 0]
        for start in range(i + 1 if undirected else 0, nodes, FACTORS):
            stop = min(nodes, start + FACTORS)
            value, slope, curvature, slope_one, curvature_one = _few_slopes(
                logits[0, t, i, start:stop], links[0, t, i, start:stop], z[start:stop], base, more
            )
            total += value
            out[0, own, 0] += slope - slope_one
            out[0, own, 1] += slope_one
            out[1, own, 0] += curvature - curvature_one
            out[1, own, 1] += curvature_one
    return total

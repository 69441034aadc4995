"""NLSM's equations written out: sums over x and y, cells gate by gate, the bound term by term. All in plain floats."""

from __future__ import annotations

import math


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def eta(zi: list[float], zj: list[float], theta: list[list[float]]) -> float:
    """``sum_k E[Theta_k(x, y)]`` by enumerating both binaries; ``theta`` has 3 or 4 free entries per attribute."""
    total = 0.0
    for u, v, entries in zip(zi, zj, theta, strict=True):
        if len(entries) == 3:
            table = [[entries[0], entries[1]], [entries[1], entries[2]]]
        else:
            table = [[entries[0], entries[1]], [entries[2], entries[3]]]
        for x in (0, 1):
            for y in (0, 1):
                total += (u if x else 1 - u) * (v if y else 1 - v) * table[x][y]
    return total


def walk_kl(mean, log_variance, wide: float, drift: float) -> float:
    """Divergence of one coordinate's trajectory from the random-walk prior, step by step."""
    total = 0.0
    for t, (m, log_v) in enumerate(zip(mean, log_variance, strict=True)):
        v = math.exp(log_v)
        if t == 0:
            total += 0.5 * ((v + m**2) / wide**2 - log_v + math.log(wide**2) - 1)
        else:
            before, v_before = mean[t - 1], math.exp(log_variance[t - 1])
            total += 0.5 * ((v + v_before + (m - before) ** 2) / drift**2 - log_v + math.log(drift**2) - 1)
    return total


def loss(nodes, matrices, noise, pairs, rows, priors, kl_weight: float, first_step_noise: bool) -> float:
    """The negative bound of one training step.

    Args:
        nodes: Means and log-variances ``[T][N][K]`` of all nodes.
        matrices: The same ``[T][K][P]`` of the interaction entries.
        noise: Standard normal draws for ``nodes`` (``[T][len(rows)][K]``) and ``matrices``.
        pairs: ``(step, i, j, linked, weight)`` terms of the likelihood.
        rows: Nodes that take part, in the order of the noise.
        priors: ``(wide, drift)`` of nodes and of matrices.
        kl_weight: Factor of the divergence.
        first_step_noise: Whether the first step is sampled.
    """

    def sampled(family, draws, t, row, at):
        means, log_variances = family
        scale = 0.0 if t == 0 and not first_step_noise else math.exp(0.5 * log_variances[t][row][at])
        return means[t][row][at] + scale * draws

    num_steps, attributes, entries = len(matrices[0]), len(matrices[0][0]), len(matrices[0][0][0])
    position = {node: k for k, node in enumerate(rows)}
    total = 0.0
    for t, i, j, linked, weight in pairs:
        z = [[sigmoid(sampled(nodes, noise[0][t][position[n]][k], t, n, k)) for k in range(attributes)] for n in (i, j)]
        theta = [[sampled(matrices, noise[1][t][k][p], t, k, p) for p in range(entries)] for k in range(attributes)]
        score = eta(z[0], z[1], theta)
        total -= weight * math.log(sigmoid(score if linked else -score))
    divergence = 0.0
    for n in rows:
        for k in range(attributes):
            course = [[part[t][n][k] for t in range(num_steps)] for part in nodes]
            divergence += walk_kl(*course, *priors[0])
    for k in range(attributes):
        for p in range(entries):
            course = [[part[t][k][p] for t in range(num_steps)] for part in matrices]
            divergence += walk_kl(*course, *priors[1])
    return total + kl_weight * divergence

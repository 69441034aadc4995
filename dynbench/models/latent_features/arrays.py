"""Arrays of links, features and logits, as :mod:`dynbench.models.latent_features.kernels` has them."""

from __future__ import annotations

import math

import numpy as np

from dynbench.models.latent_features.kernels import likelihood_at

# Proposals adapt their scale towards this share of accepted ones.
TARGET_RATE = 0.4


def sample_constant(
    rng: np.random.Generator, links: np.ndarray, logits: np.ndarray, constant: float, scale: float, step: float,
    moves: int,
) -> tuple[float, int]:  # fmt: skip
    """Metropolis steps for the constant, with prior ``N(0, scale^2)``; logits are kept up to date.

    Returns:
        The constant, and how often it moved.
    """
    moved, current = 0, likelihood_at(links, logits, 0.0)
    for _ in range(moves):
        move = step * rng.standard_normal()
        proposed = likelihood_at(links, logits, move)
        gain = proposed - current + (constant**2 - (constant + move) ** 2) / (2 * scale**2)
        if math.log(rng.random()) < gain:
            logits += np.float32(move)
            constant, current, moved = constant + move, proposed, moved + 1
    return constant, moved


def logits_of(features: np.ndarray, weights: np.ndarray, constant: float, directed: bool) -> np.ndarray:
    """``(S, T, N, N) float32`` logits ``z_i W z_j + c``."""
    z = features.astype(np.float32)
    logits = (z @ weights.astype(np.float32)) @ z.transpose(0, 2, 1) + np.float32(constant)
    return both_sides(logits, directed)


def effects_of(features: np.ndarray, weights: np.ndarray, directed: bool) -> np.ndarray:
    """``(S, T, K, N)`` what each feature adds to the logits of a node that has it."""
    z = features.astype(np.float64).transpose(0, 2, 1)
    return np.stack([weights @ z, weights.T @ z]) if directed else (weights @ z)[None]


def both_sides(pairs: np.ndarray, directed: bool) -> np.ndarray:
    """``(S, T, N, N)`` from ``(T, N, N)``: the matrix, and its transpose for a directed graph."""
    if not directed:
        return np.ascontiguousarray(pairs)[None]
    return np.stack([pairs, pairs.transpose(0, 2, 1)])


def add_of_states(logits: np.ndarray, cells: np.ndarray, states: np.ndarray) -> None:
    """Add to the logits ``(S, N, N)`` of one step what a ``(2, 2)`` matrix says for the two states of every pair.

    Args:
        logits: Changed.
        cells: By the states of source and target.
        states: ``(N,)``, 0 or 1.
    """
    cells = cells.astype(logits.dtype)
    for side, seen in zip(logits, (cells, cells.T), strict=False):
        side += seen[:, states][states]  # Whole rows are copied; a look-up per pair takes ten times as long.


def adapted(step: float, accepted: int, made: int) -> float:
    """A proposal's scale, moved towards the rate at which ``TARGET_RATE`` of the proposals are accepted."""
    if not made:
        return step
    return float(np.clip(step * math.exp(accepted / made - TARGET_RATE), 1e-3, 10.0))


def links_array(
    step: np.ndarray, src: np.ndarray, dst: np.ndarray, steps: int, nodes: int, directed: bool,
    unknown: np.ndarray | None = None,
) -> np.ndarray:  # fmt: skip
    """``(S, T, N, N) int8`` links, with -1 on the diagonal and for the ``(2, U)`` pairs of which nothing is known."""
    links = np.zeros((steps, nodes, nodes), dtype=np.int8)
    links[step, src, dst] = 1
    if unknown is not None:
        links[:, unknown[0], unknown[1]] = -1
        if not directed:
            links[:, unknown[1], unknown[0]] = -1
    if not directed:
        links = np.where(links != 0, links, links.transpose(0, 2, 1))
    links[:, np.arange(nodes), np.arange(nodes)] = -1
    return both_sides(links, directed)


def transitions(features: np.ndarray, alive: np.ndarray | None = None) -> np.ndarray:
    """``(K, 2, 2)`` how often each feature went from one state to the other, over all nodes and steps.

    Args:
        features: ``(T, N, K)``.
        alive: ``(T, K)`` steps that count; all when omitted. Before the first step all states are 0.
    """
    earlier, later = np.concatenate([np.zeros_like(features[:1]), features[:-1]]), features
    counted = np.ones(features.shape[::2], dtype=np.int64) if alive is None else alive.astype(np.int64)
    ones, up, down = (
        (part.sum(1, dtype=np.int64) * counted).sum(0)
        for part in (earlier & later, later & ~earlier & 1, earlier & ~later & 1)
    )
    total = counted.sum(0) * features.shape[1]
    return np.stack([np.stack([total - up - down - ones, up], -1), np.stack([down, ones], -1)], -2)

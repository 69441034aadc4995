"""DySAT, DynamicTriad, DynGEM and DynAERNN written out: a node, a link, a head and an entry at a time."""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F


def structural(adjacency: np.ndarray, present: list[bool], layer, inputs=None) -> torch.Tensor:
    """One layer of DySAT within one snapshot, from a dense matrix; ``(n, units)``.

    Args:
        adjacency: ``(n, n)`` symmetric weights.
        present: Which nodes have appeared.
        layer: Holds ``weight (inputs, units)``, ``attend (2, H, units / H)`` and ``bias (2, H)``; with a residual,
            ``projection (inputs, units)``.
        inputs: ``(n, inputs)``; one-hot nodes when ``None``.
    """
    size = len(adjacency)
    full = adjacency + np.diag([float(here) for here in present])
    degree = full.sum(1)
    s = layer.weight if inputs is None else inputs @ layer.weight
    heads, width = layer.attend.shape[1:]
    rows = []
    for u in range(size):
        if not present[u]:
            rows.append(torch.zeros(heads * width))
            continue
        outputs = []
        for h in range(heads):
            part = s[:, h * width : (h + 1) * width]
            near = [v for v in range(size) if full[u, v] != 0]
            logits = []
            for v in near:
                weight = full[u, v] / math.sqrt(degree[u] * degree[v])
                first = part[u] @ layer.attend[0, h] + layer.bias[0, h]
                second = part[v] @ layer.attend[1, h] + layer.bias[1, h]
                logits.append(F.leaky_relu(weight * (first + second), 0.2))
            alpha = torch.stack(logits).softmax(0)
            outputs.append(F.elu(sum(a * part[v] for a, v in zip(alpha, near, strict=True))))
        row = torch.cat(outputs)
        if layer.projection is not None:
            row = row + (layer.projection[u] if inputs is None else inputs[u] @ layer.projection)
        rows.append(row)
    return torch.stack(rows)


def temporal(inputs: torch.Tensor, layer, scale: float) -> torch.Tensor:
    """One layer of DySAT along the snapshots of one node; ``inputs (T, F)``."""
    heads = layer.owned.shape[1]
    width = inputs.shape[1] // heads
    query, key, value = inputs @ layer.query, inputs @ layer.key, inputs @ layer.value
    rows = []
    for t in range(len(inputs)):
        parts = []
        for h in range(heads):
            mine = slice(h * width, (h + 1) * width)
            alpha = torch.stack([query[t, mine] @ key[s, mine] * scale for s in range(t + 1)]).softmax(0)
            parts.append(sum(alpha[s] * value[s, mine] for s in range(t + 1)))
        mixed = torch.cat(parts)
        row = F.relu(layer.feed.weight @ mixed + layer.feed.bias) + mixed
        rows.append(row + inputs[t] if layer.residual else row)
    return torch.stack(rows)


def contexts(vectors, pairs, negatives, weight: float) -> torch.Tensor:
    """DySAT's loss of pairs.

    Args:
        vectors: ``[T][n]`` vectors.
        pairs: For each snapshot, ``(u, v)`` that were met near each other.
        negatives: For each snapshot, nodes drawn.
        weight: Of the negatives.
    """
    total = torch.zeros(())
    for t, (met, drawn) in enumerate(zip(pairs, negatives, strict=True)):
        if not met:
            continue
        total = total + sum(F.softplus(-vectors[t][u] @ vectors[t][v]) for u, v in met) / len(met)
        far = [F.softplus(vectors[t][u] @ vectors[t][n]) for u, _ in met for n in drawn]
        total = total + weight * sum(far) / len(far)
    return total


def triad_chance(u, weights: np.ndarray, centre: int, one: int, other: int, theta, bias) -> float:
    """P that a centre introduces two others, from ``(n, d)`` vectors and the weights of a snapshot."""
    x = weights[centre, one] * (u[centre] - u[one]) + weights[centre, other] * (u[centre] - u[other])
    return float(torch.sigmoid(theta @ x + bias))


def triad_loss(u, matrices: list[np.ndarray], triads, theta, bias) -> float:
    """Mean loss of open triads ``(t, centre, one, other)``; ``u (T, n, d)``."""
    total = 0.0
    for t, centre, one, other in triads:
        mine = triad_chance(u[t], matrices[t], centre, one, other, theta, bias)
        apart = 1.0
        if matrices[t + 1][one, other]:
            nobody = 1.0
            for v in range(len(matrices[t])):
                if matrices[t][v, one] and matrices[t][v, other]:
                    nobody *= 1 - triad_chance(u[t], matrices[t], v, one, other, theta, bias)
            apart = 1 - mine / (1 - nobody + 1e-6)
        total += -apart * math.log(1 - mine) - (1 - apart) * math.log(mine)
    return total / len(triads)


def near_loss(u, matrices: list[np.ndarray], links, corrupted) -> float:
    """Mean weighted hinge of links ``(t, i, j)`` and what they were corrupted to."""
    total = 0.0
    for (t, i, j), (_, k, m) in zip(links, corrupted, strict=True):
        near, far = float((u[t, i] - u[t, j]).square().sum()), float((u[t, k] - u[t, m]).square().sum())
        total += matrices[t][i, j] * max(0.0, 1 + near - far)
    return total / len(links)


def smooth_loss(u) -> float:
    """Mean squared move of a node from one snapshot to the next."""
    moves = [float((u[t + 1, n] - u[t, n]).square().sum()) for t in range(len(u) - 1) for n in range(u.shape[1])]
    return sum(moves) / len(moves)


def row_error(rebuilt, target: np.ndarray, beta: float, columns) -> torch.Tensor:
    """``sum_n (b_n (x_n - a_n))^2`` of one row."""
    total = torch.zeros(())
    for n in columns:
        total = total + ((beta if target[n] else 1.0) * (rebuilt[n] - float(target[n]))) ** 2
    return total


def dyngem_loss(adjacency: np.ndarray, rebuilt, codes, beta: float, proximity: float, columns) -> torch.Tensor:
    """DynGEM's loss without the weights' penalty, link by link in both directions."""
    degree = (adjacency > 0).sum(1)
    terms = []
    for i, j in zip(*np.nonzero(adjacency), strict=True):
        term = row_error(rebuilt[i], adjacency[i], beta, columns) / int(degree[i])
        term = term + row_error(rebuilt[j], adjacency[j], beta, columns) / int(degree[j])
        terms.append(term + proximity * float(adjacency[i, j]) * (codes[i] - codes[j]).square().sum())
    return torch.stack(terms).mean()

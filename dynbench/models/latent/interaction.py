"""The score of a link from two nodes' attributes: NLSM's eq. 2 in closed form."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Interaction(NamedTuple):
    """Coefficients of the closed-form link score; leading axes are free (steps, say)."""

    c: Tensor  # (...)
    a: Tensor  # (..., K)
    b: Tensor  # (..., K)
    d: Tensor  # (..., K)


def interaction_terms(theta: Tensor) -> Interaction:
    """Coefficients of eta from the free entries of the interaction matrices (from eq. 2).

    Args:
        theta: ``(..., K, P)``. ``P = 4`` (directed): Theta00, Theta01, Theta10, Theta11, the first index belonging to
            the source. ``P = 3`` (undirected): Theta00, Theta01 = Theta10, Theta11.
    """
    lacking, first, *second, both = theta.unbind(-1)
    source = second[0] if second else first
    return Interaction(lacking.sum(-1), source - lacking, first - lacking, lacking - first - source + both)


def link_logits(z: Tensor, terms: Interaction, step: Tensor, src: Tensor, dst: Tensor) -> Tensor:
    """Link scores eta of pairs (eq. 2, in closed form).

    Args:
        z: ``(T, n, K)`` attribute vectors.
        terms: Coefficients with leading axis ``T``.
        step, src, dst: ``(Q,) long`` indices into the first two axes of ``z``.

    Returns:
        ``(Q,)`` logits.
    """
    nodes = z.shape[1]
    source, target = step * nodes + src, step * nodes + dst
    alone_source, alone_target = (z @ torch.stack([terms.a, terms.b], dim=-1)).flatten(0, 1).unbind(-1)
    weighted, plain = (z * terms.d[:, None]).flatten(0, 1), z.flatten(0, 1)
    together = (weighted.index_select(0, source) * plain.index_select(0, target)).sum(-1)
    return terms.c[step] + alone_source.index_select(0, source) + alone_target.index_select(0, target) + together

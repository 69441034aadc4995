"""The likelihood of a graph given codes of its nodes, over all pairs that are known."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from dynbench.models.static.graph import StaticGraph
from dynbench.nn.all_pairs import softplus_sum

Masked = Literal["both", "one_direction", "none"]

# In how many of its two directions a pair whose state is unknown is left out of the loss.
_LEFT_OUT = {"both": 2, "one_direction": 1, "none": 0}


class LinkLoss:
    """Weighted binary cross-entropy of all ordered pairs, diagonal included, averaged over those that are known.

    With targets ``A + I``, the weight ``w`` of a link and logits ``s_nm = p_n . q_m``, symmetric in n and m::

        norm / |M| * sum over (n, m) in M of [ a_nm w softplus(-s_nm) + (1 - a_nm) softplus(s_nm) ]
        w = (N^2 - sum A) / sum A          norm = N^2 / (2 (N^2 - sum A))

    It is summed as the softplus of all pairs (:mod:`dynbench.nn.all_pairs`), less those that are left out, plus
    ``(w - 1) softplus(s) - w s`` for every link.

    Args:
        graph: Links and unknown pairs.
        masked: Whether an unknown pair is left out of M in ``both`` directions or in ``one_direction``, or in ``none``;
            what stays counts as no link.
        weighted: Whether links weigh ``w``; otherwise ``w`` and ``norm`` are 1.
    """

    def __init__(self, graph: StaticGraph, masked: Masked = "both", weighted: bool = True):
        pairs, links = graph.num_nodes**2, 2 * len(graph.src)
        self.graph, self.left_out = graph, _LEFT_OUT[masked]
        self.weight = (pairs - links) / links if weighted else 1.0
        norm = pairs / (2 * (pairs - links)) if weighted else 1.0
        self.scale = norm / (pairs - self.left_out * graph.unknown.shape[1])

    def __call__(self, p: Tensor, q: Tensor, part: tuple[int, int] = (0, 1)) -> Tensor:
        """The loss.

        Args:
            p, q: ``(N, D)`` codes whose products are the logits, a symmetric matrix.
            part: Rank and number of devices that share the sum over all pairs. The mean of what they get is the loss.
        """
        graph = self.graph
        total = part[1] * softplus_sum(p, q, symmetric=True, part=part)
        links = (p[graph.src] * q[graph.dst]).sum(1)
        total = total + 2 * self._as_link(links) + self._as_link((p * q).sum(1))
        if self.left_out and graph.unknown.shape[1]:
            total = total - self.left_out * F.softplus((p[graph.unknown[0]] * q[graph.unknown[1]]).sum(1)).sum()
        return self.scale * total

    def _as_link(self, logits: Tensor) -> Tensor:
        """What is added to the sum of all softplus terms for pairs whose target is 1."""
        return ((self.weight - 1) * F.softplus(logits) - self.weight * logits).sum()


class AttributeLoss:
    """Weighted binary cross-entropy of binary attributes, averaged over nodes and attributes.

    Args:
        row, column: ``(nnz,) long`` where attributes are 1.
        shape: Numbers of nodes and attributes.
    """

    def __init__(self, row: Tensor, column: Tensor, shape: tuple[int, int]):
        self.row, self.column, self.size = row, column, shape[0] * shape[1]
        self.weight = (self.size - len(row)) / max(len(row), 1)

    def __call__(self, p: Tensor, q: Tensor, part: tuple[int, int] = (0, 1)) -> Tensor:
        """The loss; logits are the products of ``p (N, D)`` and ``q (M, D)``. See :class:`LinkLoss`."""
        ones = (p.index_select(0, self.row) * q.index_select(0, self.column)).sum(1)
        total = part[1] * softplus_sum(p, q, part=part)
        return (total + ((self.weight - 1) * F.softplus(ones) - self.weight * ones).sum()) / self.size


def with_constant(x: Tensor, constant: Tensor | None = None) -> Tensor:
    """``x`` with one more column: ones, or a constant of each row."""
    extra = x.new_ones(len(x), 1) if constant is None else constant[:, None]
    return torch.cat([x, extra], dim=1)

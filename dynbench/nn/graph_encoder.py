"""Graph convolutions from sparse attributes, or from none, to several heads (Kipf and Welling, 2016)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dynbench.nn.graph_conv import Edges, aggregate


class SparseRows(NamedTuple):
    """A sparse ``(N, D)`` matrix by rows: columns and values of the entries, and where each row begins."""

    column: Tensor  # (nnz,) long
    value: Tensor  # (nnz,) float
    start: Tensor  # (N,) long

    @classmethod
    def of(cls, matrix: Tensor) -> SparseRows:
        """The entries of a dense matrix that are not 0."""
        row, column = matrix.nonzero().unbind(1)
        counts = torch.bincount(row, minlength=len(matrix))
        return cls(column, matrix[row, column], counts.cumsum(0) - counts)

    def rows(self) -> Tensor:
        """``(nnz,) long`` row of each entry."""
        bounds = torch.cat([self.start, self.start.new_tensor([len(self.column)])])
        return torch.repeat_interleave(torch.arange(len(self.start), device=self.start.device), bounds.diff())


class GraphEncoder(nn.Module):
    """Graph convolutions without biases: hidden layers, then parallel linear heads on the same hidden state.

    Args:
        inputs: Attributes per node, or nodes where there are no attributes (the identity stands for them).
        hidden: Widths of the hidden layers.
        outputs: Width of a head.
        heads: Number of heads.
        dropout: Share of each layer's inputs dropped in training; heads drop theirs independently.
        activation: Of hidden layers; ``leaky`` has a slope of 0.2.
    """

    def __init__(
        self, inputs: int, hidden: Sequence[int], outputs: int, heads: int, dropout: float,
        activation: Literal["relu", "leaky"] = "leaky",
    ):  # fmt: skip
        super().__init__()
        widths = [inputs, *hidden]
        self.layers = nn.ParameterList(glorot(*pair) for pair in pairwise(widths))
        self.heads = nn.ParameterList(glorot(widths[-1], outputs) for _ in range(heads))
        self.dropout, self.slope = dropout, 0.2 if activation == "leaky" else 0.0

    def forward(self, features: SparseRows | None, edges: Edges) -> tuple[Tensor, ...]:
        """``(N, outputs)`` of every head.

        Args:
            features: Attributes of the nodes; ``None`` for the identity.
            edges: Normalised edges, as of :func:`~dynbench.nn.graph_conv.gcn_edges`.
        """
        state = None
        for weight in self.layers:
            state = F.leaky_relu(aggregate(self._linear(state, features, weight), edges), self.slope)
        outputs = torch.cat([self._linear(state, features, weight) for weight in self.heads], dim=1)
        return aggregate(outputs, edges).chunk(len(self.heads), dim=1)

    def _linear(self, state: Tensor | None, features: SparseRows | None, weight: Tensor) -> Tensor:
        if state is not None:
            return F.dropout(state, self.dropout, self.training) @ weight
        if features is None:
            kept = F.dropout(torch.ones(len(weight), 1, device=weight.device), self.dropout, self.training)
            return weight * kept
        value = F.dropout(features.value, self.dropout, self.training)
        return F.embedding_bag(features.column, weight, features.start, mode="sum", per_sample_weights=value)


def glorot(inputs: int, outputs: int) -> nn.Parameter:
    """A weight matrix with uniform Glorot entries."""
    return nn.Parameter(nn.init.xavier_uniform_(torch.empty(inputs, outputs)))

"""Layers for autoencoders of adjacency rows: a sparse first layer, and a loss that need not look at every zero."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import torch
import torch.nn.functional as F
from scipy import sparse
from torch import Tensor, nn

from dynbench.nn.segments import ranges, sum_rows

# Pairs whose entries are rebuilt at once.
_PAIRS = 1 << 13


class Entries(NamedTuple):
    """Entries of ``B`` rows other than zero, row after row.

    Attributes:
        row, column: ``(E,) long`` where they stand.
        value: ``(E,)``.
        size: ``(B,) long`` how many each row has.
    """

    row: Tensor
    column: Tensor
    value: Tensor
    size: Tensor

    @classmethod
    def empty(cls, rows: int, device: torch.device | str = "cpu") -> Entries:
        """So many rows of zeros."""
        nothing = torch.zeros(0, dtype=torch.long, device=device)
        return cls(nothing, nothing, nothing.float(), torch.zeros(rows, dtype=torch.long, device=device))


class SparseRows:
    """Rows of sparse matrices, stacked, from which some are taken at a time.

    Args:
        matrices: ``(N, N)`` matrices; row ``i`` of the ``t``-th one is row ``t N + i``.
        device: Where they are kept.
    """

    def __init__(self, matrices: Sequence[sparse.csr_array], device: torch.device | str = "cpu"):
        stacked = sparse.csr_array(sparse.vstack(matrices, format="csr"))
        start = torch.from_numpy(stacked.indptr).long().to(device)
        self.first, self.size = start[:-1], start.diff()
        self.column = torch.from_numpy(stacked.indices).long().to(device)
        self.value = torch.from_numpy(stacked.data).float().to(device)

    def take(self, rows: Tensor) -> Entries:
        """Entries of some rows."""
        size = self.size.index_select(0, rows)
        owner, entry = ranges(self.first.index_select(0, rows), size)
        return Entries(owner, self.column.index_select(0, entry), self.value.index_select(0, entry), size)


class RowLayer(nn.Module):
    """A linear layer whose input is sparse: a sum of the weights' rows that the entries name.

    Args:
        inputs: Width of the input.
        units: Width of the output.
    """

    def __init__(self, inputs: int, units: int):
        super().__init__()
        self.weight = nn.Parameter(nn.init.xavier_uniform_(torch.empty(inputs, units)))
        self.bias = nn.Parameter(torch.zeros(units))

    def forward(self, entries: Entries) -> Tensor:
        """``(B, units)``."""
        return sum_rows(self.weight, entries.column, entries.size, entries.value) + self.bias


def perceptron(widths: Sequence[int], slope: float) -> nn.Sequential:
    """Linear layers from each width to the next, each followed by a leaky rectifier."""
    layers: list[nn.Module] = []
    for inputs, units in pairwise(widths):
        linear = nn.Linear(inputs, units)
        nn.init.xavier_uniform_(linear.weight)
        nn.init.zeros_(linear.bias)
        layers += [linear, nn.LeakyReLU(slope)]
    return nn.Sequential(*layers)


class RowDecoder(nn.Module):
    """The last layer of a decoder, to rows of ``N`` entries, and the weighted squared error of what it gives.

    Args:
        inputs: Width of the input.
        columns: Width of the output, ``N``.
        slope: Of the leaky rectifier at the end.
    """

    def __init__(self, inputs: int, columns: int, slope: float):
        super().__init__()
        self.weight = nn.Parameter(nn.init.xavier_uniform_(torch.empty(columns, inputs)))
        self.bias = nn.Parameter(torch.zeros(columns))
        self.slope = slope

    def forward(self, hidden: Tensor, columns: Tensor | None = None) -> Tensor:
        """``(B, N)`` reconstructed rows, or ``(B, C)`` of some columns."""
        weight, bias = (self.weight, self.bias) if columns is None else (self.weight[columns], self.bias[columns])
        return F.leaky_relu(F.linear(hidden, weight, bias), self.slope)

    def at(self, hidden: Tensor, row: Tensor, column: Tensor) -> Tensor:
        """``(E,)`` reconstructed single entries."""
        product = (hidden.index_select(0, row) * self.weight.index_select(0, column)).sum(1)
        return F.leaky_relu(product + self.bias.index_select(0, column), self.slope)

    def error(
        self, hidden: Tensor, target: Entries, beta: float, columns: Tensor, sampled: int | None = None
    ) -> Tensor:
        """``(B,)`` squared errors ``sum_n (b_n (x_n - a_n))^2`` of rows, where ``b`` is beta at links and 1 elsewhere.

        Every column is first taken for a zero, and what is wrong about that at links is made good. So columns need not
        all be looked at: those drawn stand for the others, and the result is right on average.

        Args:
            hidden: ``(B, inputs)``.
            target: The rows' entries.
            beta: Weight of links.
            columns: ``(C,) long`` columns that count.
            sampled: How many of them to draw; all when ``None``.
        """
        scale = 1.0
        if sampled is not None and sampled < len(columns):
            chosen = torch.randperm(len(columns), device=columns.device)[:sampled]
            scale, columns = len(columns) / sampled, columns[chosen]
        error = scale * self(hidden, columns).square().sum(1)
        found = self.at(hidden, target.row, target.column)
        correction = (beta * (found - target.value)).square() - found.square()
        return error.to(correction.dtype).index_add(0, target.row, correction)


def rebuilt_pairs(decoder: RowDecoder, hidden: Tensor, src: Tensor, dst: Tensor) -> Tensor:
    """``(Q,)`` what is rebuilt at pairs, the mean of both directions.

    Args:
        decoder: Of rows.
        hidden: ``(N, inputs)`` what it rebuilds each node's row from.
        src, dst: ``(Q,) long`` pairs.
    """
    pairs = zip(src.split(_PAIRS), dst.split(_PAIRS), strict=True)
    parts = [(decoder.at(hidden, one, other) + decoder.at(hidden, other, one)) / 2 for one, other in pairs]
    return torch.cat(parts) if parts else hidden.new_zeros(0)


@torch.no_grad()
def add_penalty_gradient(weights: Sequence[nn.Parameter], l1: float, l2: float) -> None:
    """Add the gradient of ``l1 |W|_1 + l2 |W|^2`` to those of some weights.

    Written into the gradients, since the sums themselves are not needed and cost as much as a small network's step.
    """
    chosen = [weight for weight in weights if weight.grad is not None]
    gradients = [weight.grad for weight in chosen]
    if l2:
        torch._foreach_add_(gradients, chosen, alpha=2 * l2)
    if l1:
        torch._foreach_add_(gradients, torch._foreach_sign(chosen), alpha=l1)

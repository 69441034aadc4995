"""Attention within snapshots and along them (DySAT): sparse, over all snapshots at once; causal, for chosen nodes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from scipy import sparse
from torch import Tensor, nn

# Links whose products are formed at once on a CPU: they should stay in its cache.
_BLOCK = 2048


class SnapshotLinks(NamedTuple):
    """Links of all snapshots, each present node's one to itself among them, sorted by the place they lead to.

    A place is a node in a snapshot, ``step * n + node``.

    Attributes:
        place: ``(E,) long`` where a link leads.
        source: ``(E,) long`` node that it comes from.
        origin: ``(E,) long`` the same as a place.
        weight: ``(E,) float`` entry of ``D^(-1/2) (A + I) D^(-1/2)``.
        present: ``(T, n) bool`` nodes that appeared by each snapshot.
    """

    place: Tensor
    source: Tensor
    origin: Tensor
    weight: Tensor
    present: Tensor

    @classmethod
    def of(cls, matrices: Sequence[sparse.csr_array], appeared: np.ndarray, device: torch.device | str = "cpu"):
        """Prepare snapshots.

        Args:
            matrices: ``(n, n)`` symmetric weights, one per snapshot.
            appeared: ``(n,)`` first snapshot of each node.
            device: Where the tensors go.
        """
        steps = np.arange(len(matrices))
        present = appeared[None, :] <= steps[:, None]
        parts = []
        for step, matrix in enumerate(matrices):
            with_loops = sparse.coo_array(matrix + sparse.diags_array(present[step].astype(np.float32)))
            degree = np.asarray(with_loops.sum(axis=1), dtype=np.float64)
            scale = np.divide(1.0, np.sqrt(degree), out=np.zeros_like(degree), where=degree > 0)
            weight = with_loops.data * scale[with_loops.row] * scale[with_loops.col]
            order = np.lexsort((with_loops.col, with_loops.row))
            parts.append((with_loops.row[order], with_loops.col[order], weight[order], np.full(len(order), step)))
        row, column, weight, step = (np.concatenate(field) for field in zip(*parts, strict=True))
        place, origin = (torch.from_numpy(step * len(appeared) + ends).long() for ends in (row, column))
        tensors = (place, torch.from_numpy(column).long(), origin, torch.from_numpy(weight).float())
        return cls(*(part.to(device) for part in (*tensors, torch.from_numpy(present))))


class StructuralAttention(nn.Module):
    """Nodes attend to their neighbours within each snapshot; all snapshots share the weights.

    ``e_uv = LeakyReLU(w_uv (a . s_u + b + a' . s_v + b'))`` with ``s = X W``, a softmax over the neighbours of ``u``,
    and ``ELU(sum_v alpha_uv s_v)``, for every head; heads stand side by side.

    Args:
        inputs: Width of the input; for one-hot nodes, their number.
        units: Width of the output, all heads together.
        heads: Number of heads.
        dropout: Share of attention weights, and of entries of ``s``, dropped in training.
        one_hot: Whether the input is a node's number; ``s`` is then a row of ``W``, the same in all snapshots.
        residual: Whether a node's own input, projected, is added to the output.
    """

    def __init__(self, inputs: int, units: int, heads: int, dropout: float, one_hot: bool, residual: bool = False):
        super().__init__()
        self.heads, self.dropout, self.one_hot = heads, dropout, one_hot
        size = units // heads
        # Heads have weights of their own; each is drawn as wide as if it stood alone.
        bound = math.sqrt(6 / (inputs + size))
        self.weight = nn.Parameter(torch.empty(inputs, units).uniform_(-bound, bound))
        bound = math.sqrt(6 / (size + 1))
        self.attend = nn.Parameter(torch.empty(2, heads, size).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.zeros(2, heads))
        self.projection = nn.Parameter(nn.init.xavier_uniform_(torch.empty(inputs, units))) if residual else None

    def forward(self, links: SnapshotLinks, inputs: Tensor | None = None) -> Tensor:
        """``(T * n, units)`` outputs; zeros at places where a node has not appeared.

        Args:
            links: The snapshots.
            inputs: ``(T * n, inputs)``; ``None`` for one-hot nodes.
        """
        steps, size = links.present.shape
        table = self.weight if self.one_hot else inputs @ self.weight
        source = links.source if self.one_hot else links.origin
        own, other = (
            torch.einsum("nhd,chd->cnh", table.unflatten(1, (self.heads, -1)), self.attend) + self.bias[:, None]
        )
        target = links.place % size if self.one_hot else links.place
        logits = links.weight[:, None] * (own.index_select(0, target) + other.index_select(0, source))
        alpha = softmax_heads(F.leaky_relu(logits, 0.2), links.place, steps * size)
        if self.training and self.dropout:
            alpha = F.dropout(alpha, self.dropout)
            # Entries of s are dropped in each snapshot by itself.
            repeated = table.repeat(steps, 1) if self.one_hot else table
            table, source = F.dropout(repeated, self.dropout), links.origin
        result = F.elu(_Gathered.apply(table, alpha, source, links.place, steps * size))
        if self.projection is None:
            return result
        came_in = self.projection.repeat(steps, 1) if self.one_hot else inputs @ self.projection
        return result + links.present.view(-1, 1) * came_in


def softmax_heads(logits: Tensor, place: Tensor, count: int) -> Tensor:
    """``(E, H)`` softmax of every column over the entries of each of ``count`` places."""
    index = place[:, None].expand_as(logits)
    low = logits.new_zeros(count, logits.shape[1])
    highest = low.scatter_reduce(0, index, logits.detach(), "amax", include_self=False)
    odds = (logits - highest.index_select(0, place)).exp()
    return odds / odds.new_zeros(low.shape).index_add(0, place, odds).index_select(0, place)


class _Gathered(torch.autograd.Function):
    """Sums of rows of a table, each head's entries times a weight of its own.

    Written out with its gradient, because the products are made and used a block at a time: kept whole, they cost
    more time in memory than in arithmetic.
    """

    @staticmethod
    def forward(ctx, table: Tensor, alpha: Tensor, source: Tensor, place: Tensor, count: int) -> Tensor:
        ctx.save_for_backward(table, alpha, source, place)
        result, heads = table.new_zeros(count, table.shape[1]), alpha.shape[1]
        for weight, take, give in _blocks(alpha, source, place):
            rows = table.index_select(0, take)
            rows.view(len(rows), heads, -1).mul_(weight[..., None])
            result.index_add_(0, give, rows)
        return result

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, Tensor, None, None, None]:
        table, alpha, source, place = ctx.saved_tensors
        for_table, for_alpha, heads = torch.zeros_like(table), [], alpha.shape[1]
        for weight, take, give in _blocks(alpha, source, place):
            arrived = gradient.index_select(0, give).view(len(give), heads, -1)
            for_alpha.append((arrived * table.index_select(0, take).view_as(arrived)).sum(-1))
            for_table.index_add_(0, take, arrived.mul_(weight[..., None]).view(len(give), -1))
        return for_table, torch.cat(for_alpha), None, None, None


def _blocks(*tensors: Tensor):
    size = _BLOCK if tensors[0].device.type == "cpu" else max(len(tensors[0]), 1)
    return zip(*(part.split(size) for part in tensors), strict=True)


class TemporalAttention(nn.Module):
    """Each node attends to its own snapshots up to one; then a layer of its own, added to what it got.

    Args:
        units: Width of input and output.
        heads: Number of heads.
        dropout: Share of attention weights dropped in training.
        residual: Whether a node's input at the place is added to the output.
    """

    def __init__(self, units: int, heads: int, dropout: float, residual: bool = False):
        super().__init__()
        self.dropout, self.size, self.residual = dropout, units // heads, residual
        for name in ("query", "key", "value"):
            setattr(self, name, nn.Parameter(nn.init.xavier_uniform_(torch.empty(units, units))))
        self.feed = nn.Linear(units, units)
        nn.init.xavier_uniform_(self.feed.weight)
        nn.init.zeros_(self.feed.bias)
        # Which entries a head owns: sums over heads are products with it, much faster than sums of short rows.
        self.register_buffer("owned", torch.eye(heads).repeat_interleave(units // heads, dim=0), persistent=False)

    def forward(self, inputs: Tensor, step: Tensor, row: Tensor, scale: float) -> Tensor:
        """``(Q, F)`` outputs at chosen places.

        Args:
            inputs: ``(T, R, F)``.
            step, row: ``(Q,) long`` the places asked for, latest steps first.
            scale: What products of queries and keys are multiplied by.
        """
        flat = inputs.flatten(0, 1)
        own = flat.index_select(0, step * inputs.shape[1] + row)
        asking = own @ (self.query * scale)
        keys, values = ((flat @ weight).view_as(inputs).unbind(0) for weight in (self.key, self.value))
        # A place looks at its own and earlier snapshots: those that look at snapshot s stand before the others.
        looking = torch.bincount(step, minlength=len(inputs)).flip(0).cumsum(0).flip(0).tolist()
        rows = [row[:count] for count in looking]
        logits = [
            (asking[: len(at)] * key.index_select(0, at)) @ self.owned for key, at in zip(keys, rows, strict=True)
        ]
        padded = [F.pad(part, (0, 0, 0, len(row) - len(part)), value=-math.inf) for part in logits]
        alpha = torch.stack(padded).softmax(0)
        if self.training and self.dropout:
            alpha = F.dropout(alpha, self.dropout)
        mixed = torch.zeros_like(asking)
        for weight, value, at in zip(alpha.unbind(0), values, rows, strict=True):
            part = (weight[: len(at)] @ self.owned.t()) * value.index_select(0, at)
            mixed = mixed + F.pad(part, (0, 0, 0, len(row) - len(part)))
        result = F.relu(self.feed(mixed)) + mixed
        return result + own if self.residual else result

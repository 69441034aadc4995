"""Transformer blocks on sequences of different lengths, whose padding is neither stored nor computed.

Tokens of all sequences lie one behind the other, ``(T, width)``; only the attention itself, a small share of the work,
lays them out as a rectangle.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dynbench.errors import ConfigError
from dynbench.nn.dropout import dropout

_ACTIVATIONS = {"relu": F.relu, "gelu": F.gelu}


@dataclass(frozen=True)
class Packing:
    """Where the tokens of ``S`` sequences stand.

    Attributes:
        mask: ``(S, L) bool`` places of a rectangle that hold a token, counted row by row.
        times: ``(T,)`` how often each token is there; ``None`` for once.
    """

    mask: Tensor
    times: Tensor | None = None

    @cached_property
    def place(self) -> Tensor | None:
        """``(T,) long`` places of the tokens; ``None`` if the rectangle is full."""
        place = self.mask.flatten().nonzero().squeeze(1)
        return None if len(place) == self.mask.numel() else place

    @cached_property
    def owner(self) -> Tensor:
        """``(T,) long`` sequence of each token."""
        place = torch.arange(self.mask.numel(), device=self.mask.device) if self.place is None else self.place
        return place // self.mask.shape[1]

    @cached_property
    def first(self) -> Tensor:
        """``(S,) long`` the first token of each sequence."""
        count = self.mask.sum(1)
        return torch.cumsum(count, 0) - count

    @cached_property
    def weight(self) -> Tensor | None:
        """``(S, 1, 1, L)`` what is added to the scores of keys.

        A token that is there c times is one with log c added; minus infinity where there is none.
        """
        if self.place is None and self.times is None:
            return None
        if self.times is None:
            added = torch.zeros(self.mask.shape, device=self.mask.device)
        else:
            added = self.spread(self.times.float().log())
        return added.masked_fill(~self.mask, float("-inf"))[:, None, None]

    def spread(self, x: Tensor) -> Tensor:
        """``(T, ...)`` tokens as ``(S, L, ...)``, zeros elsewhere."""
        if self.place is None:
            return x.view(*self.mask.shape, *x.shape[1:])
        full = x.new_zeros(self.mask.numel(), *x.shape[1:]).index_copy(0, self.place, x)
        return full.view(*self.mask.shape, *x.shape[1:])

    def gather(self, x: Tensor) -> Tensor:
        """The ``(T, ...)`` tokens of a ``(S, L, ...)`` rectangle."""
        return x.flatten(0, 1) if self.place is None else x.flatten(0, 1).index_select(0, self.place)


class Attention(nn.Module):
    """Multi-head attention of tokens over the tokens of one sequence each.

    Args:
        width: Of the tokens.
        heads: Number of heads; divides the width.
        dropout: Of the attention weights.
    """

    def __init__(self, width: int, heads: int, dropout: float):
        super().__init__()
        if width % heads:
            raise ConfigError(f"attention of width {width} does not divide into {heads} heads; change model.heads")
        self.heads, self.dropout = heads, dropout
        self.project = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        nn.init.xavier_uniform_(self.project.weight)
        nn.init.zeros_(self.project.bias)
        nn.init.zeros_(self.out.bias)

    def forward(self, x: Tensor, packing: Packing) -> Tensor:
        """Self-attention.

        Args:
            x: ``(T, width)``.
            packing: Of the tokens.
        """
        query, key, value = packing.spread(self.project(x)).chunk(3, dim=2)
        return self.out(packing.gather(self._attend(query, key, value, packing.weight)))

    def across(self, x: Tensor, packing: Packing, only_first: bool) -> Tensor:
        """Attention of the first half of the sequences to the second half, and of the second to the first.

        Args:
            x: ``(T, width)``.
            packing: Of the tokens, in an even number of sequences.
            only_first: Whether only the first token of each sequence asks.

        Returns:
            ``(T, width)``, or ``(S, width)`` for the first tokens.
        """
        width, half = x.shape[1], len(packing.mask) // 2
        if only_first:
            return self.out(self._one_query(x, packing, half))
        query = F.linear(x, self.project.weight[:width], self.project.bias[:width])
        both = packing.spread(F.linear(x, self.project.weight[width:], self.project.bias[width:]))
        key, value = both.roll(half, 0).chunk(2, dim=2)
        weight = None if packing.weight is None else packing.weight.roll(half, 0)
        return self.out(packing.gather(self._attend(packing.spread(query), key, value, weight)))

    def _one_query(self, x: Tensor, packing: Packing, half: int) -> Tensor:
        """``(S, width)`` what first tokens find in the other half, whose keys and values are not projected.

        With ``u = W_k' q``, a key scores ``u . x`` and a constant, which the softmax takes away; and the values' sum is
        ``W_v sum a x + b_v sum a`` (:mod:`dynbench.nn.temporal_attention`).
        """
        width, heads = x.shape[1], (self.heads, -1)
        first = x.index_select(0, packing.first)
        query = F.linear(first, self.project.weight[:width], self.project.bias[:width]).unflatten(1, heads)
        of_key, of_value = self.project.weight[width:].unflatten(0, (2, *heads))  # (H, width of a head, width)
        asked = (query.transpose(0, 1) * query.shape[2] ** -0.5) @ of_key
        others = packing.spread(x).roll(half, 0)
        score = asked.transpose(0, 1) @ others.transpose(1, 2)
        weight = None if packing.weight is None else packing.weight.squeeze(2).roll(half, 0)
        shares = dropout((score if weight is None else score + weight).softmax(2), self.dropout, self.training)
        found = (shares.to(others.dtype) @ others).transpose(0, 1) @ of_value.transpose(1, 2)
        bias = self.project.bias[2 * width :].unflatten(0, heads)
        return (found.transpose(0, 1) + shares.sum(2, keepdim=True) * bias).flatten(1)

    def _attend(self, query: Tensor, key: Tensor, value: Tensor, weight: Tensor | None) -> Tensor:
        """``(S, L, width)`` queries and ``(S, M, width)`` keys and values to ``(S, L, width)``."""
        query, key, value = (part.unflatten(2, (self.heads, -1)).transpose(1, 2) for part in (query, key, value))
        score = query @ (key * query.shape[-1] ** -0.5).transpose(2, 3)
        weights = (score if weight is None else score + weight).softmax(3)
        return (dropout(weights, self.dropout, self.training).to(value.dtype) @ value).transpose(1, 2).flatten(2)


class FeedForward(nn.Module):
    """``W_2 drop( act( W_1 x + b_1 ) ) + b_2``.

    Args:
        width: Of inputs and outputs.
        hidden: In between.
        dropout: Of the hidden units.
        activation: ``relu`` or ``gelu``.
    """

    def __init__(self, width: int, hidden: int, dropout: float, activation: Literal["relu", "gelu"]):
        super().__init__()
        self.first, self.second = nn.Linear(width, hidden), nn.Linear(hidden, width)
        self.dropout, self.activation = dropout, _ACTIVATIONS[activation]

    def forward(self, x: Tensor) -> Tensor:
        """``(..., width)`` to ``(..., width)``."""
        return self.second(dropout(self.activation(self.first(x)), self.dropout, self.training))


class PostNormBlock(nn.Module):
    """``y = norm( x + drop(attention) )``, then ``norm( y + drop(feed-forward) )``, with ReLU (TCL, CAWN).

    Args:
        width: Of the tokens.
        heads: Of the attention.
        dropout: Everywhere.
    """

    def __init__(self, width: int, heads: int, dropout: float):
        super().__init__()
        self.attention = Attention(width, heads, dropout)
        self.feed_forward = FeedForward(width, 4 * width, dropout, "relu")
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(2))
        self.dropout = dropout

    def forward(self, x: Tensor, packing: Packing) -> Tensor:
        """Self-attention of ``(T, width)`` tokens."""
        return self._after(x, self.attention(x, packing))

    def across(self, x: Tensor, packing: Packing, only_first: bool = False) -> Tensor:
        """Attention of two halves to each other; see :meth:`Attention.across`."""
        attended = self.attention.across(x, packing, only_first)
        return self._after(x.index_select(0, packing.first) if only_first else x, attended)

    def _after(self, x: Tensor, attended: Tensor) -> Tensor:
        x = self.norms[0](x + dropout(attended, self.dropout, self.training))
        return self.norms[1](x + dropout(self.feed_forward(x), self.dropout, self.training))


class PreNormBlock(nn.Module):
    """``y = x + drop( attention(norm x) )``, then ``y + drop( feed-forward(norm y) )``, with GELU (DyGFormer).

    Args:
        width: Of the tokens.
        heads: Of the attention.
        dropout: Everywhere.
    """

    def __init__(self, width: int, heads: int, dropout: float):
        super().__init__()
        self.attention = Attention(width, heads, dropout)
        self.feed_forward = FeedForward(width, 4 * width, dropout, "gelu")
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(2))
        self.dropout = dropout

    def forward(self, x: Tensor, packing: Packing) -> Tensor:
        """``(T, width)`` to ``(T, width)``."""
        x = x + dropout(self.attention(self.norms[0](x), packing), self.dropout, self.training)
        return x + dropout(self.feed_forward(self.norms[1](x)), self.dropout, self.training)

"""Attention of one query per node over its earlier events (TGAT, TGN, DyRep).

A node asks with ``[h_v | Phi(0)]``, and its earlier events answer with ``[h_w | e_vw | Phi(t - t_w)]``. There is one
query for K keys, so neither keys nor values need a projection of their own::

    (W_q q) . (W_k x_k)     =  (W_k' W_q q) . x_k
    sum_k  a_k (W_v x_k)    =  W_v ( sum_k a_k x_k )

for every head, dropout of ``a`` included. With inputs of width d that is some ``2 K d + 4 d^2`` products a query
instead of ``2 K d^2 + 2 d^2``.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor, nn

from dynbench.errors import ConfigError
from dynbench.nn.dropout import dropout
from dynbench.nn.parts import PartLinear

# Score of a padded place. Finite, as published: a node without events attends to its padding evenly.
_AWAY = -1e10


class TemporalAttention(nn.Module):
    """Attention, a linear layer, dropout, the query added, layer norm.

    Args:
        node_dim: Width of h.
        edge_dim: Width of e.
        time_dim: Width of Phi.
        heads: Number of heads; divides ``node_dim + time_dim``.
        dropout: Of the attention weights and of the output.
    """

    def __init__(self, node_dim: int, edge_dim: int, time_dim: int, heads: int, dropout: float):
        super().__init__()
        width = node_dim + time_dim
        if width % heads:
            raise ConfigError(
                f"model.node_dim + model.time_dim is {width}, no multiple of model.heads ({heads}); change one of them"
            )
        self.node_dim, self.width, self.heads, self.dropout = node_dim, width, heads, dropout
        parts = (node_dim, edge_dim, time_dim)
        self.query = PartLinear((node_dim, time_dim), width, bias=False)
        self.key = PartLinear(parts, width, bias=False)
        self.value = PartLinear(parts, width, bias=False)
        self.out = nn.Linear(width, width)
        self.norm = nn.LayerNorm(width)

    def forward(self, own: Tensor | None, now: Tensor, near: tuple[Tensor | None, ...], mask: Tensor) -> Tensor:
        """Attend.

        Args:
            own: ``(Q, node_dim)`` h of the asking nodes; ``None`` for zeros.
            now: ``(time_dim,)`` Phi(0).
            near: ``(Q, K, ...)`` h, e and Phi of their events; ``None`` for zeros, and one that is narrower than it
                should be has zeros at the right.
            mask: ``(Q, K) bool`` where there is an event.

        Returns:
            ``(Q, node_dim + time_dim)``.
        """
        asked = (self._heads(self.query(own, now)) @ self._columns(self.key, near)).transpose(0, 1)
        inputs = [part for part in near if part is not None]
        x = inputs[0] if len(inputs) == 1 else torch.cat(inputs, dim=2)
        ones = torch.ones(len(mask), self.heads, mask.shape[1], device=mask.device)
        kept = dropout(ones, self.dropout, self.training) if self.training and self.dropout else None
        met = _Attend.apply(asked, x, mask, kept, (self.width // self.heads) ** -0.5).transpose(0, 1)
        found = met @ self._columns(self.value, near).transpose(1, 2)  # (H, Q, width of a head)
        answer = dropout(self.out(found.transpose(0, 1).flatten(1)), self.dropout, self.training)
        return self.norm(answer + self._asking(own, now))

    def _heads(self, x: Tensor) -> Tensor:
        """``(Q, width)`` or ``(width,)`` to ``(H, Q or 1, width of a head)``."""
        return x.view(-1, self.heads, self.width // self.heads).transpose(0, 1)

    def _columns(self, layer: PartLinear, near: tuple[Tensor | None, ...]) -> Tensor:
        """``(H, width of a head, columns)`` of the inputs that there are."""
        columns = zip(layer.columns(), near, strict=True)
        present = [weight[:, : part.shape[-1]] for weight, part in columns if part is not None]
        return torch.cat(present, dim=1).unflatten(0, (self.heads, -1))

    def _asking(self, own: Tensor | None, now: Tensor) -> Tensor:
        """``[h | Phi(0)]``, for all rows alike if h is zero."""
        if own is None:
            return torch.cat([now.new_zeros(self.node_dim), now])
        return torch.cat([own, now.to(own.dtype).expand(len(own), -1)], dim=1)


class _Attend(torch.autograd.Function):
    """``sum_k drop( softmax_k( u . x_k ) ) x_k`` in single precision, each pass over x made once.

    Plain differentiation would write the gradient of x once for the scores and once for the sum, and add both up.
    """

    @staticmethod
    def forward(ctx, asked: Tensor, x: Tensor, mask: Tensor, kept: Tensor | None, scale: float) -> Tensor:
        """``(Q or 1, H, D)`` u, ``(Q, K, D)`` x, ``(Q, K)`` mask, ``(Q, H, K)`` factors of dropout; ``(Q, H, D)``."""
        ctx.types, ctx.scale = (asked.dtype, x.dtype), scale
        with _in_full_precision(x.device):
            asked, x = asked.float(), x.float()
            score = _scores(asked, x).mul_(scale).masked_fill_(~mask[:, None], _AWAY)
            weights = score.softmax(2)
            ctx.save_for_backward(asked, x, mask, kept, weights)
            return (weights if kept is None else weights * kept) @ x

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor | None, ...]:
        asked, x, mask, kept, weights = ctx.saved_tensors
        for_asked = for_x = None
        with _in_full_precision(x.device):
            gradient = gradient.float()
            slope = gradient @ x.transpose(1, 2)
            if kept is not None:
                slope = slope * kept
            slope = weights * (slope - (slope * weights).sum(2, keepdim=True))
            slope = slope.mul_(ctx.scale).masked_fill_(~mask[:, None], 0.0)
            if ctx.needs_input_grad[0]:
                if len(asked) == len(x):
                    for_asked = slope @ x
                else:
                    for_asked = (slope.transpose(0, 1).flatten(1) @ x.flatten(0, 1))[None]
                for_asked = for_asked.to(ctx.types[0])
            if ctx.needs_input_grad[1]:
                used = weights if kept is None else weights * kept
                rows = torch.cat([used, slope], dim=1).transpose(1, 2)
                for_x = (rows @ torch.cat([gradient, asked.expand_as(gradient)], dim=1)).to(ctx.types[1])
        return for_asked, for_x, None, None, None


def _in_full_precision(device: torch.device) -> AbstractContextManager:
    known = torch.amp.is_autocast_available(device.type)
    return torch.autocast(device.type, enabled=False) if known else nullcontext()


def _scores(asked: Tensor, x: Tensor) -> Tensor:
    """``(Q, H, K)``; one product for all rows if they all ask alike."""
    if len(asked) == len(x):
        return asked @ x.transpose(1, 2)
    return (x.flatten(0, 1) @ asked[0].T).unflatten(0, x.shape[:2]).transpose(1, 2).contiguous()

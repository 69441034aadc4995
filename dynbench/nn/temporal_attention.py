"""Attention of one query per node over its earlier events (TGAT, TGN, DyRep).

A node asks with ``[h_v | Phi(0)]``, and its earlier events answer with ``[h_w | e_vw | Phi(t - t_w)]``. There is one
query for K keys, so neither keys nor values need a projection of their own::

    (W_q q) . (W_k x_k)     =  (W_k' W_q q) . x_k
    sum_k  a_k (W_v x_k)    =  W_v ( sum_k a_k x_k )

for every head, dropout of ``a`` included. With inputs of width d that is some ``2 K d + 4 d^2`` products a query
instead of ``2 K d^2 + 2 d^2``.
"""

from __future__ import annotations

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
        inputs = [part for part in near if part is not None]
        asked = self._heads(self.query(own, now)) @ self._columns(self.key, near)
        asked = asked.transpose(0, 1).split([part.shape[-1] for part in inputs], dim=2)  # (Q or 1, H, width) each
        score = sum(
            u.expand(len(mask), -1, -1).to(part.dtype) @ part.transpose(1, 2)
            for u, part in zip(asked, inputs, strict=True)
        )
        score = (score.float() * (self.width // self.heads) ** -0.5).masked_fill(~mask[:, None], _AWAY)
        weights = dropout(score.softmax(2), self.dropout, self.training)
        met = torch.cat([weights.to(part.dtype) @ part for part in inputs], dim=2).transpose(0, 1)
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

"""Attention layers over a tree of earlier events, each distinct node at a time computed once (TGAT, TGN, DyRep)."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from dynbench.models.stream.base import distinct
from dynbench.models.stream.known import Known, Near, Sampling
from dynbench.nn.merge import Merge
from dynbench.nn.temporal_attention import TemporalAttention
from dynbench.nn.time_encoding import TimeEncoding

# What nodes bring along before any layer: ``(M,) long`` distinct nodes to ``(M, node_dim)``.
Inputs = Callable[[Tensor], Tensor]


class Level(NamedTuple):
    """What one layer computes.

    Attributes:
        near: ``(Q, K)`` events that its Q targets attend to.
        own: ``(Q,) long`` places of the targets among those of the layer below, or among the distinct nodes below all
            layers; ``None`` if nodes bring nothing along.
        others: ``(Q, K) long`` places of the nodes that they met, at the times of the events.
    """

    near: Near
    own: Tensor | None = None
    others: Tensor | None = None


class TreeAttention(nn.Module):
    """``h_l(v, t) = merge( attention( h_(l-1)(v, t), { h_(l-1)(w, t_w) } ), h_0(v) )``.

    Args:
        layers: Number of layers.
        node_dim, edge_dim, time_dim: Widths of h, of edge features, of the time encoding.
        heads: Of the attention.
        dropout: Of the attention.
        count: Earlier events that a node attends to.
        sampling: Which ones.
    """

    def __init__(
        self, layers: int, node_dim: int, edge_dim: int, time_dim: int, heads: int, dropout: float, count: int,
        sampling: Sampling,
    ):  # fmt: skip
        super().__init__()
        self.count, self.sampling = count, sampling
        self.attention = nn.ModuleList(
            TemporalAttention(node_dim, edge_dim, time_dim, heads, dropout) for _ in range(layers)
        )
        self.merge = nn.ModuleList(Merge((node_dim + time_dim, node_dim), node_dim, node_dim) for _ in range(layers))

    def forward(self, nodes: Tensor, times: Tensor, known: Known, time: TimeEncoding, inputs: Inputs | None) -> Tensor:
        """Embed distinct nodes at times.

        Args:
            nodes, times: ``(Q,)``.
            known: Where earlier events are found.
            time: The encoding Phi.
            inputs: Gives h_0; ``None`` for zeros.

        Returns:
            ``(Q, node_dim)``.
        """
        levels, below = self.grow(nodes, times, known, inputs is not None)
        start = None if inputs is None else inputs(below)
        now, current, origin = time.now(), start, None
        for level, attention, merge in zip(levels, self.attention, self.merge, strict=True):
            own, others = (None if current is None else _taken(current, place) for place in (level.own, level.others))
            near = level.near
            answer = attention(own, now, (others, known.edges(near.rows), time(near.since)), near.mask)
            # The places of the targets among the nodes below all layers, for what they brought along.
            if start is not None:
                origin = level.own if origin is None else origin[level.own]
            current = merge(answer, None if start is None else start.index_select(0, origin))
        return current

    def grow(self, nodes: Tensor, times: Tensor, known: Known, below: bool) -> tuple[list[Level], Tensor | None]:
        """Find what each layer computes, the lowest first, and the distinct nodes that it all stands on if asked to."""
        levels = []
        for layer in reversed(range(len(self.attention))):
            near = known.near(nodes, times, self.count, self.sampling)
            if layer == 0 and not below:
                levels.append(Level(near))
                break
            count, met = len(nodes), torch.cat([nodes, near.nodes.flatten()])
            if layer == 0:
                nodes, back = met.unique(return_inverse=True)
            else:
                nodes, times, back = distinct(met, torch.cat([times, near.times.flatten()]))
            levels.append(Level(near, back[:count], back[count:].view_as(near.nodes)))
        return levels[::-1], nodes if below else None


def _taken(table: Tensor, place: Tensor) -> Tensor:
    """``place.shape + (width,)`` rows of a table."""
    return table.index_select(0, place.flatten()).unflatten(0, place.shape)

"""Relational graph convolution with block-diagonal matrices, on a list of edges sorted by relation.

Schlichtkrull et al., ESWC 2018::

    y_v = act( W_0 x_v + 1 / |E_v| sum over edges (u, r, v) of W_r x_u )

where ``E_v`` holds the incoming edges of v of all relations, and every ``W_r`` is block-diagonal.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class TypedEdges(NamedTuple):
    """Edges ``src -> dst`` sorted by relation, each ``(E,)``; ``count`` says how many each relation has."""

    src: Tensor
    dst: Tensor
    weight: Tensor
    count: list[int]


def typed_edges(src: Tensor, dst: Tensor, relation: Tensor, num_relations: int, num_nodes: int) -> TypedEdges:
    """Sort edges by relation and weigh each by one over the in-degree of its target."""
    degree = torch.bincount(dst, minlength=num_nodes)
    order = relation.argsort(stable=True)
    src, dst = src[order], dst[order]
    count = torch.bincount(relation, minlength=num_relations).tolist()
    return TypedEdges(src, dst, 1.0 / degree[dst], count)


def kept_edges(edges: TypedEdges, mask: Tensor) -> TypedEdges:
    """The edges chosen by a mask, with the weights that they have among all."""
    count = [int(part.sum()) for part in mask.split(edges.count)]
    return TypedEdges(edges.src[mask], edges.dst[mask], edges.weight[mask], count)


class BlockRGCN(nn.Module):
    """One layer; no bias.

    Args:
        dim: Width of inputs and outputs; a multiple of ``block``.
        num_relations: Relations, inverse ones included.
        block: Side of the square blocks.
        dropout: Share of the self-loop term's entries dropped in training.
    """

    def __init__(self, dim: int, num_relations: int, block: int, dropout: float):
        super().__init__()
        self.block = block
        self.weight = nn.Parameter(torch.empty(num_relations, dim // block, block, block))
        self.loop = nn.Linear(dim, dim, bias=False)
        gain = nn.init.calculate_gain("relu")
        nn.init.xavier_uniform_(self.weight, gain)
        nn.init.xavier_uniform_(self.loop.weight, gain)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, edges: TypedEdges) -> Tensor:
        """``(N, dim)`` to ``(N, dim)``."""
        sent = self._messages(x.index_select(0, edges.src) * edges.weight[:, None], edges.count)
        return self.dropout(self.loop(x)).to(sent.dtype).index_add(0, edges.dst, sent)

    def _messages(self, x: Tensor, count: list[int]) -> Tensor:
        """``(E, dim)`` products of every row with its relation's matrix, block by block."""
        parts = [
            (part.unflatten(1, (-1, self.block, 1)) * matrix).sum(2).flatten(1)
            for part, matrix in zip(x.split(count), self.weight, strict=True)
            if len(part)
        ]
        return torch.cat(parts) if parts else x


class RGCN(nn.Module):
    """Two layers, with a ReLU between them.

    Args:
        dim: Width.
        num_relations: Relations, inverse ones included.
        block: Side of the blocks.
        dropout: Of the self-loop terms.
    """

    def __init__(self, dim: int, num_relations: int, block: int = 2, dropout: float = 0.5):
        super().__init__()
        self.first = BlockRGCN(dim, num_relations, block, dropout)
        self.second = BlockRGCN(dim, num_relations, block, dropout)

    def forward(self, x: Tensor, edges: TypedEdges, wanted: Tensor | None = None) -> Tensor:
        """``(N, dim)`` outputs; where a mask of ``wanted`` nodes is given, only theirs are right."""
        if wanted is None:
            return self.second(F.relu(self.first(x, edges)), edges)
        last = kept_edges(edges, wanted[edges.dst])
        needed = wanted.clone()
        needed[last.src] = True
        return self.second(F.relu(self.first(x, kept_edges(edges, needed[edges.dst]))), last)

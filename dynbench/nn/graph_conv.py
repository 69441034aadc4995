"""Graph convolutions on edge lists: symmetric normalisation (GCN) and mean aggregation (GraphSAGE).

Messages run from the source of an edge to its target. The normalised edges of a graph are computed once and used by
every layer and epoch; a layer is a linear map and one weighted sum over edges. ``edges`` of a layer's class prepares
them for it.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn


class Edges(NamedTuple):
    """Weighted edges ``src -> dst``, each ``(E,)``."""

    src: Tensor
    dst: Tensor
    weight: Tensor


def both_ways(src: Tensor, dst: Tensor, num_nodes: int) -> tuple[Tensor, Tensor]:
    """The distinct edges of the undirected projection, in both directions, without self-loops."""
    key = torch.cat([src * num_nodes + dst, dst * num_nodes + src]).unique()
    src, dst = key // num_nodes, key % num_nodes
    proper = src != dst
    return src[proper], dst[proper]


def gcn_edges(src: Tensor, dst: Tensor, num_nodes: int) -> Edges:
    """Edges with self-loops and weights ``1 / sqrt(d_src d_dst)`` (Kipf and Welling, 2017).

    Args:
        src, dst: ``(E,) long`` distinct edges without self-loops.
        num_nodes: Number of nodes.

    Returns:
        ``E + N`` edges. A degree is the number of incoming edges, self-loop included.
    """
    loops = torch.arange(num_nodes, device=src.device)
    src, dst = torch.cat([src, loops]), torch.cat([dst, loops])
    scale = torch.bincount(dst, minlength=num_nodes).float().rsqrt()
    return Edges(src, dst, scale[src] * scale[dst])


def mean_edges(src: Tensor, dst: Tensor, num_nodes: int) -> Edges:
    """Edges whose weights average over the incoming ones (Hamilton et al., 2017)."""
    degree = torch.bincount(dst, minlength=num_nodes)
    return Edges(src, dst, 1.0 / degree[dst])


def aggregate(x: Tensor, edges: Edges) -> Tensor:
    """``(N, D)`` weighted sums over the incoming edges of every node, no coarser than the weights."""
    sent = x.index_select(0, edges.src) * edges.weight[:, None]
    return sent.new_zeros(x.shape).index_add_(0, edges.dst, sent)


class GCNConv(nn.Module):
    """``A x W + b`` with the normalised adjacency ``A`` of :func:`gcn_edges`.

    Args:
        inputs, outputs: Dimensions.
    """

    edges = staticmethod(gcn_edges)

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(inputs, outputs))
        self.bias = nn.Parameter(torch.zeros(outputs))
        nn.init.xavier_uniform_(self.weight)

    def forward(self, x: Tensor, edges: Edges) -> Tensor:
        """``(N, inputs)`` to ``(N, outputs)``."""
        return aggregate(x @ self.weight, edges) + self.bias


class SAGEConv(nn.Module):
    """``mean(x of in-neighbours) W + b + x W'``.

    Args:
        inputs, outputs: Dimensions.
    """

    edges = staticmethod(mean_edges)

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.neighbours = nn.Linear(inputs, outputs)
        self.root = nn.Linear(inputs, outputs, bias=False)

    def forward(self, x: Tensor, edges: Edges) -> Tensor:
        """``(N, inputs)`` to ``(N, outputs)``; ``edges`` from :func:`mean_edges`."""
        return self.neighbours(aggregate(x, edges)) + self.root(x)


class PlainLayer(nn.Linear):
    """A linear layer in the place of a convolution; it looks at no edge."""

    edges = staticmethod(mean_edges)

    def forward(self, x: Tensor, edges: Edges) -> Tensor:
        """``(N, inputs)`` to ``(N, outputs)``."""
        return super().forward(x)

"""One undirected graph, with the pairs of which nothing is known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from dynbench.errors import ConfigError, DataError
from dynbench.graph import TemporalGraph


@dataclass(frozen=True, eq=False)
class StaticGraph:
    """Distinct links of an undirected graph without self-loops.

    Attributes:
        src, dst: ``(E,) long`` links, ``src < dst``.
        unknown: ``(2, U) long`` further pairs, ``unknown[0] < unknown[1]``, whose state is not known.
        num_nodes: Number of nodes.
        features: ``(N, D) float`` or ``None``.
    """

    src: Tensor
    dst: Tensor
    unknown: Tensor
    num_nodes: int
    features: Tensor | None = None

    @classmethod
    def of(cls, graph: TemporalGraph, snapshots: Literal["all", "last"] = "all") -> StaticGraph:
        """Merge the snapshots of a graph, or take the last one that has a link.

        Raises:
            ConfigError: If the graph is directed.
            DataError: If no link is left, or there are features for another number of nodes.
        """
        if graph.directed:
            raise ConfigError("this model takes an undirected graph; set data.directed=false")
        if snapshots == "last" and len(graph):
            graph = graph.between(graph.time[-1].item(), float("inf"))
        links = _distinct(torch.stack([graph.src, graph.dst]), graph.num_nodes)
        if not links.shape[1]:
            raise DataError("no edge is left to train on; keep more of them, or give the graph some")
        features = graph.node_features
        if features is not None and len(features) != graph.num_nodes:
            raise DataError(f"there are features of {len(features)} nodes, and the graph has {graph.num_nodes}")
        unknown = links[:, :0] if graph.unknown is None else _distinct(graph.unknown, graph.num_nodes)
        return cls(links[0], links[1], unknown, graph.num_nodes, features)

    def pairs(self) -> Tensor:
        """``(2, E)`` links."""
        return torch.stack([self.src, self.dst])

    def both_ways(self) -> tuple[Tensor, Tensor]:
        """``(2E,)`` ends of all links, in both directions."""
        return torch.cat([self.src, self.dst]), torch.cat([self.dst, self.src])

    def to(self, device: torch.device | str) -> StaticGraph:
        """The same graph on another device."""
        features = None if self.features is None else self.features.to(device)
        return StaticGraph(
            self.src.to(device), self.dst.to(device), self.unknown.to(device), self.num_nodes, features
        )  # fmt: skip


def require_fewer(name: str, value: int, num_nodes: int) -> None:
    """Refuse more groups than nodes.

    Raises:
        ConfigError: Naming the setting and the number of nodes.
    """
    if value > num_nodes:
        raise ConfigError(f"model.{name}={value} is more than the {num_nodes} nodes of the graph; take at most as many")


def _distinct(pairs: Tensor, num_nodes: int) -> Tensor:
    low, high = pairs.min(dim=0).values, pairs.max(dim=0).values
    key = (low * num_nodes + high)[low != high].unique()
    return torch.stack([key // num_nodes, key % num_nodes])

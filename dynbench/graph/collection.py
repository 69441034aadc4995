"""Several graphs at once: some to learn from, others to be asked about.

Nodes of one graph are not those of another, and their clocks need not agree. :func:`disjoint_union` lays them side by
side, each with nodes of its own and with times counted from its first event, so that one index serves them all.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import torch

from dynbench.errors import DataError
from dynbench.graph.temporal_graph import TemporalGraph


class Mixture(dict[str, TemporalGraph]):
    """Graphs by name that a model learns from together.

    Args:
        graphs: By name.
        edges: Events that each of them contributes to an epoch: smaller ones are repeated, larger ones sub-sampled.
    """

    def __init__(self, graphs: Mapping[str, TemporalGraph], edges: int):
        super().__init__(graphs)
        self.edges = edges

    def mapped(self, function: Callable[[TemporalGraph], TemporalGraph]) -> Mixture:
        """The same with other graphs in place of each."""
        return Mixture({name: function(graph) for name, graph in self.items()}, self.edges)


@dataclass(frozen=True, eq=False)
class GraphCollection:
    """What a dataset of several graphs gives; answers what a run asks of any graph.

    Attributes:
        train: What is learnt from.
        targets: What is asked about, in the order in which tables show it. May share graphs with ``train``.
        edges: Events of each training graph in an epoch; ``max`` or ``mean`` of their numbers of training events.
    """

    train: Mapping[str, TemporalGraph]
    targets: Mapping[str, TemporalGraph]
    edges: int | str

    # A run looks these up of any graph.
    num_relations = 1
    num_steps = None
    directed = True
    relation = None
    node_features = None
    edge_features = None

    @property
    def graphs(self) -> dict[str, TemporalGraph]:
        """All graphs by name, each once."""
        return {**self.train, **self.targets}

    @property
    def num_nodes(self) -> int:
        """Of all graphs together."""
        return sum(graph.num_nodes for graph in self.graphs.values())

    def __len__(self) -> int:
        """Events of all graphs together."""
        return sum(map(len, self.graphs.values()))

    def checksum(self) -> str:
        """Over the names and checksums of all graphs."""
        return self.checksum_of("train", "targets")

    def checksum_of(self, *kinds: str) -> str:
        """The same of some: ``train``, ``targets``."""
        digest = hashlib.sha256()
        for kind in kinds:
            for name, graph in getattr(self, kind).items():
                digest.update(f"{kind}:{name}:{graph.checksum()}\n".encode())
        return digest.hexdigest()


def plain_graph(graph: TemporalGraph) -> TemporalGraph:
    """The events alone, in both directions apart: no features, weights, relations or labels."""
    nothing = dict.fromkeys(("relation", "weight", "edge_features", "node_features", "node_labels", "unknown"))
    return replace(graph, **nothing, num_relations=1, directed=True)


def disjoint_union(graphs: Mapping[str, TemporalGraph]) -> tuple[TemporalGraph, dict[str, torch.Tensor]]:
    """Graphs side by side in one, without features.

    Args:
        graphs: By name; none of them empty.

    Returns:
        The union, whose times count from the first event of each graph, and for each graph the ``(E,) long`` positions
        of its events in the union, in their own order.

    Raises:
        DataError: If a graph has no events.
    """
    shift, parts = 0, []
    exact = all(not graph.time.is_floating_point() for graph in graphs.values())
    for name, graph in graphs.items():
        if not len(graph):
            raise DataError(f"graph '{name}' has no events to learn from")
        since = graph.time - graph.time[0]
        parts.append((graph.src + shift, graph.dst + shift, since if exact else since.double()))
        shift += graph.num_nodes
    src, dst, time = (torch.cat(fields) for fields in zip(*parts, strict=True))
    order = torch.argsort(time, stable=True)
    place = torch.empty_like(order)
    place[order] = torch.arange(len(order), device=order.device)
    ends = torch.tensor([len(part[0]) for part in parts]).tolist()
    positions = dict(zip(graphs, place.split(ends), strict=True))
    return TemporalGraph(src[order], dst[order], time[order], shift), positions

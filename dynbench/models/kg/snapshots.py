"""The snapshots of a knowledge graph as one disjoint graph, of which any steps can be cut out."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from dynbench.graph import TemporalGraph
from dynbench.nn.rgcn import TypedEdges, typed_edges
from dynbench.nn.segments import ranges


class Cut(NamedTuple):
    """Some snapshots side by side.

    Attributes:
        entity: ``(M,) long`` entity of each node.
        owner: ``(M,) long`` which of the snapshots that were asked for a node belongs to.
        edges: Along every fact and back, with relation ids from R on for the way back.
    """

    entity: Tensor
    owner: Tensor
    edges: TypedEdges


class Snapshots:
    """Every snapshot with its own copies of the entities that are active in it.

    Args:
        graph: The facts that are known.
    """

    def __init__(self, graph: TemporalGraph):
        self.num_nodes, self.num_relations = graph.num_nodes, graph.num_relations
        ends = torch.stack([graph.src, graph.dst]) + graph.time * graph.num_nodes
        self.key, place = ends.unique(return_inverse=True)
        self.src, self.dst = place
        self.relation = torch.zeros_like(graph.src) if graph.relation is None else graph.relation
        steps = torch.arange(graph.require_steps() + 1, device=graph.src.device)
        self._nodes = torch.searchsorted(self.key, steps * graph.num_nodes)
        self._facts = torch.searchsorted(graph.time.contiguous(), steps)

    def cut(self, steps: Tensor, swap: bool = False) -> Cut:
        """The snapshots at ``(S,)`` distinct steps.

        Args:
            steps: Which.
            swap: Whether facts and their way back change relation ids, as seen from the objects.
        """
        owner, node = ranges(self._nodes[steps], self._nodes[steps + 1] - self._nodes[steps])
        of_fact, fact = ranges(self._facts[steps], self._facts[steps + 1] - self._facts[steps])
        shift = self._shift(steps)[of_fact]
        src, dst, relation = self.src[fact] - shift, self.dst[fact] - shift, self.relation[fact]
        back = relation + self.num_relations
        types = torch.cat([back, relation] if swap else [relation, back])
        edges = typed_edges(
            torch.cat([src, dst]), torch.cat([dst, src]), types, 2 * self.num_relations, len(node)
        )  # fmt: skip
        return Cut(self.key[node] % self.num_nodes, owner, edges)

    def places(self, steps: Tensor, slot: Tensor, entity: Tensor) -> Tensor:
        """``(K,) long`` nodes of ``cut(steps)`` that stand for active entities at the ``slot``-th of the steps."""
        return torch.searchsorted(self.key, steps[slot] * self.num_nodes + entity) - self._shift(steps)[slot]

    def _shift(self, steps: Tensor) -> Tensor:
        """What to subtract from a node's number among all to get that among the cut ones."""
        size = self._nodes[steps + 1] - self._nodes[steps]
        return self._nodes[steps] - (size.cumsum(0) - size)

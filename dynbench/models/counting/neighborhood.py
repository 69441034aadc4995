"""Neighbourhoods in the past graph: common neighbours, Adamic-Adar, resource allocation, preferential attachment.

Paper:
    Liben-Nowell, Kleinberg: The link-prediction problem for social networks. JASIST 58(7), 2007 (common neighbours,
    Adamic-Adar, preferential attachment). Zhou, Lü, Zhang: Predicting missing links via local information. European
    Physical Journal B 71, 2009 (resource allocation).

Idea:
    Merge all snapshots of the history, or take only the last one, as one undirected graph, and score a pair by what
    its ends share there.

Equations:
    With N(i) the neighbours of i in that graph and d(i) the number of its links over its snapshots, or |N(i)| with
    ``count: neighbors``::

        CN(i, j) = |N(i) & N(j)|               AA(i, j) = sum over w in N(i) & N(j) of 1 / ln |N(w)|
        PA(i, j) = d(i) d(j)                   RA(i, j) = sum over w in N(i) & N(j) of 1 / |N(w)|

Deviations:
    * Self-loops are left out of neighbourhoods. A pair (i, i) is scored like any other.
    * PA counts a link once per snapshot and direction in which it occurs: repeated contact is attachment, too. NGLP's
      baseline, on the undirected projection of the last snapshot, is ``snapshots: last`` with ``count: neighbors``.
"""

from __future__ import annotations

import dataclasses
from abc import abstractmethod
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from dynbench.contract import Queries
from dynbench.graph import TemporalGraph
from dynbench.graph.union import UnionGraph
from dynbench.models.base import Model


class NeighborhoodModel(Model):
    """Scores by neighbourhoods in the past, which grow with what is revealed.

    Args:
        snapshots: Whether the graph is the union of ``all`` snapshots or the ``last`` one that is not empty.
    """

    answers = frozenset({"score"})
    draws = False

    def __init__(self, *, snapshots: Literal["all", "last"] = "all"):
        self.snapshots = snapshots

    @abstractmethod
    def count(self, graph: TemporalGraph) -> None:
        """Begin anew with a graph."""

    @abstractmethod
    def add(self, events: TemporalGraph) -> None:
        """Take in events that follow."""

    @abstractmethod
    def mark(self) -> dict[str, Tensor]:
        """What :meth:`add` changes, as it is now."""

    @abstractmethod
    def rewind(self, mark: dict[str, Tensor]) -> None:
        """Go back to a mark."""

    def condition(self, context: TemporalGraph) -> None:
        """Begin with what is known, or with the last snapshot of it."""
        self._graph = self._recent(context.to("cpu"))
        self.count(self._graph)

    def observe(self, events: TemporalGraph) -> None:
        """Append revealed events, or go over to the last snapshot among them."""
        events = events.to("cpu")
        if self.snapshots == "all":
            self.add(events)
        elif len(events):
            self._graph = self._recent(events)
            self.count(self._graph)

    def running_state(self) -> dict[str, Tensor]:
        """How far the union has grown, or which snapshot is the last one."""
        graph = self._graph
        return self.mark() if self.snapshots == "all" else {"src": graph.src, "dst": graph.dst, "time": graph.time}

    def restore(self, state: dict[str, Tensor]) -> None:
        """Go back to that."""
        if self.snapshots == "all":
            self.rewind(state)
        else:
            self._graph = dataclasses.replace(
                self._graph, **state, ids=None, relation=None, weight=None, edge_features=None
            )
            self.count(self._graph)

    def _recent(self, events: TemporalGraph) -> TemporalGraph:
        return events if self.snapshots == "all" or not len(events) else events.step(int(events.time[-1]))


class CommonNeighbors(NeighborhoodModel):
    """Number of common neighbours."""

    def count(self, graph: TemporalGraph) -> None:
        """The union graph, and what each node contributes as a common neighbour."""
        self.union = UnionGraph(graph)
        self.value = self.contribution(self.union.degree.astype(float))

    def add(self, events: TemporalGraph) -> None:
        """More of the union; contributions change at nodes with a new neighbour."""
        nodes = self.union.append(events)
        self.value[nodes] = self.contribution(self.union.degree[nodes].astype(float))

    def mark(self) -> dict[str, Tensor]:
        """How far the union has grown."""
        return self.union.mark()

    def rewind(self, mark: dict[str, Tensor]) -> None:
        """Back to a smaller union."""
        self.union.rewind(mark)
        self.value = self.contribution(self.union.degree.astype(float))

    def contribution(self, degree: np.ndarray) -> np.ndarray:
        """``(N,)`` what a common neighbour of each ``(N,)`` degree adds to a score."""
        return np.ones_like(degree)

    def score(self, queries: Queries) -> Tensor:
        """Summed contributions of the common neighbours."""
        return self.union.shared(queries.src, queries.dst, self.value).float()


class AdamicAdar(CommonNeighbors):
    """Common neighbours, each weighted by the inverse logarithm of its degree."""

    def contribution(self, degree: np.ndarray) -> np.ndarray:
        """``1 / ln d``; a common neighbour of two nodes has degree 2 at least, except for pairs ``(i, i)``."""
        return 1 / np.log(np.maximum(degree, 2))


class ResourceAllocation(CommonNeighbors):
    """Common neighbours, each weighted by its inverse degree."""

    def contribution(self, degree: np.ndarray) -> np.ndarray:
        """``1 / d``."""
        return 1 / np.maximum(degree, 1)


class PreferentialAttachment(NeighborhoodModel):
    """Product of the two ends' degrees.

    Args:
        snapshots: Whether the graph is the union of ``all`` snapshots or the ``last`` one that is not empty.
        count: Whether a degree counts ``links``, once per snapshot and direction, or different ``neighbors``.
    """

    def __init__(self, *, snapshots: Literal["all", "last"] = "all", count: Literal["links", "neighbors"] = "links"):
        super().__init__(snapshots=snapshots)
        self.counted = count

    def count(self, graph: TemporalGraph) -> None:
        """``(N,)`` degrees."""
        if self.counted == "links":
            self.degree = link_counts(graph)
        else:
            self.union = UnionGraph(graph)

    def add(self, events: TemporalGraph) -> None:
        """Higher degrees."""
        if self.counted == "links":
            add_link_counts(self.degree, events)
        else:
            self.union.append(events)

    def mark(self) -> dict[str, Tensor]:
        """The degrees, or how far the union has grown."""
        return {"degree": self.degree.clone()} if self.counted == "links" else self.union.mark()

    def rewind(self, mark: dict[str, Tensor]) -> None:
        """Back to lower degrees."""
        if self.counted == "links":
            self.degree = mark["degree"].clone()
        else:
            self.union.rewind(mark)

    def score(self, queries: Queries) -> Tensor:
        """``d(i) d(j)``."""
        degree = self.degree if self.counted == "links" else torch.from_numpy(self.union.degree).double()
        return (degree[queries.src.cpu()] * degree[queries.dst.cpu()]).float()


def link_counts(history: TemporalGraph) -> Tensor:
    """``(N,) double`` number of link ends at each node, over all of the history."""
    ends = torch.cat([history.src, history.dst])
    return torch.bincount(ends, minlength=history.num_nodes).double()


def add_link_counts(degree: Tensor, events: TemporalGraph) -> None:
    """Count the ends of further links, in place."""
    for ends in (events.src, events.dst):
        degree.index_add_(0, ends, torch.ones(len(ends), dtype=torch.double))

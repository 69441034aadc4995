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

from typing import Literal

import numpy as np
import torch
from torch import Tensor

from dynbench.contract import Queries
from dynbench.graph import TemporalGraph
from dynbench.models.history import HistoryModel
from dynbench.sampling.adjacency import shared_neighbors, union_adjacency


class NeighborhoodModel(HistoryModel):
    """Scores by neighbourhoods in the past.

    Args:
        snapshots: Whether the graph is the union of ``all`` snapshots or the ``last`` one that is not empty.
    """

    def __init__(self, *, snapshots: Literal["all", "last"] = "all"):
        super().__init__()
        self.snapshots = snapshots

    @property
    def known(self) -> TemporalGraph:
        """All events that are known, or those of the last snapshot."""
        return self._recent(super().known)

    def _recent(self, events: TemporalGraph) -> TemporalGraph:
        return events if self.snapshots == "all" or not len(events) else events.step(int(events.time[-1]))

    def score(self, queries: Queries) -> Tensor:
        """``(Q,)`` scores; see the subclass."""
        return super().score(queries)


class CommonNeighbors(NeighborhoodModel):
    """Number of common neighbours."""

    def count(self, history: TemporalGraph) -> None:
        """The union graph, and what each node contributes as a common neighbour."""
        self.union = union_adjacency(history)
        self.value = self.contribution(np.diff(self.union.indptr).astype(float))

    def contribution(self, degree: np.ndarray) -> np.ndarray:
        """``(N,)`` what a common neighbour of each ``(N,)`` degree adds to a score."""
        return np.ones_like(degree)

    def score(self, queries: Queries) -> Tensor:
        """Summed contributions of the common neighbours."""
        return shared_neighbors(self.union, self.value, queries.src, queries.dst).float()


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

    def count(self, history: TemporalGraph) -> None:
        """``(N,)`` degrees."""
        if self.counted == "links":
            self.degree = link_counts(history)
        else:
            self.degree = torch.from_numpy(np.diff(union_adjacency(history).indptr)).double()

    def score(self, queries: Queries) -> Tensor:
        """``d(i) d(j)``."""
        return (self.degree[queries.src.cpu()] * self.degree[queries.dst.cpu()]).float()


def link_counts(history: TemporalGraph) -> Tensor:
    """``(N,) double`` number of link ends at each node, over all of the history."""
    ends = torch.cat([history.src, history.dst])
    return torch.bincount(ends, minlength=history.num_nodes).double()

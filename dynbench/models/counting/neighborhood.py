"""Neighbourhoods in the union graph: common neighbours, Adamic-Adar, resource allocation, preferential attachment.

Paper:
    Liben-Nowell, Kleinberg: The link-prediction problem for social networks. JASIST 58(7), 2007 (common neighbours,
    Adamic-Adar, preferential attachment). Zhou, Lü, Zhang: Predicting missing links via local information. European
    Physical Journal B 71, 2009 (resource allocation).

Idea:
    Merge all snapshots of the history into one undirected graph and score a pair by what its ends share there.

Equations:
    With N(i) the neighbours of i in the union graph and d(i) the number of its links over all snapshots::

        CN(i, j) = |N(i) & N(j)|               AA(i, j) = sum over w in N(i) & N(j) of 1 / ln |N(w)|
        PA(i, j) = d(i) d(j)                   RA(i, j) = sum over w in N(i) & N(j) of 1 / |N(w)|

Deviations:
    * Self-loops are left out of neighbourhoods. A pair (i, i) is scored like any other.
    * PA counts a link once per snapshot in which it occurs: repeated contact is attachment, too.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from dynbench.contract import Queries
from dynbench.graph import TemporalGraph
from dynbench.models.counting.history import HistoryModel
from dynbench.sampling.adjacency import shared_neighbors, union_adjacency


class CommonNeighbors(HistoryModel):
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


class PreferentialAttachment(HistoryModel):
    """Product of the two ends' degrees."""

    def count(self, history: TemporalGraph) -> None:
        """``(N,)`` links per node over all snapshots."""
        self.degree = link_counts(history)

    def score(self, queries: Queries) -> Tensor:
        """``d(i) d(j)``."""
        return (self.degree[queries.src.cpu()] * self.degree[queries.dst.cpu()]).float()


def link_counts(history: TemporalGraph) -> Tensor:
    """``(N,) double`` number of link ends at each node, over all of the history."""
    ends = torch.cat([history.src, history.dst])
    return torch.bincount(ends, minlength=history.num_nodes).double()

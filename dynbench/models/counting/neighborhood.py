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
from dynbench.graph.pairs import Neighborhoods
from dynbench.models.history import HistoryModel


class NeighborhoodModel(HistoryModel):
    """Scores by neighbourhoods in the past.

    Args:
        snapshots: Whether the graph is the union of ``all`` snapshots or the ``last`` one that is not empty.
    """

    version = 1

    def __init__(self, *, snapshots: Literal["all", "last"] = "all"):
        self.snapshots = snapshots

    @property
    def known(self) -> TemporalGraph:
        """All events that are known, or those of the last snapshot."""
        known = super().known
        return known if self.snapshots == "all" or not len(known) else known.step(int(known.time[-1]))

    def add(self, events: TemporalGraph) -> None:
        """Add revealed events, or go over to the last snapshot among them."""
        if self.snapshots == "all":
            self.extend(events)
        elif len(events):
            self.count(self.known)

    def extend(self, events: TemporalGraph) -> None:
        """Add events to what was counted."""

    def score(self, queries: Queries) -> Tensor:
        """``(Q,)`` scores; see the subclass."""
        return super().score(queries)


class CommonNeighbors(NeighborhoodModel):
    """Number of common neighbours."""

    def count(self, history: TemporalGraph) -> None:
        """The neighbours of each node."""
        self.union = Neighborhoods(history)

    def extend(self, events: TemporalGraph) -> None:
        """New neighbours."""
        self.union.append(events)

    def contribution(self, degree: np.ndarray) -> np.ndarray:
        """What common neighbours of ``(n,)`` degrees add to a score."""
        return np.ones(len(degree))

    def score(self, queries: Queries) -> Tensor:
        """Summed contributions of the common neighbours."""
        pair, node = self.union.shared(queries.src, queries.dst)
        value = self.contribution(self.union.degree[node])
        return torch.from_numpy(np.bincount(pair, value, minlength=len(queries))).float()


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
        """Links or neighbours of each node."""
        self.links = link_counts(history) if self.counted == "links" else None
        self.union = Neighborhoods(history) if self.counted == "neighbors" else None

    def extend(self, events: TemporalGraph) -> None:
        """More links, or new neighbours."""
        if self.union is None:
            add_link_counts(self.links, events)
        else:
            self.union.append(events)

    def score(self, queries: Queries) -> Tensor:
        """``d(i) d(j)``."""
        degree = self.links if self.union is None else torch.from_numpy(self.union.degree).double()
        return (degree[queries.src.cpu()] * degree[queries.dst.cpu()]).float()


def link_counts(history: TemporalGraph) -> Tensor:
    """``(N,) double`` number of link ends at each node, over all of the history."""
    degree = torch.zeros(history.num_nodes, dtype=torch.double)
    add_link_counts(degree, history)
    return degree


def add_link_counts(degree: Tensor, events: TemporalGraph) -> None:
    """Count the ends of further links, in place."""
    for ends in (events.src, events.dst):
        degree.index_add_(0, ends, torch.ones(len(ends), dtype=torch.double))

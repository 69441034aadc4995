"""A drawn graph of overlapping communities, for a first look at models of communities."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from dynbench.data.base import plain
from dynbench.data.generators import _Generator
from dynbench.data.locations import Locations
from dynbench.graph import TemporalGraph
from dynbench.ranges import CountOrZero, Name, Seed, Several, Share


class OverlappingBlocks(_Generator):
    """Communities in a ring that share nodes with the next one; whoever shares a community is linked.

    The toy graph of DGLFRM's authors, ``A = round(sigmoid(Z Z'))`` with memberships Z that they do not print, and with
    some pairs turned over.

    Args:
        name: Name of the dataset.
        nodes: Number of nodes.
        communities: Number of communities.
        overlap: Nodes that a community shares with the next.
        noise: Probability that a pair is turned over: a link to none, none to a link.
        seed: Seed of the noise.
        expected: Statistics at the card's own parameters.
        native: Parameters under which ``expected`` holds.
        card: Title, origin, licence and citation; for people.
        where: Not used; every dataset takes it.
    """

    _parameters = ("nodes", "communities", "overlap", "noise", "seed")

    def __init__(
        self,
        name: Name,
        nodes: Several = 100,
        communities: Several = 10,
        overlap: CountOrZero = 4,
        noise: Share = 0.01,
        seed: Seed = 0,
        expected: dict | None = None,
        native: dict | None = None,
        card: dict | None = None,
        where: Locations | None = None,
    ) -> None:
        self.name, self.nodes, self.communities, self.overlap = name, nodes, communities, overlap
        self.noise, self.seed = noise, seed
        self.expected, self.native, self.card = plain(expected or {}), plain(native or {}), plain(card or {})

    def memberships(self) -> np.ndarray:
        """``(N, K)`` zeros and ones."""
        self._require(self.communities <= self.nodes, "communities", f"at most the {self.nodes} nodes")
        self._require(self.overlap <= self.nodes // self.communities, "overlap", "at most the size of a community")
        bounds = np.arange(self.communities + 1) * self.nodes // self.communities
        z = np.zeros((self.nodes, self.communities), dtype=np.int64)
        for k, (start, stop) in enumerate(pairwise(bounds)):
            z[np.arange(start, stop + self.overlap) % self.nodes, k] = 1
        return z

    def bytes_needed(self) -> tuple[int, str]:
        """For all pairs a draw and the communities that they share."""
        return 16 * self.nodes**2, f"it draws {self.nodes:,} x {self.nodes:,} pairs; lower data.nodes"

    def _draw(self) -> TemporalGraph:
        z = self.memberships()
        draw = np.random.RandomState(self.seed)
        turned = draw.random_sample((self.nodes, self.nodes)) < self.noise
        src, dst = np.nonzero(np.triu((z @ z.T > 0) ^ turned, 1))
        return TemporalGraph.from_events(
            src, dst, np.zeros(len(src), dtype=np.int64), self.nodes, directed=False, num_steps=1,
            node_labels=z.argmax(1),
        )  # fmt: skip

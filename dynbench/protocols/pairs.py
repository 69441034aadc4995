"""Evaluation pairs of a snapshot forecast: links of the target snapshot and sampled non-links."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from dynbench.contract import Queries
from dynbench.errors import DataError
from dynbench.graph import TemporalGraph
from dynbench.sampling.pairs import PairIndex, contains_sorted, draw_pairs, drawn_distinct


@dataclass(frozen=True)
class LabelledPairs:
    """Pairs ``(Q,)`` with ``(Q,)`` labels, links first."""

    src: Tensor
    dst: Tensor
    labels: Tensor

    def queries(self, time: int) -> Queries:
        """The pairs as questions about one snapshot."""
        return Queries.pairs(self.src, self.dst, time)


class PairSplitter:
    """Splits the links of a target snapshot 20/20/60 and draws as many non-links for each part.

    The recipe is DySAT's (section 2 of the snapshot protocols): links are the target's distinct pairs between known
    nodes; a shuffled fifth goes to validation, three fifths to test, the rest to training a classifier. Non-links are
    uniform pairs of known nodes that are not linked in the target; links of earlier snapshots may occur among them.

    Args:
        graph: The whole snapshot graph.
        seed: Seeds the splits; each target has a stream of its own.
        self_loops: Whether self-loops count among the links (as in DySAT's benchmark) or are dropped.
        links: ``all`` links of the target, or only ``new`` ones, absent from every earlier snapshot.
        negatives: ``uniform`` over all pairs, or ``bipartite``: one end from each side.
    """

    def __init__(
        self,
        graph: TemporalGraph,
        seed: int,
        self_loops: Literal["keep", "drop"] = "keep",
        links: Literal["all", "new"] = "all",
        negatives: Literal["uniform", "bipartite"] = "uniform",
    ):
        if negatives == "bipartite" and not graph.bipartite:
            raise DataError("protocol.negatives=bipartite needs a bipartite graph; use negatives=uniform")
        self._graph, self._seed = graph, seed
        self._self_loops, self._links, self._negatives = self_loops, links, negatives
        self._first_seen = graph.first_seen()
        self._ever = PairIndex(graph)

    def known(self, step: int) -> Tensor:
        """``(N,) bool``: nodes that appeared in a snapshot up to ``step``."""
        return self._first_seen <= step

    def links(self, target: int, known: Tensor) -> tuple[Tensor, Tensor]:
        """Links of the target between known nodes, in the order of the graph."""
        snapshot = self._graph.step(target)
        kept = known[snapshot.src] & known[snapshot.dst]
        if self._self_loops == "drop":
            kept &= snapshot.src != snapshot.dst
        src, dst = snapshot.src[kept], snapshot.dst[kept]
        if self._links == "new":
            past = self._graph.before(target)
            seen = self._ever.key(0, past.src, past.dst).unique()
            new = ~contains_sorted(seen, self._ever.key(0, src, dst))
            src, dst = src[new], dst[new]
        return src, dst

    def split(self, target: int, trained: int) -> dict[str, LabelledPairs]:
        """Labelled pairs of one target.

        Args:
            target: The snapshot asked about.
            trained: The last snapshot a model may have seen; only its nodes take part.

        Returns:
            ``train``, ``test`` and ``validation`` pairs.

        Raises:
            DataError: If the target has fewer non-links than links.
        """
        generator = torch.Generator().manual_seed(_stream(self._seed, target))
        known = self.known(trained)
        src, dst = self.links(target, known)
        order = torch.randperm(len(src), generator=generator)
        # floor(0.2 n) and floor(0.6 n), in whole numbers.
        validation, test = len(src) // 5, 3 * len(src) // 5
        parts = {
            "train": order[validation + test :],
            "test": order[validation : validation + test],
            "validation": order[:validation],
        }
        return {name: self._with_non_links(src[p], dst[p], target, known, generator) for name, p in parts.items()}

    def _with_non_links(self, src, dst, target, known, generator) -> LabelledPairs:
        negatives = self._non_links(len(src), target, known, generator)
        labels = torch.cat([torch.ones(len(src)), torch.zeros(len(src))]).to(torch.int8)
        return LabelledPairs(torch.cat([src, negatives[0]]), torch.cat([dst, negatives[1]]), labels)

    def _non_links(self, count: int, target: int, known: Tensor, generator) -> tuple[Tensor, Tensor]:
        """``count`` distinct uniform non-links, in the order in which they were drawn."""
        self._require_room(count, target, known)
        nodes = known.nonzero().squeeze(1)

        def draw(number: int) -> tuple[Tensor, Tensor]:
            return draw_pairs(nodes, torch.full((number,), len(nodes)), generator)

        def refused(src: Tensor, dst: Tensor) -> Tensor:
            linked = self._ever.contains(target, src, dst)
            return linked if self._negatives == "uniform" else linked | ~self._sources()[src] | self._sources()[dst]

        return drawn_distinct(draw, refused, partial(self._ever.key, 0), count)

    def _require_room(self, count: int, target: int, known: Tensor) -> None:
        nodes = int(known.sum())
        pairs = nodes * (nodes - 1) // (1 if self._graph.directed else 2)
        if self._negatives == "bipartite":
            sources = int((known & self._sources()).sum())
            pairs = sources * (nodes - sources)
        snapshot = self._graph.step(target)
        inside = known[snapshot.src] & known[snapshot.dst] & (snapshot.src != snapshot.dst)
        room = pairs - int(inside.sum())
        if room < count:
            raise DataError(
                f"snapshot {target} has {room} pairs without a link among its {nodes} known nodes and {count} are "
                "needed; cut the data into shorter windows or use protocol=single_step_allpairs"
            )

    def _sources(self) -> Tensor:
        """``(N,) bool``: nodes that ever stand at the source side of a bipartite graph."""
        sources = torch.zeros(self._graph.num_nodes, dtype=torch.bool)
        sources[self._graph.src] = True
        return sources


def _stream(seed: int, target: int) -> int:
    """A seed for one target, independent of how many targets were drawn before."""
    return int(np.random.SeedSequence([seed, target]).generate_state(1, np.uint64)[0] >> 1)

"""Hidden links of one graph: train on most links, be asked which of some other pairs are linked.

The split of Kipf and Welling's graph auto-encoders, which DGLFRM and others took over: a shuffled twentieth of the
links is kept for validation and a tenth for the test, each with as many pairs that are not linked. A model learns from
the rest of the links, and is told of which pairs it will know nothing (``TemporalGraph.unknown``), links and non-links
in one list. A graph of several snapshots is merged first.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import torch
from torch import Tensor

from dynbench.contract import Block, Episode, Exam, Queries
from dynbench.errors import ConfigError, DataError
from dynbench.graph import TemporalGraph
from dynbench.metrics.links import PairMetrics, PooledMetrics
from dynbench.protocols.base import Protocol
from dynbench.ranges import Dropout, Seed
from dynbench.sampling.pairs import PairIndex, draw_non_edges


class StaticLinks(Protocol):
    """Hidden links of one graph, and as many pairs that are not linked.

    All pairs are asked about at time 1, which is after the one snapshot that the graph has, so that models that
    forecast can be asked as well.

    Args:
        validation: Share of the links kept for validation, rounded down.
        test: Share of the links kept for the test, rounded down.
        split_seed: Seed of the split and of the pairs that are not linked; the run's seed when ``None``.
    """

    version = 1
    asks = "score"
    view = "snapshots"
    withholds = "pairs"
    validates = True

    def __init__(self, *, validation: Dropout = 0.05, test: Dropout = 0.1, split_seed: Seed | None = None):
        if not (validation >= 0 and test > 0 and validation + test < 1):
            raise ConfigError(
                f"protocol.validation={validation} and protocol.test={test} leave no link to train on or to ask about"
            )
        self.validation, self.test, self.split_seed = validation, test, split_seed

    def num_episodes(self, graph: TemporalGraph) -> int:
        """Just one."""
        return 1

    def episodes(self, graph: TemporalGraph, seed: int) -> Iterator[Episode]:
        """The one split of this seed."""
        whole = merged(graph)
        generator = torch.Generator().manual_seed(seed if self.split_seed is None else self.split_seed)
        order = torch.randperm(len(whole), generator=generator)
        counts = [int(self.validation * len(whole) + 1e-9), int(self.test * len(whole) + 1e-9)]
        if not counts[1]:
            raise DataError(f"{len(whole)} links are too few to keep {self.test:g} of them for a test")
        others = draw_non_edges(PairIndex(whole), 0, sum(counts), torch.arange(whole.num_nodes), generator)
        if others is None:
            raise DataError(
                f"the graph has fewer than {sum(counts)} pairs of nodes that are not linked, so there are not enough "
                "to ask about; lower protocol.test and protocol.validation"
            )
        links = torch.stack([whole.src[order], whole.dst[order]])
        others = torch.stack(others)
        if not whole.directed:
            others = others.sort(dim=0).values
        pairs = [
            (links[:, start : start + count], others[:, start : start + count])
            for start, count in zip((0, counts[0]), counts, strict=True)
        ]
        kept = torch.ones(len(whole), dtype=torch.bool)
        kept[order[: sum(counts)]] = False
        asked = torch.cat([part for both in pairs for part in both], dim=1)
        # In the order of the pairs, which does not tell links from others.
        key = (asked[0] * whole.num_nodes + asked[1]).sort().values
        unknown = torch.stack([key // whole.num_nodes, key % whole.num_nodes])
        train = dataclasses.replace(whole.subset(kept), unknown=unknown)
        validation, test = (_block(*both, fold) for both, fold in zip(pairs, ("validation", "test"), strict=True))
        chosen_by = Exam("val", lambda: [validation], PooledMetrics, select=("auc",)) if counts[0] else None
        exams = [Exam("", lambda: [test], PairMetrics)]
        yield Episode(f"split {seed}", {"": train}, train, exams, chosen_by)


def merged(graph: TemporalGraph) -> TemporalGraph:
    """All snapshots as one, without self-loops and labels.

    Raises:
        DataError: If no link is left.
    """
    whole = graph.snapshots(torch.zeros_like(graph.src), 1)
    whole = dataclasses.replace(whole.subset(whole.src != whole.dst), node_labels=None)
    if not len(whole):
        raise DataError("the graph has no links between different nodes, so none can be asked about")
    return whole


def _block(links: Tensor, others: Tensor, fold: str) -> Block:
    src, dst = torch.cat([links, others], dim=1)
    labels = torch.cat([torch.ones(links.shape[1]), torch.zeros(others.shape[1])]).long()
    return Block(1, Queries.pairs(src, dst, 1), labels, fold=fold)

"""Chronological cuts of a stream of events, and nodes that training does not get to see (DyGLib's rules)."""

from __future__ import annotations

import random
from dataclasses import dataclass
from math import floor
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from dynbench.errors import DataError
from dynbench.graph import TemporalGraph

# Below this, doubles hold all whole numbers and some fractions between them.
_EXACT = 2**52

Order = Literal["cpython_set", "sorted"]


@dataclass(frozen=True, eq=False)
class EventSplit:
    """A stream in three parts.

    Attributes:
        graph: The whole stream.
        train: Events of the first part that touch no node held out.
        first, second: Positions at which the validation and the test part begin.
        last_train, last_validation: Times of the last events before them.
        new_nodes: ``(N,) bool`` nodes without an event in ``train``.
    """

    graph: TemporalGraph
    train: TemporalGraph
    first: int
    second: int
    new_nodes: Tensor

    @property
    def known(self) -> TemporalGraph:
        """All events of the first part, those of held-out nodes included."""
        return self.graph.events(0, self.first)

    @property
    def validation(self) -> TemporalGraph:
        """Events of the second part."""
        return self.graph.events(self.first, self.second)

    @property
    def test(self) -> TemporalGraph:
        """Events of the third part."""
        return self.graph.events(self.second, len(self.graph))

    def describe(self) -> dict[str, float]:
        """What became of the events and nodes."""
        parts = {"train": len(self.train), "validation": len(self.validation), "test": len(self.test)}
        shares = {f"{name}_share": count / len(self.graph) for name, count in parts.items()}
        return {**{f"{name}_events": count for name, count in parts.items()}, **shares, "new_nodes": self.num_new}

    @property
    def num_new(self) -> int:
        """How many nodes with an event at some time are new."""
        return int((self.new_nodes & _active(self.graph)).sum())


def split_events(
    graph: TemporalGraph, validation: float, test: float, hold_out: float, seed: int, order: Order
) -> EventSplit:
    """Cut a stream at quantiles of its event times, and hold nodes out of the training part.

    Events at the time of a cut belong to the part before it. A share of the nodes, drawn among those with an event
    after the training part, is held out: their training events are removed.

    Args:
        graph: Events in continuous time.
        validation, test: Shares of the events.
        hold_out: Share of all nodes that is held out.
        seed: Of the draw.
        order: How the nodes are lined up for the draw: ``sorted``, or in the order in which CPython's sets hold them,
            which the published draw goes by.

    Raises:
        DataError: If a part has no events, or there are too few nodes to hold out.
    """
    first, second = (_cut(graph.time, share) for share in (1 - validation - test, 1 - test))
    for name, size, share in (("validation", second - first, validation), ("test", len(graph) - second, test)):
        if not size:
            raise DataError(
                f"no event is left for {name}: the {len(graph):,} events have {len(graph.time.unique()):,} distinct "
                f"times, and those at a cut belong to the part before it; raise protocol.{name}={share:g}, or give the "
                "events finer times"
            )
    known = graph.events(0, first)
    held_out = torch.zeros(graph.num_nodes, dtype=torch.bool)
    held_out[_drawn(graph, first, hold_out, seed, order)] = True
    train = known.subset(~(held_out[known.src] | held_out[known.dst])) if bool(held_out.any()) else known
    if not len(train):
        raise DataError(
            f"no event is left to learn from: each of the {first:,} first ones touches a node that is held out; lower "
            f"protocol.hold_out={hold_out:g}"
        )
    return EventSplit(graph, train, first, second, ~_active(train))


def _cut(time: Tensor, share: float) -> int:
    """Number of events up to a quantile of their times, with linear interpolation.

    Whole times beyond what a double holds are not rounded: the quantile lies at an event or between two neighbouring
    ones, and events up to it are those up to the earlier of the two.
    """
    times = time.numpy()
    if time.is_floating_point() or max(abs(int(times[0])), abs(int(times[-1]))) < _EXACT:
        bound = np.quantile(times, share)
    else:
        bound = times[floor(share * (len(times) - 1))]
    return int(np.searchsorted(times, bound, side="right"))


def _active(graph: TemporalGraph) -> Tensor:
    """``(N,) bool`` nodes with an event."""
    active = torch.zeros(graph.num_nodes, dtype=torch.bool)
    active[graph.src], active[graph.dst] = True, True
    return active


def _drawn(graph: TemporalGraph, first: int, share: float, seed: int, order: Order) -> Tensor:
    """Nodes to hold out."""
    later = graph.events(first, len(graph))
    count = int(share * int(_active(graph).sum()))
    nodes = _lined_up(later.src.numpy(), later.dst.numpy(), order)
    if count > len(nodes):
        raise DataError(
            f"protocol.hold_out={share:g} holds out {count:,} nodes, but only {len(nodes):,} have an event after the "
            "training part; lower it"
        )
    return torch.tensor(random.Random(seed).sample(nodes, count), dtype=torch.long)


def _lined_up(src: np.ndarray, dst: np.ndarray, order: Order) -> list[int]:
    """The nodes of some events in an order of their own."""
    if order == "sorted":
        return np.unique(np.concatenate([src, dst])).tolist()
    # Published code counts nodes from 1, and draws from a tuple of a set. The order in which CPython holds a set of
    # whole numbers follows from the numbers and from how the set came about.
    sources, destinations = (set((ends + 1).tolist()) for ends in (src, dst))
    return [node - 1 for node in sources.union(destinations)]

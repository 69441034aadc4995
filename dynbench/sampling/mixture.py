"""Batches of events and negatives from several graphs, of each as many; and sequences of labelled pairs.

What an epoch holds follows from a seed and from nothing else: whatever their batches, models that were given one seed
learn from the same events and the same negatives.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from dynbench.contract import Examples, Queries
from dynbench.errors import ConfigError, DataError
from dynbench.graph import TemporalGraph
from dynbench.graph.collection import disjoint_union

# How often partners are parted before it is said to be impossible.
_TRIES = 200


class MixtureSampler:
    """Events of several graphs, the same number of each, with a random destination for each event.

    Args:
        graphs: What is learnt from, by name.
        edges: Events of each graph in an epoch: smaller graphs are repeated, larger ones sub-sampled anew.
        batch: Events of each graph in a step.
        seed: Decides everything.
        whole: Leave out what does not fill a step at the end of an epoch, instead of making a smaller step of it.

    Attributes:
        union: The graphs side by side; nodes, times and events below are those of the union.
        steps: Steps of an epoch.
    """

    def __init__(self, graphs: Mapping[str, TemporalGraph], edges: int, batch: int, seed: int, whole: bool = False):
        self.union, self._places = disjoint_union(graphs)
        self._pools = {name: self.union.dst[place].unique() for name, place in self._places.items()}
        self.edges, self.batch, self.seed = edges, batch, seed
        self.steps = max(1, edges // batch) if whole else -(-edges // batch)
        self._epoch: int | None = None

    def at(self, step: int) -> tuple[Tensor, Tensor]:
        """The batch of a step: ``(G, B) long`` events of each graph, and as many other destinations."""
        epoch, number = divmod(step, self.steps)
        if epoch != self._epoch:
            self._draw(epoch)
        part = slice(number * self.batch, (number + 1) * self.batch)
        return self._events[:, part], self._others[:, part]

    def _draw(self, epoch: int) -> None:
        generator = torch.Generator().manual_seed((self.seed + epoch) % 2**63)
        events, others = [], []
        for name, place in self._places.items():
            rounds = -(-self.edges // len(place))
            order = torch.cat([torch.randperm(len(place), generator=generator) for _ in range(rounds)])
            pool = self._pools[name]
            chosen = torch.randint(len(pool), (self.edges,), generator=generator)
            events.append(place[order[: self.edges].to(place.device)])
            others.append(pool[chosen.to(pool.device)])
        self._epoch, self._events, self._others = epoch, torch.stack(events), torch.stack(others)


def grouped(events: Tensor, size: int, generator: torch.Generator, partners: bool = False) -> Tensor:
    """Shuffle positives and negatives of each graph into groups.

    A negative has source and time of its event. Beside it in one group its label would follow from the event's, which
    never happens when a question is asked; so the two are parted unless that is allowed.

    Args:
        events: ``(G, B) long`` events of a batch, by graph; item ``b < B`` is an event, item ``B + b`` its negative.
        size: Items of a group; what does not fill one is left out.
        generator: Of the shuffling.
        partners: Whether an event and its negative may be in one group.

    Returns:
        ``(G, 2 B // size, size) long`` items of each group, in no particular order.

    Raises:
        ConfigError: If a batch does not fill a group, or its partners cannot be parted.
    """
    graphs, count = events.shape
    groups = 2 * count // size
    if not groups:
        raise ConfigError(f"a batch of {count} events of each graph does not fill a sequence of {size} pairs")
    order = torch.rand(graphs, 2 * count, generator=generator).argsort(1)
    if not partners:
        _part(order.numpy(), events.cpu().repeat(1, 2).numpy(), size, generator)
    return order[:, : groups * size].view(graphs, groups, size)


def _part(order: np.ndarray, events: np.ndarray, size: int, generator: torch.Generator) -> None:
    """Let each negative beside its event change places with any other item of its graph, until there is none."""
    count = order.shape[1] // 2
    draw = np.random.Generator(np.random.PCG64(int(torch.randint(2**62, (), generator=generator))))
    for _ in range(_TRIES if order.shape[1] > size else 0):
        crowded = _crowded(np.take_along_axis(events, order, 1), order >= count, size)
        if not crowded.any():
            return
        for graph, place in np.argwhere(crowded):
            other = draw.integers(2 * count)
            order[graph, [place, other]] = order[graph, [other, place]]
    raise ConfigError(
        f"{count} events of each graph make sequences of {size} pairs in a step: too few to keep every negative apart "
        "from its event; raise model.batch_size, or set model.partner_in_group=true"
    )


def _crowded(events: np.ndarray, negative: np.ndarray, size: int) -> np.ndarray:
    """``(G, P) bool`` places with a negative whose event stands in the same group."""
    graphs, places = events.shape
    group = np.arange(places) // size + (places // size + 1) * np.arange(graphs)[:, None]
    # The keys of an event and of its negative in one group are an even number and the next one.
    key = (events * (int(group.max()) + 1) + group) * 2 + negative
    return negative & np.isin(key - 1, key)


def in_time(times: Tensor, generator: torch.Generator) -> Tensor:
    """``(R, S) long`` order of the items of each row by time, equal times in random order."""
    shuffled = torch.rand(times.shape, generator=generator).argsort(1).to(times.device)
    return shuffled.gather(1, times.gather(1, shuffled).argsort(dim=1, stable=True))


def draw_examples(graph: TemporalGraph, count: int, seed: int) -> Examples:
    """Solved questions from a graph's past: as many events as negatives, or one more, drawn uniformly.

    A negative has source and time of an event that is not among the positives, and a destination drawn among those of
    the graph.

    Args:
        graph: What had happened.
        count: How many.
        seed: Of the draws.

    Raises:
        ConfigError: If that is one pair, which would show one of the two answers only.
        DataError: If the graph has fewer events.
    """
    if count < 2:
        raise ConfigError(f"a context of {count} pair(s) shows one kind of answer; use 2 or more, or none at all")
    if len(graph) < count:
        raise DataError(f"a context of {count} pairs was asked for, and the graph has {len(graph)} events before")
    generator = torch.Generator().manual_seed(seed % 2**63)
    chosen = torch.randperm(len(graph), generator=generator)[:count]
    answers = (torch.arange(count) < (count + 1) // 2).to(torch.int8)
    pool = graph.dst.unique()
    others = pool[torch.randint(len(pool), (count,), generator=generator)]
    time = graph.time[chosen]
    dst = torch.where(answers == 1, graph.dst[chosen], others)
    order = in_time(time[None], generator)[0]
    return Examples(graph, Queries(graph.src[chosen][order], dst[order], time[order]), answers[order])

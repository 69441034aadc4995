"""Generated graphs whose rule is the opposite in one half of them, and cannot be seen on a pair alone.

In a *hot* graph a source acts on one of a few active items, so that what was just used is used again; in a *cold* one
it acts on those that have rested longest. A pair and its latest events look alike in both. Whoever is shown some solved
questions of a graph can tell which rule it follows; whoever is not can only bet on the more frequent one.
"""

from __future__ import annotations

from typing import Annotated

import numpy as np

from dynbench.data.base import Dataset, View, check_view, plain
from dynbench.data.locations import Locations
from dynbench.errors import ConfigError
from dynbench.graph import TemporalGraph
from dynbench.graph.collection import GraphCollection
from dynbench.ranges import Count, CountOrZero, Name, NonNegative, Range, Seed, Several, Share


class FlipGraphs(Dataset):
    """Hot and cold graphs to learn from, and hot and cold ones never seen, with clocks of different speed.

    Sources are drawn uniformly. With ``a = max(3, active * items)``: in a hot graph the destination is one of ``a``
    active items, and after each event, with probability ``1 / (8 a)``, one of these is replaced by another item; in a
    cold graph it is one of the ``a`` items whose last event is oldest. Gaps between events are exponential.

    Args:
        name: Name of the dataset.
        hot: Hot graphs to learn from.
        cold: Cold ones. With as many as there are hot ones, an encoder has little to learn from at first, and training
            stands still for long.
        sizes: Items of the graphs that are asked about; there is a hot and a cold graph of each size.
        sources: Sources of each graph.
        least, most: Bounds of the number of items of a training graph, drawn uniformly.
        events: Events of each graph.
        active: Share of the items among which the destination is drawn.
        speed: Mean gaps between events are ``10 ** u`` with u drawn uniformly between 0 and this.
        equalise: Events that each graph contributes to an epoch.
        seed: Seed of all draws.
        card: Title, origin, licence and citation; for people.
        where: Not used; every dataset takes it.
    """

    several = True
    exam_settings = frozenset({"sizes"})

    def __init__(
        self,
        name: Name,
        hot: Count = 8,
        cold: CountOrZero = 4,
        sizes: list[Annotated[int, Range(4, 100_000)]] | None = None,
        sources: Several = 50,
        least: Annotated[int, Range(4, 100_000)] = 20,
        most: Annotated[int, Range(4, 100_000)] = 80,
        events: Annotated[int, Range(20, 10_000_000)] = 1500,
        active: Share = 0.15,
        speed: NonNegative = 4.0,
        equalise: Count = 960,
        seed: Seed = 0,
        card: dict | None = None,
        where: Locations | None = None,
    ) -> None:
        self.name, self.hot, self.cold, self.sources = name, hot, cold, sources
        self.sizes = [40, 60] if sizes is None else plain(sizes)
        self.least, self.most, self.events = least, most, events
        self.active, self.speed, self.equalise, self.seed = active, speed, equalise, seed
        self.card = plain(card or {})

    def load(self, view: View = "events") -> GraphCollection:
        """Draw all graphs.

        Raises:
            ConfigError: If the bounds of sizes cross, or snapshots are asked for.
        """
        check_view(view)
        if view != "events":
            raise ConfigError(f"data={self.name} is several graphs in continuous time; use protocol=cross_domain")
        if self.least > self.most or not self.sizes:
            raise ConfigError("data.least must not be above data.most, and data.sizes must not be empty")
        train = {}
        for number in range(self.hot + self.cold):
            rule, place = ("hot", number) if number < self.hot else ("cold", number - self.hot)
            # NumPy's legacy generator: its stream is frozen, so a graph is the same under every version.
            draw = np.random.RandomState([self.seed, 0, number])
            train[f"{rule}_{place}"] = self._graph(draw, rule, draw.randint(self.least, self.most + 1))
        targets = {
            f"{rule}_{size}": self._graph(np.random.RandomState([self.seed, 1, place, size]), rule, size)
            for size in self.sizes
            for place, rule in enumerate(("hot", "cold"))
        }
        arguments = {key: getattr(self, key) for key in ("hot", "cold", "sizes", "sources", "least", "most", "events")}
        arguments |= {key: getattr(self, key) for key in ("active", "speed", "equalise", "seed")} | {"view": view}
        self._origin = {"source": "generated", "files": {}, "arguments": arguments}
        return GraphCollection(train, targets, self.equalise)

    def _graph(self, draw: np.random.RandomState, rule: str, items: int) -> TemporalGraph:
        src = draw.randint(0, self.sources, self.events)
        few = min(items - 1, max(3, int(self.active * items)))
        dst = (_hot if rule == "hot" else _cold)(draw, self.events, items, few)
        time = np.cumsum(draw.exponential(1.0, self.events)) * 10 ** (self.speed * draw.random_sample())
        return TemporalGraph.from_events(src, dst + self.sources, time, self.sources + items, bipartite=True)


def _hot(draw: np.random.RandomState, events: int, items: int, few: int) -> np.ndarray:
    """Items of a slowly changing active set."""
    order = draw.permutation(items)  # the first ``few`` are active
    chosen = np.empty(events, dtype=np.int64)
    for event in range(events):
        chosen[event] = order[draw.randint(few)]
        if draw.random_sample() < 1 / (8 * few):
            out, new = draw.randint(few), draw.randint(few, items)
            order[out], order[new] = order[new], order[out]
    return chosen


def _cold(draw: np.random.RandomState, events: int, items: int, few: int) -> np.ndarray:
    """One of the items that have rested longest."""
    line = list(draw.permutation(items))  # longest rest first
    chosen = np.empty(events, dtype=np.int64)
    for event in range(events):
        chosen[event] = line.pop(draw.randint(few))
        line.append(chosen[event])
    return chosen

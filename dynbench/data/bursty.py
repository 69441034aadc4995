"""A generated e-mail network: bursts of messages, regular contacts beside one-off ones, links that persist."""

from __future__ import annotations

from typing import Annotated

import numpy as np

from dynbench.data.base import Dataset, View, check_expected, check_view, plain
from dynbench.data.cutting import cut
from dynbench.data.locations import Locations
from dynbench.errors import DataError
from dynbench.graph import TemporalGraph
from dynbench.ranges import Count, Duration, Name, NonNegative, Range, Seed, Several

_DAY = 86_400


class BurstyMail(Dataset):
    """Directed e-mails over days, with a given number of links and of persistence.

    People differ in how much they write and receive (lognormal). A *regular contact* begins on some day, lasts for a
    geometric number of days, and on each of them has messages with probability ``daily``; a *one-off* link has messages
    on one day only. The messages of a link on a day are a burst: one and a geometric number more, minutes apart.

    Args:
        name: Name of the dataset.
        nodes: People.
        days: Length of the period.
        links: Distinct ordered pairs that ever occur; met exactly.
        daily: Probability that a regular contact has messages on a day; about the share of links that last from one day
            to the next among regular contacts.
        life: Mean number of days that a regular contact lasts.
        one_off: One-off links per day, as a share of the regular contacts that exist on it.
        replies: Mean number of messages in a burst beyond the first.
        skew: Standard deviation of the logarithm of people's activity.
        seed: Seed of all draws.
        window: Length of a snapshot.
        expected: Statistics at the card's own parameters.
        native: Parameters under which ``expected`` holds.
        card: Title, origin, licence and citation; for people.
        where: Not used; every dataset takes it.
    """

    def __init__(
        self,
        name: Name,
        nodes: Several = 5834,
        days: Several = 605,
        links: Count = 136_830,
        daily: Annotated[float, Range(0, 1, "(]")] = 0.52,
        life: Annotated[float, Range(1)] = 100.0,
        one_off: NonNegative = 0.12,
        replies: NonNegative = 0.5,
        skew: Annotated[float, Range(0, 100)] = 1.2,
        seed: Seed = 0,
        window: Duration = "1d",
        expected: dict | None = None,
        native: dict | None = None,
        card: dict | None = None,
        where: Locations | None = None,
    ) -> None:
        self.name, self.nodes, self.days, self.links = name, nodes, days, links
        self.daily, self.life, self.one_off, self.replies, self.skew = daily, life, one_off, replies, skew
        self.seed, self.window = seed, window
        self.expected, self.native, self.card = plain(expected or {}), plain(native or {}), plain(card or {})

    def load(self, view: View = "snapshots") -> TemporalGraph:
        """Draw the messages.

        Args:
            view: ``snapshots`` of ``window`` or ``events`` with seconds as time.

        Raises:
            DataError: If a parameter is out of range, or the draw is not what the card says.
        """
        check_view(view)
        self._check()
        src, dst, time = self._draw()
        graph = TemporalGraph.from_events(src, dst, time, self.nodes, seconds=1.0)
        graph = graph if view == "events" else cut(graph, self.window, None, True)
        native = all(plain(getattr(self, key)) == value for key, value in self.native.items())
        cure = "this NumPy draws another random stream, or `native` in the card is out of date"
        check_expected(graph, self.name, self.expected, view, native, "distinct_over_time", cure)
        keys = ("nodes", "days", "links", "daily", "life", "one_off", "replies", "skew", "seed", "window")
        arguments = {"view": view, **{key: getattr(self, key) for key in keys}}
        self._origin = {"source": "generated", "files": {}, "arguments": arguments}
        return graph

    def _draw(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        # NumPy's legacy generator: its stream is frozen, so a graph is the same under every version.
        draw = np.random.RandomState(self.seed)
        at_once = self.links / (self.days * self.one_off + self.days / self.life + 1)
        regular = min(self.links, round(at_once * (self.days / self.life + 1)))
        pairs = self._pairs(draw)
        draw.shuffle(pairs)
        # Lives are memoryless, so those that exist on the first day last as long as those that begin later.
        begin = np.where(np.arange(regular) < at_once, 0, draw.randint(0, self.days, regular))
        length = np.minimum(draw.geometric(1 / self.life, regular), self.days - begin)
        contact = np.repeat(np.arange(regular), length)
        offset = np.arange(len(contact)) - np.repeat(np.cumsum(length) - length, length)
        active = (offset == 0) | (draw.random_sample(len(contact)) < self.daily)
        link = np.concatenate([contact[active], np.arange(regular, self.links)])
        day = np.concatenate(
            [begin[contact[active]] + offset[active], draw.randint(0, self.days, self.links - regular)]
        )
        return self._messages(draw, pairs[link], day)

    def _pairs(self, draw: np.random.RandomState) -> np.ndarray:
        """``(links,)`` distinct ordered pairs as numbers, busy people more often."""
        writes, reads = (np.exp(self.skew * draw.standard_normal(self.nodes)) for _ in range(2))
        reads = np.sqrt(reads * writes)  # who writes much receives much
        found = np.empty(0, dtype=np.int64)
        while len(found) < self.links:
            ends = (draw.choice(self.nodes, 2 * self.links, p=part / part.sum()) for part in (writes, reads))
            src, dst = (part.astype(np.int64) for part in ends)
            found = np.concatenate([found, (src * self.nodes + dst)[src != dst]])
            found = found[np.sort(np.unique(found, return_index=True)[1])]
        return found[: self.links]

    def _messages(self, draw: np.random.RandomState, pair: np.ndarray, day: np.ndarray) -> tuple[np.ndarray, ...]:
        """Bursts of messages within the office hours of each link's days."""
        count = draw.geometric(1 / (1 + self.replies), len(pair))
        start = day * _DAY + 8 * 3600 + draw.randint(0, 8 * 3600, len(pair))
        which = np.repeat(np.arange(len(pair)), count)
        gaps = np.minimum(draw.exponential(600, len(which)), 1800).astype(np.int64)
        first = np.cumsum(count) - count
        gaps[first] = 0
        later = np.cumsum(gaps)
        time = start[which] + later - later[first][which]
        time = np.minimum(time, day[which] * _DAY + _DAY - 1)
        return pair[which] // self.nodes, pair[which] % self.nodes, time

    def _check(self) -> None:
        limits = {
            "nodes": (self.nodes >= 2, "at least 2"),
            "days": (self.days >= 2, "at least 2"),
            "links": (1 <= self.links <= self.nodes * (self.nodes - 1) // 4, "between 1 and a quarter of all pairs"),
            "daily": (0 < self.daily <= 1, "above 0 and at most 1"),
            "life": (self.life >= 1, "at least 1"),
            "one_off": (self.one_off >= 0, "0 or more"),
            "replies": (self.replies >= 0, "0 or more"),
            "skew": (self.skew >= 0, "0 or more"),
        }
        for key, (holds, rule) in limits.items():
            if not holds:
                raise DataError(f"dataset '{self.name}': data.{key}={getattr(self, key)} must be {rule}")

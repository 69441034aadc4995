"""A generated stream of interactions: bursts, habits that flip, and as many events as one likes."""

from __future__ import annotations

from typing import Annotated

import numpy as np

from dynbench.data.base import Dataset, View, check_expected, check_view, plain
from dynbench.data.cutting import cut
from dynbench.data.locations import Locations
from dynbench.errors import DataError
from dynbench.graph import TemporalGraph
from dynbench.ranges import Count, CountOrZero, Duration, Name, NonNegative, Range, Seed, Several, Share

_DAY = 86_400


class FlipStream(Dataset):
    """Users who act in bursts on one of two favourite items, and flip to the other one now and then.

    A user's last item tells the next one; that a pair was ever seen tells little, since both favourites were. Users
    and items differ in how active and how popular they are (lognormal). Costs a few operations per event.

    Args:
        name: Name of the dataset.
        users: Nodes that act.
        items: Nodes that are acted on; ``0`` lets users act on each other.
        events: Length of the stream; met exactly.
        days: Length of the period.
        burst: Mean number of events in a burst.
        gap: Mean number of seconds between the events of a burst.
        flip: Probability that a user's next burst goes to the other favourite.
        habit: Probability that an event goes to the present favourite rather than to any item.
        skew: Standard deviation of the logarithm of activity and of popularity.
        features: Columns of features per event, which tell a favourite from the other by their sign, in noise.
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
        users: Several = 500,
        items: CountOrZero = 200,
        events: Count = 20_000,
        days: Count = 30,
        burst: Annotated[float, Range(1)] = 3.0,
        gap: NonNegative = 60.0,
        flip: Share = 0.2,
        habit: Share = 0.9,
        skew: Annotated[float, Range(0, 100)] = 1.0,
        features: Annotated[int, Range(0, 65_536)] = 0,
        seed: Seed = 0,
        window: Duration = "1d",
        expected: dict | None = None,
        native: dict | None = None,
        card: dict | None = None,
        where: Locations | None = None,
    ) -> None:
        self.name, self.users, self.items, self.events, self.days = name, users, items, events, days
        self.burst, self.gap, self.flip, self.habit, self.skew = burst, gap, flip, habit, skew
        self.features, self.seed, self.window = features, seed, window
        self.expected, self.native, self.card = plain(expected or {}), plain(native or {}), plain(card or {})

    def load(self, view: View = "snapshots") -> TemporalGraph:
        """Draw the stream.

        Args:
            view: ``snapshots`` of ``window`` or ``events`` with seconds as time.

        Raises:
            DataError: If a parameter is out of range, or the draw is not what the card says.
        """
        check_view(view)
        self._check()
        src, dst, time, features = self._draw()
        graph = TemporalGraph.from_events(
            *(src, dst, time, self.users + self.items),
            bipartite=self.items > 0,
            seconds=1.0,
            edge_features=features,
        )
        graph = graph if view == "events" else cut(graph, self.window, None, True)
        native = all(plain(getattr(self, key)) == value for key, value in self.native.items())
        cure = "this NumPy draws another random stream, or `native` in the card is out of date"
        check_expected(graph, self.name, self.expected if native else {}, view, native, "distinct_over_time", cure)
        arguments = {"view": view, **{key: value for key, value in vars(self).items() if _shapes(key)}}
        self._origin = {"source": "generated", "files": {}, "arguments": arguments}
        return graph

    def _draw(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray | None]:
        # NumPy's legacy generator: its stream is frozen, so a graph is the same under every version.
        draw = np.random.RandomState(self.seed)
        sizes = self._sizes(draw)
        user = _weighted(draw, np.exp(self.skew * draw.standard_normal(self.users)), len(sizes))
        popularity = np.exp(self.skew * draw.standard_normal(self.items or self.users))
        favourites = _weighted(draw, popularity, 2 * self.users).reshape(self.users, 2)
        start = np.sort(draw.randint(0, self.days * _DAY, len(sizes)))
        state = self._states(draw, user)
        burst = np.repeat(np.arange(len(sizes)), sizes)
        own = draw.random_sample(self.events) < self.habit
        dst = np.where(own, favourites[user[burst], state[burst]], _weighted(draw, popularity, self.events))
        src = user[burst]
        dst = dst + self.users if self.items else np.where(dst == src, (dst + 1) % self.users, dst)
        gaps = draw.exponential(self.gap, self.events).astype(np.int64)
        first = np.cumsum(sizes) - sizes
        gaps[first] = 0
        later = np.cumsum(gaps)
        time = start[burst] + later - later[first][burst]
        if not self.features:
            return src, dst, time, None
        noise = draw.standard_normal((self.events, self.features))
        return src, dst, time, (noise + np.where(own, 2 * state[burst] - 1, 0)[:, None]).astype(np.float32)

    def _sizes(self, draw: np.random.RandomState) -> np.ndarray:
        """Sizes of the bursts; they add up to the number of events."""
        sizes = np.empty(0, dtype=np.int64)
        while sizes.sum() < self.events:
            sizes = np.concatenate([sizes, draw.geometric(1 / self.burst, int(self.events / self.burst) + 16)])
        total = np.cumsum(sizes)
        count = int(np.searchsorted(total, self.events)) + 1
        sizes = sizes[:count]
        sizes[-1] -= total[count - 1] - self.events
        return sizes

    def _states(self, draw: np.random.RandomState, user: np.ndarray) -> np.ndarray:
        """Which favourite each burst goes to: a running number of flips per user, modulo 2."""
        flips = draw.random_sample(len(user)) < self.flip
        order = np.argsort(user, kind="stable")
        total = np.cumsum(flips[order])
        begin = np.flatnonzero(np.diff(user[order], prepend=-1))
        base = np.repeat((total - flips[order])[begin], np.diff(begin, append=len(user)))
        state = np.empty(len(user), dtype=np.int64)
        state[order] = (total - base) % 2
        return state

    def _check(self) -> None:
        limits = {
            "users": (self.users >= 2, "at least 2"),
            "items": (self.items >= 0, "0 or more"),
            "events": (self.events >= 1, "at least 1"),
            "days": (self.days >= 1, "at least 1"),
            "burst": (self.burst >= 1, "at least 1"),
            "gap": (self.gap >= 0, "0 or more"),
            "flip": (0 <= self.flip <= 1, "between 0 and 1"),
            "habit": (0 <= self.habit <= 1, "between 0 and 1"),
            "skew": (self.skew >= 0, "0 or more"),
            "features": (self.features >= 0, "0 or more"),
        }
        for key, (holds, rule) in limits.items():
            if not holds:
                raise DataError(f"dataset '{self.name}': data.{key}={getattr(self, key)} must be {rule}")


def _weighted(draw: np.random.RandomState, weight: np.ndarray, count: int) -> np.ndarray:
    """``(count,)`` positions, in proportion to their weights."""
    total = np.cumsum(weight)
    return np.minimum(np.searchsorted(total, draw.random_sample(count) * total[-1], side="right"), len(weight) - 1)


def _shapes(key: str) -> bool:
    return not key.startswith("_") and key not in ("name", "expected", "native", "card")

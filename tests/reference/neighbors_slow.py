"""Temporal neighbours with lists and loops."""

from __future__ import annotations

import math


class SlowNeighbors:
    """Events ``(other, event, time)`` per node, oldest first."""

    def __init__(self, num_nodes: int, directed: str = "both", rate: float = 1e-6):
        self.lists = [[] for _ in range(num_nodes)]
        self.directed, self.rate = directed, rate

    def append(self, events) -> None:
        for src, dst, event, time in events:
            if self.directed != "in":
                self.lists[src].append((dst, event, time))
            if self.directed != "out":
                self.lists[dst].append((src, event, time))

    def earlier(self, node: int, time) -> list[tuple]:
        return [entry for entry in self.lists[node] if entry[2] < time]

    def recent(self, node: int, time, k: int) -> list[tuple]:
        return self.earlier(node, time)[-k:]

    def uniform(self, node: int, time, draws: list[float]) -> list[tuple]:
        found = self.earlier(node, time)
        return [found[place] for place in sorted(int(draw * len(found)) for draw in draws)]

    def weights(self, node: int, time) -> list[float]:
        """Softmax numerators of the time-aware draw, by the formula, relative to the last time of the whole list."""
        found = self.earlier(node, time)
        terms = [math.exp(self.rate * (entry[2] - self.lists[node][-1][2])) for entry in found]
        return [math.exp(term / sum(terms[: k + 1])) for k, term in enumerate(terms)]

    def weighted(self, node: int, time, draws: list[float]) -> list[tuple]:
        found, weights = self.earlier(node, time), self.weights(node, time)
        places = []
        for draw in draws:
            totals = [sum(weights[: k + 1]) for k in range(len(weights))]
            places.append(next((k for k, total in enumerate(totals) if total > draw * totals[-1]), len(totals) - 1))
        return [found[place] for place in sorted(places)]

"""Counting scores of one pair from a plain list of events, without matrices."""

from __future__ import annotations

import itertools
import math


class History:
    """Events as a list of ``(src, dst, step)``.

    Args:
        graph: A snapshot graph.
    """

    def __init__(self, graph):
        self.events = list(zip(graph.src.tolist(), graph.dst.tolist(), graph.time.tolist(), strict=True))
        self.directed, self.nodes = graph.directed, graph.num_nodes
        self.last = max(step for _, _, step in self.events)

    def linked(self, i: int, j: int, step: int) -> bool:
        """Whether the pair is linked in a snapshot; a direction counts in directed graphs only."""
        return any(t == step and ((a, b) == (i, j) or (not self.directed and (b, a) == (i, j)))
                   for a, b, t in self.events)  # fmt: skip

    def neighbors(self, i: int) -> set[int]:
        """Other nodes ever linked with ``i``, in either direction."""
        return {b if a == i else a for a, b, _ in self.events if i in (a, b) and a != b}

    def degree(self, i: int) -> int:
        """Ends of links at ``i`` over all snapshots; a self-loop has two."""
        return sum((a == i) + (b == i) for a, b, _ in self.events)

    def shared(self, i: int, j: int) -> set[int]:
        """Common neighbours."""
        return self.neighbors(i) & self.neighbors(j)

    def last_snapshot(self, i: int, j: int) -> float:
        """Linked in the last snapshot."""
        return float(self.linked(i, j, self.last))

    def times(self, i: int, j: int) -> list[int]:
        """Steps at which a pair was linked."""
        return [t for t in range(self.last + 1) if self.linked(i, j, t)]

    def edgebank(self, i: int, j: int, memory: str = "unlimited") -> float:
        """In memory or not."""
        times, every = self.times(i, j), [t for _, _, t in self.events]
        seen = {(a, b) if self.directed else (min(a, b), max(a, b)) for a, b, _ in self.events}
        if memory == "frequent":
            return float(len(times) >= len(every) / len(seen))
        since = 0.0
        if memory == "recent":
            ordered = sorted(every)
            place = 0.85 * (len(ordered) - 1)
            low = int(place)
            high = min(low + 1, len(ordered) - 1)
            since = ordered[low] + (place - low) * (ordered[high] - ordered[low])
        if memory == "interval":
            gaps = 0.0
            for pair in seen:
                steps = self.times(*pair)
                between = [after - before for before, after in itertools.pairwise(steps)]
                gaps += sum(between) / len(between) if between else 0.0
            since = self.last - gaps / len(seen)
        return float(any(t >= since for t in times))

    def common_neighbors(self, i: int, j: int) -> float:
        """CN."""
        return float(len(self.shared(i, j)))

    def adamic_adar(self, i: int, j: int) -> float:
        """AA; a neighbour with no other link, which only (i, i) can share, counts as one of degree 2."""
        return sum(1 / math.log(max(2, len(self.neighbors(w)))) for w in self.shared(i, j))

    def resource_allocation(self, i: int, j: int) -> float:
        """RA."""
        return sum(1 / len(self.neighbors(w)) for w in self.shared(i, j))

    def preferential_attachment(self, i: int, j: int) -> float:
        """PA."""
        return float(self.degree(i) * self.degree(j))

    def decayed_count(self, i: int, j: int, decay: float = 0.7, near: float = 0.05, active: float = 1e-6) -> float:
        """Decayed links, common neighbours and degree product."""
        recent = sum(decay ** (self.last - t) for t in range(self.last + 1) if self.linked(i, j, t))
        return recent + near * len(self.shared(i, j)) + active * self.degree(i) * self.degree(j)

"""Who did what when: the active steps of every entity in a temporal knowledge graph, as sparse lists.

An entity is active at a step as the subject of its facts or as their object. Both roles have a history of their own:
a *unit* is an entity in a role, ``entity`` as subject and ``entity + N`` as object. Every fact ``(s, r, o)`` is kept
twice, for the unit ``s`` with relation ``r`` and answer ``o``, and for the unit ``o + N`` with ``r + R`` and answer
``s``. A *visit* is a unit at a step at which it is active. Visits are numbered in order of time, so that later facts
add visits and renumber none.
"""

from __future__ import annotations

import torch
from torch import Tensor

from dynbench.graph import TemporalGraph
from dynbench.graph.facts import with_inverses
from dynbench.nn.segments import ranges


class Activity:
    """Visits, the facts of each, and the visits of each unit.

    Args:
        graph: The facts that are known.
        merge: Whether the two roles of an entity share one history; a unit is then an entity.

    Attributes:
        unit, time: ``(V,) long`` of every visit, in order of time.
        relation, answer: ``(2E,) long`` of every fact, visit after visit.
        start, size: ``(V,) long`` where the facts of a visit begin, and how many they are.
    """

    def __init__(self, graph: TemporalGraph, merge: bool = False):
        self.num_nodes, self.num_relations = graph.num_nodes, graph.num_relations
        self.num_units = graph.num_nodes * (1 if merge else 2)
        head, relation, answer, time = with_inverses(graph)
        unit = head if merge else units(head, relation, graph)
        key = time * self.num_units + unit
        order = key.argsort(stable=True)
        self.relation, self.answer = relation[order], answer[order]
        visit, self.size = torch.unique_consecutive(key[order], return_counts=True)
        self.start = self.size.cumsum(0) - self.size
        self.unit, self.time = visit % self.num_units, visit.div(self.num_units, rounding_mode="floor")
        # The same visits unit by unit, each unit's in order of time.
        self.by_unit = self.unit.argsort(stable=True)
        self._steps = int(self.time.max()) + 2 if len(visit) else 2
        self._keys = self.unit[self.by_unit] * self._steps + self.time[self.by_unit]

    def __len__(self) -> int:
        """Number of visits."""
        return len(self.unit)

    def recent(self, unit: Tensor, time: Tensor, length: int) -> Tensor:
        """The last visits of units before given times.

        Args:
            unit, time: ``(Q,) long``.
            length: Visits looked back at most.

        Returns:
            ``(Q, length) long`` visits, the latest last; -1 in front where there were fewer.
        """
        end = torch.searchsorted(self._keys, unit * self._steps + time.clamp(max=self._steps - 1))
        begin = torch.searchsorted(self._keys, unit * self._steps)
        place = end[:, None] + torch.arange(-length, 0, device=end.device)
        found = place >= begin[:, None]
        if not len(self):
            return torch.full_like(place, -1)
        return torch.where(found, self.by_unit[place.clamp(min=0)], -1)

    def facts_of(self, visits: Tensor) -> tuple[Tensor, Tensor]:
        """The facts of visits; -1 has none.

        Args:
            visits: ``(K,) long``.

        Returns:
            For each fact the place of its visit among those given, and its number, both ``(sum of sizes,) long``.
        """
        place = (visits >= 0).nonzero().squeeze(1)
        owner, fact = ranges(self.start[visits[place]], self.size[visits[place]])
        return place[owner], fact


def units(head: Tensor, relation: Tensor, graph: TemporalGraph | Activity) -> Tensor:
    """``(Q,) long`` the unit that a query with a head and a relation (an inverse one from R on) is about."""
    return head + graph.num_nodes * (relation >= graph.num_relations).long()

"""What a model may know of the past: first the context, then, event by event, what is revealed."""

from __future__ import annotations

from functools import reduce

import torch
from torch import Tensor

from dynbench.graph import TemporalGraph
from dynbench.models.base import Model


class KnownEvents(Model):
    """Remembers the context and all that was revealed since. A running state is a position in that list."""

    _parts: tuple[TemporalGraph, ...] = ()
    _joined: tuple[int, TemporalGraph | None] = (0, None)

    def condition(self, context: TemporalGraph) -> None:
        """Forget everything else."""
        self._parts, self._joined = (context,), (1, context)

    def observe(self, events: TemporalGraph) -> None:
        """Remember revealed events, none of them earlier than those that are known."""
        self._parts = (*self._parts, events)

    @property
    def known(self) -> TemporalGraph:
        """All events that are known, in the order of time; put together when it is asked for."""
        count, graph = self._joined
        if count < len(self._parts):
            more = reduce(TemporalGraph.extended, self._parts[count:])
            self._joined = len(self._parts), more if graph is None else graph.extended(more)
        return self._joined[1]

    def running_state(self) -> dict[str, Tensor]:
        """How much is known."""
        return {"parts": torch.tensor(len(self._parts))}

    def restore(self, state: dict[str, Tensor]) -> None:
        """Forget what was revealed after that."""
        self._parts = self._parts[: int(state["parts"])]
        if self._joined[0] > len(self._parts):
            self._joined = (0, None)


class HistoryModel(KnownEvents):
    """Reads its scores off the events that it knows; nothing is learnt.

    A subclass implements :meth:`count`, and ``score`` (or another answer that it declares). Where counting anew is
    dear, it implements :meth:`add` as well.
    """

    answers = frozenset({"score"})
    draws = False

    def count(self, history: TemporalGraph) -> None:
        """Compute what :meth:`score` reads, from all events that are known."""

    def add(self, events: TemporalGraph) -> None:
        """Bring that up to date after ``events``, the last ones of :attr:`known`. Counts anew unless overridden."""
        self.count(self.known)

    def condition(self, context: TemporalGraph) -> None:
        """Count the context."""
        super().condition(context.to("cpu"))
        self.count(self.known)

    def observe(self, events: TemporalGraph) -> None:
        """Count revealed events."""
        events = events.to("cpu")
        super().observe(events)
        self.add(events)

    def restore(self, state: dict[str, Tensor]) -> None:
        """Count what was known before."""
        before = len(self._parts)
        super().restore(state)
        if 0 < len(self._parts) < before:
            self.count(self.known)

"""What all counting models share: they keep the history and read their scores off it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from dynbench.contract import Block
from dynbench.engine.trainer import Trainer
from dynbench.graph import TemporalGraph
from dynbench.models.base import Model


class HistoryModel(Model):
    """Keeps the events it may know; a subclass turns them into statistics and scores.

    A subclass implements :meth:`count`, called whenever the history changed, and ``score`` (or another answer that it
    declares).
    """

    answers = frozenset({"score"})

    def __init__(self) -> None:
        self.history: TemporalGraph | None = None

    def fit(self, history: TemporalGraph, validation: Sequence[Block], trainer: Trainer) -> None:
        """Replace the history."""
        self.history = history.to("cpu")
        self.count(self.history)

    def observe(self, events: TemporalGraph) -> None:
        """Append revealed events."""
        self.history = self.history.extended(events.to("cpu"))
        self.count(self.history)

    def _parts(self) -> list[str]:
        """Names of the tensors that make up the history."""
        optional = [name for name in ("relation", "weight") if getattr(self.history, name) is not None]
        return ["src", "dst", "time", *optional]

    def count(self, history: TemporalGraph) -> None:
        """Compute what :meth:`score` reads."""

    def state_dict(self) -> dict[str, Tensor]:
        """The history itself."""
        history = self.history
        steps = -1 if history.num_steps is None else history.num_steps
        sizes = torch.tensor([history.num_nodes, history.directed, steps, history.num_relations])
        return {"sizes": sizes, **{name: getattr(history, name) for name in self._parts()}}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Restore the history and count again."""
        nodes, directed, steps, relations = state["sizes"].tolist()
        self.history = TemporalGraph(
            state["src"], state["dst"], state["time"], nodes, directed=bool(directed),
            num_steps=None if steps < 0 else steps, weight=state.get("weight"), relation=state.get("relation"),
            num_relations=relations,
        )  # fmt: skip
        self.count(self.history)

"""What all counting models share: they keep the history and read their scores off it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from dynbench.contract import Block, Queries
from dynbench.graph import TemporalGraph
from dynbench.models.base import Model
from dynbench.training import Trainer


class HistoryModel(Model):
    """Keeps the events it may know; a subclass turns them into statistics and scores.

    A subclass implements :meth:`count`, called whenever the history changed, and :meth:`score`.
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

    def count(self, history: TemporalGraph) -> None:
        """Compute what :meth:`score` reads."""

    def state_dict(self) -> dict[str, Tensor]:
        """The history itself."""
        history = self.history
        sizes = torch.tensor(
            [history.num_nodes, history.directed, -1 if history.num_steps is None else history.num_steps]
        )
        weight = {} if history.weight is None else {"weight": history.weight}
        return {"src": history.src, "dst": history.dst, "time": history.time, "sizes": sizes, **weight}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Restore the history and count again."""
        nodes, directed, steps = state["sizes"].tolist()
        self.history = TemporalGraph(
            state["src"], state["dst"], state["time"], nodes, directed=bool(directed),
            num_steps=None if steps < 0 else steps, weight=state.get("weight"),
        )  # fmt: skip
        self.count(self.history)

    def score(self, queries: Queries) -> Tensor:
        """``(Q,)`` scores; see the subclass."""
        return super().score(queries)

"""EdgeBank: a pair that was linked before will be linked again.

Paper:
    Poursafaei, Huang, Pelrine, Rabbany. Towards better evaluation for dynamic link prediction. NeurIPS 2022, Datasets
    and Benchmarks.

Idea:
    A memory of pairs, without parameters and without training, shows how much of a task is repetition.

Equations:
    With M the pairs in memory::

        score(i, j) = 1 if (i, j) in M, else 0

    ``unlimited`` memory keeps every pair of the history. ``recent`` keeps the pairs of the last 15 % of the events:
    those with time >= the 0.85 quantile of all event times. ``interval`` keeps pairs with an event not longer ago than
    the time after which pairs tend to return, which counts pairs that never did as zeros::

        w = (sum over repeated pairs of their mean gap) / (number of distinct pairs)

    ``frequent`` keeps pairs with at least the mean number of events per pair.

Deviations:
    * In a snapshot graph an event is a link of one snapshot, and time counts snapshots.

Reproduction:
    Average precision in percent over the links of the next snapshot, ``model=edgebank data=D data.window=W
    protocol=temporal_split`` with unlimited memory::

                      1d      3d      7d
        CollegeMsg   79.12   75.49   72.84
        email-Eu     94.21   93.49   92.66

    On email-Eu that is more than the trained models of the NGLP paper reach on the same pairs.

    Average precision in percent over event streams, mean over batches of 200 events, and in brackets what DyGLib's
    authors print; ``recipe=edgebank_random data=D protocol=temporal_events`` and so on::

                     random negatives   historical      inductive
        Wikipedia      90.37 (90.37)   73.56 (73.35)   80.76 (80.63)
        MOOC           57.97 (57.97)   60.64 (60.71)   49.37 (49.43)
        Enron          83.53 (83.53)   76.62 (76.53)   74.00 (73.89)
        UCI            76.20 (76.20)   65.13 (65.50)   57.38 (57.43)

    Random negatives are the published ones, pair by pair. The others are drawn from the same candidates in another
    order.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from torch import Tensor

from dynbench.contract import Queries
from dynbench.graph import TemporalGraph
from dynbench.graph.pair_memory import PairMemory
from dynbench.models.base import Model

if TYPE_CHECKING:
    from dynbench.contract import Selector
    from dynbench.engine.trainer import Trainer


class EdgeBank(Model):
    """Scores a pair by its presence in memory.

    Args:
        memory: Which pairs are kept: ``unlimited``, ``recent``, ``interval`` or ``frequent``.
        filled_from: What is in memory before anything is revealed: all that is known when questions are asked, the
            ``context``, or only what may be learnt from, ``train``.
    """

    answers = frozenset({"score"})
    draws = False

    def __init__(
        self,
        *,
        memory: Literal["unlimited", "recent", "interval", "frequent"] = "unlimited",
        filled_from: Literal["context", "train"] = "context",
    ):
        self.memory, self.filled_from = memory, filled_from
        self._train: TemporalGraph | None = None

    def fit(self, train: TemporalGraph, selector: Selector | None, trainer: Trainer) -> None:
        """Keep what may be learnt from, if that is what the memory begins with."""
        self._train = train if self.filled_from == "train" else None

    def condition(self, context: TemporalGraph) -> None:
        """Fill the memory anew."""
        self.bank = PairMemory(context if self._train is None else self._train)

    def observe(self, events: TemporalGraph) -> None:
        """Put revealed events into the memory."""
        self.bank.append(events)

    def running_state(self) -> dict[str, Tensor]:
        """What is in memory."""
        return self.bank.mark()

    def restore(self, state: dict[str, Tensor]) -> None:
        """Forget what came later."""
        self.bank.rewind(state)

    def state_dict(self) -> dict[str, Tensor]:
        """What the memory begins with, if that was learnt."""
        train = self._train
        if train is None:
            return {}
        sizes = torch.tensor([train.num_nodes, train.directed])
        return {"src": train.src, "dst": train.dst, "time": train.time, "sizes": sizes}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Begin with what was learnt."""
        nodes, directed = state["sizes"].tolist()
        self._train = TemporalGraph(state["src"], state["dst"], state["time"], nodes, directed=bool(directed))

    def score(self, queries: Queries) -> Tensor:
        """1 for remembered pairs, 0 for others."""
        row = self.bank.find(queries.src, queries.dst)
        found = row >= 0
        if self.memory == "frequent":
            found[found] = self.bank.count[row[found]] * len(self.bank) >= self.bank.events
        elif self.memory != "unlimited" and len(self.bank):
            found[found] = self.bank.last[row[found]] >= self._since()
        return torch.from_numpy(found.astype(np.float32)).to(queries.src.device)

    def _since(self) -> float:
        """The time from which on events are remembered."""
        if self.memory == "recent":
            return self.bank.quantile(0.85)
        return float(self.bank.times[-1] - self.bank.gaps / len(self.bank))

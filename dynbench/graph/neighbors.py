"""Who a node met, strictly before a time: one growable index, searched in batches.

The index belongs to a model and holds only what was appended to it, so that bounding it by what was revealed is a
matter of not appending more. It lives on any device; on a CPU its loops are compiled if numba is at hand.
"""

from __future__ import annotations

from types import ModuleType
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from dynbench.errors import DataError
from dynbench.graph import vectorised
from dynbench.graph.arena import Arena
from dynbench.graph.temporal_graph import TemporalGraph

Strategy = Literal["recent", "uniform", "time_weighted"]
_LARGEST = torch.iinfo(torch.int).max


class Neighbors(NamedTuple):
    """``k`` earlier events of each of ``Q`` nodes; where ``mask`` is false there is none, and the rest is 0.

    Attributes:
        nodes: ``(Q, k) long`` the nodes at the other end.
        events: ``(Q, k) long`` ids of the events. They count from 0, so only the mask tells event 0 from none.
        times: ``(Q, k)`` times of the events, in the type of the graph: whole numbers are never rounded.
        mask: ``(Q, k) bool``.
    """

    nodes: Tensor
    events: Tensor
    times: Tensor
    mask: Tensor


class TemporalNeighbors:
    """Events of every node in order of time, at both of their ends.

    A self-loop stands twice in the list of its node, once for each end.

    Args:
        graph: Events to begin with; may be none.
        num_nodes: Nodes there are; those of the graph when ``None``.
        device: Where the index lives; with the graph when ``None``.
        directed: ``both`` ends of an event remember it, or only the one it goes ``out`` from, or the one it comes
            ``in`` to.
        rate: Of the ``time_weighted`` draws, per unit of time.
    """

    def __init__(
        self,
        graph: TemporalGraph,
        num_nodes: int | None = None,
        device: torch.device | str | None = None,
        directed: Literal["both", "out", "in"] = "both",
        rate: float = 1e-6,
    ):
        self.num_nodes = graph.num_nodes if num_nodes is None else num_nodes
        self.directed, self.rate = directed, rate
        self._arena = Arena(self.num_nodes, graph.time.dtype, graph.src.device if device is None else device)
        self._work = _implementation(self._arena.times.device)
        self._last: int | float | None = None
        # Number of events after each append, and the sum that tells such a history from any other of this length.
        self._stages: list[tuple[int, int]] = [(0, 0)]
        self._length, self._sum = 0, 0
        self.append(graph)

    def __len__(self) -> int:
        """Number of events in the index."""
        return self._length

    @property
    def device(self) -> torch.device:
        """Where the index lives."""
        return self._arena.times.device

    @property
    def sizes(self) -> Tensor:
        """``(N,) long`` number of events of each node; a view that grows with the index."""
        return self._arena.sizes

    @property
    def arrays(self) -> tuple[np.ndarray, np.ndarray]:
        """On a CPU: starts, sizes and capacities of all lists, and the entries' ends, for compiled loops."""
        return self._arena.lists.numpy(), self._arena.ends.numpy()

    # ---- growing ------------------------------------------------------------------------------------------

    def append(self, events: TemporalGraph) -> None:
        """Add events, none of which may be earlier than those in the index.

        Raises:
            DataError: If one is, or if a node or an event id does not fit.
        """
        if not len(events):
            return
        # What events say is read where they are: reading it from an accelerator would wait for it.
        src, dst, ids, times = events.src, events.dst, events.ids, events.time
        if times.dtype != self._arena.times.dtype:
            raise DataError(f"events with times of type {times.dtype} for an index of {self._arena.times.dtype}")
        first, highest = times[0].item(), max(int(src.max()), int(dst.max()))
        if self._last is not None and first < self._last:
            raise DataError(f"an event at time {first} comes after one at {self._last}; append events in order of time")
        if highest >= self.num_nodes:
            raise DataError(f"node {highest} in an index of {self.num_nodes} nodes")
        if int(ids.max()) > _LARGEST:
            raise DataError(f"event id {int(ids.max())} does not fit 32 bits")
        if self.directed == "in":
            src, dst = dst, src
        del self._stages[self._known_stages() :]
        parts = (part.to(self.device) for part in (src, dst, ids, times))
        self._work.insert(self._arena, *parts, self.directed == "both", self.rate)
        digest = self._work.digest if src.device == self.device else vectorised.digest
        self._sum = _signed(self._sum + digest(src, dst, times, self._length))
        self._length += len(src)
        self._last = times[-1].item()
        self._stages.append((self._length, self._sum))

    def _known_stages(self) -> int:
        """How many stages the present history still has in common with those before a rewind."""
        count = len(self._stages)
        while self._stages[count - 1][0] > self._length:
            count -= 1
        return count

    def mark(self) -> dict[str, Tensor]:
        """Where the index stands, for :meth:`rewind`; costs a number per node."""
        last = torch.tensor([self._last or 0], dtype=self._arena.times.dtype)
        stage = torch.tensor([self._length, self._sum])
        return {"sizes": self._arena.sizes.clone(), "stage": stage, "last": last}

    def rewind(self, mark: dict[str, Tensor]) -> None:
        """Go back to a mark, or forward again to one that was left, as long as nothing else was appended since.

        Raises:
            DataError: If the events of the mark are no longer there.
        """
        length, total = mark["stage"].tolist()
        if (length, total) not in self._stages:
            raise DataError(f"the {length} events of this mark were replaced by others; an index keeps one history")
        if length > self._length and self._arena.weighted:
            self._arena.forget_weights()  # they may have been computed for a shorter history
        self._arena.sizes.copy_(mark["sizes"])
        self._length, self._sum = length, total
        self._last = mark["last"].item() if length else None

    # ---- asking -------------------------------------------------------------------------------------------

    def before(
        self,
        nodes: Tensor,
        times: Tensor,
        k: int,
        strategy: Strategy = "recent",
        generator: torch.Generator | Tensor | None = None,
    ) -> Neighbors:
        """Events of nodes strictly before given times.

        Args:
            nodes: ``(Q,) long``.
            times: ``(Q,)``.
            k: Events per query.
            strategy: ``recent``: the latest, oldest first, padded at the left. ``uniform``: independent draws, in order
                of time. ``time_weighted``: the same with a weight of ``exp(a_i / (a_1 + ... + a_i))`` for the i-th
                event of the node, where ``a_i = exp(rate t_i)``.
            generator: Of the draws; torch's global one when omitted. Or the draws themselves, ``(Q, k) double`` in
                ``[0, 1)``.

        Raises:
            IndexError: If there is no such node.
        """
        nodes, times = self._asked(nodes, times)
        if strategy == "recent":
            return Neighbors(*self._work.latest(self._arena, nodes, times, k))
        count = self._work.count_before(self._arena, nodes, times)
        uniform = generator
        if not isinstance(uniform, Tensor):
            source = self.device if generator is None else generator.device
            uniform = torch.rand(len(nodes), k, dtype=torch.double, generator=generator, device=source)
        uniform = uniform.to(self.device)
        if strategy == "uniform":
            place = (uniform * count[:, None]).long()
        elif strategy == "time_weighted":
            if not self._arena.weighted:
                self._work.weigh(self._arena, self.rate)
            place = self._work.draw_weighted(self._arena, nodes, count, uniform)
        else:
            raise ValueError(f"no strategy {strategy!r}; there are recent, uniform and time_weighted")
        mask = (count > 0)[:, None].expand(-1, k).contiguous()
        return Neighbors(*self._work.at(self._arena, nodes, place.sort(dim=1).values, mask))

    def degree_before(self, nodes: Tensor, times: Tensor) -> Tensor:
        """``(Q,) long`` number of events of each node strictly before each time."""
        return self._work.count_before(self._arena, *self._asked(nodes, times))

    def _asked(self, nodes: Tensor, times: Tensor) -> tuple[Tensor, Tensor]:
        nodes = nodes.to(self.device, torch.long).contiguous()
        # An accelerator refuses wrong places by itself, and asking it here would wait for it.
        if self.device.type == "cpu" and len(nodes) and not 0 <= int(nodes.min()) <= int(nodes.max()) < self.num_nodes:
            raise IndexError(f"nodes {int(nodes.min())} to {int(nodes.max())} asked of {self.num_nodes} nodes")
        times = times.to(self.device)
        if times.is_floating_point() and not self._arena.times.is_floating_point():
            times = torch.ceil(times.double())  # as far before a whole number as before what it was rounded up from
        return nodes, times.to(self._arena.times.dtype).contiguous()


def _implementation(device: torch.device) -> ModuleType:
    """Compiled loops on a CPU, tensor operations elsewhere or without numba."""
    if device.type != "cpu":
        return vectorised
    try:
        from dynbench.graph import compiled
    except ImportError:
        return vectorised
    return compiled


def _signed(value: int) -> int:
    """``value`` modulo 2^64, as a signed number."""
    return (value + 2**63) % 2**64 - 2**63

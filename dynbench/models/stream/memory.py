"""Models with a memory: a vector per node that its own events write, a batch behind the questions (TGN, DyRep, JODIE).

An event leaves a message at both of its nodes. The message waits until the node is looked at in a later batch, and only
then goes through a recurrent cell, so that the loss of that batch teaches the cell. Gradients reach no further back.

Neighbours are known up to the moment that is asked about, the memory only up to the batch before. That is what is
published, and it matters: where neighbours end with the batch before, too, TGN's average precision on CollegeMsg is ten
points lower after one epoch.

An event of weight 0 is no more than a neighbour: it happened, and no memory hears of it. So published memory models go
through exams about new nodes.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from dynbench.graph import TemporalGraph
from dynbench.models.stream.base import NodeModel
from dynbench.nn.memory_cell import MemoryCell

# What is kept of an event until it is written.
_EVENT = ("src", "dst", "time", "ids")


@dataclass
class Memory:
    """What is remembered of ``N`` nodes; one more, the last, stands for none and remembers nothing.

    Attributes:
        vectors: ``(N + 1, D)`` memory s.
        last: ``(N + 1,)`` time of the event that was written last.
        waiting: ``(N + 1,) bool`` whether a message waits.
        partner: ``(N + 1, D)`` its part about the other node.
        since: ``(N + 1, T)`` its part about the time since the event before.
        row: ``(N + 1,) long`` its row of edge features.
        sent: ``(N + 1,)`` time of its event.
    """

    vectors: Tensor
    last: Tensor
    waiting: Tensor
    partner: Tensor
    since: Tensor
    row: Tensor
    sent: Tensor

    @classmethod
    def blank(cls, num_nodes: int, dim: int, time_dim: int, origin: Tensor) -> Memory:
        """Nothing, since ``origin``, a ``(1,)`` time."""
        rows, float_ = num_nodes + 1, {"device": origin.device, "dtype": torch.float}
        return cls(
            vectors=torch.zeros(rows, dim, **float_),
            last=origin.repeat(rows),
            waiting=torch.zeros(rows, dtype=torch.bool, device=origin.device),
            partner=torch.zeros(rows, dim, **float_),
            since=torch.zeros(rows, time_dim, **float_),
            row=torch.zeros(rows, dtype=torch.long, device=origin.device),
            sent=origin.repeat(rows),
        )

    def parts(self) -> dict[str, Tensor]:
        """The tensors by name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def copy(self, device: torch.device | None = None) -> Memory:
        """The same in tensors of its own."""
        return Memory(**{name: part.detach().clone().to(device or part.device) for name, part in self.parts().items()})


class MemoryModel(NodeModel):
    """Keeps a memory. A subclass says how it embeds, and what a message tells about the other node.

    Args:
        **settings: As of :class:`~dynbench.models.stream.base.StreamModel`.

    Attributes:
        memory: What was written. Events of the latest batch are not, nor are any that are as late as a question about
            it can be.
    """

    version = 2

    cell: Literal["gru", "rnn"] = "rnn"
    several = False
    alone = "its memory belongs to the nodes of one graph, and tells nothing about those of another"

    def __init__(self, **settings: Any):
        super().__init__(**settings)
        self.memory: Memory | None = None
        self._unwritten: TemporalGraph | None = None
        self._resumed: dict[str, Tensor] | None = None

    # ---- the memory ---------------------------------------------------------------------------------------

    def fresh(self, nodes: Tensor) -> tuple[Tensor, Tensor]:
        """``(M, D)`` memory of nodes with waiting messages written, and the ``(M,)`` times of their last events."""
        memory = self.memory
        state, waiting = memory.vectors[nodes], memory.waiting[nodes]
        edge = self.known.edges(memory.row[nodes])
        written = self.update(state, memory.partner[nodes], memory.since[nodes], edge)
        last = torch.where(waiting, memory.sent[nodes], memory.last[nodes])
        return torch.where(waiting[:, None], written, state), last

    def told(self, nodes: Tensor, times: Tensor) -> Tensor:
        """``(M, D)`` what messages tell about nodes that had an event at ``(M,)`` times: their memory."""
        return self.memory.vectors[nodes.to(self.device)]

    def fresh_with_features(self, nodes: Tensor) -> Tensor:
        """``(M, D)`` fresh memories of nodes, with their raw features added where there are any."""
        vectors, _ = self.fresh(nodes)
        if self.known.nodes is None:
            return vectors
        features = self.known.nodes[nodes]
        return vectors + F.pad(features, (0, self.node_dim - features.shape[1]))

    @torch.no_grad()
    def remember(self, events: TemporalGraph) -> None:
        """Write the waiting messages of all nodes of a batch, and let each wait for what its latest event tells."""
        memory = self.memory
        ends, others = (
            torch.stack(pair, dim=1).flatten() for pair in ((events.src, events.dst), (events.dst, events.src))
        )
        nodes, place = ends.unique(return_inverse=True)
        latest = torch.zeros_like(nodes).scatter_reduce_(0, place, torch.arange(len(ends), device=ends.device), "amax")
        others, times, rows = others[latest], events.time[latest // 2], events.ids[latest // 2] + 1
        nodes, rows, sent = (part.to(self.device) for part in (nodes, rows, times))
        memory.vectors[nodes], memory.last[nodes] = self.fresh(nodes)
        memory.waiting[nodes] = False
        memory.partner[nodes] = self.told(others, times)
        memory.since[nodes] = self.time((sent - memory.last[nodes]).float())
        memory.row[nodes], memory.sent[nodes], memory.waiting[nodes] = rows, sent, True

    def _later(self, events: TemporalGraph) -> None:
        """Events to be written once a batch begins that is later than they are; those of weight 0 never are.

        They wait where they came from, not on an accelerator: which nodes they touch decides what is done.
        """
        if events.weight is not None:
            events = events.subset(events.weight != 0)
        parts = (self._unwritten, events) if self._unwritten is not None else (events,)
        joined = (torch.cat([getattr(part, name) for part in parts]) for name in _EVENT)
        self._unwritten = _events(self.known.num_nodes, *joined)

    def _write(self, until: Tensor | None = None) -> None:
        """Write events strictly before a time, in batches about as large as in training; all when no time is given."""
        left = self._unwritten
        if left is None:
            return
        count = len(left) if until is None else int(torch.searchsorted(left.time, until))
        batches = max(1, round(count / self.batch_size)) if count else 0
        for number in range(batches):
            self.remember(left.events(count * number // batches, count * (number + 1) // batches))
        self._unwritten = left.events(count, len(left)) if count < len(left) else None

    # ---- learning -----------------------------------------------------------------------------------------

    def sizes_of(self, train: TemporalGraph) -> dict[str, int]:
        """The memory has a row per node; times are whole numbers or not."""
        whole = not train.time.is_floating_point()
        return super().sizes_of(train) | {"num_nodes": train.num_nodes, "whole_times": int(whole)}

    def build(self, num_nodes: int, whole_times: int, **sizes: int) -> None:
        """Create the parameters, and room for the memory with which training ends."""
        super().build(**sizes)
        self.update = MemoryCell((self.node_dim, self.node_dim, self.time_dim, self.edge_dim), self.cell)
        origin = torch.zeros(1, dtype=torch.long if whole_times else torch.double)
        for name, part in self._blank(num_nodes, origin).parts().items():
            self.register_buffer(f"fitted_{name}", part)
        # Id, ends and time of the first and the last training event: whoever knows both goes on with this memory.
        self.register_buffer("fitted_ends", torch.full((2, 4), -1.0, dtype=torch.double))

    def prepare(self, train: TemporalGraph) -> None:
        """Note which events the memory comes from."""
        first, last = train.events(0, 1), train.events(len(train) - 1, len(train))
        self.fitted_ends.copy_(torch.cat([_named(first), _named(last)]))

    def before_batch(self, number: int) -> None:
        """Start an epoch with nothing, or go on where an interrupted one stopped."""
        if number == 0:
            self.memory, self._unwritten = self._blank(self._learning.num_nodes, self._learning.origin), None
        elif self._resumed is not None:
            self._remind(self._resumed)
        self._resumed = None

    def after_batch(self, events: TemporalGraph, following: Tensor | None) -> None:
        """Take the batch in; at the end of an epoch, keep the memory, from which all questions start."""
        self._later(events)
        self._write(following)
        if following is None:
            for name, part in self.memory.parts().items():
                getattr(self, f"fitted_{name}").copy_(part)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """The memory in the middle of an epoch."""
        if self.memory is not None:
            checkpoint["memory"] = {name: part.clone() for name, part in self._remembered().items()}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Taken up by the next batch."""
        self._resumed = checkpoint.get("memory")

    # ---- what is known ------------------------------------------------------------------------------------

    def condition(self, context: TemporalGraph) -> None:
        """Go on from where training ended; through another graph, go from its start, with the weights as they are."""
        super().condition(context)
        seen = self._seen(context)
        parts = {field.name: getattr(self, f"fitted_{field.name}") for field in fields(Memory)}
        self.memory = Memory(**parts).copy() if seen else self._blank(context.num_nodes, self._asked.origin)
        self._unwritten = None
        for start in range(seen, len(context), self.batch_size):
            self.observe(context.events(start, start + self.batch_size))
        self._write()

    def beginning(self, context: TemporalGraph) -> TemporalGraph:
        """The events that the memory at the end of training goes back to."""
        return context.events(0, self._seen(context))

    def observe(self, events: TemporalGraph) -> None:
        """Write what was observed before, and know more events."""
        if not len(events):
            return
        if not len(self._asked):
            self.memory = self._blank(events.num_nodes, events.time[:1].to(self.device))
        self._write(until=events.time[0])
        self._later(events)
        super().observe(events)

    def _seen(self, context: TemporalGraph) -> int:
        """How many events that is; none of another graph."""
        if context.num_nodes != len(self.fitted_last) - 1:
            return 0
        place = -1
        for name in self.fitted_ends.tolist():
            place = int(torch.searchsorted(context.ids, int(name[0])))
            if place == len(context) or _named(context.events(place, place + 1))[0].tolist() != name:
                return 0
        return place + 1

    def running_state(self) -> dict[str, Tensor]:
        """Which events are known, the memory, and events that are not written yet."""
        return super().running_state() | self._remembered()

    def restore(self, state: dict[str, Tensor]) -> None:
        """Go back to a memory."""
        super().restore(state)
        self._remind(state)

    def _remembered(self) -> dict[str, Tensor]:
        left = self._unwritten
        return self.memory.parts() | {f"left.{name}": getattr(left, name) for name in _EVENT if left is not None}

    def _remind(self, state: dict[str, Tensor]) -> None:
        self.memory = Memory(**{field.name: state[field.name] for field in fields(Memory)}).copy(self.device)
        left = [state[f"left.{name}"].cpu() for name in _EVENT if f"left.{name}" in state]
        self._unwritten = _events(len(self.memory.last) - 1, *left) if left else None

    def _blank(self, num_nodes: int, origin: Tensor) -> Memory:
        return Memory.blank(num_nodes, self.node_dim, self.time_dim, origin)


def _events(num_nodes: int, src: Tensor, dst: Tensor, time: Tensor, ids: Tensor) -> TemporalGraph:
    return TemporalGraph(src, dst, time, num_nodes, ids=ids)


def _named(events: TemporalGraph) -> Tensor:
    """``(E, 4) double`` what tells an event from others: its id, its ends, its time."""
    return torch.stack([part.double() for part in (events.ids, events.src, events.dst, events.time)], dim=1)

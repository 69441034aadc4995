"""Memory of a growable list per node: one arena, in which every node owns a stretch with room at its end."""

from __future__ import annotations

import torch
from torch import Tensor

# A stretch that is made anew leaves this much room: a share of what it holds, and a few entries for rare nodes.
_SHARE, _FEW = 4, 2
# The arena itself leaves room for stretches that move to its end: a share of all of them.
_SPARE = 2


class Arena:
    """Entries ``(other node, event, time)`` of every node, in the order in which they came.

    The first ``sizes[n]`` of ``capacities[n]`` entries from ``starts[n]`` on are those of node ``n``. A list that is
    full moves to the end of the arena, with twice the room; what it leaves behind is reclaimed when the arena is packed
    anew.

    Attributes:
        lists: ``(N, 3) long``, one row per node, so that a look-up touches one place in memory: see ``starts``,
            ``sizes`` and ``capacities``, which are views of it.
        ends: ``(A, 2) int`` the node at the other end, and the event's id.
        times: ``(A,)`` in the type of the graph.
        scales: ``(A,) double`` denominators of the weights of time-weighted draws; empty until needed.
        mass: ``(A,) double`` running sums of those weights along each list; empty until needed.
        used: Where the unused part of the arena begins.
        longest: No list was ever longer; kept by tensor operations, which search no further.
    """

    def __init__(self, num_nodes: int, dtype: torch.dtype, device: torch.device | str | None):
        self.lists = torch.zeros(num_nodes, 3, dtype=torch.long, device=device)
        self.ends = torch.zeros(0, 2, dtype=torch.int, device=device)
        self.times = torch.zeros(0, dtype=dtype, device=device)
        self.forget_weights()
        self.used, self.longest = 0, 0

    @property
    def starts(self) -> Tensor:
        """``(N,) long`` where each list begins."""
        return self.lists[:, 0]

    @property
    def sizes(self) -> Tensor:
        """``(N,) long`` how many entries it has."""
        return self.lists[:, 1]

    @property
    def capacities(self) -> Tensor:
        """``(N,) long`` how many it has room for."""
        return self.lists[:, 2]

    def __len__(self) -> int:
        """Entries that fit."""
        return len(self.times)

    @property
    def weighted(self) -> bool:
        """Whether entries have weights."""
        return len(self.mass) > 0

    @property
    def columns(self) -> tuple[str, ...]:
        """The tensors that have an entry per place."""
        return ("ends", "times", *(("scales", "mass") if self.weighted else ()))

    def forget_weights(self) -> None:
        """Drop the weights; they can be computed again."""
        self.scales, self.mass = (torch.zeros(0, dtype=torch.double, device=self.times.device) for _ in range(2))

    def pack(self, more: Tensor) -> None:
        """Lay the lists out anew, one behind the other, each with room for ``(N,)`` more entries and some slack."""
        needed = self.sizes + more
        capacities = needed + needed // _SHARE + _FEW
        starts = torch.cumsum(capacities, 0) - capacities
        used = int(capacities.sum())
        source, target = _places(self.starts, self.sizes), _places(starts, self.sizes)
        for name in self.columns:
            old = getattr(self, name)
            new = torch.empty(used + used // _SPARE, *old.shape[1:], dtype=old.dtype, device=old.device)
            new[target] = old[source]
            setattr(self, name, new)
        self.starts.copy_(starts)
        self.capacities.copy_(capacities)
        self.used = used

    def move(self, nodes: Tensor, capacities: Tensor) -> bool:
        """Move the lists of distinct ``(M,)`` nodes to the end; false, and nothing is done, if they do not fit."""
        starts = self.used + torch.cumsum(capacities, 0) - capacities
        used = self.used + int(capacities.sum())
        if used > len(self):
            return False
        source, target = (_places(begin, self.sizes[nodes]) for begin in (self.starts[nodes], starts))
        for name in self.columns:
            column = getattr(self, name)
            column[target] = column[source]
        self.starts[nodes], self.capacities[nodes], self.used = starts, capacities, used
        return True

    def places(self) -> tuple[Tensor, Tensor]:
        """Place in the arena and node of every entry, list by list."""
        return _places(self.starts, self.sizes), torch.repeat_interleave(self.sizes)


def _places(starts: Tensor, lengths: Tensor) -> Tensor:
    """``starts[0], starts[0] + 1, ..., starts[1], ...``: the places of stretches, one stretch after the other."""
    before = torch.cumsum(lengths, 0) - lengths
    total = int(lengths.sum())
    return torch.repeat_interleave(starts - before, lengths, output_size=total) + torch.arange(
        total, device=starts.device
    )

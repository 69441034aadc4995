"""Work on an :class:`Arena` in tensor operations, for any device."""

from __future__ import annotations

import torch
from torch import Tensor

from dynbench.graph.arena import Arena

# Odd numbers that mix an event into the sum by which histories are told apart.
MIX = (-7046029254386353131, 7809847782465536323, 4354685564936845355)


def insert(arena: Arena, src: Tensor, dst: Tensor, events: Tensor, times: Tensor, both: bool, rate: float) -> None:
    """Append events to the lists of their ends.

    Args:
        arena: Grows as needed.
        src, dst, events, times: ``(B,)``, in order of time and not before anything in the arena.
        both: Whether to append to the lists of both ends or of ``src`` alone.
        rate: Of the weights, which are kept up to date if the arena has any.
    """
    if not len(src):
        return
    if both:
        nodes, others = torch.stack([src, dst], 1).flatten(), torch.stack([dst, src], 1).flatten()
        events, times = events.repeat_interleave(2), times.repeat_interleave(2)
    else:
        nodes, others = src, dst
    touched, extra = torch.unique(nodes, return_counts=True)
    needed = arena.sizes[touched] + extra
    full = needed > arena.capacities[touched]
    moves, longest = torch.stack([full.any().long(), needed.max()]).tolist()
    arena.longest = max(arena.longest, longest)
    if moves and not arena.move(touched[full], 2 * needed[full]):
        arena.pack(torch.zeros_like(arena.sizes).index_add_(0, touched, extra))
    order = torch.argsort(nodes, stable=True)
    rank = torch.arange(len(nodes), device=nodes.device) - torch.repeat_interleave(
        torch.cumsum(extra, 0) - extra, extra
    )
    nodes = nodes[order]
    index = arena.sizes[nodes] + rank
    place = arena.starts[nodes] + index
    arena.ends[place] = torch.stack([others[order], events[order]], 1).int()
    arena.times[place] = times[order]
    arena.sizes[touched] = needed
    if arena.weighted:
        _weigh(arena, place, nodes, index, rate)


def count_before(arena: Arena, nodes: Tensor, times: Tensor) -> Tensor:
    """``(Q,) long`` entries of each node strictly before each time, by binary search in all lists at once."""
    begin, size = arena.starts[nodes], arena.sizes[nodes]
    count = torch.zeros_like(begin)
    # Bit by bit, as many of them as the longest list that ever was has: no look at the data.
    for bit in reversed(range(arena.longest.bit_length())):
        reach = count + (1 << bit)
        last = (begin + (reach - 1)).clamp_(max=len(arena) - 1)
        count = torch.where((reach <= size) & (arena.times[last] < times), reach, count)
    return count


def latest(arena: Arena, nodes: Tensor, times: Tensor, k: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The ``k`` latest entries before each time, oldest first, with a mask."""
    count = count_before(arena, nodes, times)
    place = count[:, None] - k + torch.arange(k, device=count.device)
    return at(arena, nodes, place, place >= 0)


def at(arena: Arena, nodes: Tensor, place: Tensor, mask: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Entries at ``(Q, k)`` places of the lists; zeros where the ``(Q, k)`` mask is false."""
    if not len(arena):
        empty = torch.zeros_like(place)
        return empty, empty.clone(), empty.to(arena.times.dtype), mask
    place = torch.where(mask, arena.starts[nodes][:, None] + place, 0)
    others, events = arena.ends[place].masked_fill(~mask[..., None], 0).long().unbind(-1)
    return others, events, arena.times[place].masked_fill(~mask, 0), mask


def draw_weighted(arena: Arena, nodes: Tensor, count: Tensor, uniform: Tensor) -> Tensor:
    """``(Q, k) long`` places drawn in proportion to the weights of each list's first ``count`` entries."""
    if not len(arena):
        return torch.zeros_like(uniform, dtype=torch.long)
    begin = arena.starts[nodes][:, None]
    last = (begin[:, 0] + count - 1).clamp_(min=0)
    aim = uniform * arena.mass[last][:, None]
    low = torch.zeros_like(aim, dtype=torch.long)
    high = (count[:, None] - 1).clamp(min=0).expand_as(low)
    for _ in range(arena.longest.bit_length()):
        middle = (low + high) // 2
        open_ = low < high
        below = open_ & (arena.mass[begin + middle] <= aim)
        low, high = torch.where(below, middle + 1, low), torch.where(open_ & ~below, middle, high)
    return low


def weigh(arena: Arena, rate: float) -> None:
    """Fill ``scales`` and ``mass`` for all entries.

    With ``a_i = exp(rate t_i)``, an entry weighs ``exp(a_i / (a_1 + ... + a_i))``. The quotient is the inverse of
    ``scale_i = 1 + scale_(i-1) exp(-rate (t_i - t_(i-1)))``: a recurrence that neither overflows nor asks for the last
    time of a list.
    """
    place, node = arena.places()
    arena.scales, arena.mass = (torch.zeros(len(arena), dtype=torch.double, device=place.device) for _ in range(2))
    _weigh(arena, place, node, place - arena.starts[node], rate)


def _weigh(arena: Arena, place: Tensor, node: Tensor, index: Tensor, rate: float) -> None:
    """Weigh entries whose predecessors in their lists are weighed or among them.

    The recurrence is solved for all lists at once, by doubling the stretch that is known.

    Args:
        arena: With room for weights.
        place, node, index: ``(B,)`` places in the arena, nodes and places in their lists, list by list.
        rate: As in :func:`weigh`.
    """
    if not len(place):
        return
    first = torch.ones_like(node, dtype=torch.bool)
    first[1:] = node[1:] != node[:-1]
    before = (place - 1).clamp_(min=0)
    factor = torch.exp(-rate * (arena.times[place] - arena.times[before]).double())
    factor.masked_fill_(index == 0, 0.0)
    # What lies before a list's first entry is not its own, and may be any number, or none.
    scale = 1 + torch.where(first & (index > 0), factor * arena.scales[before], 0.0)
    factor.masked_fill_(first, 0.0)
    starts = first.nonzero().squeeze(1)
    lengths = torch.diff(starts, append=starts.new_full((1,), len(place)))
    reach, longest = 1, int(lengths.max())
    while reach < longest:
        scale[reach:] = scale[reach:] + factor[reach:] * scale[:-reach]
        factor[reach:] = factor[reach:] * factor[:-reach]
        factor[:reach] = 0.0
        reach *= 2
    weight = torch.exp(1 / scale)
    total = torch.cumsum(weight, 0)
    base = torch.where(index > 0, arena.mass[before], 0.0)[starts] - (total - weight)[starts]
    arena.scales[place] = scale
    arena.mass[place] = total + torch.repeat_interleave(base, lengths)


def digest(src: Tensor, dst: Tensor, times: Tensor, first: int) -> int:
    """A sum over events, the first of which is number ``first`` of its history, modulo 2^64."""
    if times.is_floating_point():
        times = times.contiguous().view(torch.long)
    order = torch.arange(first + 1, first + 1 + len(src), device=src.device)
    return int(((src * MIX[0] + dst * MIX[1] + times) * (order * MIX[2])).sum())

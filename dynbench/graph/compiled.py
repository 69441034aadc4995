"""What ``vectorised`` does, as loops that numba compiles: several times faster on a CPU.

The loops work on the arrays behind an arena's tensors. They are compiled at their first use and kept on disk.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from numba import njit
from torch import Tensor

from dynbench.graph.arena import Arena
from dynbench.graph.vectorised import MIX

_compile = njit(cache=True, nogil=True)


def insert(arena: Arena, src: Tensor, dst: Tensor, events: Tensor, times: Tensor, both: bool, rate: float) -> None:
    """As :func:`vectorised.insert`."""
    entries = [np.ascontiguousarray(part.numpy()) for part in (src, dst, events, times)]
    if len(src) > len(arena) - arena.used:
        arena.pack(_degrees(entries[0], entries[1], len(arena.lists), both))
    done = 0
    while done < len(src):
        done, arena.used = _insert(arena.lists.numpy(), *_columns(arena), arena.used, *entries, done, both, rate)
        if done < len(src):  # a list could not move: the arena is full
            rest = [part[done:] for part in entries[:2]]
            arena.pack(_degrees(*rest, len(arena.lists), both))


def count_before(arena: Arena, nodes: Tensor, times: Tensor) -> Tensor:
    """As :func:`vectorised.count_before`."""
    count = torch.empty_like(nodes)
    _count(arena.lists.numpy(), arena.times.numpy(), nodes.numpy(), times.numpy(), count.numpy())
    return count


def latest(arena: Arena, nodes: Tensor, times: Tensor, k: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """As :func:`vectorised.latest`."""
    found = _room(arena, len(nodes), k)
    arrays = [part.numpy() for part in found]
    _latest(arena.lists.numpy(), *_columns(arena)[:2], nodes.numpy(), times.numpy(), *arrays)
    return found


def at(arena: Arena, nodes: Tensor, place: Tensor, mask: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """As :func:`vectorised.at`."""
    found = _room(arena, *place.shape)
    arrays = [part.numpy() for part in found]
    _at(arena.lists.numpy(), *_columns(arena)[:2], nodes.numpy(), place.numpy(), mask.numpy(), *arrays)
    return found


def draw_weighted(arena: Arena, nodes: Tensor, count: Tensor, uniform: Tensor) -> Tensor:
    """As :func:`vectorised.draw_weighted`."""
    place = torch.empty(uniform.shape, dtype=torch.long)
    arrays = [part.numpy() for part in (arena.lists, arena.mass, nodes, count, uniform, place)]
    _draw_weighted(*arrays)
    return place


def weigh(arena: Arena, rate: float) -> None:
    """As :func:`vectorised.weigh`."""
    arena.scales, arena.mass = (torch.zeros(len(arena), dtype=torch.double) for _ in range(2))
    _weigh(arena.lists.numpy(), arena.times.numpy(), arena.scales.numpy(), arena.mass.numpy(), rate)


def digest(src: Tensor, dst: Tensor, times: Tensor, first: int) -> int:
    """As :func:`vectorised.digest`."""
    whole = times.contiguous().view(torch.long) if times.is_floating_point() else times
    return int(_digest(src.numpy(), dst.numpy(), whole.numpy(), first))


def _columns(arena: Arena) -> list[np.ndarray]:
    return [part.numpy() for part in (arena.ends, arena.times, arena.scales, arena.mass)]


def _room(arena: Arena, rows: int, k: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    return (
        torch.empty(rows, k, dtype=torch.long),
        torch.empty(rows, k, dtype=torch.long),
        torch.empty(rows, k, dtype=arena.times.dtype),
        torch.empty(rows, k, dtype=torch.bool),
    )


def _degrees(src: np.ndarray, dst: np.ndarray, num_nodes: int, both: bool) -> Tensor:
    count = np.bincount(src, minlength=num_nodes)
    return torch.from_numpy(count + np.bincount(dst, minlength=num_nodes) if both else count)


@_compile
def _insert(lists, ends, times, scales, mass, used, src, dst, ids, when, done, both, rate):
    """Append event after event; stops before one for which the arena has no room."""
    for row in range(done, len(src)):
        # Room for both ends first, so that an event is appended whole or not at all.
        for side in range(2 if both else 1):
            node = src[row] if side == 0 else dst[row]
            begin, size, capacity = lists[node, 0], lists[node, 1], lists[node, 2]
            needed = size + (2 if both and src[row] == dst[row] else 1)
            if needed > capacity:
                room = 2 * needed
                if used + room > len(times):
                    return row, used
                for k in range(size):
                    ends[used + k, 0], ends[used + k, 1] = ends[begin + k, 0], ends[begin + k, 1]
                    times[used + k] = times[begin + k]
                    if len(mass):
                        scales[used + k], mass[used + k] = scales[begin + k], mass[begin + k]
                lists[node, 0], lists[node, 2] = used, room
                used += room
        for side in range(2 if both else 1):
            node, other = (src[row], dst[row]) if side == 0 else (dst[row], src[row])
            size = lists[node, 1]
            place = lists[node, 0] + size
            ends[place, 0], ends[place, 1], times[place] = other, ids[row], when[row]
            if len(mass):
                _weigh_one(times, scales, mass, place, size == 0, rate)
            lists[node, 1] = size + 1
    return len(src), used


@_compile
def _weigh_one(times, scales, mass, place, first, rate):
    scale, total = 1.0, 0.0
    if not first:
        scale += scales[place - 1] * math.exp(-rate * float(times[place] - times[place - 1]))
        total = mass[place - 1]
    scales[place] = scale
    mass[place] = total + math.exp(1.0 / scale)


@_compile
def _weigh(lists, times, scales, mass, rate):
    for node in range(len(lists)):
        for k in range(lists[node, 1]):
            _weigh_one(times, scales, mass, lists[node, 0] + k, k == 0, rate)


@_compile
def _digest(src, dst, times, first):
    total = np.int64(0)
    for row in range(len(src)):
        mixed = src[row] * np.int64(MIX[0]) + dst[row] * np.int64(MIX[1]) + times[row]
        total += mixed * (np.int64(first + row + 1) * np.int64(MIX[2]))
    return total


@_compile
def _before(times, begin, size, bound):
    """How many of an ascending stretch lie strictly before ``bound``."""
    low, high = begin, begin + size
    while low < high:
        middle = (low + high) // 2
        if times[middle] < bound:
            low = middle + 1
        else:
            high = middle
    return low - begin


@_compile
def _count(lists, times, nodes, bounds, count):
    for row in range(len(nodes)):
        count[row] = _before(times, lists[nodes[row], 0], lists[nodes[row], 1], bounds[row])


@_compile
def _latest(lists, ends, times, nodes, bounds, out_other, out_event, out_time, out_mask):
    k = out_other.shape[1]
    for row in range(len(nodes)):
        begin = lists[nodes[row], 0]
        first = begin + _before(times, begin, lists[nodes[row], 1], bounds[row]) - k
        for column in range(k):
            place = first + column
            found = place >= begin
            out_mask[row, column] = found
            out_other[row, column] = ends[place, 0] if found else 0
            out_event[row, column] = ends[place, 1] if found else 0
            out_time[row, column] = times[place] if found else 0


@_compile
def _at(lists, ends, times, nodes, index, mask, out_other, out_event, out_time, out_mask):
    for row in range(index.shape[0]):
        begin = lists[nodes[row], 0]
        for column in range(index.shape[1]):
            found, place = mask[row, column], begin + index[row, column]
            out_mask[row, column] = found
            out_other[row, column] = ends[place, 0] if found else 0
            out_event[row, column] = ends[place, 1] if found else 0
            out_time[row, column] = times[place] if found else 0


@_compile
def _draw_weighted(lists, mass, nodes, count, uniform, out):
    for row in range(uniform.shape[0]):
        begin, last = lists[nodes[row], 0], count[row] - 1
        for column in range(uniform.shape[1]):
            out[row, column] = 0
            if last > 0:
                aim = uniform[row, column] * mass[begin + last]
                low, high = 0, last
                while low < high:
                    middle = (low + high) // 2
                    if mass[begin + middle] <= aim:
                        low = middle + 1
                    else:
                        high = middle
                out[row, column] = low

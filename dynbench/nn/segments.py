"""Lists of unequal length, kept end to end: their positions, sums, means and maxima, without a loop over lists."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def ranges(start: Tensor, size: Tensor) -> tuple[Tensor, Tensor]:
    """Positions ``start, start + 1, ...`` of many lists, end to end.

    Args:
        start, size: ``(S,) long`` where each list begins and how long it is.

    Returns:
        The list that each position belongs to and the positions, both ``(sum of sizes,) long``.
    """
    owner = torch.repeat_interleave(torch.arange(len(size), device=size.device), size)
    first = size.cumsum(0) - size
    return owner, torch.arange(len(owner), device=size.device) + (start - first)[owner]


def mean_rows(table: Tensor, index: Tensor, size: Tensor) -> Tensor:
    """Mean of the rows of a table that each list names.

    Args:
        table: ``(N, D)``.
        index: ``(I,) long`` rows, list after list.
        size: ``(S,) long`` lengths of the lists.

    Returns:
        ``(S, D)``; zeros for an empty list.
    """
    return F.embedding_bag(index, table, size.cumsum(0) - size, mode="mean")


def sum_rows(table: Tensor, index: Tensor, size: Tensor, weight: Tensor | None = None) -> Tensor:
    """The same as :func:`mean_rows`, summed, each row times its ``(I,)`` weight."""
    return F.embedding_bag(index, table, size.cumsum(0) - size, mode="sum", per_sample_weights=weight)


def max_rows(values: Tensor, owner: Tensor, count: int) -> Tensor:
    """Largest value of every column over the rows of each of ``count`` lists; zeros for an empty one.

    Args:
        values: ``(I, D)``.
        owner: ``(I,) long`` the list of each row.
        count: Number of lists.
    """
    low = values.new_zeros(count, values.shape[1])
    index = owner[:, None].expand(-1, values.shape[1])
    return low.scatter_reduce(0, index, values, "amax", include_self=False)


def softmax_rows(logits: Tensor, owner: Tensor, count: int) -> Tensor:
    """``(I,)`` softmax over the entries of each of ``count`` lists."""
    highest = logits.new_zeros(count).scatter_reduce(0, owner, logits.detach(), "amax", include_self=False)
    odds = (logits - highest[owner]).exp()
    return odds / odds.new_zeros(count).index_add(0, owner, odds)[owner]

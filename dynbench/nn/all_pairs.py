"""Sums over all pairs of rows, without ever holding a matrix of all pairs.

The log-likelihood of a whole graph under a product of codes is ``-sum softplus(p_n . q_m)`` over all pairs, plus a term
for each link. The sum and its exact gradient are built block of rows by block of rows; memory is one block, whatever
the number of nodes.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

# Products held at once: 2 MB of float32, which stay in the cache. Larger blocks are slower.
_BLOCK = 500_000


class _SoftplusSum(torch.autograd.Function):
    """The sum and its gradient in one pass over the blocks; the gradient is linear in what comes from above."""

    @staticmethod
    def forward(context, p: Tensor, q: Tensor, symmetric: bool, part: tuple[int, int]) -> Tensor:
        total = torch.zeros((), dtype=torch.double, device=p.device)
        wanted = p.requires_grad or q.requires_grad
        grad_p, grad_q = torch.zeros_like(p), torch.zeros_like(q)
        for rows, columns, times in _blocks(len(p), len(q), symmetric)[part[0] :: part[1]]:
            products = p[rows] @ q[columns].T
            total += times * F.softplus(products).sum(dtype=torch.double)
            if wanted:
                slope = torch.sigmoid(products, out=products)
                _add_product(grad_p[rows], slope, q[columns], times)
                _add_product(grad_q[columns], slope.T, p[rows], times)
        context.save_for_backward(grad_p, grad_q)
        return total.to(p.dtype)

    @staticmethod
    def backward(context, grad: Tensor):
        grad_p, grad_q = context.saved_tensors
        return grad * grad_p, grad * grad_q, None, None


def _add_product(total: Tensor, left: Tensor, right: Tensor, times: int) -> None:
    if left.dtype == right.dtype:
        total.addmm_(left, right, alpha=times)
    else:  # mixed precision: the product is rounded, the sum is not
        total.add_(left @ right, alpha=times)


def softplus_sum(p: Tensor, q: Tensor, symmetric: bool = False, part: tuple[int, int] = (0, 1)) -> Tensor:
    """``sum over n and m of softplus(p_n . q_m)``.

    Args:
        p: ``(N, D)``.
        q: ``(M, D)``.
        symmetric: Whether ``p q'`` is a symmetric matrix, of which then one half is computed.
        part: Which share of the blocks to add up: ``(0, 1)`` for all, ``(rank, devices)`` for one device's. The shares
            add up to the whole.

    Returns:
        The sum. Its gradient is exact.

    >>> codes = torch.ones(3, 2)
    >>> round(float(softplus_sum(codes, codes, symmetric=True)), 4)
    19.1424
    """
    return _SoftplusSum.apply(p, q, symmetric, part)


def _blocks(rows: int, columns: int, symmetric: bool) -> list[tuple[slice, slice, int]]:
    """Rectangles that make up the matrix: their rows, their columns, and how often each counts.

    Of a symmetric matrix these are squares on the diagonal and what lies right of them, which counts twice.
    """
    blocks, first = [], 0
    while first < rows:
        left = columns - first if symmetric else columns
        last = min(rows, first + max(1, _BLOCK // max(left, 1)))
        own = slice(first, last)
        if symmetric:
            blocks += [(own, own, 1), (own, slice(last, columns), 2)]
        else:
            blocks.append((own, slice(0, columns), 1))
        first = last
    return blocks

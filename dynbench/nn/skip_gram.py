"""Skip-gram with negative sampling: vectors of nodes from the walks that pass them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
import torch.nn.functional as F
from scipy import sparse
from torch import Tensor

# The most frequent node occurs about so often in a batch: its updates are summed as if nothing had moved in between.
_REPEATS = 32
_BATCH = (256, 1 << 16)
_PAIRS = 1 << 21  # held at a time


def skip_gram(
    walks: Tensor,
    num_nodes: int,
    dim: int,
    window: int = 10,
    negatives: int = 5,
    epochs: int = 1,
    learning_rate: float = 0.025,
    subsample: float = 1e-3,
    start: tuple[Tensor, Tensor] | None = None,
) -> tuple[Tensor, Tensor]:
    """Train vectors so that a node tells those beside it on walks from others (word2vec, Mikolov et al., 2013).

    Plain stochastic gradient ascent of ``log s(u_i . v_j) + sum over negatives k of log s(-u_i . v_k)`` with the
    logistic function ``s``, in batches; the rate falls linearly to 1/250 of its first value.

    Args:
        walks: ``(L, W) long`` nodes, a column per walk.
        num_nodes: ``N``.
        dim: ``D``.
        window: Farthest neighbour on a walk; that of each place is drawn uniformly from 1 to ``window``.
        negatives: Nodes drawn per pair, in proportion to their occurrences to the power of 3/4.
        epochs: Passes over the walks.
        learning_rate: At the start.
        subsample: Nodes with a larger share of all occurrences are left out of walks at random; 0 leaves out none.
        start: Vectors ``u`` and ``v`` to start from; when omitted, small random ones and zeros.

    Returns:
        ``(N, D)`` vectors ``u`` and ``v``; a node that no pair holds keeps its initial ones. Drawn from torch's global
        generator.
    """
    if start is None:
        start = (torch.rand(num_nodes, dim) - 0.5) / dim, torch.zeros(num_nodes, dim)
    center, context = (part.clone() for part in start)
    count = torch.bincount(walks.flatten(), minlength=num_nodes).double()
    kept = _kept(count, subsample)
    # A table of nodes makes a draw one look-up.
    noise = _table(count**0.75)
    share = (count * kept).max() / (count * kept).sum()
    batch = int((_REPEATS / share).clamp(*_BATCH))
    done, total = 0, epochs * walks.shape[1]
    for _ in range(epochs):
        for part in _portions(walks, window):
            rate = learning_rate * max(1 - done / total, 1 / 250)
            lower = learning_rate * max(1 - (done + part.shape[1]) / total, 1 / 250)
            src, dst = _pairs(part, kept, window)
            batches = list(zip(src.split(batch), dst.split(batch), strict=True))
            for number, (one, other) in enumerate(batches):
                _update(center, context, one, other, noise, negatives, rate + (lower - rate) * number / len(batches))
            done += part.shape[1]
    return center, context


def _update(center: Tensor, context: Tensor, src: Tensor, dst: Tensor, noise: Tensor, negatives: int, rate: float):
    """One step along the gradient, in place.

    The errors of the pairs form a sparse matrix, with a row per pair; both sums over pairs are products with it. What
    pairs made one after the other would no longer ask for, once the first ones have moved a node, their sum still does.
    So it is divided by 1 plus the sum of rate, error and squared length of the other vector: the products of a node
    that is in many pairs move by about one at most, and those of a node in few as they would by themselves.
    """
    drawn = noise.index_select(0, torch.randint(len(noise), (len(src) * negatives,))).view(-1, negatives)
    target = torch.cat([dst[:, None], drawn], dim=1)
    here = F.embedding(src, center)
    error = -torch.sigmoid(torch.einsum("bkd,bd->bk", F.embedding(target, context), here))
    error[:, 0] += 1
    error[:, 1:].masked_fill_(drawn == dst[:, None], 0)  # the true neighbour is no negative
    rows = _sparse(rate * error, target, len(context))
    ones = _sparse(torch.ones(len(src), 1), src[:, None], len(center))
    strength = abs(rows)
    for_center = ones.T @ (rows @ context.numpy())
    at_center = 1 + ones.T @ (strength @ context.square().sum(1).numpy())
    at_context = 1 + strength.T @ here.square().sum(1).numpy()
    context += torch.from_numpy((rows.T @ here.numpy()) / at_context[:, None])
    center += torch.from_numpy(for_center / at_center[:, None])


def _sparse(values: Tensor, columns: Tensor, width: int) -> sparse.csr_array:
    """``(B, width)`` with ``values`` at ``columns``, both ``(B, K)``; a column may be named twice in a row."""
    ends = np.arange(len(values) + 1, dtype=np.int32) * values.shape[1]
    return sparse.csr_array((values.numpy().ravel(), columns.numpy().ravel(), ends), shape=(len(values), width))


def _pairs(walks: Tensor, kept: Tensor, window: int) -> tuple[Tensor, Tensor]:
    """Pairs of nodes that are at most a drawn distance apart on a walk, in random order."""
    walks = _thinned(walks, kept).int()
    reach = torch.randint(1, window + 1, walks.shape)
    src, dst = [], []
    for offset in range(1, min(window, len(walks) - 1) + 1):
        early, late = walks[:-offset], walks[offset:]
        both = (early >= 0) & (late >= 0)
        for one, other, far in ((early, late, reach[:-offset]), (late, early, reach[offset:])):
            chosen = both & (far >= offset)
            src.append(one.masked_select(chosen))
            dst.append(other.masked_select(chosen))
    if not src:
        return walks.new_empty(0), walks.new_empty(0)
    order = torch.randperm(sum(map(len, src)))
    return torch.cat(src).index_select(0, order), torch.cat(dst).index_select(0, order)


def _thinned(walks: Tensor, kept: Tensor) -> Tensor:
    """Walks without the places that are left out; those after them move up, and -1 fills the end."""
    if bool((kept >= 1).all()):
        return walks
    out = torch.rand(walks.shape) >= kept.float()[walks]
    order = torch.argsort(out.byte(), dim=0, stable=True)
    return walks.masked_fill(out, -1).gather(0, order)


def _kept(count: Tensor, subsample: float) -> Tensor:
    """``(N,)`` probability that an occurrence is kept, as word2vec computes it."""
    if not subsample:
        return torch.ones_like(count)
    share = (count / count.sum()).clamp(min=1e-12)
    return ((subsample / share).sqrt() + subsample / share).clamp(max=1)


def _table(weight: Tensor) -> Tensor:
    """Nodes in proportion to their weight: small, since it is looked into at random places."""
    size = max(1 << 16, 16 * len(weight))
    edges = (weight.cumsum(0) / weight.sum() * size).round().long()
    return torch.arange(len(weight), dtype=torch.int32).repeat_interleave(edges.diff(prepend=edges.new_zeros(1)))


def _portions(walks: Tensor, window: int) -> Iterator[Tensor]:
    """The walks in random order, some at a time."""
    width = max(_PAIRS // (len(walks) * (window + 1)), 1)
    yield from walks[:, torch.randperm(walks.shape[1])].split(width, dim=1)

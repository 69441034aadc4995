"""Sparse adjacency of a history, and what two nodes share in it."""

from __future__ import annotations

import numpy as np
import torch
from scipy import sparse
from torch import Tensor

from dynbench.graph import TemporalGraph

# Neighbour entries gathered at once by `shared_neighbors`; bounds its memory at a few hundred MB.
_GATHER = 10_000_000


def weighted_adjacency(history: TemporalGraph, weight: Tensor | None = None) -> sparse.csr_array:
    """Sum of event weights per pair.

    Args:
        history: Events; repeated pairs add up.
        weight: ``(E,)`` weights; ones when omitted.

    Returns:
        ``(N, N)`` matrix; symmetric for an undirected graph, with a self-loop counted once.
    """
    values = (torch.ones(len(history)) if weight is None else weight).double().cpu().numpy()
    src, dst = history.src.cpu().numpy(), history.dst.cpu().numpy()
    shape = (history.num_nodes, history.num_nodes)
    matrix = sparse.csr_array(sparse.coo_array((values, (src, dst)), shape=shape))
    if history.directed:
        return matrix
    return sparse.csr_array(matrix + matrix.T - sparse.diags_array(matrix.diagonal()))


def union_adjacency(history: TemporalGraph) -> sparse.csr_array:
    """``(N, N)`` zeros and ones: pairs ever linked, in either direction, without self-loops."""
    matrix = weighted_adjacency(history)
    matrix = sparse.csr_array(matrix + matrix.T) if history.directed else matrix
    matrix = sparse.csr_array(matrix - sparse.diags_array(matrix.diagonal()))
    matrix.eliminate_zeros()
    matrix.data[:] = 1.0
    return matrix


def entries(matrix: sparse.csr_array, src: Tensor, dst: Tensor) -> Tensor:
    """``(Q,) double`` entries of a sparse matrix at the given pairs."""
    if not len(src):
        return torch.zeros(0, dtype=torch.double)  # scipy answers an empty index with a sparse array
    # Copies, because scipy wants arrays whose flags it may set, and those of tensors are not such.
    rows, columns = (np.array(part.cpu()) for part in (src, dst))
    found = np.asarray(matrix[rows, columns]).ravel()
    return torch.from_numpy(found.astype(np.float64))


def shared_neighbors(matrix: sparse.csr_array, value: np.ndarray, src: Tensor, dst: Tensor) -> Tensor:
    """Sum of ``value`` over the common neighbours of every pair.

    Args:
        matrix: ``(N, N)`` zeros and ones, symmetric.
        value: ``(N,)`` what a common neighbour contributes.
        src, dst: ``(Q,) long`` pairs.

    Returns:
        ``(Q,) double``.
    """
    src, dst = src.cpu().numpy(), dst.cpu().numpy()
    valued = sparse.csr_array(matrix * value[None, :])
    work = np.cumsum(np.diff(matrix.indptr)[src] + np.diff(matrix.indptr)[dst])
    bounds = np.searchsorted(work, np.arange(_GATHER, work[-1] if len(work) else 0, _GATHER))
    parts = [
        np.asarray(valued[i].multiply(matrix[j]).sum(axis=1)).ravel()
        for i, j in zip(np.split(src, bounds), np.split(dst, bounds), strict=True)
        if len(i)
    ]
    return torch.from_numpy(np.concatenate(parts) if parts else np.zeros(0))

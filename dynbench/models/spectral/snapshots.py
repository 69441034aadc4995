"""Snapshots as sparse matrices, and sums of products over them on several threads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from scipy import sparse

from dynbench.errors import DataError
from dynbench.graph import TemporalGraph


def adjacencies(history: TemporalGraph, dtype: type = np.float32) -> list[sparse.csr_array]:
    """One ``(N, N)`` symmetric matrix of zeros and ones per snapshot, up to the last that has a link.

    A self-loop is one entry on the diagonal, and counts once in a degree.

    Raises:
        DataError: If there is no link at all.
    """
    if not len(history):
        raise DataError("there is no link to embed; every snapshot is empty")
    history.require_steps()
    return [_adjacency(history.step(step), dtype) for step in range(int(history.time.max()) + 1)]


def _adjacency(snapshot: TemporalGraph, dtype: type) -> sparse.csr_array:
    src, dst = (ends.cpu().numpy().astype(np.int32) for ends in (snapshot.src, snapshot.dst))
    proper = src != dst
    rows, columns = np.concatenate([src, dst[proper]]), np.concatenate([dst, src[proper]])
    shape = (snapshot.num_nodes, snapshot.num_nodes)
    matrix = sparse.csr_array((np.ones(len(rows), dtype), (rows, columns)), shape=shape)
    matrix.sum_duplicates()
    matrix.data[:] = 1  # relations may repeat a pair
    return matrix


def with_dtype(matrix: sparse.csr_array, dtype: type) -> sparse.csr_array:
    """The same matrix in another precision, sharing its indices."""
    if matrix.dtype == dtype:
        return matrix
    return sparse.csr_array((matrix.data.astype(dtype), matrix.indices, matrix.indptr), shape=matrix.shape)


def degrees(matrices: Sequence[sparse.csr_array]) -> np.ndarray:
    """``(T, N) float64`` row sums."""
    return np.stack([np.asarray(matrix.sum(axis=1, dtype=np.float64)).ravel() for matrix in matrices])


def inverse_root(values: np.ndarray) -> np.ndarray:
    """``values^(-1/2)``, and 0 where a value is 0."""
    return np.divide(1.0, np.sqrt(values), out=np.zeros_like(values, dtype=np.float64), where=values > 0)


def sum_over(count: int, term: Callable[[int], np.ndarray]) -> np.ndarray:
    """``term(0) + ... + term(count - 1)``, on as many threads as torch may use; sparse products run side by side."""
    workers = min(torch.get_num_threads(), count)
    if workers == 1:
        return _sum(range(count), term)
    with ThreadPoolExecutor(workers) as pool:
        parts = pool.map(lambda first: _sum(range(first, count, workers), term), range(workers))
        return sum(parts)


def _sum(numbers: range, term: Callable[[int], np.ndarray]) -> np.ndarray:
    total = term(numbers[0])
    for number in numbers[1:]:
        total += term(number)
    return total

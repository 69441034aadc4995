"""Snapshots as sparse matrices of counts: how often each pair met in each snapshot."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

import numpy as np
import torch
from scipy import sparse
from torch import Tensor

from dynbench.errors import DataError
from dynbench.graph import TemporalGraph

Weights = Literal["counts", "log", "binary"]


def count_matrices(
    history: TemporalGraph, weights: Literal["counts", "log", "binary"] = "counts", loops: bool = True
) -> list[sparse.csr_array]:
    """One ``(N, N) float32`` symmetric matrix per snapshot, also for those without a link.

    Args:
        history: A snapshot graph; the directions of its links do not count.
        weights: An entry is the weight of the link (``counts``), ``log(1 + weight)`` or 1 (``binary``).
        loops: Whether self-loops are kept, as one entry on the diagonal.

    Raises:
        DataError: If a weight that counts is not above zero.
    """
    values = np.ones(len(history)) if history.weight is None else history.weight.cpu().double().numpy()
    if weights == "binary":
        values = np.ones(len(history))
    else:
        _require_positive(history, values)
    src, dst, time = (part.cpu().numpy() for part in (history.src, history.dst, history.time))
    proper = src != dst
    if not loops:
        src, dst, time, values = (part[proper] for part in (src, dst, time, values))
        proper = np.ones(len(src), dtype=bool)
    bounds = np.searchsorted(time, np.arange(history.require_steps() + 1))
    matrices = []
    for first, last in pairwise(bounds):
        at, back = slice(first, last), proper[first:last]
        rows = np.concatenate([src[at], dst[at][back]]).astype(np.int32)
        columns = np.concatenate([dst[at], src[at][back]]).astype(np.int32)
        entries = np.concatenate([values[at], values[at][back]])
        matrix = sparse.csr_array((entries, (rows, columns)), shape=(history.num_nodes,) * 2)
        matrix.sum_duplicates()  # relations, or the two directions of a pair
        if weights == "binary":
            matrix.data[:] = 1
        elif weights == "log":
            matrix.data = np.log1p(matrix.data)
        matrix.data = matrix.data.astype(np.float32)
        matrices.append(matrix)
    return matrices


def seen_nodes(history: TemporalGraph) -> tuple[np.ndarray, np.ndarray]:
    """Nodes that a history holds, in order of first appearance, and the snapshot in which each appeared."""
    first = history.first_seen().cpu().numpy()
    nodes = np.argsort(first, kind="stable")[: int((first < history.require_steps()).sum())]
    return nodes, first[nodes]


def digests(matrices: Sequence[sparse.csr_array]) -> Tensor:
    """``(T,) long`` a number for each snapshot that tells it from others: equal ones, equal snapshots."""
    marks = []
    for matrix in matrices:
        digest = hashlib.sha256(str(matrix.shape).encode())
        for part in (matrix.indptr, matrix.indices, matrix.data):
            digest.update(np.ascontiguousarray(part).tobytes())
        marks.append(int.from_bytes(digest.digest()[:7], "little"))
    return torch.tensor(marks, dtype=torch.long)


def _require_positive(history: TemporalGraph, values: np.ndarray) -> None:
    bad = np.flatnonzero(~((values > 0) & np.isfinite(values)))
    if len(bad):
        event = int(bad[0])
        raise DataError(
            f"the link {int(history.src[event])}-{int(history.dst[event])} of snapshot {int(history.time[event])} has "
            f"the weight {values[event]:g} ({len(bad)} of {len(values)} are not above 0), which neither counts how "
            "often a pair met nor can be walked along; drop such links, or set model.weights=binary"
        )

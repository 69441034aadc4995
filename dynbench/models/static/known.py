"""Links, and pairs of which nothing is known, as sparse matrices."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import sparse

from dynbench.models.static.graph import StaticGraph


class Known(NamedTuple):
    """Links, and pairs whose state is unknown, as symmetric ``(N, N)`` matrices of zeros and ones."""

    links: sparse.csr_array
    unknown: sparse.csr_array

    @classmethod
    def of(cls, graph: StaticGraph) -> Known:
        """Those of a graph."""
        return cls(*(_symmetric(pairs.cpu().numpy(), graph.num_nodes) for pairs in (graph.pairs(), graph.unknown)))


def _symmetric(pairs: np.ndarray, num_nodes: int) -> sparse.csr_array:
    src, dst = np.concatenate([pairs, pairs[::-1]], axis=1)
    matrix = sparse.csr_array((np.ones(len(src)), (src, dst)), shape=(num_nodes, num_nodes))
    matrix.sort_indices()
    return matrix

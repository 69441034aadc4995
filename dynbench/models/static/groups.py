"""Groups of nodes to start from: regularised spectral clustering."""

from __future__ import annotations

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import eigsh
from sklearn.cluster import KMeans

# Below this size all eigenvectors of a full matrix cost little.
_DENSE = 500


def leading_vectors(adjacency: sparse.csr_array, count: int, rng: np.random.Generator) -> np.ndarray:
    """``(N, count)`` eigenvectors of the adjacency, scaled by regularised degrees, of the largest eigenvalues.

    Args:
        adjacency: ``(N, N)`` symmetric.
        count: Number of vectors, at most N.
        rng: Source of the solver's first vector.
    """
    degree = np.asarray(adjacency.sum(1)).ravel()
    scale = sparse.diags_array(1 / np.sqrt(degree + max(degree.mean(), 1e-12)))
    operator = sparse.csr_array(scale @ adjacency.astype(float) @ scale)
    if len(degree) <= _DENSE or count >= len(degree) - 1:
        return np.linalg.eigh(operator.toarray())[1][:, ::-1][:, :count]
    values, vectors = eigsh(operator, k=count, which="LA", v0=rng.standard_normal(len(degree)), tol=1e-4)
    return vectors[:, np.argsort(-values)]


def spectral_groups(adjacency: sparse.csr_array, groups: int, rng: np.random.Generator) -> np.ndarray:
    """``(N,)`` groups by k-means on the rows of the leading eigenvectors, scaled to length 1.

    Args:
        adjacency: ``(N, N)``; what is not symmetric is made so.
        groups: Number of groups.
        rng: Source of randomness.
    """
    adjacency = sparse.csr_array(adjacency, dtype=float)
    vectors = leading_vectors(sparse.csr_array(adjacency.maximum(adjacency.T)), groups, rng)
    rows = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    return KMeans(groups, n_init=4, random_state=int(rng.integers(2**31))).fit_predict(rows)

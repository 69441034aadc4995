"""OMNI: omnibus embedding of all snapshots.

Paper:
    Levin, Athreya, Tang, Lyzinski, Priebe: A central limit theorem for an omnibus embedding of multiple random dot
    product graphs. ICDM Workshops 2017. Here as a baseline of ULSE (arXiv, 2025).

Idea:
    One large matrix compares every snapshot with every other by averaging the two; its leading eigenvectors hold one
    block of rows per snapshot, all in one basis.

Equations:
    With the D eigenvalues of largest magnitude::

        M = [(A_s + A_t) / 2]_{s,t = 1..T}      M = V L V' (nearly)      Y_t = rows of node block t of V |L|^(1/2)

    M is never formed: ``(M x)_s = (A_s sum_t x_t + sum_t A_t x_t) / 2``.

Deviations:
    * The row "OMNI" of ULSE's Table 1 is another method. The authors' release stacks rank-2D factors ``U_t S_t`` of the
      snapshots block-diagonally and takes the singular vectors of that; nothing couples the snapshots, and each
      dimension lives in a single one. ``variant: printed`` does the same.

Reproduction:
    Under ``variant: printed`` the School cells of ULSE's Table 1 to the printed digits, those of Synthetic 1 and 2
    within 0.003. The omnibus embedding itself reaches an NMI of 1.000 on Synthetic 1 (printed: 0.442), 0.555 on
    Synthetic 2 (0.482) and 0.915 on School (0.472).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import LinearOperator, eigsh

from dynbench.models.spectral.base import Solver, SpectralModel, is_dense, require_nodes
from dynbench.models.spectral.eigen import start_vector, with_fixed_signs
from dynbench.models.spectral.snapshots import with_dtype


class OMNI(SpectralModel):
    """Omnibus embedding.

    Args:
        variant: ``omnibus``, or what stands in ULSE's table under that name (``printed``).
        **settings: Those of :class:`~dynbench.models.spectral.base.SpectralModel`.
    """

    def __init__(self, *, variant: Literal["omnibus", "printed"] = "omnibus", **settings):
        super().__init__(**settings)
        self.variant = variant

    def embedded(self, matrices: Sequence[sparse.csr_array]) -> np.ndarray:
        """See :func:`omnibus` and :func:`stacked`."""
        method = stacked if self.variant == "printed" else omnibus
        return method(matrices, self.dim, self.solver, self.tolerance)


def omnibus(
    matrices: Sequence[sparse.csr_array], dim: int, solver: Solver = "auto", tolerance: float = 1e-6
) -> np.ndarray:
    """``(T, N, D)`` omnibus embeddings of symmetric ``(N, N)`` matrices."""
    steps, nodes = len(matrices), matrices[0].shape[0]
    require_nodes(dim, dim, nodes)
    if is_dense(solver, steps * nodes, dim):
        whole = np.stack([matrix.toarray().astype(np.float64) for matrix in matrices])
        blocks = (whole[:, None] + whole[None, :]) / 2
        values, vectors = np.linalg.eigh(blocks.transpose(0, 2, 1, 3).reshape(steps * nodes, steps * nodes))
    else:
        values, vectors = _leading(_operator(matrices), dim, tolerance)
    order = np.argsort(-np.abs(values), kind="stable")[:dim]
    embedding = with_fixed_signs(vectors[:, order]) * np.sqrt(np.abs(values[order]))
    return embedding.reshape(steps, nodes, dim)


def stacked(
    matrices: Sequence[sparse.csr_array], dim: int, solver: Solver = "auto", tolerance: float = 1e-6
) -> np.ndarray:
    """``(T, N, D)``: the D leading singular vectors of block-diagonally stacked factors of the snapshots.

    The factors' columns are orthogonal, so these are the D leading singular vectors among all snapshots, each with
    zeros at all other times.
    """
    steps, nodes = len(matrices), matrices[0].shape[0]
    require_nodes(dim, dim, nodes)
    found = []
    for step, matrix in enumerate(matrices):
        count = min(dim, nodes)
        if not matrix.nnz:
            continue
        if is_dense(solver, nodes, count):
            values, vectors = np.linalg.eigh(matrix.toarray().astype(np.float64))
        else:
            values, vectors = _leading(with_dtype(matrix, np.float64), count, tolerance)
        order = np.argsort(-np.abs(values), kind="stable")[:count]
        found += [(abs(values[number]), step, vectors[:, number]) for number in order]
    found.sort(key=lambda entry: -entry[0])
    embedding = np.zeros((steps, nodes, dim))
    for column, (value, step, vector) in enumerate(found[:dim]):
        embedding[step, :, column] = with_fixed_signs(vector[:, None])[:, 0] * np.sqrt(value)
    return embedding


def _operator(matrices: Sequence[sparse.csr_array]) -> LinearOperator:
    steps, nodes = len(matrices), matrices[0].shape[0]
    matrices = [with_dtype(matrix, np.float64) for matrix in matrices]

    def product(x: np.ndarray) -> np.ndarray:
        parts = x.reshape(steps, nodes)
        total = parts.sum(axis=0)
        each = sum(matrix @ part for matrix, part in zip(matrices, parts, strict=True))
        return np.concatenate([(matrix @ total + each) / 2 for matrix in matrices])

    size = steps * nodes
    return LinearOperator((size, size), matvec=product, dtype=np.float64)


def _leading(operator, dim: int, tolerance: float) -> tuple[np.ndarray, np.ndarray]:
    """Eigenpairs of largest magnitude; a block method finds only one end of the spectrum."""
    return eigsh(operator, dim, which="LM", tol=tolerance, v0=start_vector(operator.shape[0]))

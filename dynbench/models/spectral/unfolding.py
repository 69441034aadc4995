"""Singular vectors of an unfolded matrix ``[M_1 | ... | M_T]``, without ever forming it.

Only the left side is computed: ``U`` and the squared singular values are eigenpairs of the Gram operator
``M_1 M_1' + ... + M_T M_T'``, which is as large as one snapshot, and each right factor follows by one product,
``V_t sqrt(S) = M_t' Q`` with the anchor ``Q = U S^(-1/2)``.

Every method here is ``M_t = a I + b diag(l_t) A_t diag(r_t)`` with an adjacency matrix ``A_t``, so that the sparse
matrices stay zeros and ones, and scaling touches vectors only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import sparse

from dynbench.models.spectral.base import Solver, is_dense
from dynbench.models.spectral.eigen import Eigenpairs, dense_eigenpairs, eigenpairs
from dynbench.models.spectral.snapshots import sum_over, with_dtype

# Below this share of the largest one, a singular value is 0: squaring leaves half of the digits.
_ZERO = 1e-7
# Single precision serves down to this tolerance, and halves the time.
_SINGLE = 1e-6


@dataclass(frozen=True)
class Unfolding:
    """``M_t = identity I + factor diag(left_t) A_t diag(right_t)``.

    Attributes:
        matrices: ``T`` symmetric ``(N, N)`` matrices ``A_t``.
        left: ``(T, N)`` scale of the rows, the side of the anchor.
        right: ``(T, N)`` scale of the columns, the side of the snapshots.
        identity, factor: The numbers in front.
    """

    matrices: Sequence[sparse.csr_array]
    left: np.ndarray
    right: np.ndarray
    identity: float = 0.0
    factor: float = 1.0

    @property
    def size(self) -> int:
        """Nodes."""
        return self.matrices[0].shape[0]

    def transposed(self, step: int, x: np.ndarray) -> np.ndarray:
        """``M_t' x``."""
        return self._product(step, x, self.right, self.left)

    def plain(self, step: int, x: np.ndarray) -> np.ndarray:
        """``M_t x``."""
        return self._product(step, x, self.left, self.right)

    def gram(self, x: np.ndarray) -> np.ndarray:
        """``sum over t of M_t M_t' x``."""
        return sum_over(len(self.matrices), lambda step: self.plain(step, self.transposed(step, x)))

    def dense_gram(self) -> np.ndarray:
        """``(N, N)`` Gram matrix; for small graphs."""
        total = np.zeros((self.size, self.size))
        for step, matrix in enumerate(self.matrices):
            part = self.factor * self.left[step][:, None] * matrix.toarray() * self.right[step][None, :]
            part[np.diag_indices(self.size)] += self.identity
            total += part @ part.T
        return total

    def astype(self, dtype: type) -> Unfolding:
        """The same in another precision."""
        matrices = [with_dtype(matrix, dtype) for matrix in self.matrices]
        return Unfolding(matrices, self.left.astype(dtype), self.right.astype(dtype), self.identity, self.factor)

    def _product(self, step: int, x: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        product = self.matrices[step] @ (columns[step][:, None] * x)
        product *= self.factor * rows[step][:, None]
        if self.identity:
            product += self.identity * x
        return product


def left_singular(
    unfolding: Unfolding,
    k: int,
    which: Literal["largest", "smallest"],
    solver: Solver = "auto",
    tolerance: float = 1e-6,
) -> Eigenpairs:
    """``k`` singular values (in ``values``) and left singular vectors, the wanted end first.

    Singular values that rounding cannot tell from 0 are 0.
    """
    if is_dense(solver, unfolding.size, k):
        found = dense_eigenpairs(unfolding.dense_gram(), k, which)
    else:
        dtype = np.float32 if tolerance >= _SINGLE else np.float64
        found = eigenpairs(unfolding.astype(dtype).gram, unfolding.size, k, which, tolerance, dtype=dtype)
    values = np.sqrt(np.maximum(found.values, 0.0))
    # At the lower end the scale is that of the identities, whose unfolding has singular values sqrt(T).
    scale = values[0] if which == "largest" else len(unfolding.matrices) ** 0.5
    values[values <= _ZERO * scale] = 0.0
    return Eigenpairs(values, found.vectors, found.products, found.residual)


def anchor(singular: Eigenpairs) -> np.ndarray:
    """``(N, D)`` projection ``Q = U S^(-1/2)``; a column whose singular value is 0 is 0."""
    values = singular.values
    scale = np.divide(1.0, np.sqrt(values), out=np.zeros_like(values, dtype=np.float64), where=values > 0)
    return singular.vectors * scale.astype(singular.vectors.dtype)


def project(unfolding: Unfolding, columns: np.ndarray) -> np.ndarray:
    """``(T, N, D)`` products ``M_t' Q`` for every snapshot."""
    unfolding = unfolding.astype(columns.dtype)
    result = np.empty((len(unfolding.matrices), *columns.shape), dtype=columns.dtype)
    for step in range(len(result)):
        result[step] = unfolding.transposed(step, columns)
    return result

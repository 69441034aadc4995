"""ULSE-n1: unfolded Laplacian spectral embedding, normalised per snapshot.

Paper:
    Unfolded Laplacian Spectral Embedding: A Theoretically Grounded Approach to Dynamic Network Representation.
    arXiv, 2025.

Idea:
    As UASE, with normalised Laplacians in place of adjacency matrices and the small singular values in place of the
    large ones: directions along which neighbours agree at all times.

Equations:
    With degrees D_t = diag(A_t 1) + r I and S_t = D_t^(-1/2) A_t D_t^(-1/2)::

        [I - S_1 | ... | I - S_T] = U S V'      the D smallest singular values after the smallest one

        Y_t = V_t S^(1/2) - U S^(-1/2) = - S_t U S^(-1/2)

    The two forms are equal because every Laplacian is symmetric; the last one needs no V. Columns are in
    descending order of their singular values: the first is the least informative.

Deviations:
    * The paper says that subtracting U S^(-1/2) improves longitudinal stability. What is subtracted does not depend
      on time, so it cannot; it restores cross-sectional stability, without which nodes that behave alike at a
      time lie apart. Longitudinal stability is exact only where degrees do not change.
    * ``corrected: false`` leaves the subtraction out.
    * With as many dimensions as communities, one column is noise; the paper's table does so.

Reproduction:
    All twelve cells of Table 1 on Synthetic 1 and 2 and School, to the printed digits (School as printed, on the nodes
    active at the first snapshot), but for a rounding: NMI on Synthetic 2 is 0.86447, 0.8645 in the release's file, and
    0.865 in print. The means of Figure 3 within 0.007 of the release's, whose k-means draws other
    starts. Synthetic 2 of Table 1 is one favourable graph: NMI 0.86 there, 0.755 in the mean over 20 graphs; UASE has
    0.55 and 0.61.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import sparse

from dynbench.models.spectral.base import Solver, SpectralModel, require_nodes
from dynbench.models.spectral.eigen import Eigenpairs
from dynbench.models.spectral.snapshots import degrees, inverse_root
from dynbench.models.spectral.unfolding import Unfolding, anchor, left_singular, project
from dynbench.ranges import CountOrZero, NonNegative


class ULSEN1(SpectralModel):
    """ULSE-n1.

    Args:
        regularizer: Added to every degree, ``r``.
        drop: Smallest singular values that are left out.
        corrected: Whether the anchor's share is subtracted from the embeddings.
        **settings: Those of :class:`~dynbench.models.spectral.base.SpectralModel`.
    """

    def __init__(self, *, regularizer: NonNegative = 0.1, drop: CountOrZero = 1, corrected: bool = True, **settings):
        super().__init__(**settings)
        self.regularizer, self.drop, self.corrected = regularizer, drop, corrected

    def embedded(self, matrices: Sequence[sparse.csr_array]) -> np.ndarray:
        """See :func:`ulse_n1`."""
        return ulse_n1(matrices, self.dim, self.regularizer, self.drop, self.corrected, self.solver, self.tolerance)


def ulse_n1(
    matrices: Sequence[sparse.csr_array],
    dim: int,
    regularizer: float = 0.1,
    drop: int = 1,
    corrected: bool = True,
    solver: Solver = "auto",
    tolerance: float = 1e-6,
) -> np.ndarray:
    """``(T, N, D)`` embeddings ``Y_t`` of symmetric ``(N, N)`` matrices with entries 0 or more."""
    unfolding = laplacians(matrices, regularizer)
    require_nodes(dim, dim + drop, unfolding.size)
    smallest = left_singular(unfolding, dim + drop, "smallest", solver, tolerance)
    kept = Eigenpairs(smallest.values[drop:][::-1], smallest.vectors[:, drop:][:, ::-1])
    columns = anchor(kept)
    # Without its identity, the transposed Laplacian is minus the normalised adjacency matrix.
    projected = Unfolding(matrices, unfolding.left, unfolding.right, 0.0 if corrected else 1.0, -1.0)
    return project(projected, columns)


def laplacians(matrices: Sequence[sparse.csr_array], regularizer: float) -> Unfolding:
    """``[I - S_1 | ... | I - S_T]``."""
    scale = inverse_root(degrees(matrices) + regularizer)
    return Unfolding(matrices, scale, scale, identity=1.0, factor=-1.0)

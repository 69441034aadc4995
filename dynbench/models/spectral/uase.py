"""UASE: unfolded adjacency spectral embedding.

Paper:
    Gallagher, Jones, Rubin-Delanchy: Spectral embedding for dynamic networks with stability guarantees. NeurIPS 2021.
    Here as the baseline of: Unfolded Laplacian Spectral Embedding: A Theoretically Grounded Approach to Dynamic
    Network Representation. arXiv, 2025.

Idea:
    Put all snapshots side by side and factorise once. All nodes then share one basis at all times, so nodes that
    behave alike get the same position, at one time as well as across times.

Equations:
    With the D largest singular triplets of the unfolded adjacency matrix::

        [A_1 | ... | A_T] = U S V'      Y_t = V_t S^(1/2) = A_t U S^(-1/2)

Deviations:
    None. Computed from U alone (:mod:`dynbench.models.spectral.unfolding`).

Reproduction:
    Eleven of the twelve cells of ULSE's Table 1 on Synthetic 1 and 2 and School, to the printed digits (School as
    printed, on the nodes active at the first snapshot); NMI on School is 0.8125, rounded to 0.812 here and to 0.813 in
    print. The means of Figure 3 within 0.002 of the release's.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import sparse

from dynbench.models.spectral.base import Solver, SpectralModel, require_nodes
from dynbench.models.spectral.unfolding import Unfolding, anchor, left_singular, project


class UASE(SpectralModel):
    """Unfolded adjacency spectral embedding.

    Args:
        **settings: Those of :class:`~dynbench.models.spectral.base.SpectralModel`.
    """

    def __init__(self, **settings):
        super().__init__(**settings)

    def embedded(self, matrices: Sequence[sparse.csr_array]) -> np.ndarray:
        """See :func:`uase`."""
        return uase(matrices, self.dim, self.solver, self.tolerance)


def uase(
    matrices: Sequence[sparse.csr_array], dim: int, solver: Solver = "auto", tolerance: float = 1e-6
) -> np.ndarray:
    """``(T, N, D)`` embeddings ``Y_t`` of symmetric ``(N, N)`` matrices."""
    ones = np.ones((len(matrices), matrices[0].shape[0]))
    unfolding = Unfolding(matrices, ones, ones)
    require_nodes(dim, dim, unfolding.size)
    return project(unfolding, anchor(left_singular(unfolding, dim, "largest", solver, tolerance)))

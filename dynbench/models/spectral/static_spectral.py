"""Static spectral embedding: adjacency spectral embedding of all snapshots merged, the same at every time.

Paper:
    Sussman, Tang, Fishkind, Priebe: A consistent adjacency spectral embedding for stochastic blockmodel graphs. JASA
    107(499), 2012. Not in ULSE's table; it shows what can be had without looking at time.

Equations:
    With the D eigenvalues of largest magnitude of the mean adjacency matrix::

        (A_1 + ... + A_T) / T = V L V' (nearly)      Y_t = V |L|^(1/2) for all t

Deviations:
    None.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import sparse

from dynbench.models.spectral.base import SpectralModel
from dynbench.models.spectral.omni import omnibus


class StaticSpectral(SpectralModel):
    """Adjacency spectral embedding of the mean snapshot.

    Args:
        **settings: Those of :class:`~dynbench.models.spectral.base.SpectralModel`.
    """

    def __init__(self, **settings):
        super().__init__(**settings)

    def embedded(self, matrices: Sequence[sparse.csr_array]) -> np.ndarray:
        """The embedding of the mean, once per snapshot (as a view)."""
        mean = sparse.csr_array(sum(matrices) / len(matrices))
        embedding = omnibus([mean], self.dim, self.solver, self.tolerance)
        return np.broadcast_to(embedding, (len(matrices), *embedding.shape[1:]))

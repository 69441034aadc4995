"""GAE on one graph: graph auto-encoder.

Paper:
    Kipf, Welling: Variational Graph Auto-Encoders. NIPS workshop on Bayesian deep learning, 2016.

Idea:
    VGAE (:mod:`dynbench.models.static.vgae`) without its distribution: two graph convolutions encode a node, and the
    product of two codes is the logit of their link. For the auto-encoder that forecasts the next snapshot see
    :mod:`dynbench.models.snapshot_gnn.gae`.

Equations:
    As for VGAE, with ``z_n = mu_n`` and no divergence.

Deviations:
    None.

Reproduction:
    The paper's Table 1 has values for it that could not be checked; they are left out. What is measured stands in
    results/tables/dglfrm_auc.md and dglfrm_ap.md.
"""

from __future__ import annotations

from torch import Tensor

from dynbench.models.static.vgae import VGAE


class StaticGAE(VGAE):
    """Graph auto-encoder.

    Args:
        **settings: Those of :class:`~dynbench.models.static.vgae.VGAE`.
    """

    heads = 1

    def __init__(self, **settings):
        super().__init__(**settings)

    def loss(self, part: tuple[int, int]) -> Tensor:
        """Cross-entropy of the pairs."""
        (z,) = self.encode()
        return self.links(z, z, part)

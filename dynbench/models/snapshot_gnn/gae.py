"""GAE: graph auto-encoder on the last snapshot, NGLP's baseline.

Paper:
    Kipf, Welling: Variational Graph Auto-Encoders. NIPS workshop on Bayesian deep learning, 2016.

Idea:
    Two graph convolutions encode the last snapshot; the product of two representations scores the pair.

Equations:
    With A' = D^(-1/2) (A + I) D^(-1/2) and learnable node vectors X::

        Z = A' dropout(relu(A' X W0 + b0)) W1 + b1        s_uv = z_u . z_v

Deviations:
    * The original reconstructs the graph that it encodes, from the identity as features. As in the NGLP paper, it is
      trained to score the links of the next snapshot, by the same loss and early stopping as NGLP, on learnable
      vectors.
    * The score is the same in both directions.

Reproduction:
    The NGLP paper's values are lost (its Table 6). Average precision in percent, mean of seeds 0 to 2, budget quick::

                      1d      3d      7d
        CollegeMsg   86.9    85.5    83.2
        email-Eu     85.9    86.5    86.2
"""

from __future__ import annotations

from dynbench.models.snapshot_gnn.link_model import SnapshotLinkModel
from dynbench.nn.graph_conv import GCNConv
from dynbench.nn.pair_decoders import DotDecoder


class GAE(SnapshotLinkModel):
    """Graph auto-encoder.

    Args:
        **settings: Those of :class:`~dynbench.models.snapshot_gnn.link_model.SnapshotLinkModel`.
    """

    layer, decoder = GCNConv, DotDecoder

    def __init__(self, **settings):
        super().__init__(**settings)

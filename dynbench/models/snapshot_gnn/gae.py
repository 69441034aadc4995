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

from typing import Literal

from dynbench.models.snapshot_gnn.link_model import SnapshotLinkModel


class GAE(SnapshotLinkModel):
    """Graph auto-encoder.

    Args:
        dim: Size of the node vectors.
        hidden: Width of both layers.
        dropout: Share of hidden units dropped in training.
        learning_rate: Of Adam.
        weight_decay: Of Adam.
        epochs: Passes over the training pairs at most.
        patience: Epochs without a better average precision on validation before training stops.
        message_passing: Messages along links in both directions (``undirected``) or in theirs (``directed``).
    """

    def __init__(
        self,
        *,
        dim: int = 64,
        hidden: int = 64,
        dropout: float = 0.5,
        learning_rate: float = 0.01,
        weight_decay: float = 5e-4,
        epochs: int = 50,
        patience: int = 10,
        message_passing: Literal["undirected", "directed"] = "undirected",
    ):
        super().__init__(
            dim=dim, hidden=hidden, dropout=dropout, learning_rate=learning_rate, weight_decay=weight_decay,
            epochs=epochs, patience=patience, layers="gcn", decoder="dot", message_passing=message_passing,
        )  # fmt: skip

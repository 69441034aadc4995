"""NGLP: next graph link prediction with a graph convolution over the last snapshot.

Paper:
    Next Graph Link Prediction (NGLP): temporal graph neural network for link prediction in email networks.
    Electronics 15(3), 662, 2026.

Idea:
    The links of the next snapshot are scored from the current one alone: two graph convolutions turn learnable node
    vectors and the degrees of the moment into representations, and a small network judges each ordered pair. What lasts
    over time is in the node vectors and the shared weights; there is no recurrence.

Equations:
    Inputs, with e_v learnable and phi the degrees of node v in G_t::

        x_v = [e_v | phi_v]        phi_v = (log(1 + in_v), log(1 + out_v))

    Encoder, with A' = D^(-1/2) (A + I) D^(-1/2)::

        H = dropout(relu(A' X W0 + b0))        Z = A' H W1 + b1

    Decoder and loss, the mean over E_(t+1) and as many uniform ordered non-links::

        s_uv = w . relu(W [z_u | z_v] + c) + c'        loss = BCE(sigmoid(s), link)

Deviations:
    * The paper's text names a "temporal component (TGCN)" that its equations, algorithm and figure do not contain;
      there is none here.
    * The degree formula and the values of dimension, dropout, learning rate and weight decay are lost in the published
      text. Those here were chosen on the validation part of CollegeMsg.
    * It is not stated whether messages follow the direction of links. They run both ways (``message_passing``);
      scores are directed in either case.
    * Non-links of a training step are drawn with replacement.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from dynbench.errors import ConfigError
from dynbench.models.snapshot_gnn.link_model import SnapshotLinkModel


class NGLP(SnapshotLinkModel):
    """The model of the paper, with the switches of its ablations.

    Args:
        dim: Size of the node vectors e.
        hidden: Width of both layers and of the decoder.
        dropout: Share of hidden units dropped in training.
        learning_rate: Of Adam.
        weight_decay: Of Adam.
        epochs: Passes over the training pairs at most.
        patience: Epochs without a better average precision on validation before training stops.
        layers: ``gcn`` convolutions, or two ``linear`` layers that look at no link (the paper's fourth variant).
        decoder: ``mlp``, or ``dot`` product (fifth variant).
        embeddings: ``learned`` node vectors, or frozen ``ones``, which leaves the degrees (third variant).
        message_passing: Messages along links in both directions (``undirected``) or in theirs (``directed``).
        degrees: Degrees among the inputs: any of ``in``, ``out``, ``total``; none in the second variant.
        degree_transform: ``log1p``, ``raw`` or ``zscore``.
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
        layers: Literal["gcn", "linear"] = "gcn",
        decoder: Literal["mlp", "dot"] = "mlp",
        embeddings: Literal["learned", "ones"] = "learned",
        message_passing: Literal["undirected", "directed"] = "undirected",
        degrees: Sequence[str] = ("in", "out"),
        degree_transform: Literal["log1p", "raw", "zscore"] = "log1p",
    ):
        unknown = [kind for kind in degrees if kind not in ("in", "out", "total")]
        if unknown:
            raise ConfigError(f"model.degrees has '{unknown[0]}'; choose among in, out, total")
        super().__init__(
            dim=dim, hidden=hidden, dropout=dropout, learning_rate=learning_rate, weight_decay=weight_decay,
            epochs=epochs, patience=patience, layers=layers, decoder=decoder, embeddings=embeddings,
            message_passing=message_passing, degrees=degrees, degree_transform=degree_transform,
        )  # fmt: skip

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

Reproduction:
    The printed level is not reached as the paper describes its protocol. Average precision in percent (``model=nglp
    data=D data.window=W``, seed 0, budget quick) beside readings that change what is given or asked, each by one
    setting of ``protocol``; only the first column is a forecast of all links, and the others are marked as not
    comparable (all of them: ``results/tables/nglp_leakage.md``)::

                        as described   links=repeated   source=target   source=everything   printed
        CollegeMsg 1d       91.83          99.62            99.95             94.74           99.53
        CollegeMsg 3d       92.02          99.25           100.00             93.79           99.20
        CollegeMsg 7d       90.50          99.80            99.74             89.77           98.85
        email-Eu   1d       88.16          95.20            98.77             92.89           96.17
        email-Eu   3d       92.18          96.52            97.06             93.52           96.40
        email-Eu   7d       92.46          95.89            97.39             92.85           93.94

    * Being asked only about links that were there a snapshot before comes nearest in five cells of six: within 1 point
      in five, 0.7 on average. Encoding the snapshot that is asked about exceeds the printed values everywhere, by 1.5
      on average. That is evidence for a set of test links without the new ones; it proves nothing about what was run.
    * More than 2.5 points below print in all cells but email-Eu 7d stay: the union of all past snapshots encoded, pairs
      shuffled before the split, every message a link of its own, new links only, non-links of active nodes, with the
      source of a link, or that never occur. On email-Eu 7d some come near (every message a link of its own: 93.98).
    * Over seeds 0 to 2 CollegeMsg gives 91.8, 92.8 and 90.5 for 1, 3 and 7 days, email-Eu 88.0, 92.1 and 92.5. On
      email-Eu a memory of past links (``model=edgebank``) gives 94.2, 93.5 and 92.7: more than training gives.
    * Rounding decides at which epoch training stops, so another kind of CPU gives another model: 92.23 and 91.83 for
      one seed on CollegeMsg 1d. The spread over seeds holds that, too.
    * What the paper says of its ablations holds on CollegeMsg and email-Eu for node vectors, whose loss costs the most,
      and for convolutions, which two linear layers equal (Table 8).
    * A pass over the pairs of CollegeMsg takes about a second on one core, a run of 1-day windows 10 to 25.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from dynbench.errors import ConfigError
from dynbench.models.snapshot_gnn.link_model import SnapshotLinkModel
from dynbench.nn.graph_conv import GCNConv, PlainLayer
from dynbench.nn.pair_decoders import DotDecoder, PairDecoder


def degree_features(src: Tensor, dst: Tensor, num_nodes: int, kinds: Sequence[str], transform: str) -> Tensor:
    """Degrees of a snapshot's nodes as features.

    Args:
        src, dst: ``(E,) long`` directed links.
        num_nodes: Number of nodes.
        kinds: Any of ``in``, ``out``, ``total``.
        transform: ``log1p``, ``raw`` or ``zscore`` (over the nodes of the snapshot).

    Returns:
        ``(N, len(kinds)) float``.
    """
    out, into = (torch.bincount(ends, minlength=num_nodes).float() for ends in (src, dst))
    columns = {"in": into, "out": out, "total": into + out}
    features = torch.stack([columns[kind] for kind in kinds], dim=1) if kinds else out.new_zeros(num_nodes, 0)
    if transform == "log1p":
        return features.log1p()
    if transform == "zscore":
        return (features - features.mean(0)) / features.std(0).clamp(min=1e-6)
    return features


class NGLP(SnapshotLinkModel):
    """The model of the paper, with the switches of its ablations.

    Args:
        layers: ``gcn`` convolutions, or two ``linear`` layers that look at no link (the paper's fourth variant).
        decoder: ``mlp``, or ``dot`` product (fifth variant).
        embeddings: ``learned`` node vectors, or frozen ``ones``, which leaves the degrees (third variant).
        degrees: Degrees among the inputs: any of ``in``, ``out``, ``total``; none in the second variant.
        degree_transform: ``log1p``, ``raw`` or ``zscore``.
        **settings: Those of :class:`~dynbench.models.snapshot_gnn.link_model.SnapshotLinkModel`.
    """

    def __init__(
        self,
        *,
        layers: Literal["gcn", "linear"] = "gcn",
        decoder: Literal["mlp", "dot"] = "mlp",
        embeddings: Literal["learned", "ones"] = "learned",
        degrees: Sequence[str] = ("in", "out"),
        degree_transform: Literal["log1p", "raw", "zscore"] = "log1p",
        **settings,
    ):
        super().__init__(**settings)
        unknown = [kind for kind in degrees if kind not in ("in", "out", "total")]
        if unknown:
            raise ConfigError(f"model.degrees has '{unknown[0]}'; choose among in, out, total")
        self.layer = {"gcn": GCNConv, "linear": PlainLayer}[layers]
        self.decoder = {"mlp": PairDecoder, "dot": DotDecoder}[decoder]
        self.embeddings, self.degrees, self.degree_transform = embeddings, tuple(degrees), degree_transform

    def node_vectors(self, num_nodes: int) -> Tensor:
        """Learnable vectors e, or ones that stay."""
        return super().node_vectors(num_nodes) if self.embeddings == "learned" else torch.ones(num_nodes, self.dim)

    def features(self, src: Tensor, dst: Tensor) -> Tensor:
        """Degrees phi."""
        return degree_features(src, dst, self.sizes["nodes"], self.degrees, self.degree_transform)

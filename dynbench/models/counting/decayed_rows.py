"""Decayed rows: a node's own recent links as its vector, for protocols that read vectors with a classifier.

Paper:
    None. Where a protocol fits a classifier to labelled pairs, systems are compared with it inside. What only counts
    should have the same classifier and the same labels, too. This one has, and nothing of it is trained.

Equations:
    With the links A^(t) in {0, 1} of snapshot t = 1..T, without loops, C = sum over t of decay^(T - t) A^(t), d its row
    sums and e_i the i-th unit vector::

        x_i = [C_i + e_i | log(1 + d_i)]

    A classifier on products x_i x_j sees C_ij (twice, at i and at j), each common neighbour by itself, and the product
    of how active both nodes were; how much each of these counts is what it learns from its labels.

Deviations:
    None.

Reproduction:
    NLSM's Table 2, micro / macro AUC of 30 splits: Enron 83.2 / 82.3, UCI 88.0 / 90.5.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from dynbench.models.history import KnownEvents
from dynbench.ranges import Share
from dynbench.sampling.counts import count_matrices


class DecayedRows(KnownEvents):
    """Rows of decayed links.

    Args:
        decay: Factor per snapshot.
    """

    answers = frozenset({"embed"})
    needs = frozenset({"snapshots", "undirected"})
    draws = False

    def __init__(self, *, decay: Share = 0.7):
        self.decay = decay

    def embed(self, times: Tensor) -> Tensor:
        """``(T, N, N + 1)`` rows at snapshot indices, of all links up to there."""
        matrices = count_matrices(self.known.to("cpu"), "binary", loops=False)
        size, last = self.known.num_nodes, len(matrices) - 1
        vectors = torch.zeros(len(times), size, size + 1)
        for found, time in zip(vectors, times.tolist(), strict=True):
            time = min(int(time), last)
            total = sum(self.decay ** (time - step) * matrices[step] for step in range(time + 1)).tocoo()
            found[total.coords] = torch.from_numpy(total.data).float()
            found[:, :size].diagonal().add_(1)
            found[:, size] = torch.from_numpy(np.log1p(total.sum(axis=1)))
        return vectors

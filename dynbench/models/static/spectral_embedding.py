"""Spectral embedding: leading eigenvectors of the normalised graph, multiplied to score a pair.

Paper:
    Tang, Liu: Leveraging social media networks for classification. Data Mining and Knowledge Discovery 23(3), 2011; a
    baseline of Kipf and Welling's VGAE, with which DGLFRM and others compare.

Idea:
    Nodes that a random walk mixes fast lie close in the leading eigenvectors of its transition matrix.

Equations:
    With degrees D and the K leading eigenpairs of ``D^(-1/2) A D^(-1/2) = U L U'``::

        y_n = U_n / sqrt(d_n)      score = y_n . y_m

    A node without links has ``y_n = 0``.

Deviations:
    * VGAE's paper names the library's function and 128 dimensions and no more; leading eigenvectors of disconnected
      parts are kept as they come.
    * Where there are more nodes than ``dim``, so many dimensions are taken; otherwise one less than there are nodes.

Reproduction:
    Over ten splits it reaches 0.841 / 0.874 (AUC / average precision) on Cora, 0.778 / 0.814 on Citeseer and
    0.858 / 0.885 on NIPS12. All that is measured stands in results/tables/dglfrm_auc.md and dglfrm_ap.md.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from scipy import sparse
from scipy.sparse.linalg import eigsh
from torch import Tensor

from dynbench.contract import Queries, Selector
from dynbench.engine.trainer import Trainer
from dynbench.graph import TemporalGraph
from dynbench.models.base import Model
from dynbench.models.static.graph import StaticGraph
from dynbench.models.static.known import Known
from dynbench.ranges import Width

# Below this size all eigenvectors of a full matrix cost little.
_DENSE = 500


class SpectralEmbedding(Model):
    """Leading eigenvectors of the normalised adjacency.

    Args:
        dim: Number of eigenvectors, K.
        snapshots: Of a graph with several: ``all`` of them merged, or the ``last`` one.
    """

    answers = frozenset({"score", "embed"})
    scale = "free"
    needs = frozenset({"snapshots", "undirected"})
    draws = False

    def __init__(self, *, dim: Width = 128, snapshots: Literal["all", "last"] = "all"):
        self.dim, self.snapshots = dim, snapshots
        self.vectors = torch.zeros(0, 0)

    def fit(self, train: TemporalGraph, selector: Selector | None, trainer: Trainer) -> None:
        """Decompose the graph."""
        graph = StaticGraph.of(train.to("cpu"), self.snapshots)
        self.vectors = torch.from_numpy(leading(Known.of(graph).links, self.dim)).float()

    def score(self, queries: Queries) -> Tensor:
        """Products of the rows of two nodes."""
        return (self.vectors[queries.src.cpu()] * self.vectors[queries.dst.cpu()]).sum(1)

    def embed(self, times: Tensor) -> Tensor:
        """``(T, N, K)`` rows, the same at every time."""
        return self.vectors.expand(len(times), -1, -1)

    def state_dict(self) -> dict[str, Tensor]:
        """The rows."""
        return {"vectors": self.vectors}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Restore them."""
        self.vectors = state["vectors"].clone()


def leading(adjacency: sparse.csr_array, count: int) -> np.ndarray:
    """``(N, count)`` leading eigenvectors of ``D^(-1/2) A D^(-1/2)``, rows divided by ``sqrt(d)``.

    Args:
        adjacency: ``(N, N)`` symmetric.
        count: Number of vectors; one less than the nodes at most.
    """
    nodes = adjacency.shape[0]
    count = min(count, nodes - 1)
    degree = np.asarray(adjacency.sum(1)).ravel()
    scale = np.where(degree > 0, 1 / np.sqrt(np.maximum(degree, 1)), 0.0)
    operator = sparse.csr_array(sparse.diags_array(scale) @ adjacency @ sparse.diags_array(scale))
    if nodes <= _DENSE:
        vectors = np.linalg.eigh(operator.toarray())[1][:, ::-1][:, :count]
    else:
        start = np.random.default_rng(0).standard_normal(nodes)
        values, vectors = eigsh(operator, k=count, which="LA", v0=start, tol=1e-6)
        vectors = vectors[:, np.argsort(-values)]
    return scale[:, None] * vectors

"""node2vec: skip-gram vectors of random walks, one model per snapshot.

Paper:
    Grover, Leskovec: node2vec: Scalable feature learning for networks. KDD 2016. Here as a baseline of ULSE (arXiv,
    2025), which trains it on every snapshot by itself.

Idea:
    Nodes that random walks pass one after the other get similar vectors. Snapshots know nothing of each other, so a
    node's vectors at two times have no common basis: clusters can be found at one time, but nothing can be followed.

Equations:
    A walk at v that came from s goes on to a neighbour x with weight 1/p if x = s, 1 if x is linked to s, 1/q
    otherwise. Vectors maximise, over pairs (i, j) within a window on a walk and negatives k drawn in proportion to
    occurrences^(3/4)::

        log s(u_i . v_j) + sum over k of log s(- u_i . v_k)        s the logistic function; Y_t = u

    A pair is scored by the dot product of its vectors at the last snapshot known.

Deviations:
    * Updates are summed over small batches instead of being made pair by pair; a batch is so small that no
      node is expected in it more than about 32 times, down to 256 pairs.
    * ULSE's paper names walk length, walks per node, window, p and q. Rate, negatives and ``subsample`` are the usual
      ones of word2vec.
    * Walks ignore weights, as ULSE's do.

Reproduction:
    ULSE's Table 1 (accuracy over three seeds, printed value): School 0.986 +- 0.007 (0.978), Synthetic 1 0.636 +- 0.073
    (0.695), Synthetic 2 0.603 +- 0.084 (0.630). The printed single run lies within a standard deviation or so.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from scipy import sparse
from torch import Tensor

from dynbench.contract import Queries
from dynbench.errors import ConfigError
from dynbench.models.embedding import SnapshotEmbedding
from dynbench.nn.skip_gram import skip_gram
from dynbench.sampling.walks import random_walks


class Node2Vec(SnapshotEmbedding):
    """node2vec on every snapshot.

    Args:
        dim: Embedding dimension ``D``.
        walks: Walks from each node that has a link.
        length: Nodes per walk.
        window: Farthest neighbour on a walk that is predicted.
        p: Return parameter.
        q: In-out parameter.
        negatives: Negatives per pair.
        epochs: Passes over the walks.
        learning_rate: At the start; it falls linearly.
        subsample: Share of all occurrences above which a node is left out of walks at random; 0 leaves out none.
    """

    answers = frozenset({"embed", "score"})
    work = frozenset({"epochs", "walks", "length"})

    def __init__(
        self,
        *,
        dim: int = 16,
        walks: int = 10,
        length: int = 80,
        window: int = 10,
        p: float = 1.0,
        q: float = 1.0,
        negatives: int = 5,
        epochs: int = 1,
        learning_rate: float = 0.025,
        subsample: float = 1e-3,
    ):
        super().__init__(dim=dim)
        for key, value in {"walks": walks, "window": window, "negatives": negatives, "epochs": epochs}.items():
            if value < 1:
                raise ConfigError(f"model.{key}={value} must be at least 1")
        if length < 2:
            raise ConfigError(f"model.length={length}; a walk has at least two nodes")
        self.walks, self.length, self.p, self.q = walks, length, p, q
        self.training = {
            "window": window, "negatives": negatives, "epochs": epochs,
            "learning_rate": learning_rate, "subsample": subsample,
        }  # fmt: skip

    def embedded(self, matrices: Sequence[sparse.csr_array]) -> np.ndarray:
        """``(T, N, D)``: :func:`node2vec` of each snapshot."""
        return np.stack([self._vectors(matrix).numpy() for matrix in matrices])

    def _vectors(self, matrix: sparse.csr_array) -> Tensor:
        starts = torch.from_numpy(np.flatnonzero(np.diff(matrix.indptr))).repeat(self.walks)
        if not len(starts):
            return (torch.rand(matrix.shape[0], self.dim) - 0.5) / self.dim
        walks = random_walks(matrix, starts, self.length, self.p, self.q)
        return skip_gram(walks, matrix.shape[0], self.dim, **self.training)

    def score(self, queries: Queries) -> Tensor:
        """``(Q,)`` dot products of the ends' vectors at the last snapshot known at each time."""
        step = queries.time.cpu().long().clamp(max=len(self.embeddings) - 1)
        src, dst = self.embeddings[step, queries.src.cpu()], self.embeddings[step, queries.dst.cpu()]
        return (src * dst).sum(-1)

"""What the spectral models share: snapshots in, one embedding per node and snapshot out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from scipy import sparse
from torch import Tensor

from dynbench.contract import Block
from dynbench.errors import ConfigError
from dynbench.graph import TemporalGraph
from dynbench.models.base import Model
from dynbench.models.spectral.snapshots import adjacencies
from dynbench.training import Trainer

Solver = Literal["auto", "dense", "sparse"]

# Up to this size of the operator, all eigenpairs of a dense matrix cost less than a few of a sparse one.
DENSE_SIZE = 1500


class SpectralModel(Model):
    """Embeds all snapshots of a history at once; a subclass says how, in :meth:`embedded`.

    Times after the last snapshot that has a link get the embedding of that snapshot.

    Args:
        dim: Embedding dimension ``D``.
        solver: ``dense`` takes all eigenpairs of a full matrix, ``sparse`` a few of a sparse operator; ``auto`` goes
            by size.
        tolerance: Of the sparse solver: residual of an eigenpair relative to the largest eigenvalue.
    """

    answers = frozenset({"embed"})
    needs = frozenset({"snapshots", "undirected"})

    def __init__(self, *, dim: int = 16, solver: Literal["auto", "dense", "sparse"] = "auto", tolerance: float = 1e-6):
        if dim < 1:
            raise ConfigError(f"model.dim={dim}; an embedding has at least one dimension")
        self.dim, self.solver, self.tolerance = dim, solver, tolerance
        self.embeddings: Tensor | None = None

    def embedded(self, matrices: Sequence[sparse.csr_array]) -> np.ndarray:
        """``(T, N, D)`` embeddings of snapshots given as ``(N, N)`` symmetric matrices of zeros and ones."""
        raise NotImplementedError

    def fit(self, history: TemporalGraph, validation: Sequence[Block], trainer: Trainer) -> None:
        """Embed the history."""
        self.embeddings = torch.from_numpy(np.ascontiguousarray(self.embedded(adjacencies(history)), dtype=np.float32))

    def embed(self, times: Tensor) -> Tensor:
        """``(T, N, D)`` embeddings at snapshot indices."""
        return self.embeddings[times.cpu().long().clamp(max=len(self.embeddings) - 1)]

    def state_dict(self) -> dict[str, Tensor]:
        """The embeddings."""
        return {} if self.embeddings is None else {"embeddings": self.embeddings}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Restore the embeddings."""
        self.embeddings = state.get("embeddings")


def require_nodes(dim: int, needed: int, available: int) -> None:
    """Refuse more dimensions than a graph can fill.

    Raises:
        ConfigError: Naming the largest dimension that would do.
    """
    if needed > available:
        raise ConfigError(
            f"model.dim={dim} needs at least {needed} nodes and the graph has {available}; "
            f"set model.dim={max(available - (needed - dim), 1)} or less"
        )


def is_dense(solver: Solver, size: int, wanted: int) -> bool:
    """Whether to take all eigenpairs of a dense matrix; a block method cannot take nearly all of them."""
    if solver == "auto":
        return size <= DENSE_SIZE or wanted > size // 4
    return solver == "dense"

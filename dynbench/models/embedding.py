"""Models that embed every snapshot of a history: snapshots in, one vector per node and snapshot out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np
import torch
from scipy import sparse
from torch import Tensor

from dynbench.contract import Selector
from dynbench.engine.trainer import Trainer
from dynbench.errors import ConfigError
from dynbench.graph import TemporalGraph
from dynbench.models.base import Model
from dynbench.models.spectral.snapshots import adjacencies


class SnapshotEmbedding(Model, ABC):
    """Embeds all snapshots of a graph at once; a subclass says how, in :meth:`embedded`.

    Times after the last snapshot that has a link get the embedding of that snapshot.

    Args:
        dim: Embedding dimension ``D``.
    """

    answers = frozenset({"embed"})
    needs = frozenset({"snapshots", "undirected"})
    learns = "context"

    def __init__(self, *, dim: int = 16):
        if dim < 1:
            raise ConfigError(f"model.dim={dim}; an embedding has at least one dimension")
        self.dim = dim
        self.embeddings: Tensor | None = None

    @abstractmethod
    def embedded(self, matrices: Sequence[sparse.csr_array]) -> np.ndarray:
        """``(T, N, D)`` embeddings of snapshots given as ``(N, N)`` symmetric matrices of zeros and ones."""

    def fit(self, train: TemporalGraph, selector: Selector | None, trainer: Trainer) -> None:
        """Embed the snapshots of the graph that is given."""
        self.embeddings = torch.from_numpy(np.ascontiguousarray(self.embedded(adjacencies(train)), dtype=np.float32))

    def embed(self, times: Tensor) -> Tensor:
        """``(T, N, D)`` embeddings at snapshot indices."""
        times = times.cpu().long()
        if torch.equal(times, torch.arange(len(self.embeddings))):
            return self.embeddings  # as they are: of a large graph there should not be two
        return self.embeddings[times.clamp(max=len(self.embeddings) - 1)]

    def state_dict(self) -> dict[str, Tensor]:
        """The embeddings."""
        return {} if self.embeddings is None else {"embeddings": self.embeddings}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Restore the embeddings."""
        self.embeddings = state.get("embeddings")

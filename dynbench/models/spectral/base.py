"""What the spectral models share: an eigensolver, chosen by size."""

from __future__ import annotations

from typing import Literal

from dynbench.errors import ConfigError
from dynbench.graph import TemporalGraph
from dynbench.models.embedding import SnapshotEmbedding
from dynbench.ranges import Positive, Width

Solver = Literal["auto", "dense", "sparse"]

# Up to this size of the operator, all eigenpairs of a dense matrix cost less than a few of a sparse one.
DENSE_SIZE = 1500


class SpectralModel(SnapshotEmbedding):
    """Embeds all snapshots of a history by eigenvectors of an operator that they make up.

    Args:
        dim: Embedding dimension ``D``.
        solver: ``dense`` takes all eigenpairs of a full matrix, ``sparse`` a few of a sparse operator; ``auto`` goes
            by size.
        tolerance: Of the sparse solver: residual of an eigenpair relative to the largest eigenvalue.
    """

    draws = False

    def __init__(
        self, *, dim: Width = 16, solver: Literal["auto", "dense", "sparse"] = "auto", tolerance: Positive = 1e-6
    ):
        super().__init__(dim=dim)
        self.solver, self.tolerance = solver, tolerance

    def bytes_needed(self, graph: TemporalGraph) -> tuple[int, str]:
        """Embeddings of all steps in double precision, and full matrices where those are asked for."""
        nodes, steps = graph.num_nodes, graph.require_steps()
        if self.solver == "dense":
            return 3 * 8 * nodes**2, f"model.solver=dense with {nodes:,} × {nodes:,} matrices; set model.solver=auto"
        return (
            12 * nodes * steps * self.dim,
            f"model.dim={self.dim} × {nodes:,} nodes × {steps} snapshots; lower model.dim",
        )


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

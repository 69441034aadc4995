"""What every model is: something that learns from a history and answers queries."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from torch import Tensor

from dynbench.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dynbench.contract import Block, Queries
    from dynbench.engine.trainer import Trainer
    from dynbench.graph import TemporalGraph


class Model:
    """Base of all models.

    A subclass is constructed from its settings alone, learns the sizes it needs from the history given to
    :meth:`fit`, and implements the answers it declares. It knows no protocol, no metric, no dataset and no device
    string, and draws random numbers from torch's global generator, which the runner seeds.

    Attributes:
        answers: What the model can be asked: any of ``"score"``, ``"rank"``, ``"embed"``. Written as a literal, so
            that an impossible pair is refused without importing the model.
        scale: What a score is: ``"logit"`` of a probability, or ``"free"``, of which only the order counts.
        needs: What the history must offer: ``"snapshots"`` or ``"undirected"``. Written as a literal too.
    """

    answers: ClassVar[frozenset[str]] = frozenset()
    scale: ClassVar[Literal["logit", "free"]] = "free"
    needs: ClassVar[frozenset[str]] = frozenset()

    def fit(self, history: TemporalGraph, validation: Sequence[Block], trainer: Trainer) -> None:
        """Learn from ``history``.

        Called once per episode. A model that was fitted before may start from where it stands (a *warm start*).

        Args:
            history: All that may be known; its ``num_nodes`` counts nodes still to come, too.
            validation: Blocks for early stopping or the choice of a threshold; may be empty.
            trainer: Runs gradient training; spectral, counting and sampling models ignore it.
        """
        raise _missing(self, "fit")

    def observe(self, events: TemporalGraph) -> None:
        """See the truth of a block that was answered. Models without a running state ignore it."""

    def score(self, queries: Queries) -> Tensor:
        """``(Q,) float`` scores of pairs; higher means more likely, on one scale for all times."""
        raise _missing(self, "score")

    def rank(self, queries: Queries) -> Tensor:
        """``(Q, N) float`` scores of every node as the destination of each query."""
        raise _missing(self, "rank")

    def embed(self, times: Tensor) -> Tensor:
        """``(T, N, D) float`` node embeddings at ``(T,)`` times."""
        raise _missing(self, "embed")

    def num_parameters(self) -> int:
        """Trainable numbers; 0 for models that only count."""
        return 0

    def state_dict(self) -> dict[str, Tensor]:
        """Tensors from which :meth:`load_state_dict` restores the fitted model, also in another process."""
        raise _missing(self, "state_dict")

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Restore a fitted model."""
        raise _missing(self, "load_state_dict")


class NoModel(Model):
    """Stands where a protocol describes a dataset and asks no model."""

    def fit(self, history: TemporalGraph, validation: Sequence[Block], trainer: Trainer) -> None:
        """Learn nothing."""

    def state_dict(self) -> dict[str, Tensor]:
        """Nothing to remember."""
        return {}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Nothing to restore."""


def _missing(model: Model, method: str) -> ConfigError:
    return ConfigError(f"{type(model).__name__} does not implement '{method}'; it answers {sorted(model.answers)}")

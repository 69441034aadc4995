"""What every model is: something that learns, is told what is known, and answers queries."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from torch import Tensor

from dynbench.errors import ConfigError

if TYPE_CHECKING:
    from dynbench.contract import Examples, Queries, Selector
    from dynbench.engine.trainer import Trainer
    from dynbench.graph import TemporalGraph


class Model:
    """Base of all models.

    A subclass is constructed from its settings alone, learns the sizes it needs from the graph given to :meth:`fit`,
    and implements the answers it declares. It knows no protocol, no metric, no dataset and no device string, and draws
    random numbers from torch's global generator, which the engine seeds.

    The class attributes are written as literals, so that an impossible pair is refused without importing the model.

    Attributes:
        version: Raised whenever a change can move the model's numbers; part of a run's identity.
        answers: What the model can be asked: any of ``"score"``, ``"rank"``, ``"embed"``.
        scale: What a score is: ``"logit"`` of a probability, or ``"free"``, of which only the order counts.
        needs: What the graph must offer: any of ``"snapshots"``, ``"events"``, ``"undirected"``, ``"relations"``,
            ``"features"``.
        learns: What :meth:`fit` is given: the ``"train"`` part, or, for a model whose parameters belong to the steps of
            the graph, all that is known when questions are asked, the ``"context"``.
        selects: Whether :meth:`fit` uses its selector.
        work: Settings that say how much is done: passes, steps, facts. Budgets change these alone; one that is below
            its default, the paper's value, is named as a cut in records and tables.
        draws: Whether it draws random numbers. A table runs what draws nothing once, where the protocol's questions
            do not hang on the run's seed either.
        several: Whether :meth:`fit` takes several graphs by name. Others are given the only one.
        alone: Why the model cannot learn from several graphs, in words, if it cannot in principle.
        studies: Whether solved examples change what it answers; see :meth:`study`.
        looks: How far the model looks when it is asked. ``"before_block"``: at what was revealed before the block.
            ``"before_time"``: at events strictly earlier than each query's own time; the engine reveals a block before
            it asks it, and the contract's tests prove that the model keeps to that.
    """

    version: ClassVar[int] = 1
    answers: ClassVar[frozenset[str]] = frozenset()
    scale: ClassVar[Literal["logit", "free"]] = "free"
    needs: ClassVar[frozenset[str]] = frozenset()
    learns: ClassVar[Literal["train", "context"]] = "train"
    selects: ClassVar[bool] = False
    work: ClassVar[frozenset[str]] = frozenset({"epochs"})
    draws: ClassVar[bool] = True
    several: ClassVar[bool] = False
    alone: ClassVar[str] = ""
    studies: ClassVar[bool] = False
    looks: ClassVar[Literal["before_block", "before_time"]] = "before_block"

    def fit(self, train: TemporalGraph, selector: Selector | None, trainer: Trainer) -> None:
        """Learn; called once per episode. Models that only count have nothing to learn.

        A model that was fitted before may start from where it stands (a *warm start*).

        Args:
            train: What may be learnt from; its ``num_nodes`` counts nodes still to come, too. A mapping of graphs by
                name for a model that declares ``several``.
            selector: Tells how good the model is now, as values of which higher ones are better; ``None`` where the
                protocol offers no validation.
            trainer: Runs gradient training; spectral, counting and sampling models ignore it.
        """

    def condition(self, context: TemporalGraph) -> None:
        """Take in what is known when questions are asked. Models that need nothing but what they learnt ignore it."""

    def study(self, examples: Examples | None) -> None:
        """Take in solved examples, after :meth:`condition` and before each exam; ``None`` takes them away."""

    def observe(self, events: TemporalGraph) -> None:
        """See the truth of a block that was answered. Models without a running state ignore it."""

    def running_state(self) -> dict[str, Tensor]:
        """What :meth:`observe` changes, as it is now. Need not outlive the process, nor the next :meth:`condition`."""
        return {}

    def restore(self, state: dict[str, Tensor]) -> None:
        """Go back to a running state."""

    def score(self, queries: Queries) -> Tensor:
        """``(Q,) float`` scores of pairs; higher means more likely, on one scale for all times."""
        raise _missing(self, "score")

    def rank(self, queries: Queries) -> Tensor:
        """``(Q, N) float`` scores of every node as the destination of each query."""
        raise _missing(self, "rank")

    def embed(self, times: Tensor) -> Tensor:
        """``(T, N, D) float`` node embeddings at ``(T,)`` times."""
        raise _missing(self, "embed")

    def describe(self) -> dict[str, float]:
        """Numbers of the fitted model that belong among a run's results (active communities, say)."""
        return {}

    def arrays(self) -> dict[str, Tensor]:
        """Tensors of the fitted model that figures and readers of embeddings want beside the answers."""
        return {}

    def bytes_needed(self, graph: TemporalGraph) -> tuple[int, str]:
        """Bytes that learning the graph takes at least, and the settings and sizes that they follow from.

        Asked before anything is allocated. Models that take little more than the graph itself leave it at nothing.
        """
        return 0, ""

    def num_parameters(self) -> int:
        """Trainable numbers; 0 for models that only count."""
        return 0

    def state_dict(self) -> dict[str, Tensor]:
        """What was learnt: tensors from which :meth:`load_state_dict` restores the fitted model. No datasets."""
        return {}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Restore a fitted model, also in another process; :meth:`condition` follows."""


class NoModel(Model):
    """Stands where a protocol describes a dataset and asks no model."""

    draws = False


def _missing(model: Model, method: str) -> ConfigError:
    return ConfigError(f"{type(model).__name__} does not implement '{method}'; it answers {sorted(model.answers)}")

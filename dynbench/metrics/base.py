"""What the engine asks of an exam's metric."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torchmetrics import Metric

from dynbench.errors import RunError

if TYPE_CHECKING:
    from dynbench.contract import Block


class BlockMetric(Metric):
    """Accumulates the answers to an exam. States are lists of tensors, so that an interrupted run can keep them.

    Attributes:
        scale: What a model's scores mean (``Model.scale``); set by the engine.
    """

    full_state_update = False
    scale: str = "free"

    def __init__(self, *states: str):
        super().__init__(sync_on_compute=False)
        for name in states:
            self.add_state(name, default=[], dist_reduce_fx="cat", persistent=True)

    @abstractmethod
    def update(self, block: Block, answer: Tensor) -> None:
        """Add the answer to a block, or to a part of one, as the exam's readout left it."""

    @abstractmethod
    def compute(self) -> dict[str, float]:
        """Overall metrics by name, as fractions."""

    @abstractmethod
    def per_step(self) -> list[dict[str, float]]:
        """One mapping per step, with ``step``, ``n`` and the step's metrics."""

    def arrays(self) -> dict[str, np.ndarray]:
        """Arrays to keep beside the record, from which figures and other metrics can be made later."""
        return {}


def require_finite(scores: Tensor, step: int) -> None:
    """Refuse scores that are no numbers.

    Raises:
        RunError: If a score is NaN or infinite.
    """
    if not bool(torch.isfinite(scores).all()):
        bad = int((~torch.isfinite(scores)).sum())
        raise RunError(f"{bad} of {len(scores)} scores of step {step} are NaN or infinite; the model has diverged")


def all_finite(answer: Tensor) -> bool:
    """Whether a tensor holds numbers only, told part by part: of a large embedding there should not be two."""
    parts = answer if answer.dim() > 1 else [answer]
    return all(bool(torch.isfinite(part).all()) for part in parts)


def or_none(value: float) -> float | None:
    """``None`` for NaN, which JSON cannot hold."""
    return None if np.isnan(value) else value

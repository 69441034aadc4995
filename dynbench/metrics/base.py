"""What the runner asks of a protocol's metrics."""

from __future__ import annotations

from abc import abstractmethod

import numpy as np
from torch import Tensor
from torchmetrics import Metric


class StepMetrics(Metric):
    """Accumulates the answers of a run. States are lists of tensors, so that an interrupted run can keep them.

    Attributes:
        scale: What a model's scores mean (``Model.scale``); set by the runner.
    """

    scale: str = "free"

    @abstractmethod
    def update(self, step: int, answer: Tensor, truth: Tensor) -> None:
        """Add the answers to a block's queries, as the protocol read them."""

    @abstractmethod
    def compute(self) -> dict[str, float]:
        """Overall metrics by name, as fractions."""

    @abstractmethod
    def per_step(self) -> list[dict[str, float]]:
        """One mapping per step, with ``step``, ``n`` and the step's metrics."""

    def arrays(self) -> dict[str, np.ndarray]:
        """Arrays to keep beside the record, from which figures and other metrics can be made later."""
        return {}

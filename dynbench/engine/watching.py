"""Callbacks that a user may add (``callbacks=NAME``): they watch a fit, tell the loggers, and move no number.

A callback of one's own that only watches says so with the literal ``watches = True``; any other one may change what is
learnt, and is part of a run's name.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import ClassVar

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback
from torch.optim import Optimizer

from dynbench.engine import environment
from dynbench.engine.callbacks import log
from dynbench.ranges import Count


class Watcher(Callback):
    """Looks at every ``every``-th step of a fit.

    Args:
        every: Steps between two values; as often as losses are logged when ``None``.

    Attributes:
        watches: Read from the source text: whether it moves no number, and so plays no part in a run's name.
    """

    watches: ClassVar[bool] = True

    def __init__(self, *, every: Count | None = None):
        self.every = every
        self._name, self._offset, self._seen = "", 0, 0

    def attend(self, name: str, offset: int, every: int) -> None:
        """Called before each fit.

        Args:
            name: What is forecast.
            offset: Steps of earlier fits of that name.
            every: Steps between two logged losses.
        """
        self._name, self._offset, self.every = name, offset, self.every or every

    def tell(self, trainer: pl.Trainer, values: Mapping[str, float]) -> None:
        """Log values of this step, each as a curve of its own."""
        log(trainer, {f"{key}/{self._name}": value for key, value in values.items()}, self._offset + self._seen)

    @property
    def due(self) -> bool:
        """Whether this step is one to look at."""
        return self._seen % self.every == 0

    def on_train_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """A fit may begin where an earlier process left it."""
        self._seen = trainer.global_step

    def on_train_batch_start(self, trainer: pl.Trainer, module: pl.LightningModule, batch, batch_idx) -> None:
        """Steps count from 1."""
        self._seen += 1


class RateMonitor(Watcher):
    """The learning rate of a step; of each group of parameters where there are several."""

    def on_train_batch_start(self, trainer: pl.Trainer, module: pl.LightningModule, batch, batch_idx) -> None:
        """Look before the schedule moves on."""
        super().on_train_batch_start(trainer, module, batch, batch_idx)
        if self.due:
            rates = [group["lr"] for optimizer in trainer.optimizers for group in optimizer.param_groups]
            names = ["rate"] if len(rates) == 1 else [f"rate_{number}" for number in range(len(rates))]
            self.tell(trainer, dict(zip(names, map(float, rates), strict=True)))


class GradientMonitor(Watcher):
    """The Euclidean norm of all gradients, before they are clipped."""

    def on_before_optimizer_step(
        self, trainer: pl.Trainer, module: pl.LightningModule, optimizer: Optimizer
    ) -> None:  # fmt: skip
        """Look at what the backward pass left."""
        if self.due:
            gradients = [part.grad for part in module.parameters() if part.grad is not None]
            norm = torch.linalg.vector_norm(torch.stack([torch.linalg.vector_norm(part.float()) for part in gradients]))
            self.tell(trainer, {"gradient": float(norm)})


class DeviceMonitor(Watcher):
    """Steps per second since the last look, and the highest memory so far: of the GPU, or of the process."""

    def on_train_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Time runs from here."""
        super().on_train_start(trainer, module)
        self._last, self._then = self._seen, time.perf_counter()

    def on_train_batch_end(self, trainer: pl.Trainer, module: pl.LightningModule, outputs, batch, batch_idx) -> None:
        """Look at the clock."""
        if not self.due:
            return
        now, device = time.perf_counter(), module.device
        on_gpu = device.type == "cuda"
        memory = torch.cuda.max_memory_allocated(device) / 2**20 if on_gpu else environment.peak_memory_mb()
        rate = (self._seen - self._last) / max(now - self._then, 1e-9)
        self.tell(trainer, {"steps_per_second": rate, "memory_mb": memory})
        self._last, self._then = self._seen, now

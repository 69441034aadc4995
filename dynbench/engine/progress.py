"""The progress bar of a fit, its logged loss, and the guard against NaN."""

from __future__ import annotations

from math import ceil

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback
from tqdm import tqdm

from dynbench.engine.callbacks import log
from dynbench.errors import RunError


class Watch(Callback):
    """Progress bar, logged loss and the guard against NaN, all at every ``log_every``-th step only.

    Reading a loss waits for the device, and Lightning's own bar and logging cost more than a small model's step. Where
    a model is judged after every epoch, the bar tells the epoch and how good the model was after the one before.
    """

    def __init__(
        self, name: str, steps: int, log_every: int, progress: bool, offset: int, epoch: int
    ):  # fmt: skip
        self._name, self._steps, self._every, self._progress, self._offset = name, steps, log_every, progress, offset
        self._epoch = epoch
        self._seen, self._judged, self._loss = 0, "", ""

    def on_train_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Show the bar, where the fit begins or goes on."""
        self._seen = trainer.global_step
        shown = self._progress and trainer.is_global_zero
        self._bar = tqdm(
            total=self._steps, initial=self._seen, desc=self._name, unit="step", leave=False,
            mininterval=0.2, disable=None if shown else True,
        )  # fmt: skip
        self._tell()

    def on_train_batch_end(self, trainer: pl.Trainer, module: pl.LightningModule, outputs, batch, batch_idx) -> None:
        """Look at the loss now and then."""
        self._seen += 1
        self._bar.update()
        if self._seen % self._every and self._seen != self._steps:
            return
        loss = float(outputs["loss"])
        if loss != loss or loss in (float("inf"), float("-inf")):
            raise RunError(
                f"the loss is {loss} at step {self._seen} of {self._name}; lower model.learning_rate, set "
                "trainer.gradient_clip=1.0, or use trainer.precision=32-true"
            )
        self._loss = f"loss {loss:.4g}"
        self._tell()
        log(trainer, {f"train/loss/{self._name}": loss}, self._offset + self._seen)

    def judged(self, values: dict[str, float]) -> None:
        """Tell how good the model was found."""
        self._judged = ", ".join(f"validation {name} {value:.4f}" for name, value in values.items())
        self._tell()

    def _tell(self) -> None:
        if self._epoch:
            epochs = ceil(self._steps / self._epoch)
            now = min(self._seen // self._epoch + 1, epochs)
            self._bar.set_description_str(f"{self._name}, epoch {now}/{epochs}", refresh=False)
        self._bar.set_postfix_str(", ".join(filter(None, (self._loss, self._judged))), refresh=False)

    def on_train_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Take the bar away."""
        self._bar.close()

    def on_exception(self, trainer: pl.Trainer, module: pl.LightningModule, exception: BaseException) -> None:
        """Take the bar away."""
        if hasattr(self, "_bar"):
            self._bar.close()

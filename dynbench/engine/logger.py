"""Loggers of training curves: CSV files, Weights & Biases, TensorBoard, or none."""

from __future__ import annotations

import os
from typing import Any, Literal

from dynbench.ranges import Count


class Logger:
    """Makes the Lightning logger of one run.

    Args:
        kind: ``csv``, ``wandb``, ``tensorboard`` or ``none``.
        log_every: Steps between two logged values.
        project: Project name at Weights & Biases.
        offline: Whether Weights & Biases only writes files, which needs no account.
        folder: Where files go; set by the runner.
        run: Name of the run; set by the runner.
    """

    def __init__(
        self,
        *,
        kind: Literal["csv", "wandb", "tensorboard", "none"] = "csv",
        log_every: Count = 50,
        project: str = "dynbench",
        offline: bool = True,
        folder: str = ".",
        run: str = "run",
    ):
        self.kind, self.log_every, self.project, self.offline = kind, log_every, project, offline
        self.folder, self.run = folder, run

    def lightning(self) -> Any:
        """The Lightning logger, or ``False``."""
        if self.kind == "csv":
            from pytorch_lightning.loggers import CSVLogger

            return CSVLogger(self.folder, name="log")
        if self.kind == "tensorboard":
            from pytorch_lightning.loggers import TensorBoardLogger

            return TensorBoardLogger(self.folder, name="tensorboard")
        if self.kind == "wandb":
            from pytorch_lightning.loggers import WandbLogger

            os.environ.setdefault("WANDB_SILENT", "true")
            return WandbLogger(name=self.run, project=self.project, save_dir=self.folder, offline=self.offline)
        return False

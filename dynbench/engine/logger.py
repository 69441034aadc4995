"""Loggers of a run: CSV files, TensorBoard, Weights & Biases, any of them at once, or none.

What is logged is what was configured, the loss of every forecast as a curve of its own, the metrics of every step of
the test, and the final ones.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from dynbench.ranges import Count

# Names the sweep that a run belongs to.
_SWEEP = "DYNBENCH_SWEEP"


class Logger:
    """Makes the Lightning loggers of one run, and tells them what Lightning does not.

    Args:
        csv: Whether to write ``log/version_N/metrics.csv``.
        tensorboard: Whether to write event files below ``tensorboard/``.
        wandb: Whether to log with Weights & Biases.
        log_every: Steps between two logged values.
        project: Project name at Weights & Biases.
        offline: Whether Weights & Biases only writes files, which needs no account.
        group: What the run is grouped under; the sweep that it belongs to when ``None``.
        tags: More tags than the names of model, data, protocol and budget.
        folder: Where files go; set by the runner.
        run: Name of the run; set by the runner.
    """

    def __init__(
        self,
        *,
        csv: bool = False,
        tensorboard: bool = False,
        wandb: bool = False,
        log_every: Count = 50,
        project: str = "dynbench",
        offline: bool = True,
        group: str | None = None,
        tags: list[str] | None = None,
        folder: str = ".",
        run: str = "run",
    ):
        self.kinds = {"csv": csv, "tensorboard": tensorboard, "wandb": wandb}
        self.log_every, self.project, self.offline = log_every, project, offline
        self.group = group or os.environ.get(_SWEEP) or None
        self.tags = list(tags or ())
        self.folder, self.run = folder, run
        self.loggers: list[Any] = []

    def start(self, values: Mapping[str, Any]) -> list[Any]:
        """The Lightning loggers, each told what is configured.

        Args:
            values: The resolved configuration.
        """
        chosen = [values[group]["name"] for group in ("model", "data", "protocol", "budget")]
        self.loggers = [getattr(self, f"_{kind}")([*chosen, *self.tags]) for kind, on in self.kinds.items() if on]
        settings = flat({key: part for key, part in values.items() if key != "logger"})
        settings |= {"tags": ", ".join([*chosen, *self.tags]), "group": self.group or ""}
        for logger in self.loggers:
            logger.log_hyperparams(settings)
        return self.loggers

    def finish(self, metrics: Mapping[str, float], steps: Sequence[Mapping[str, Any]]) -> None:
        """Log what came out: ``test/…`` at every step, and ``final/…``, the metrics of the record."""
        for logger in self.loggers:
            for row in steps:
                found = {f"test/{name}": value for name, value in row.items() if _is_number(name, value)}
                if found:
                    logger.log_metrics(found, step=int(row.get("step", 0)))
            last = max((int(row.get("step", 0)) for row in steps), default=0)
            logger.log_metrics({f"final/{name}": float(value) for name, value in metrics.items()}, step=last)
            logger.save()
            logger.finalize("success")
        if self.kinds["wandb"] and self.loggers:
            import wandb

            wandb.finish()  # the next run of this process is another one

    # ---- the kinds ------------------------------------------------------------------------------------------

    def _csv(self, tags: list[str]) -> Any:
        from pytorch_lightning.loggers import CSVLogger

        return CSVLogger(self.folder, name="log")

    def _tensorboard(self, tags: list[str]) -> Any:
        from pytorch_lightning.loggers import TensorBoardLogger

        return TensorBoardLogger(self.folder, name="tensorboard", default_hp_metric=False)

    def _wandb(self, tags: list[str]) -> Any:
        from pytorch_lightning.loggers import WandbLogger

        os.environ.setdefault("WANDB_SILENT", "true")
        return WandbLogger(
            name=self.run, project=self.project, save_dir=self.folder, offline=self.offline, group=self.group,
            tags=tags, reinit=True,
        )  # fmt: skip


def flat(values: Mapping[str, Any], front: str = "") -> dict[str, Any]:
    """Nested settings under dotted names; what describes a dataset to people is left out."""
    found: dict[str, Any] = {}
    for key, value in values.items():
        if key in ("card", "files", "expected", "native"):
            continue
        if isinstance(value, Mapping):
            found |= flat(value, f"{front}{key}.")
        else:
            found[f"{front}{key}"] = value if isinstance(value, (int, float, str, bool)) else str(value)
    return found


def _is_number(name: str, value: Any) -> bool:
    return name != "step" and isinstance(value, (int, float)) and not isinstance(value, bool)

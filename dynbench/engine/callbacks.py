"""Callbacks of the Trainer that need to know nothing of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback
from pytorch_lightning.profilers import AdvancedProfiler, SimpleProfiler
from pytorch_lightning.utilities.exceptions import MisconfigurationException

from dynbench.engine.sweeps import random_state, set_random_state
from dynbench.errors import ConfigError


def log(trainer: pl.Trainer, values: dict[str, float], step: int) -> None:
    """Tell every logger."""
    for logger in trainer.loggers if trainer.is_global_zero else ():
        logger.log_metrics(values, step=step)


def profiler(kind: str | None, folder: Path | None, name: str) -> Any:
    """Lightning's profiler, which writes its table into a folder; ``None`` for none."""
    if kind is None:
        return None
    maker = AdvancedProfiler if kind == "advanced" else SimpleProfiler
    return maker(dirpath=folder, filename=f"profile-{name}")


def made(makers: Mapping[str, Callable[[], Any]], name: str, offset: int, every: int) -> list[Callback]:
    """The callbacks that a user chose, new ones for a fit.

    Args:
        makers: By the name of a callback, what makes it.
        name, offset, every: What is forecast, steps of earlier fits of that name, steps between two logged losses.

    Raises:
        ConfigError: If one cannot be made here, or is no callback.
    """
    found = []
    for key, maker in makers.items():
        try:
            callback = maker()
        except (ImportError, MisconfigurationException) as error:
            raise ConfigError(f"trainer.callbacks.{key}: {str(error).splitlines()[0]}") from error
        if not isinstance(callback, Callback):
            raise ConfigError(f"trainer.callbacks.{key} is a {type(callback).__name__}, no callback of Lightning")
        if hasattr(callback, "attend"):
            callback.attend(name, offset, every)
        found.append(callback)
    return found


class RandomState(Callback):
    """Starts a fit from the random state in which it was called, or in which its checkpoint was written.

    So a resumed fit draws what the whole one would have drawn, and several processes draw what one would: Lightning
    seeds anew when it sets up a process group.
    """

    def __init__(self) -> None:
        self._start = random_state()

    def state_dict(self) -> dict[str, Any]:
        """The random state, for a checkpoint."""
        return random_state()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """The random state of a checkpoint."""
        self._start = state

    def on_train_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Go to where the fit begins."""
        set_random_state(self._start)

"""Optimisers and schedules of the rate that a user chooses for a model, in place of its own or on top of it."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Literal

import pytorch_lightning as pl
import torch
from torch.optim import Optimizer

from dynbench.errors import ConfigError

Kind = Literal["own", "adam", "adamw", "sgd"]
Schedule = Literal["constant", "cosine", "linear", "step"]


def configure(
    module: pl.LightningModule, steps: int, kind: Kind, weight_decay: float, momentum: float, schedule: Schedule,
    warmup: float,
) -> Callable[[], Any] | None:  # fmt: skip
    """What to use as the module's ``configure_optimizers``; ``None`` where its own is left as it is.

    Parameters, their groups and their rates are those of the module's own optimiser.

    Args:
        module: To be trained.
        steps: Gradient steps of the fit.
        kind: The optimiser.
        weight_decay, momentum: Of the optimiser.
        schedule: How the rate goes on after the start.
        warmup: Share of the steps over which the rate rises from zero.

    Raises:
        ConfigError: If the module has several optimisers, or a schedule of its own.
    """
    if kind == "own" and schedule == "constant" and not warmup:
        return None
    own = module.configure_optimizers

    def configured() -> Any:
        made = own()
        if not isinstance(made, Optimizer):
            raise ConfigError(
                f"{type(module).__name__} makes its optimisers itself; leave optimizer= and scheduler= out"
            )
        chosen = made if kind == "own" else _made(kind, made, weight_decay, momentum)
        factor = torch.optim.lr_scheduler.LambdaLR(chosen, lambda step: rate(step, steps, schedule, warmup))
        return {"optimizer": chosen, "lr_scheduler": {"scheduler": factor, "interval": "step"}}

    return configured


def rate(step: int, steps: int, schedule: Schedule, warmup: float) -> float:
    """The factor of the rate at a step.

    >>> [round(rate(step, 100, "cosine", 0.1), 3) for step in (0, 4, 9, 10, 55, 100)]
    [0.1, 0.5, 1.0, 1.0, 0.5, 0.0]
    """
    start = round(warmup * steps)
    if step < start:
        return (step + 1) / start
    gone = min(1.0, (step - start) / max(1, steps - start))
    if schedule == "cosine":
        return 0.5 * (1 + math.cos(math.pi * gone))
    if schedule == "linear":
        return 1 - gone
    return 0.1 ** ((gone >= 0.5) + (gone >= 0.75)) if schedule == "step" else 1.0


def _made(kind: Kind, own: Optimizer, weight_decay: float, momentum: float) -> Optimizer:
    groups = [{"params": group["params"], "lr": group["lr"]} for group in own.param_groups]
    if kind == "sgd":
        return torch.optim.SGD(groups, lr=groups[0]["lr"], momentum=momentum, weight_decay=weight_decay)
    maker = torch.optim.AdamW if kind == "adamw" else torch.optim.Adam
    return maker(groups, lr=groups[0]["lr"], weight_decay=weight_decay)

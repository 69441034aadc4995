"""Fitted models, kept under a key of their own: asking one something new does not train it again."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import torch

from dynbench.engine.trainer import Trainer, random_state, save_tensors, set_random_state
from dynbench.models.base import Model


class FitStore:
    """The fits of one sequence of episodes: a file per episode, written when its fit is complete.

    Args:
        folder: Where they are kept; follows from the key of the fit alone.
    """

    def __init__(self, folder: Path):
        self.folder = folder

    def path(self, number: int) -> Path:
        """Where the fit of an episode is kept."""
        return self.folder / f"fit-{number}.pt"

    def load(self, number: int, model: Model, trainer: Trainer) -> bool:
        """Bring a kept fit back into a model; tells whether there is one."""
        path = self.path(number)
        if not path.is_file():
            return False
        kept = torch.load(path, map_location="cpu", weights_only=True)
        model.load_state_dict(kept["state"])
        set_random_state(kept["random"])  # a model may draw when it answers, and goes on from where training ended
        trainer.steps, trainer.seconds = trainer.steps + kept["steps"], trainer.seconds + kept["seconds"]
        return True

    def save(self, number: int, model: Model, steps: int, seconds: float) -> None:
        """Keep a fit, and remove what was kept within it. A model that learnt nothing leaves no file."""
        state = dict(model.state_dict())
        if state:
            save_tensors(
                {"state": state, "random": random_state(), "steps": steps, "seconds": seconds}, self.path(number)
            )
        self.clear_checkpoints()

    def clear_checkpoints(self) -> None:
        """Remove the checkpoints of unfinished fits."""
        _remove(self.folder, "episode-*")

    def clear(self) -> None:
        """Forget all fits; logs stay."""
        self.clear_checkpoints()
        _remove(self.folder, "fit-*.pt")


class Timer:
    """Adds up the seconds of parts of a run, for ``with timer("fit"): …``."""

    def __init__(self, **seconds: float):
        self.seconds: dict[str, float] = seconds
        self._running: list[tuple[str, float]] = []

    def __call__(self, name: str) -> Timer:
        """Name the part that follows."""
        self._running.append((name, time.monotonic()))
        return self

    def __enter__(self) -> Timer:
        return self

    def __exit__(self, *exception: Any) -> None:
        name, started = self._running.pop()
        self.seconds[name] = self.seconds.get(name, 0.0) + time.monotonic() - started


def _remove(folder: Path, pattern: str) -> None:
    for path in folder.glob(pattern):
        path.unlink(missing_ok=True)

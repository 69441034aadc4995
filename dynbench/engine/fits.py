"""Fitted models, kept under a key of their own: asking one something new does not train it again."""

from __future__ import annotations

import time
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from dynbench.engine.kept import is_whole, load_tensors, save_tensors
from dynbench.engine.trainer import Trainer, random_state, set_random_state
from dynbench.models.base import Model
from dynbench.records import locks


class FitStore:
    """The fits of one sequence of episodes: a file per episode, written when its fit is complete.

    Args:
        folder: Where they are kept; follows from the key of the fit alone.
        owner: What was learnt from: the checksum of the graph. Fits of another one are set aside.
    """

    def __init__(self, folder: Path, owner: str = ""):
        self.folder, self._owner = folder, owner

    def path(self, number: int) -> Path:
        """Where the fit of an episode is kept."""
        return self.folder / f"fit-{number}.pt"

    def alone(self) -> AbstractContextManager[bool]:
        """Keeps other runs that learn the same waiting, which then find the fit."""
        return locks.alone(self.folder, "learnt the same; its fit will be used here")

    def holds(self, number: int) -> bool:
        """Whether the fit of an episode is there, and whole."""
        return is_whole(self.path(number), self._owner)

    def load(self, number: int, model: Model, trainer: Trainer) -> bool:
        """Bring a kept fit back into a model; tells whether there is one."""
        kept = load_tensors(self.path(number), self._owner)
        if kept is None:
            return False
        model.load_state_dict(kept["state"])
        set_random_state(kept["random"])  # a model may draw when it answers, and goes on from where training ended
        trainer.steps, trainer.seconds = trainer.steps + kept["steps"], trainer.seconds + kept["seconds"]
        trainer.earlier += kept["seconds"]
        return True

    def save(self, number: int, model: Model, steps: int, seconds: float) -> None:
        """Keep a fit, and remove what was kept within it. A model that learnt nothing leaves no file."""
        state = dict(model.state_dict())
        if state:
            content = {"state": state, "random": random_state(), "steps": steps, "seconds": seconds}
            save_tensors(content, self.path(number), self._owner)
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

"""Iterations that are no gradient steps: sweeps of a sampler, counted, shown and taken up again as fits are."""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

import torch
from tqdm import tqdm

from dynbench.engine.clock import Clock
from dynbench.engine.kept import load_tensors, save_tensors


class Resumable(Protocol):
    """What can be taken up between two sweeps."""

    def state_dict(self) -> Mapping[str, Any]:
        """All that the next sweep goes on from."""

    def load_state_dict(self, state: Mapping[str, Any]) -> Any:
        """Go back to such a state."""


class Sweeps:
    """The part of the Trainer that runs sweeps."""

    steps: int
    seconds: float
    earlier: float
    is_main: bool
    _owner: str = ""

    def sweeps(self, sampler: Resumable, count: int) -> Iterator[int]:
        """Count the sweeps of a sampler, or the rounds of another iteration, with a progress bar and checkpoints.

        What an earlier, interrupted process has completed is not repeated, and what it left half-way is taken up where
        its last checkpoint stands.

        Args:
            sampler: Its state is kept between two sweeps, together with that of torch's global random numbers.
            count: Number of sweeps.

        Yields:
            The number of each sweep, from 0.
        """
        call, self._call = self._call, self._call + 1
        if self._skip(sampler, call):
            return
        kept, first, clock = self._path(f"{call}.sweeps"), 0, Clock()
        found = load_tensors(kept, self._owner)
        if found is not None:
            sampler.load_state_dict(found["state"])
            set_random_state(found["random"])
            first = found["sweep"]
            clock.load_state_dict({"seconds": 0.0, **found})
        saved = time.monotonic()
        shown = self._progress and self.is_main
        bar = tqdm(
            total=count, initial=first, desc=self._name, unit="sweep", leave=False,
            mininterval=0.2, disable=None if shown else True,
        )  # fmt: skip
        with bar:
            for sweep in range(first, count):
                yield sweep
                bar.update()
                if kept is not None and self.is_main and time.monotonic() - saved > self._checkpoint_seconds:
                    content = {"sweep": sweep + 1, "state": dict(sampler.state_dict()), "random": random_state()}
                    save_tensors({**content, **clock.state_dict()}, kept, self._owner)
                    saved = time.monotonic()
        self._count(count, clock)
        self._keep(sampler, call, kept)

    def _count(self, steps: int, clock: Clock) -> None:
        """Add what a fit took."""
        self.steps += steps
        self.seconds += clock.seconds
        self.earlier += clock.earlier

    @abstractmethod
    def _path(self, name: str) -> Path | None:
        """A file of this fit, or ``None`` where nothing is kept."""

    @abstractmethod
    def _skip(self, module: Resumable, call: int) -> bool:
        """Whether an earlier process completed this call."""

    @abstractmethod
    def _keep(self, module: Resumable, call: int, checkpoint: Path | None) -> None:
        """Remember that this call is complete."""


def random_state() -> dict[str, Any]:
    """The state of torch's generators, as plain tensors."""
    return {"cpu": torch.get_rng_state(), "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []}


def set_random_state(state: dict[str, Any]) -> None:
    """Go back to a state of torch's generators."""
    torch.set_rng_state(state["cpu"].cpu())
    if state["cuda"]:
        torch.cuda.set_rng_state_all([part.cpu() for part in state["cuda"]])

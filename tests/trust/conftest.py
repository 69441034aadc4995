"""What the tests of damage, kills and twins share: small runs in this process."""

from __future__ import annotations

from pathlib import Path

import pytest

from dynbench.config.check import check
from dynbench.config.compose import compose
from dynbench.runner import Outcome, run

TINY = ("data=nlsm_process", "data.nodes=24", "data.steps=4", "data.density=0.2", "budget=smoke", "logger=none",
        "progress=false")  # fmt: skip


class Player:
    """Plays runs below a folder."""

    def __init__(self, folder: Path):
        self.folder = folder

    def __call__(self, *words: str) -> Outcome:
        places = (f"results_dir={self.folder / 'results'}", f"work_dir={self.folder / 'runs'}")
        typed = (*TINY, *words, *places)
        return run(check(compose(typed)), typed)


@pytest.fixture
def play(tmp_path) -> Player:
    return Player(tmp_path / "own")


@pytest.fixture
def whole(tmp_path) -> Player:
    """Plays the same runs somewhere else, where nothing happens to them."""
    return Player(tmp_path / "whole")


def numbers(outcome: Outcome) -> tuple:
    """What must not depend on what happened on the way."""
    record = outcome.record
    return record.metrics, record.steps, record.checksums

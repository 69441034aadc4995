"""Sweeps of a sampler: counted once, and taken up where they were left."""

from __future__ import annotations

import time

import pytest
import torch

from dynbench.engine.trainer import Trainer


class Walk:
    """A random walk that notes its sweeps."""

    def __init__(self, stop: int | None = None, pause: float = 0.0):
        self.place, self.sweeps, self.stop, self.pause = torch.zeros(()), [], stop, pause

    def state_dict(self):
        return {"place": self.place.clone()}

    def load_state_dict(self, state):
        self.place = state["place"].clone()

    def run(self, trainer: Trainer, count: int) -> float:
        for sweep in trainer.sweeps(self, count):
            if sweep == self.stop:
                raise KeyboardInterrupt
            self.sweeps.append(sweep)
            time.sleep(self.pause)
            self.place = self.place + torch.randn(())
        return float(self.place)


def trainer(folder) -> Trainer:
    made = Trainer()
    made.prepare(folder=folder, checkpoint_seconds=-1.0)
    return made


def test_an_interrupted_walk_ends_where_an_unbroken_one_does(tmp_path):
    torch.manual_seed(0)
    expected = Walk().run(Trainer(), 10)
    torch.manual_seed(0)
    with pytest.raises(KeyboardInterrupt):
        Walk(stop=6).run(trainer(tmp_path), 10)
    torch.manual_seed(99)
    resumed, again = Walk(), trainer(tmp_path)
    assert resumed.run(again, 10) == expected
    assert resumed.sweeps == [6, 7, 8, 9]
    assert again.steps == 10


def test_seconds_before_an_interruption_count(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        Walk(stop=6, pause=0.02).run(trainer(tmp_path), 8)
    again = trainer(tmp_path)
    Walk(pause=0.02).run(again, 8)
    assert again.earlier > 0.02 * 5
    assert again.seconds > again.earlier + 0.02 * 2


def test_what_is_complete_is_not_repeated(tmp_path):
    torch.manual_seed(0)
    first = trainer(tmp_path)
    expected = [Walk().run(first, 4), float(torch.rand(()))]
    later, repeated = trainer(tmp_path), Walk()
    assert [repeated.run(later, 4), float(torch.rand(()))] == expected
    assert repeated.sweeps == []
    assert later.steps == 4


def test_nothing_is_kept_without_a_folder():
    walk = Walk()
    walk.run(Trainer(), 3)
    assert walk.sweeps == [0, 1, 2]

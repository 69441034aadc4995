"""Which runs are started together, and which wait for the fit that another one makes."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field

import pytest

from dynbench.reporting.schedule import carry_out, in_order


@dataclass(frozen=True)
class Task:
    name: str
    fit: str
    seed: int = 0


@dataclass
class Watched:
    """Work that notes which tasks run at the same time."""

    fails: tuple[str, ...] = ()
    running: list[Task] = field(default_factory=list)
    together: set[frozenset[str]] = field(default_factory=set)
    learning: int = 0
    most: int = 0
    there: set[str] = field(default_factory=set)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, task: Task) -> str | None:
        with self.lock:
            self.running.append(task)
            self.most = max(self.most, len(self.running))
            missing = [one.fit for one in self.running if one.fit not in self.there]
            assert len(missing) == len(set(missing)), "two learn the same"
            self.learning += task.fit not in self.there
        time.sleep(0.02)
        with self.lock:
            self.running.remove(task)
            if task.name not in self.fails:
                self.there.add(task.fit)
        return "diverged" if task.name in self.fails else None


def test_one_run_of_each_fit_goes_first():
    tasks = [Task("a", "1"), Task("b", "1"), Task("late", "2", seed=1), Task("c", "3"), Task("d", "1")]
    assert [task.name for task in in_order(tasks)] == ["a", "c", "b", "d", "late"]


@pytest.mark.parametrize("jobs", [1, 3])
def test_every_task_is_done_and_a_missing_fit_is_learnt_by_one(jobs):
    tasks = [Task(f"{fit}{number}", fit) for fit in "abc" for number in range(4)]
    work = Watched()
    done = [task for task, came in carry_out(tasks, work, jobs) if came is None]
    assert sorted(task.name for task in done) == sorted(task.name for task in tasks)
    assert work.learning == 3
    assert work.most == jobs


def test_three_histories_of_one_fit_wait_for_it_and_then_go_together():
    work = Watched()
    order = [task.name for task, _ in carry_out([Task(name, "renet") for name in "abc"], work, 3)]
    assert order[0] == "a"
    assert (work.learning, work.most) == (1, 2)


def test_after_a_failure_the_next_one_learns():
    work = Watched(fails=("a",))
    came = dict(carry_out([Task("a", "1"), Task("b", "1"), Task("c", "1")], work, 3))
    assert {task.name: what for task, what in came.items()} == {"a": "diverged", "b": None, "c": None}
    assert work.learning == 2


def test_an_error_is_what_came_of_a_task():
    def work(task):
        raise OSError("no such program")

    ((_, came),) = carry_out([Task("a", "1")], work, 2)
    assert isinstance(came, OSError)


def test_nothing_is_started_after_a_stop():
    stop = threading.Event()
    tasks = [Task(str(number), str(number)) for number in range(9)]
    done = carry_out(tasks, lambda task: stop.set(), 1, stop.is_set)
    assert [task.name for task, _ in done] == ["0"]


def test_whoever_stops_listening_waits_for_what_runs():
    work = Watched()
    for _ in carry_out([Task(str(n), str(n)) for n in range(50)], work, 2):
        break
    assert work.running == []
    assert len(work.there) < 10

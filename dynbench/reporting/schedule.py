"""In what order runs are started, and which of them may run side by side.

Runs that share a fit would each learn the same if they were started together. So of every fit one run goes first; the
others wait until it is over, and then only ask.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from queue import SimpleQueue
from typing import Any, Protocol, TypeVar


class Planned(Protocol):
    """What is scheduled."""

    @property
    def fit(self) -> str:
        """What it learns."""

    @property
    def seed(self) -> int:
        """First seeds come first, so that every cell soon has a number."""


T = TypeVar("T", bound=Planned)


def in_order(tasks: Iterable[T]) -> list[T]:
    """First seeds first, and within a seed one run of every fit before the others of it."""
    known: set[str] = set()
    ranked = []
    for number, task in enumerate(tasks):
        ranked.append(((task.seed, task.fit in known, number), task))
        known.add(task.fit)
    return [task for _, task in sorted(ranked, key=lambda pair: pair[0])]


def carry_out(
    tasks: Sequence[T], work: Callable[[T], Any], jobs: int, stopped: Callable[[], bool] = lambda: False
) -> Iterator[tuple[T, Any]]:
    """Do the work of every task, ``jobs`` at a time, never two at once that need the same missing fit.

    Args:
        tasks: In the order in which they are preferred.
        work: Returns what came of a task; ``None`` means that its fit is there now.
        jobs: Threads.
        stopped: Asked before a task is started.

    Yields:
        Each task with what came of it, as soon as it is over; an error that it raised is what came of it.
    """
    waiting = list(tasks)
    busy: set[str] = set()
    there: set[str] = set()
    change = threading.Condition()
    over: SimpleQueue[tuple[T, Any] | None] = SimpleQueue()
    closed = threading.Event()

    def take() -> T | None:
        with change:
            while waiting and not stopped() and not closed.is_set():
                free = next((task for task in waiting if task.fit in there or task.fit not in busy), None)
                if free is not None:
                    waiting.remove(free)
                    busy.add(free.fit)
                    return free
                change.wait()
            return None

    def loop() -> None:
        while (task := take()) is not None:
            came: Any = None
            try:
                came = work(task)
            except Exception as error:
                came = error
            finally:
                with change:
                    busy.discard(task.fit)
                    if came is None:
                        there.add(task.fit)
                    change.notify_all()
            over.put((task, came))
        over.put(None)

    threads = [threading.Thread(target=loop, daemon=True) for _ in range(min(jobs, len(tasks)))]
    for thread in threads:
        thread.start()
    left = len(threads)
    try:
        while left:
            done = over.get()
            if done is None:
                left -= 1
            else:
                yield done
    finally:
        closed.set()
        for thread in threads:
            thread.join()

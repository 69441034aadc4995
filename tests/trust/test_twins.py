"""Two processes that want the same, a failure beside a success, and children whose parent is gone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from dynbench.engine import session
from dynbench.errors import RunError
from dynbench.records import locks
from tests.trust.conftest import TINY, numbers

ROOT = Path(__file__).resolve().parents[2]


def test_who_comes_second_waits_and_says_for_whom(tmp_path, caplog):
    order = []

    def second():
        with locks.alone(tmp_path, "carried out this run") as waited:
            order.append(("second", waited))

    with locks.alone(tmp_path, "carried out this run") as waited:
        thread = threading.Thread(target=second)
        thread.start()
        while not caplog.messages:
            time.sleep(0.01)
        order.append(("first", waited))
    thread.join()
    assert order == [("first", False), ("second", True)]
    assert f"waiting: process {os.getpid()} on " in caplog.text
    assert caplog.text.strip().endswith("carried out this run")


def test_a_lock_ends_with_its_process(tmp_path):
    program = (
        "import pathlib, sys, time; from dynbench.records import locks\n"
        "with locks.alone(pathlib.Path(sys.argv[1]), 'x'): print('held', flush=True); time.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-c", program, tmp_path], stdout=subprocess.PIPE, text=True, cwd=ROOT)
    assert process.stdout.readline() == "held\n"
    process.kill()
    process.wait()
    with locks.alone(tmp_path, "x") as waited:
        assert not waited


def test_who_waited_finds_what_the_other_has_finished(play, monkeypatch):
    @contextmanager
    def behind_a_twin(folder, doing):
        monkeypatch.undo()
        assert not play("model=last_snapshot").skipped
        yield True

    monkeypatch.setattr(locks, "alone", behind_a_twin)
    assert play("model=last_snapshot").skipped


def test_a_failing_twin_leaves_a_finished_record(play, monkeypatch):
    def fail_beside_a_twin(*_):
        monkeypatch.undo()
        play("model=last_snapshot")
        raise RunError("the other one was faster")

    @contextmanager
    def no_lock(folder, doing):
        yield False

    monkeypatch.setattr(locks, "alone", no_lock)
    monkeypatch.setattr(session, "carry_out", fail_beside_a_twin)
    with pytest.raises(RunError):
        play("model=last_snapshot")
    assert play("model=last_snapshot").skipped


@pytest.mark.long
def test_twins_with_short_checkpoints_end_with_the_same_numbers(play, whole):
    words = ("model=nlsm", "model.epochs=8", "checkpoint_seconds=0.001")
    places = (f"results_dir={play.folder / 'results'}", f"work_dir={play.folder / 'runs'}")
    command = [sys.executable, str(ROOT / "run.py"), *TINY, *words, *places]
    twins = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) for _ in range(2)]
    said = [twin.communicate(timeout=120)[0] for twin in twins]
    assert [twin.returncode for twin in twins] == [0, 0], said
    assert sum("waiting: process" in text for text in said) == 1, said
    assert sum("finished before" in text for text in said) == 1, said
    assert not [path for path in play.folder.rglob("*") if ".part" in path.name or ".damaged" in path.name]
    found = play(*words)
    assert found.skipped
    assert numbers(found) == numbers(whole(*words))


CHILD = """
import os, signal, subprocess, sys, time
from dynbench import lifeline
lifeline.GRACE = 0.3
signal.signal(signal.SIGINT, signal.SIG_IGN)
own = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
lifeline.hold()
if sys.argv[1] == "deaf":
    signal.signal(signal.SIGINT, signal.SIG_IGN)
else:
    lifeline.GRACE = 60
print(os.getpid(), own.pid, flush=True)
try:
    time.sleep(60)
finally:
    if sys.argv[1] != "careless":
        own.kill()
"""
PARENT = """
import subprocess, sys, os, time
from dynbench import lifeline
child = lifeline.start([sys.executable, "-c", sys.argv[1], sys.argv[2]], dict(os.environ))
time.sleep(60)
"""


@pytest.mark.parametrize("child", ["listening", "careless", "deaf"])
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_children_end_with_their_parent(child, how):
    command = [sys.executable, "-c", PARENT, CHILD, child]
    parent = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    children = list(map(int, parent.stdout.readline().split()))
    assert all(map(alive, children))
    parent.send_signal(how)
    parent.wait()
    deadline = time.monotonic() + 20
    while any(map(alive, children)):
        assert time.monotonic() < deadline, "a child has outlived its parent"
        time.sleep(0.02)


def alive(process: int) -> bool:
    """Whether a process runs; one that has ended and that nobody asked about does not."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False

"""A knowledge graph from the command line: every test here starts ``run.py`` in a process of its own."""

from __future__ import annotations

import random
import signal
import time
from pathlib import Path

import pytest
from cli.test_command_line import Command, numbers

SMALL = ("model=nlsm", "data=custom", "protocol=windowed_kg", "budget=smoke", "model.dim=8")


@pytest.fixture
def command(tmp_path: Path) -> Command:
    return Command(tmp_path)


@pytest.fixture
def data(tmp_path: Path) -> str:
    """Facts that last for some of ten years, in three parts, as an override."""
    draw = random.Random(0)
    facts = [(draw.randrange(30), draw.randrange(3), draw.randrange(30), draw.randrange(8)) for _ in range(60)]
    rows = [(s, r, o, t) for s, r, o, since in facts for t in range(since, 10)]
    folder = tmp_path / "kg"
    folder.mkdir()
    for part, years in (("train", range(7)), ("valid", [7]), ("test", [8, 9])):
        lines = [f"{s},{r},{o},{t}" for s, r, o, t in rows if t in years]
        (folder / f"{part}.csv").write_text("\n".join(["subject,relation,object,t", *lines]) + "\n")
    return f"data.path={folder}"


def test_a_run_prints_ranks_raw_and_filtered(command, data):
    text = command(*SMALL, data)
    (record,) = command.records()
    assert (record["model"], record["protocol"], record["status"]) == ("nlsm_kg", "windowed_kg", "finished")
    for metric in ("raw_mrr", "static_mrr", "time_mrr", "raw_hits@10", "raw_mrr_object", "raw_mrr_subject"):
        assert 0 < record["metrics"][metric] <= 1
        assert metric in text
    assert [step["step"] for step in record["steps"]] == [8, 9]


@pytest.mark.long
def test_two_processes_give_what_one_gives(command, data):
    longer = (*SMALL, data, "model.epochs=10")
    command(*longer)
    (one,) = command.records()
    command(*longer, "trainer=ddp_cpu", "force=true")
    (two,) = command.records()
    assert two["config"]["trainer"]["devices"] == 2
    assert one["checksums"] == two["checksums"]
    assert one["metrics"] == pytest.approx(two["metrics"], abs=2e-2)


@pytest.mark.long
def test_a_killed_run_goes_on_with_the_same_numbers(command, data, tmp_path):
    longer = (*SMALL, data, "model.epochs=50", "model.positions=null", "checkpoint_seconds=0.01")
    process = command.start(*longer)
    deadline = time.monotonic() + 120
    while not list(tmp_path.glob("runs/fits/*/episode-0-[2-9].ckpt")):  # a later position of the window
        assert process.poll() is None, "the run ended before it could be killed"
        assert time.monotonic() < deadline, "no checkpoint appeared"
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait(timeout=60)
    assert not command.records()
    command(*longer)
    (resumed,) = command.records()
    command(*longer, "force=true")
    (whole,) = command.records()
    assert numbers(resumed) == numbers(whole)
    assert resumed["sizes"]["fit_steps"] == whole["sizes"]["fit_steps"]

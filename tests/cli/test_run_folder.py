"""Where things are written: a run's folder is named as its record is, a sweep has one, and nothing else appears."""

from __future__ import annotations

import logging

import pytest
import yaml
from test_command_line import TINY, Command

from dynbench import journal
from dynbench.config.check import check
from dynbench.config.compose import compose
from dynbench.records import identify


@pytest.fixture
def command(tmp_path) -> Command:
    return Command(tmp_path)


def _contents(folder) -> set[str]:
    return {path.name for path in folder.iterdir()}


@pytest.mark.slow
def test_a_run_keeps_its_configuration_and_its_log(command):
    command(*TINY, "model=last_snapshot", "seed=3")
    (record,) = (command.folder / "runs/records").rglob("*.json")
    folder = command.folder / "runs" / record.stem
    values = yaml.safe_load((folder / "config.yaml").read_text())
    assert str(identify(values)) == folder.name
    assert values["data"]["nodes"] == 40
    lines = (folder / "run.log").read_text().splitlines()
    assert "seed=3" in lines[0]
    assert [line.split(" INFO ")[1] for line in lines if line.endswith("asked")] == [
        f"snapshot {step} of 3: asked" for step in (1, 2, 3)
    ]
    assert lines[-1].endswith(" INFO finished")
    assert _contents(command.folder) <= {"runs", "cache"}


@pytest.mark.slow
def test_hydra_writes_into_these_folders(command):
    """Also where a word for Hydra leads a run through its own command line."""
    command(*TINY, "model=last_snapshot", "hydra.verbose=false")
    command("-m", *TINY, "model=last_snapshot", "seed=1,2")
    (sweep,) = (command.folder / "runs/sweeps").iterdir()
    assert _contents(sweep) == {"members.txt", "multirun.yaml"}
    assert len((sweep / "members.txt").read_text().splitlines()) == 2
    names = {path.stem for path in (command.folder / "runs/records").rglob("*.json")}
    assert len(names) == 3
    assert _contents(command.folder / "runs") - {"fits", "scores"} == {"records", "sweeps", *names}
    assert _contents(command.folder) <= {"runs", "cache"}
    command(*TINY, "model=none", "hydra.verbose=false", code=1)
    assert len(list((command.folder / "runs").glob("none-*"))) == 0


def test_a_failure_is_told_with_its_frames_and_warnings_go_on_to_the_terminal(tmp_path, monkeypatch, capsys):
    values = check(compose(["model=bas", f"work_dir={tmp_path}"]))
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    monkeypatch.setattr(logging, "lastResort", handler := logging.StreamHandler())
    handler.setLevel(logging.WARNING)
    logging.getLogger(journal.NAME).setLevel(logging.NOTSET)
    journal.note("to nobody")  # nor does it keep those after it from being told
    with pytest.raises(ZeroDivisionError, match="by hand"):
        _break_off(tmp_path / "run", values)
    told = (tmp_path / "run/run.log").read_text()
    assert " INFO half of 1\n" in told
    assert " WARNING so so\n" in told
    assert "nothing" not in told
    assert " ERROR ZeroDivisionError: by hand\n" in told
    assert "test_run_folder.py" in told
    assert capsys.readouterr().err == "so so\n"
    assert logging.getLogger().handlers == []
    journal.note("to nobody")
    assert "to nobody" not in (tmp_path / "run/run.log").read_text()


def _break_off(folder, values) -> None:
    with journal.kept(folder, values, ["model=bas"], "bas-0"):
        journal.note("half of %d", 1)
        logging.getLogger("dynbench.data").warning("so so")
        logging.getLogger("dynbench.data").info("nothing")
        raise ZeroDivisionError("by hand")

"""What is nobody's bug is told in one line: a full disk, a folder that may not be written, and what is installed."""

from __future__ import annotations

import errno
import os
import tomllib
from pathlib import Path

import pytest

from dynbench import files
from dynbench.errors import RunError

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES])
@pytest.mark.parametrize("model", ["nlsm", "last_snapshot"])
def test_a_disk_that_fills_up_half_way(play, monkeypatch, error, model):
    def full(*_):
        raise OSError(error, os.strerror(error), "somewhere")

    with monkeypatch.context() as patch:
        patch.setattr(files.os, "fsync", full)
        with pytest.raises(RunError, match=r"^cannot write") as caught:
            play(f"model={model}", "checkpoint_seconds=1e-6")
    assert "work_dir" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not [path for path in play.folder.rglob("*") if path.is_file() and ".part" in path.name]
    assert not play(f"model={model}").skipped


def test_another_error_of_the_system_keeps_its_traceback(play, monkeypatch):
    def odd(*_):
        raise OSError(errno.ENOTTY, "odd")

    monkeypatch.setattr(files.os, "fsync", odd)
    with pytest.raises(OSError, match="odd"):
        play("model=last_snapshot")


def test_checkpoints_of_older_torches_could_run_code():
    """CVE-2025-32434 is closed from 2.6 on."""
    bounds = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["dependencies"]
    (bound,) = [text for text in bounds if text.startswith("torch>=")]
    assert tuple(map(int, bound.removeprefix("torch>=").split("."))) >= (2, 6)


@pytest.mark.parametrize("model", ["bas", "nlsm"])
def test_parameters_that_are_kept_need_no_gradient(play, model):
    """What a campaign of settings found: arrays of a model may be its parameters themselves."""
    assert play(f"model={model}", "model.dim=4").record.finished

"""What is resumed is what was written: damaged and foreign files are set aside, and the run ends with its numbers."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch
from test_training import Interruption, Noisy, fit, prepared

from dynbench import files
from dynbench.engine.kept import load_tensors, save_tensors
from dynbench.engine.loop import Loop
from dynbench.records import files as record_files
from dynbench.records.files import write_arrays
from tests.trust.conftest import Player, numbers

MODEL = ("model=nlsm", "model.dim=4", "checkpoint_seconds=1e-6")


def flip(path, draw):
    content = bytearray(path.read_bytes())
    content[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
    path.write_bytes(bytes(content))


def truncate(path, draw):
    content = path.read_bytes()
    path.write_bytes(content[: draw.randrange(len(content))])


def foreign(path, draw):
    torch.save({"state": {}, "done": 2}, path)


DAMAGES = {"flip": flip, "truncate": truncate, "foreign": foreign, "empty": lambda path, draw: path.write_bytes(b"")}


def test_every_flipped_bit_is_seen(tmp_path):
    path = tmp_path / "state.pt"
    save_tensors({"x": torch.arange(3.0)}, path, "graph")
    assert load_tensors(path, "graph")["x"].tolist() == [0, 1, 2]
    content = path.read_bytes()
    for place in range(0, len(content), 7):
        damaged = bytearray(content)
        damaged[place] ^= 1 << place % 8
        path.write_bytes(bytes(damaged))
        with pytest.raises(files.Damaged):
            files.unseal(path, "graph")


def test_a_file_belongs_to_its_place_and_owner(tmp_path, caplog):
    path = tmp_path / "state.pt"
    save_tensors({"x": torch.ones(1)}, path, "graph")
    other = path.rename(tmp_path / "other.pt")
    assert load_tensors(other, "graph") is None
    assert "belongs to other data or to another run; going on" in caplog.text
    assert not other.exists()
    assert (tmp_path / "other.pt.damaged").exists()
    save_tensors({"x": torch.ones(1)}, path, "graph")
    assert load_tensors(path, "another graph") is None


def test_what_is_written_is_on_the_disk_before_it_replaces(tmp_path, monkeypatch):
    order = []
    monkeypatch.setattr(files.os, "fsync", lambda handle: order.append("fsync"))
    real = files.os.replace
    monkeypatch.setattr(files.os, "replace", lambda *names: (order.append("replace"), real(*names)))
    files.seal(tmp_path / "one", b"content")
    assert order == ["fsync", "replace", "fsync"]


@pytest.mark.parametrize(
    ("name", "damage"), [("story.pt", "flip"), ("fit-1.pt", "truncate"), ("fit-2.pt", "foreign"), ("fit-0.pt", "empty")]
)
def test_a_run_goes_on_from_what_is_whole(play, expected, name, damage, monkeypatch, caplog):
    break_off(play, monkeypatch)
    (path,) = play.folder.rglob(name)
    DAMAGES[damage](path, random.Random(name))
    assert numbers(play(*MODEL)) == expected
    said = [line for line in caplog.messages if "set aside" in line]
    # What the rest of the run does not need is not looked at.
    assert len(said) == (name != "fit-0.pt")
    assert all(name in line and "\n" not in line for line in said)


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    return numbers(Player(tmp_path_factory.mktemp("whole"))(*MODEL))


def break_off(play, monkeypatch):
    """Leave what a process leaves that was killed while it asked the third fit."""
    examine = Loop._examine

    def broken(loop, episode):
        if loop._number == 2:
            raise Interruption
        examine(loop, episode)

    with monkeypatch.context() as patch:
        patch.setattr(Loop, "_examine", broken)
        with pytest.raises(Interruption):
            play(*MODEL)


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
@pytest.mark.parametrize("at", [2, 6])
def test_a_fit_goes_on_from_the_last_whole_checkpoint(tmp_path, damage, at):
    expected = fit(prepared(tmp_path / "whole"), Noisy())
    folder, draw = tmp_path / "own", random.Random(at)
    with pytest.raises(Interruption):
        fit(prepared(folder), Noisy(fail_at=at))
    kept = sorted(folder.iterdir())
    assert kept
    for path in kept:
        damage(path, draw)
    module = Noisy()
    assert fit(prepared(folder), module).tolist() == expected.tolist()
    assert len(module.batches) == 4 + 5 + 3, "nothing was whole"


def test_what_is_sealed_piece_by_piece_is_what_is_sealed_at_once(tmp_path):
    files.seal(tmp_path / "kept", b"one and two", "me")
    whole = (tmp_path / "kept").read_bytes()
    files.seal_as_written(
        tmp_path / "kept", lambda file: [file.write(part) for part in (b"one ", b"and ", b"two")], "me"
    )
    assert (tmp_path / "kept").read_bytes() == whole
    assert bytes(files.unseal(tmp_path / "kept", "me")) == b"one and two"


def test_a_write_that_fails_half_way_leaves_what_was_there(tmp_path):
    files.seal(tmp_path / "kept", b"before")

    def write(file):
        file.write(b"half")
        raise OSError("full")

    with pytest.raises(OSError, match="full"):
        files.seal_as_written(tmp_path / "kept", write)
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]
    assert bytes(files.unseal(tmp_path / "kept")) == b"before"


def test_large_arrays_are_written_as_they_are(tmp_path, monkeypatch):
    arrays = {"zeros": np.zeros(10_000), "ones": np.ones((2, 3), dtype=np.float32)}
    small = write_arrays(arrays, tmp_path / "packed.npz").stat().st_size
    monkeypatch.setattr(record_files, "_LARGE", 1000)
    large = write_arrays(arrays, tmp_path / "plain.npz").stat().st_size
    assert small < 10_000 < 80_000 < large
    for name in ("packed", "plain"):
        with np.load(tmp_path / f"{name}.npz", allow_pickle=False) as kept:
            assert all(np.array_equal(kept[key], part) for key, part in arrays.items())

"""A cache that cannot be read is rebuilt, and a graph that was replaced is another graph."""

from __future__ import annotations

import logging
import random
from contextlib import suppress

import numpy as np
import pytest

from dynbench.data import FileDataset, Locations, cache
from dynbench.data.arrays import read_npz
from dynbench.errors import DataError
from tests.trust.conftest import numbers

EDGES = "src,dst,t\n" + "".join(f"{i % 5},{(i * 3 + 1) % 5},{i}\n" for i in range(30))
OWN = ("protocol=single_step_allpairs", "model=decayed_count", "data=custom", "data.window=10", "data.directed=false")
OWN = ("budget=smoke", "logger=none", "progress=false", *OWN)


@pytest.fixture
def own(tmp_path):
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "edges.csv").write_text(EDGES)
    return folder


def test_a_damaged_cache_is_rebuilt_whatever_the_damage(own, tmp_path, caplog):
    where = Locations([], tmp_path / "cache", offline=True)
    caplog.set_level(logging.ERROR)
    dataset = FileDataset("own", path=str(own), where=where)
    expected = dataset.load("events").checksum()
    (stored,) = where.graphs().iterdir()
    content, draw = stored.read_bytes(), random.Random(0)
    for number in range(120):
        damaged = bytearray(content)
        for _ in range(1 + number % 3):
            damaged[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
        stored.write_bytes(bytes(damaged if number % 4 else damaged[: draw.randrange(len(content))]))
        assert cache.load(stored) is None
        assert not stored.exists()
    assert dataset.load("events").checksum() == expected
    assert cache.load(stored).checksum() == expected


def test_damaged_features_are_refused_in_one_line(tmp_path):
    path = tmp_path / "features.npz"
    np.savez_compressed(path, features=np.arange(40.0).reshape(8, 5))
    content, draw = path.read_bytes(), random.Random(1)
    for number in range(200):
        damaged = bytearray(content)
        damaged[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
        path.write_bytes(bytes(damaged if number % 5 else damaged[: draw.randrange(len(content))]))
        with suppress(DataError):
            assert read_npz(path).sum() == sum(range(40)), "a part of the file that says nothing"


def play_own(player, folder, *words):
    from dynbench.config.check import check
    from dynbench.config.compose import compose
    from dynbench.runner import run

    typed = (*OWN, f"data.path={folder}", f"results_dir={player.folder}/results", f"work_dir={player.folder}/runs")
    return run(check(compose([*typed, *words])), typed)


def test_a_replaced_graph_is_run_again_and_an_equal_one_is_not(own, play, caplog):
    first = play_own(play, own)
    assert not first.skipped
    assert play_own(play, own).skipped
    # The same events, written otherwise.
    (own / "edges.csv").write_text(EDGES.replace("src,dst,t\n", "src,dst,t,comment\n").replace("\n0,", "\n0.0,"))
    assert play_own(play, own).skipped
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]
    (own / "edges.csv").write_text(EDGES + "0,2,31\n")
    again = play_own(play, own)
    assert not again.skipped
    assert "data=custom is not what it was on" in caplog.text
    assert again.record.checksums["graph"] != first.record.checksums["graph"]
    assert play_own(play, own).skipped


def test_nothing_is_taken_up_from_another_graph(own, play, whole, caplog):
    model = ("model=nlsm", "model.dim=4")
    play_own(play, own, *model)
    kept = sorted(path.name for path in play.folder.rglob("fit-*.pt"))
    assert kept
    (own / "edges.csv").write_text(EDGES.replace("\n1,4,", "\n1,3,"))
    assert numbers(play_own(play, own, *model)) == numbers(play_own(whole, own, *model))
    assert caplog.text.count("it belongs to other data or to another run") == len(kept)

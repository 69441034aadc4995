"""The benchmark of systems on snapshots runs, and compares equal losses. How fast anything is, is not asked."""

from __future__ import annotations

import json

import pytest


@pytest.fixture
def bench(bench, monkeypatch):
    """``scripts/bench_snapshots.py`` as a module, with small networks."""
    small = {"dim": 8, "hidden": [16, 12]}
    more = {"dyngem": small, "dynaernn": {**small, "recurrent": [16], "batch_size": 20}, "dynamictriad": {"dim": 8}}
    systems = {name: (kind, {**own, **more.get(name, {})}) for name, (kind, own) in bench.SYSTEMS.items()}
    monkeypatch.setattr(bench, "SYSTEMS", systems)
    return bench


def test_every_system_gets_a_line(bench, tmp_path, capsys):
    bench.main(
        ["--nodes", "40", "--snapshots", "4", "--links", "150", "--steps", "1", "--json", str(tmp_path / "b.json")]
    )
    said, found = capsys.readouterr().out, json.loads((tmp_path / "b.json").read_text())
    assert all(name in said for name in bench.SYSTEMS)
    assert all(row["ms"] > 0 for row in found.values())
    assert found["dynaernn"]["dense_ms"] > 0


def test_no_time_without_the_same_loss(bench, monkeypatch):
    right = bench.dense_dynaernn
    monkeypatch.setattr(bench, "dense_dynaernn", lambda model, batch: 1.1 * right(model, batch))
    with pytest.raises(AssertionError, match="not close"):
        bench.measure(bench.draw_graph(40, 4, 150), "dynaernn", 1)

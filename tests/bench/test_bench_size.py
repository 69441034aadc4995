"""The benchmark of large graphs draws what it says, and plays runs. How much they take, is not asserted."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

from tests import warm

ROOT = Path(__file__).resolve().parents[2]


def test_drawn_streams(bench):
    src, dst, time = bench.draw(500, 4000)
    assert [len(part) for part in (src, dst, time)] == [4000] * 3
    assert (np.diff(time) >= 0).all()
    assert (src != dst).all()
    assert min(src.min(), dst.min()) >= 0
    assert max(src.max(), dst.max()) < 500
    pairs = len(np.unique(src * 500 + dst))
    assert 0.5 < pairs / 4000 < 0.75, "a third repeats an earlier pair"
    activity = np.sort(np.bincount(np.concatenate([src, dst]), minlength=500))
    assert activity[-50:].sum() > 4 * activity[:50].sum()
    assert all(map(np.array_equal, bench.draw(500, 4000), (src, dst, time)))


@pytest.mark.long
def test_it_runs(tmp_path):
    command = ["scripts/bench_size.py", "--nodes", "300", "--events", "3000"]
    command += ["--only", "Adamic-Adar", "UASE", "--folder", str(tmp_path), "--json", str(tmp_path / "size.json")]
    warm.run(command, os.environ, ROOT)
    found = json.loads((tmp_path / "size.json").read_text())
    assert [row["run"] for row in found] == ["Adamic-Adar", "UASE"]
    for row in found:
        assert row["exit"] == 0, row["said"]
        assert 0 < row["gigabytes"] < 2
        assert row["busy"] > 0

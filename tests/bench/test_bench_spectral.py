"""The benchmark of spectral embeddings compares like with like, and runs. How fast anything is, is not blocks_of."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

from dynbench.models.spectral.eigen import Eigenpairs
from tests import warm

ROOT = Path(__file__).resolve().parents[2]


def test_drawn_networks(bench):
    matrices = bench.draw_snapshots(2000, 3, 60_000)
    assert len(matrices) == 3
    assert 0.9 * 60_000 < sum(matrix.nnz for matrix in matrices) <= 60_000
    assert all(abs(matrix - matrix.T).nnz == 0 and set(matrix.data) == {1.0} for matrix in matrices)


def test_svds_and_package_agree(bench, monkeypatch):
    found = bench.beside_svds(bench.draw_snapshots(1200, 3, 90_000), 6)
    assert found["ours residual"] < 1e-5
    assert found["svds residual"] < 1e-5
    assert found["shape"] == [3, 1200, 6]
    wrong = Eigenpairs(np.ones(6), np.zeros((1200, 6)))
    monkeypatch.setattr(bench, "_uase", lambda unfolding, dim: (wrong, np.zeros((3, 1200, 6))))
    with pytest.raises(SystemExit, match="singular values differ"):
        bench.beside_svds(bench.draw_snapshots(1200, 3, 90_000), 6)


@pytest.mark.long
def test_it_runs(tmp_path):
    command = ["scripts/bench_spectral.py", "--scale", "0.01", "--threads", "1"]
    warm.run([*command, "--json", str(tmp_path / "bench.json")], os.environ, ROOT)
    found = json.loads((tmp_path / "bench.json").read_text())
    assert found["walks, p=1, q=1"]["million steps per second"] > 0
    assert found["UASE memory, d=16"]["times the matrices"] > 1

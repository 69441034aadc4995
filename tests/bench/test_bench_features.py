"""The benchmark of communities and features compares like with like, and runs. How fast anything is, is not tested."""

from __future__ import annotations

import json

import pytest
import torch


def test_drawn_graphs(bench):
    graph = bench.draw_sparse(200, 500)
    assert (len(graph), graph.num_nodes) == (500, 200)
    assert (graph.src < graph.dst).all()
    assert len(bench.draw_features(30, 4, 3)) > 30


def test_blocks_and_matrix_agree_at_the_size_of_cora(bench, monkeypatch):
    found = bench.beside_the_matrix(bench.draw_sparse(*bench.CORA))
    assert found["loss"] == pytest.approx(found["of the matrix"], rel=1e-5)
    assert found["gradients apart"] < 1e-4
    monkeypatch.setattr(bench, "_dense", lambda known: lambda z: z.sum() - 1.0)
    with pytest.raises(SystemExit, match="losses differ"):
        bench.beside_the_matrix(bench.draw_sparse(60, 120))


def test_sweeps_on_a_dataset(bench):
    half = bench.first_half("nlsm_process", undirected=True)
    assert not half.directed
    found = bench.sweeps(half, 3, 1, ", nlsm_process")
    assert found.keys() == {"sweep, DRIFT, nlsm_process", "sweep, DMMG, nlsm_process", "sweep, LFRM, nlsm_process"}
    assert all(value["milliseconds"] > 0 for value in found.values())


@pytest.mark.long
def test_it_runs(bench, tmp_path, capsys):
    threads = torch.get_num_threads()
    try:
        assert bench.main(["--smoke", "--json", str(tmp_path / "bench.json")]) == 0
    finally:
        torch.set_num_threads(threads)
    found = json.loads((tmp_path / "bench.json").read_text())
    assert set(found) >= {"sweep, DRIFT", "DGLFRM, epoch, 100 nodes", "all pairs, 60 nodes"}
    assert "sweep, DRIFT" in capsys.readouterr().out

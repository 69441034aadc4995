"""Figures of embeddings and of sweeps: their numbers, their files, and what is missing."""

import json

import numpy as np
import pytest

from dynbench import records
from dynbench.errors import ConfigError, DataError
from dynbench.reporting import embedding_figures, figures, make_figures, sweep_figures
from dynbench.reporting.results import Cell
from dynbench.reporting.table import Column, Metric, Row, Unit


@pytest.fixture
def kept(tmp_path):
    draw = np.random.default_rng(0)
    labels = np.repeat([[0, 1, 2]], 3, axis=0).repeat([30, 40, 30], axis=1)
    embedding = draw.normal(0, 0.1, (3, 100, 3)) + 3 * np.eye(3)[labels]
    arrays = {"embedding": embedding.astype(np.float32), "labels": labels}
    return records.write_arrays(arrays, tmp_path / "scores" / "run.npz"), embedding, labels


@pytest.mark.parametrize("ending", ["png", "svg", "pdf"])
def test_columns(kept, tmp_path, ending):
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    path, embedding, _ = kept
    settings = {"names": {"columns": "figure_01"}, "formats": [ending], "snapshots": [0, 2], "chosen": [1, 2]}
    written = embedding_figures.draw(path, tmp_path / "out", "A title", **settings)
    assert [file.name for file in written] == ["points.json", f"figure_01.{ending}"]
    points = json.loads(written[0].read_text())
    assert np.allclose(points["columns"], embedding[[0, 2], :, 1:], atol=1e-4)
    assert points["snapshots"] == [0, 2]
    before = written[1].read_bytes()
    embedding_figures.draw(path, tmp_path / "out", "A title", **settings)
    assert written[1].read_bytes() == before


def test_tsne_keeps_communities_together(kept):
    _, embedding, labels = kept
    points = embedding_figures.tsne(embedding[:1])[0]
    assert np.array_equal(points, embedding_figures.tsne(embedding[:1])[0])
    apart = np.linalg.norm(points[:, None] - points[None], axis=-1)
    np.fill_diagonal(apart, np.inf)
    assert (labels[0][apart.argmin(axis=1)] == labels[0]).mean() > 0.95


def test_what_is_missing_is_said(kept, tmp_path):
    path = kept[0]
    with pytest.raises(DataError, match="kept no embedding; run it again with force=true"):
        embedding_figures.draw(tmp_path / "none.npz", tmp_path, "")
    other = records.write_arrays({"scores": np.zeros(3)}, tmp_path / "other.npz")
    with pytest.raises(DataError, match="choose protocol=stability"):
        embedding_figures.draw(other, tmp_path, "")
    with pytest.raises(ConfigError, match="there is no figure 'pie'"):
        embedding_figures.draw(path, tmp_path, "", {"pie": "x"})
    with pytest.raises(ConfigError, match="snapshot 3 of 3"):
        embedding_figures.draw(path, tmp_path, "", snapshots=[3])
    with pytest.raises(ConfigError, match=r"columns \[1, 3\] of an embedding with 3; raise model\.dim"):
        embedding_figures.draw(path, tmp_path, "", {"columns": "x"}, chosen=[1, 3])


def cell(row, p, metric, mean, data="synthetic_1_runs") -> Cell:
    column = Column(f"p{p}", f"p = {p}", (f"data={data}", f"data.p={p}"))
    unit = Unit("fraction", 1.0, 3)
    return Cell(Row(row, row), column, Metric(metric, metric, unit), mean, None, 1, None, "measured", "", ())


def test_sweeps(tmp_path):
    cells = [
        cell(row, p, name, value)
        for row in ("one", "two")
        for p in ("0.5", "0.1")
        for name, value in (("nmi", float(p) + (row == "two")), ("nmi_sd", 0.25))
    ] + [cell("one", "0.3", "nmi", None)]
    found = sweep_figures.curves(cells, "data.p")
    assert found == {
        ("synthetic_1_runs", "nmi"): {
            "one": [(0.1, 0.1, 0.25), (0.5, 0.5, 0.25)],
            "two": [(0.1, 1.1, 0.25), (0.5, 1.5, 0.25)],
        }
    }
    with pytest.raises(ConfigError, match=r"does not set data\.q"):
        sweep_figures.curves(cells, "data.q")
    with pytest.raises(ConfigError, match=r"make_tables\.py"):
        sweep_figures.curves(cells[-1:], "data.p")
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    (written,) = sweep_figures.draw(cells, tmp_path, "A title", {"sweep": "figure_03"}, ["svg"])
    assert written.name == "figure_03.svg"
    assert written.read_text().startswith("<?xml")
    with pytest.raises(ConfigError, match="cannot be written as 'xyz'"):
        sweep_figures.draw(cells, tmp_path, "A title", None, ["xyz"])


def test_a_table_that_is_no_sweep_is_said(tmp_path, capsys, monkeypatch):
    entries = {"kind": "sweep", "table": "nlsm_table1", "settings": {"over": "data.p"}}
    monkeypatch.setattr(figures, "load", lambda name: entries)
    code = make_figures.main(["--figures", "some", "--no-run", "--results-dir", str(tmp_path)])
    assert code == 1
    assert "some: column 'nodes' does not set data.p" in capsys.readouterr().err

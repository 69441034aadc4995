"""Bars of a table: what is drawn, and what is missing."""

from __future__ import annotations

import dataclasses

import pytest

from dynbench.errors import ConfigError
from dynbench.reporting import bar_figures, figures
from dynbench.reporting.results import Cell
from dynbench.reporting.table import Column, Metric, Published, Row, Unit

METRIC = Metric("ap", "AP", Unit("percent", 100.0, 2))


def cell(row: str, column: str, mean: float | None, published: float | None = None) -> Cell:
    return Cell(
        Row(row, row.upper()), Column(column, column.upper(), metrics=("ap",)), METRIC, mean, None, 1,
        None if published is None else Published(published), "measured", "",
    )  # fmt: skip


CELLS = [cell("a", "x", 80.0, 90.0), cell("a", "y", None, 70.0), cell("b", "x", 60.0), cell("c", "z", None)]


def test_what_has_a_number_is_shown():
    columns, rows, found = bar_figures.shown(CELLS)
    assert (columns, rows) == (["X", "Y"], ["A", "B"])
    assert found["A", "X"].mean == 80.0
    with pytest.raises(ConfigError, match="no cell of its table has a number"):
        bar_figures.shown(CELLS[-1:])


def test_bars_and_marks_are_drawn(tmp_path, monkeypatch):
    plt = pytest.importorskip("matplotlib.pyplot")
    kept = []
    monkeypatch.setattr(bar_figures, "save", lambda figure, *more: kept.append(figure) or [])
    bar_figures.draw(CELLS, tmp_path, "A title", low=50.0)
    (panel,) = kept[0].axes
    heights = sorted(bar.get_height() for group in panel.containers for bar in getattr(group, "patches", []))
    assert [height for height in heights if height] == [60.0, 80.0]
    marks = [tuple(point) for one in panel.collections for point in one.get_offsets().tolist() if len(point) == 2]
    assert {value for _, value in marks} >= {90.0, 70.0}
    assert panel.get_ylim()[0] == 50.0
    plt.close(kept[0])


def test_files_are_written(tmp_path):
    pytest.importorskip("matplotlib")
    (path,) = bar_figures.draw([dataclasses.replace(CELLS[0], sd=2.0)], tmp_path, "A title", {"bars": "mine"})
    assert path == tmp_path / "mine.png"
    assert path.stat().st_size > 1000


@pytest.mark.parametrize("name", ["crosslink_figure3", "crosslink_figure4"])
def test_the_files_can_be_read(name):
    assert figures.load(name)["kind"] == "bars"

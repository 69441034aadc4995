"""Measured beside published: every row of a table as two points with their spread, drawn from published runs alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from dynbench.errors import ConfigError
from dynbench.reporting.plotting import pyplot, save
from dynbench.reporting.results import Cell
from dynbench.reporting.words import metric_words

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def draw(
    cells: Sequence[Cell], folder: str | Path, title: str, names: Mapping[str, str] | None = None,
    formats: Sequence[str] = ("png", "pdf"), *, columns: Sequence[str] = (), metrics: Sequence[str] = (),
) -> list[Path]:  # fmt: skip
    """Draw the measured cells of a table.

    Args:
        cells: Of the table.
        folder: Where to write.
        title: Above the figure.
        names: ``{"versus": NAME}``, the file name without ending.
        formats: Endings.
        columns: Columns to draw, a panel each; those with measured cells when empty.
        metrics: Metrics to draw; the first of the table when empty.

    Raises:
        ConfigError: If nothing of what is asked for is measured, or matplotlib is missing.
    """
    wanted = metrics or [next((cell.metric.name for cell in cells), "")]
    measured = [cell for cell in cells if cell.mean is not None and cell.metric.name in wanted]
    places = list(dict.fromkeys((cell.column.name, cell.metric.name) for cell in measured))
    places = [place for place in places if not columns or place[0] in columns]
    if not places:
        raise ConfigError("nothing of the figure is measured yet; make its table first")
    rows = list(dict.fromkeys(cell.row.label for cell in measured if (cell.column.name, cell.metric.name) in places))
    height = 0.9 + 0.26 * len(rows)
    figure, panels = pyplot().subplots(
        1, len(places), figsize=(1.6 + 3.0 * len(places), height), layout="constrained", sharey=True, squeeze=False,
    )  # fmt: skip
    for panel, place in zip(panels[0], places, strict=True):
        own = {cell.row.label: cell for cell in measured if (cell.column.name, cell.metric.name) == place}
        for level, row in enumerate(rows):
            if row in own:
                _points(panel, level, own[row])
        one = next(iter(own.values()))
        unit = {"percent": " (%)"}.get(one.metric.unit.name, "")
        panel.set(xlabel=f"{metric_words(one.metric.label)}{unit}", title=one.column.label)
        panel.set_yticks(range(len(rows)), rows)
        panel.set_ylim(len(rows) - 0.4, -0.6)
        panel.grid(axis="x")
    handles = [
        panels[0][0].errorbar([], [], xerr=[], fmt="o", color="C0", label="measured"),
        panels[0][0].errorbar([], [], xerr=[], fmt="D", color="C1", mfc="none", label="published"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=2)
    figure.suptitle(title)
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    return save(figure, folder, (names or {}).get("versus", "versus"), formats)


def _points(panel: Axes, level: int, cell: Cell) -> None:
    panel.errorbar(cell.mean, level - 0.12, xerr=cell.sd, fmt="o", color="C0", ms=5, capsize=2)
    paper = cell.published
    if paper is not None and paper.value is not None:
        panel.errorbar(paper.value, level + 0.12, xerr=paper.sd, fmt="D", color="C1", mfc="none", ms=5, capsize=2)

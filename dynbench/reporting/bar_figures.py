"""Figures of a table: a group of bars per column, a bar per row, and what the paper prints as a mark beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from dynbench.errors import ConfigError
from dynbench.reporting.plotting import pyplot, save
from dynbench.reporting.results import Cell


def shown(cells: Sequence[Cell]) -> tuple[list[str], list[str], dict[tuple[str, str], Cell]]:
    """Labels of the columns and rows that have a number, measured or published, and their cells by label.

    Raises:
        ConfigError: If there is none.
    """
    found = {
        (cell.row.label, cell.column.label): cell
        for cell in cells
        if cell.mean is not None or (cell.published is not None and cell.published.value is not None)
    }
    if not found:
        raise ConfigError("no cell of its table has a number")
    rows, columns = (list(dict.fromkeys(key[place] for key in found)) for place in (0, 1))
    return columns, rows, found


def draw(
    cells: Sequence[Cell], folder: str | Path, title: str, names: Mapping[str, str] | None = None,
    formats: Sequence[str] = ("png",), low: float = 0.0, high: float | None = None,
) -> list[Path]:  # fmt: skip
    """Draw a table with one metric per column.

    Args:
        cells: Of the table.
        folder: Where to write.
        title: Above the figure.
        names: The file's name, under ``bars``.
        formats: Endings: ``png``, ``svg``, ``pdf``.
        low, high: Ends of the vertical axis; the highest is found where none is given.

    Raises:
        ConfigError: If matplotlib is missing, or there is nothing to draw.
    """
    columns, rows, found = shown(cells)
    figure, panel = pyplot().subplots(figsize=(1.5 + 1.1 * len(columns), 3.4), layout="constrained")
    width = 0.8 / len(rows)
    for number, row in enumerate(rows):
        color = f"C{number % 10}"
        place = {column: index - 0.4 + (number + 0.5) * width for index, column in enumerate(columns)}
        own = {column: found[row, column] for column in columns if (row, column) in found}
        measured = [(place[c], cell.mean, cell.sd or 0.0) for c, cell in own.items() if cell.mean is not None]
        printed = [
            (place[c], cell.published.value)
            for c, cell in own.items()
            if cell.published is not None and cell.published.value is not None
        ]
        x, mean, spread = zip(*measured, strict=True) if measured else ((0.0,), (0.0,), (0.0,))
        panel.bar(x, mean, width, yerr=spread, color=color, label=row, error_kw={"lw": 0.8})
        if printed:
            at, value = zip(*printed, strict=True)
            panel.scatter(at, value, s=18, marker="D", facecolor="white", edgecolor=color, zorder=3, lw=1.0)
    panel.scatter([], [], s=18, marker="D", facecolor="white", edgecolor="black", label="published")
    panel.set_xticks(range(len(columns)), columns, fontsize=8)
    panel.set_ylim(bottom=low, top=high)
    panel.set_ylabel(next(iter(found.values())).metric.label)
    panel.legend(fontsize=7, ncols=2)
    panel.set_title(title, fontsize=9)
    Path(folder).mkdir(parents=True, exist_ok=True)
    return save(figure, folder, (names or {}).get("bars", "bars"), formats)

"""Figures of a table whose columns differ in one number: a curve per row, a panel per dataset and metric."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from dynbench.errors import ConfigError
from dynbench.reporting.plotting import pyplot, save
from dynbench.reporting.results import Cell
from dynbench.reporting.table import split

_MARKERS = "osD^vP*X"


def curves(cells: Sequence[Cell], over: str) -> dict[tuple[str, str], dict[str, list[tuple[float, float, float]]]]:
    """What was measured, by dataset and metric: for each row ``(x, mean, spread)`` with ascending ``x``.

    Args:
        cells: Measured cells of a table.
        over: The setting that the columns differ in, such as ``data.p``. A metric ``m_sd`` is the spread of ``m``.

    Raises:
        ConfigError: If no column sets it, or nothing is measured.
    """
    found: dict[tuple[str, str], dict[str, list[tuple[float, float, float]]]] = {}
    values = {(c.row.name, c.column.name, c.metric.name): c.mean for c in cells if c.mean is not None}
    for cell in cells:
        settings = dict(map(split, cell.column.overrides))
        if over not in settings:
            raise ConfigError(f"column '{cell.column.name}' does not set {over}, over which the figure is drawn")
        if cell.mean is None or cell.metric.name.endswith("_sd"):
            continue
        spread = values.get((cell.row.name, cell.column.name, f"{cell.metric.name}_sd")) or 0.0
        rows = found.setdefault((settings.get("data", ""), cell.metric.label), {})
        rows.setdefault(cell.row.label, []).append((float(settings[over]), cell.mean, spread))
    if not found:
        raise ConfigError("no cell of its table is measured; make it with scripts/make_tables.py")
    return {panel: {row: sorted(points) for row, points in rows.items()} for panel, rows in found.items()}


def draw(
    cells: Sequence[Cell], folder: str | Path, title: str, names: Mapping[str, str] | None = None,
    formats: Sequence[str] = ("png",), over: str = "data.p",
) -> list[Path]:  # fmt: skip
    """Draw all panels into one figure.

    Args:
        cells: Measured cells of a table.
        folder: Where to write.
        title: Above the figure.
        names: The file's name, under ``sweep``.
        formats: Endings: ``png``, ``svg``, ``pdf``.
        over: The setting along the horizontal axis.

    Raises:
        ConfigError: If matplotlib is missing, or there is nothing to draw.
    """
    panels = curves(cells, over)
    datasets, metrics = (list(dict.fromkeys(key[place] for key in panels)) for place in (0, 1))
    figure, axes = pyplot().subplots(
        len(datasets), len(metrics), figsize=(3.4 * len(metrics), 0.4 + 2.6 * len(datasets)), layout="constrained",
        squeeze=False, sharex=True, sharey=True,
    )  # fmt: skip
    for (dataset, metric), rows in panels.items():
        panel = axes[datasets.index(dataset)][metrics.index(metric)]
        for number, (row, points) in enumerate(rows.items()):
            x, mean, spread = zip(*points, strict=True)
            low, high = ([m + sign * s for m, s in zip(mean, spread, strict=True)] for sign in (-1, 1))
            marker = _MARKERS[number % len(_MARKERS)]
            panel.plot(x, mean, color=f"C{number}", marker=marker, ms=4, label=row)
            panel.fill_between(x, low, high, color=f"C{number}", alpha=0.15, linewidth=0)
        panel.set_title(dataset, fontsize=9)
        panel.set(xlabel=over.partition(".")[2], ylabel=metric)
        panel.legend(fontsize=7)
    figure.suptitle(title, fontsize=9)
    Path(folder).mkdir(parents=True, exist_ok=True)
    return save(figure, folder, (names or {}).get("sweep", "sweep"), formats)

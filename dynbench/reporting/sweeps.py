"""Sweeps: settings of systems compared on validation pairs, each a table of candidates with a page of its own.

A sweep is one YAML file, ``conf/sweep/<name>.yaml``. Its candidates are the rows of one table per system, so that they
are planned, run and published as the cells of the papers' tables are. No test metric is read: a page shows what
validation says, and which candidate is best by it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from statistics import mean

from dynbench.config import compose
from dynbench.config.schema import BUDGETS
from dynbench.errors import ConfigError
from dynbench.records import Identity, write_text
from dynbench.reporting.composer import Composer
from dynbench.reporting.fields import Fields
from dynbench.reporting.plan import CellPlan, Planner
from dynbench.reporting.results import Cell
from dynbench.reporting.table import UNITS, Column, Metric, Row, Table

FOLDER = "sweeps"
BUDGET = "quick"
_PREFIX = "validation_"


def names() -> list[str]:
    """The sweeps there are, in alphabetical order."""
    return compose.choices("sweep")


def load(name: str, systems: Sequence[str] = ()) -> list[Table]:
    """The tables of a sweep, one for each of the chosen systems, or of all.

    Raises:
        ConfigError: If there is no such sweep or system, or its file is wrong; names the file and the key.
    """
    if name not in names():
        raise ConfigError(f"there is no sweep '{name}'; choose one of {', '.join(names())}")
    path = compose.choice_path("sweep", name)
    top = Fields.read(path)
    better = "high" if top.flag("choose", default=True) else "none"
    metrics = {one: Metric(one, one.removeprefix(_PREFIX), UNITS["percent"], better) for one in _metrics(top)}
    part = top.part("columns")
    columns = tuple(Column(column, column, part.overrides(column), metrics=tuple(metrics)) for column in part)
    title, rule, overrides = top.text("title"), top.text("rule"), top.overrides("overrides")
    runs = dict.fromkeys(BUDGETS, top.integer("runs", least=1))
    candidates = {system: _rows(part, system) for part in [top.part("systems")] for system in part}
    top.finish()
    for system in systems:
        top.require_known(system, candidates, "system")
    return [
        Table(
            name=f"{name}_{system}", paper="", number="", title=f"{title}: {system}", source="", metrics=metrics,
            rows=candidates[system], columns=columns, runs=runs, overrides=overrides, skips=(), specials=(),
            published={}, notes=(rule,), path=path,
        )
        for system in systems or candidates
    ]  # fmt: skip


def _metrics(top: Fields) -> tuple[str, ...]:
    found = top.texts("metrics")
    top.require_unique("metrics", found)
    for metric in found:
        if not metric.startswith(_PREFIX):
            raise top.error("metrics", f"names '{metric}'; what is chosen is chosen by metrics of {_PREFIX}…")
    return found


def _rows(systems: Fields, system: str) -> tuple[Row, ...]:
    listed = enumerate(systems.items(system))
    candidates = [systems.inner(f"{system}[{n}]", {"overrides": one}).overrides("overrides") for n, one in listed]
    labels = [" ".join(candidate) or "as released" for candidate in candidates]
    systems.require_unique(system, labels)
    return tuple(
        Row(label, label, (f"model={system}", *candidate)) for label, candidate in zip(labels, candidates, strict=True)
    )


def planned(
    composer: Composer | None, chosen: Sequence[str] = (), systems: Sequence[str] = (), extra: Sequence[str] = ()
) -> Iterator[tuple[Table, list[CellPlan]]]:
    """The tables of sweeps, of all of them when none is chosen, each with its candidates composed.

    Raises:
        ConfigError: If a sweep, a system or a candidate is unknown or wrong.
    """
    planner = Planner(BUDGET, extra, composer)
    for name in chosen or names():
        for table in load(name, systems):
            yield table, planner.plan(table)


def used(composer: Composer) -> set[Identity]:
    """The runs of all sweeps."""
    return {run.identity for _, plans in planned(composer) for plan in plans for run in plan.runs}


def best(table: Table, cells: Iterable[Cell]) -> Row | None:
    """The candidate with the highest mean of all metrics, the first of equals.

    ``None`` while any run is missing, and where a sweep only compares (``choose: false``).
    """
    cells = list(cells)
    if any(cell.status != "measured" or cell.metric.best == "none" for cell in cells):
        return None
    return max(table.rows, key=lambda row: mean(cell.mean for cell in cells if cell.row == row))


def page(table: Table, cells: Iterable[Cell]) -> str:
    """What validation says of each candidate, the best one marked."""
    cells = list(cells)
    chosen = best(table, cells)
    heads = [f"{column.name} {table.metrics[name].label}" for column in table.columns for name in column.metrics]
    lines = ["| settings | " + " | ".join(heads) + " | mean |", "| --- |" + " ---: |" * (len(heads) + 1)]
    for row in table.rows:
        own = [cell for cell in cells if cell.row == row]
        texts = [f"{cell.mean:.2f}" if cell.status == "measured" else cell.reason for cell in own]
        average = f"{mean(cell.mean for cell in own):.2f}" if all(cell.status == "measured" for cell in own) else ""
        marked = [f"**{text}**" if row == chosen else text for text in (row.label, *texts, average)]
        lines.append("| " + " | ".join(marked) + " |")
    return f"# {table.title}\n\n{' '.join(table.notes)}\n\n" + "\n".join(lines) + "\n"


def write(table: Table, cells: Iterable[Cell], results_dir: str | Path) -> Path:
    """Write the page of a system into a results folder.

    Raises:
        RunError: If the folder cannot be written.
    """
    return write_text(Path(results_dir) / FOLDER / f"{table.name}.md", page(table, cells))

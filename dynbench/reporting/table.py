"""What a published table is: its rows, its columns, how each cell is produced, and what the paper prints there.

A table is one YAML file, ``conf/table/<name>.yaml``, in the project or in a plug-in folder. This module turns the file
into the dataclasses below or says which key of which file is wrong. Nothing here composes a configuration or reads a
record; see :mod:`dynbench.reporting.plan` and :mod:`dynbench.reporting.results`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from dynbench.config import compose
from dynbench.config.schema import BUDGETS
from dynbench.reporting import fields
from dynbench.reporting.fields import Fields
from dynbench.reporting.significance import TESTS


@dataclass(frozen=True)
class Unit:
    """How a record's number is printed.

    Attributes:
        name: ``"percent"``, ``"fraction"`` or ``"count"``.
        scale: Factor from the record's number to the table's.
        digits: Decimals.
    """

    name: str
    scale: float
    digits: int


BEST = ("high", "low", "none")
UNITS = {unit.name: unit for unit in (Unit("percent", 100.0, 2), Unit("fraction", 1.0, 3), Unit("count", 1.0, 0))}


@dataclass(frozen=True)
class Metric:
    """A metric of the table; ``name`` is its name in records.

    A p-value is no metric of a record: with a ``test`` and the metric that it is made ``of``, the row is compared with
    the table's row ``against``, step by step. ``best`` says which values are better: ``"high"``, ``"low"`` or
    ``"none"``, where no value is better than another.
    """

    name: str
    label: str
    unit: Unit
    best: str = "high"
    test: str = ""
    of: str = ""


@dataclass(frozen=True)
class Row:
    """A row: usually a system. A row that asks another question than the paper's is not ``comparable``."""

    name: str
    label: str
    overrides: tuple[str, ...] = ()
    note: str = ""
    comparable: bool = True


@dataclass(frozen=True)
class Column:
    """A column: usually a dataset. ``metrics`` are the names of those that it shows.

    A column whose data are not the paper's is not ``comparable``.
    """

    name: str
    label: str
    overrides: tuple[str, ...] = ()
    note: str = ""
    metrics: tuple[str, ...] = ()
    comparable: bool = True


@dataclass(frozen=True)
class Published:
    """What the paper prints in a cell; ``value`` is ``None`` where it prints none, or where its print cannot be had."""

    value: float | None
    sd: float | None = None
    note: str = ""
    obtainable: bool = True


@dataclass(frozen=True)
class Where:
    """Some cells of a table. ``None`` stands for every row, column or budget."""

    rows: tuple[str, ...] | None = None
    columns: tuple[str, ...] | None = None
    budgets: tuple[str, ...] | None = None

    def covers(self, row: str, column: str, budget: str) -> bool:
        """Whether a cell is among them."""
        pairs = ((self.rows, row), (self.columns, column), (self.budgets, budget))
        return all(names is None or name in names for names, name in pairs)


@dataclass(frozen=True)
class Skip:
    """Cells that are not run, and why."""

    where: Where
    reason: str


@dataclass(frozen=True)
class Special:
    """Cells that need overrides, a note or a number of runs of their own, or are not ``comparable`` with the paper."""

    where: Where
    overrides: tuple[str, ...] = ()
    note: str = ""
    runs: int | None = None
    comparable: bool = True


@dataclass(frozen=True)
class Table:
    """A table of a paper.

    Attributes:
        name: Name of the YAML file; also that of the files written.
        paper, number, title: Which table of which paper it is.
        source: Where the published numbers come from.
        metrics: By name.
        runs: Runs per cell by budget; a budget that is absent uses its own seeds.
        published: By row, column and metric.
        notes: Remarks on the table as a whole.
        path: The YAML file.
        against: The row that tests compare with; empty if there are no tests.
    """

    name: str
    paper: str
    number: str
    title: str
    source: str
    metrics: dict[str, Metric]
    rows: tuple[Row, ...]
    columns: tuple[Column, ...]
    runs: dict[str, int]
    overrides: tuple[str, ...]
    skips: tuple[Skip, ...]
    specials: tuple[Special, ...]
    published: dict[tuple[str, str, str], Published]
    notes: tuple[str, ...]
    path: Path
    against: str = ""

    def cell_overrides(self, row: Row, column: Column, budget: str) -> tuple[str, ...]:
        """What produces a cell: table, column, row and special overrides; of two for one key the later holds."""
        special = [s.overrides for s in self.specials if s.where.covers(row.name, column.name, budget)]
        return merge(self.overrides, column.overrides, row.overrides, *special)

    def cell_note(self, row: Row, column: Column, budget: str) -> str:
        """The notes of a cell's special entries."""
        return " ".join(s.note for s in self.specials if s.note and s.where.covers(row.name, column.name, budget))

    def cell_runs(self, row: Row, column: Column, budget: str) -> int | None:
        """The number of runs of a cell; ``None`` if the budget's own seeds are to be used."""
        covering = (s for s in self.specials if s.runs is not None and s.where.covers(row.name, column.name, budget))
        return next((special.runs for special in covering), self.runs.get(budget))

    def is_comparable(self, row: Row, column: Column) -> bool:
        """Whether a measured value of a cell may be set beside the published one."""
        special = (s.comparable for s in self.specials if s.where.covers(row.name, column.name, ""))
        return row.comparable and column.comparable and all(special)

    def printed_digits(self, row: str, metric: Metric) -> int:
        """The decimals that the paper prints in a row: a YAML file drops the zeros at the end of single values."""
        values = [
            paper.value
            for (own, _, name), paper in self.published.items()
            if own == row and paper.value is not None and self.metrics[name].unit == metric.unit
        ]
        return max((min(_decimals(value), metric.unit.digits) for value in values), default=metric.unit.digits)

    def skip_reason(self, row: Row, column: Column, budget: str) -> str | None:
        """Why a cell is not run at a budget, or ``None``."""
        return next((s.reason for s in self.skips if s.where.covers(row.name, column.name, budget)), None)


def _decimals(value: float) -> int:
    return max(0, -int(Decimal(str(value)).normalize().as_tuple().exponent))


def merge(*levels: Sequence[str]) -> tuple[str, ...]:
    """Join overrides; of two for one key the later replaces the earlier."""
    chosen: dict[str, str] = {}
    for override in (text for level in levels for text in level):
        chosen[split(override)[0]] = override
    return tuple(chosen.values())


def split(override: str) -> tuple[str, str]:
    """Key and value of an override such as ``model.dim=32``."""
    key, _, value = override.partition("=")
    return key.lstrip("+"), value


def names() -> list[str]:
    """The tables there are, in alphabetical order."""
    return compose.choices("table")


def load(name: str) -> Table:
    """Read and check one table.

    Raises:
        ConfigError: If there is no such table, or its file is wrong; names the file and the key.
    """
    path = compose.choice_path("table", name)
    return _table(name, Fields.read(path), path)


def load_all(chosen: Sequence[str] = ()) -> list[Table]:
    """The chosen tables, or all of them."""
    return [load(name) for name in (chosen or names())]


def _table(name: str, top: Fields, path: Path) -> Table:
    unit = _unit(top, UNITS["percent"])
    metrics = {key: _metric(key, part, unit) for key, part in top.mapping("metrics").items()}
    rows = tuple(_row(part) for part in top.sequence("rows"))
    columns = tuple(_column(part, metrics) for part in top.sequence("columns"))
    for key, entries in (("rows", rows), ("columns", columns)):
        top.require_unique(key, [entry.name for entry in entries])
    row_names, column_names = [row.name for row in rows], [column.name for column in columns]
    table = Table(
        name=name,
        paper=top.text("paper"),
        number=str(top.scalar("table")),
        title=top.text("title"),
        source=top.text("source", default=""),
        metrics=metrics,
        rows=rows,
        columns=columns,
        runs=_runs(top),
        overrides=top.overrides("overrides"),
        skips=tuple(_skip(part, row_names, column_names) for part in top.sequence("skip", default=[])),
        specials=tuple(_special(part, row_names, column_names) for part in top.sequence("cells", default=[])),
        published=_published(top, row_names, {column.name: column.metrics for column in columns}),
        notes=top.texts("notes"),
        path=path,
        against=top.choice("against", row_names, "") if top.peek("against") is not None else "",
    )
    if not table.against and any(metric.test for metric in metrics.values()):
        raise top.error("against", "is missing; tests compare every row with the row that it names")
    top.finish()
    if not name.startswith(f"{table.paper}_"):
        raise top.error("paper", f"is '{table.paper}', so the file must be called {table.paper}_<table>.yaml")
    _require_choices(table, top)
    return table


def _require_choices(table: Table, top: Fields) -> None:
    """A cell that left its model to the defaults would silently measure another one."""
    for row in table.rows:
        for column in table.columns:
            chosen = {split(text)[0] for text in table.cell_overrides(row, column, "")}
            missing = [group for group in ("model", "data", "protocol") if group not in chosen]
            if missing:
                cell = f"row '{row.name}', column '{column.name}'"
                raise top.error("rows", f"{cell}: no override chooses {missing[0]}; add {missing[0]}=NAME")


def _metric(name: str, part: Fields, unit: Unit) -> Metric:
    test = part.choice("test", TESTS, "") if part.peek("test") is not None else ""
    of = part.text("of") if test else ""
    own = _unit(part, unit)
    best = part.choice("best", BEST, "none" if test or own.name == "count" else "high")
    metric = Metric(name, part.text("label", default=name), own, best, test, of)
    part.finish()
    return metric


def _unit(part: Fields, default: Unit) -> Unit:
    unit = UNITS[part.choice("unit", UNITS, default.name)]
    unit = default if unit.name == default.name else unit
    return Unit(unit.name, unit.scale, part.integer("digits", default=unit.digits, least=0))


def _row(part: Fields) -> Row:
    name = part.name()
    label, note = part.text("label", default=name), part.text("note", default="")
    row = Row(name, label, part.overrides("overrides"), note, part.flag("comparable", default=True))
    part.finish()
    return row


def _column(part: Fields, metrics: dict[str, Metric]) -> Column:
    name = part.name()
    label, note = part.text("label", default=name), part.text("note", default="")
    shown = part.names("metrics", metrics) or tuple(metrics)
    column = Column(name, label, part.overrides("overrides"), note, shown, part.flag("comparable", default=True))
    part.finish()
    return column


def _runs(top: Fields) -> dict[str, int]:
    if isinstance(top.peek("runs"), int):
        return dict.fromkeys(BUDGETS, top.integer("runs", least=1))
    part = top.part("runs", default={})
    runs = {budget: part.integer(budget, least=1) for budget in BUDGETS if part.peek(budget) is not None}
    part.finish()
    return runs


def _where(part: Fields, rows: list[str], columns: list[str]) -> Where:
    return Where(part.names("row", rows), part.names("column", columns), part.names("budget", BUDGETS))


def _skip(part: Fields, rows: list[str], columns: list[str]) -> Skip:
    skip = Skip(_where(part, rows, columns), part.text("reason"))
    part.finish()
    return skip


def _special(part: Fields, rows: list[str], columns: list[str]) -> Special:
    where = _where(part, rows, columns)
    runs = part.integer("runs", least=1) if part.peek("runs") is not None else None
    own, note = part.overrides("overrides"), part.text("note", default="")
    special = Special(where, own, note, runs, part.flag("comparable", default=True))
    part.finish()
    return special


def _published(
    top: Fields, rows: list[str], columns: dict[str, tuple[str, ...]]
) -> dict[tuple[str, str, str], Published]:
    """Flatten ``published``; a column with one metric may give its value without naming the metric."""
    found: dict[tuple[str, str, str], Published] = {}
    everything = top.part("published", default={})
    for row in everything:
        everything.require_known(row, rows, "row")
        cells = everything.part(row)
        for column in cells:
            cells.require_known(column, columns, "column")
            for metric, value in _cell_values(cells, column, columns[column]).items():
                found[row, column, metric] = value
    return found


def _cell_values(cells: Fields, column: str, shown: tuple[str, ...]) -> dict[str, Published]:
    content = cells.peek(column)
    if len(shown) == 1 and not (isinstance(content, dict) and shown[0] in content):
        return {shown[0]: _value(cells, column)}
    part = cells.part(column)
    for metric in part:
        part.require_known(metric, shown, "metric")
    return {metric: _value(part, metric) for metric in part}


def _value(part: Fields, key: str) -> Published:
    """``value``, ``[value, sd]``, ``not_reported``, ``not_obtainable``, or a mapping of ``value``, ``sd``, ``note``."""
    content: Any = part.take(key)
    note = ""
    if isinstance(content, dict):
        inner = part.inner(key, content)
        note = inner.text("note", default="")
        content = [inner.take("value"), inner.take("sd", default=None)]
        inner.finish()
    if content in ("not_reported", ["not_reported", None]):
        return Published(None, None, note)
    if content in ("not_obtainable", ["not_obtainable", None]):
        return Published(None, None, note, obtainable=False)
    value, sd = content if isinstance(content, list) and len(content) == 2 else (content, None)
    if not fields.is_number(value) or not (sd is None or fields.is_number(sd)):
        raise part.error(
            key, f"is {content!r}; expected VALUE, [VALUE, SD], {{value, sd, note}}, not_reported or not_obtainable"
        )
    return Published(value, sd, note)

"""The one intermediate table between numbers and text: what stands where, before any markup.

A published table is often wider than a page once every number has its published value and the difference beside it.
So columns are packed into blocks that fit; every block repeats the row labels. Footnotes are numbered over the table.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from dynbench.reporting.results import Cell
from dynbench.reporting.table import Column, Metric, Table, Unit

# Characters of numbers side by side that a page holds beside the row labels.
_WIDTH = 84
_WORDS = {"no_metric": "not measured"}


@dataclass(frozen=True)
class Entry:
    """Measured, published and difference of one row × column × metric, as text."""

    measured: str
    published: str
    difference: str
    marks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Line:
    """A row of a block."""

    label: str
    marks: tuple[str, ...]
    entries: tuple[Entry, ...]
    records: tuple[str, ...]


@dataclass(frozen=True)
class Head:
    """What stands over the three numbers of one column and metric."""

    label: str
    marks: tuple[str, ...]


@dataclass(frozen=True)
class Block:
    """Some columns of the table with all of its rows."""

    title: str
    heads: tuple[Head, ...]
    lines: tuple[Line, ...]


@dataclass(frozen=True)
class Sheet:
    """A table ready to be written.

    Attributes:
        notes: Footnotes by mark.
        remarks: Remarks without a mark: how to read the numbers, and the table's own notes.
    """

    name: str
    title: str
    blocks: tuple[Block, ...]
    notes: dict[str, str]
    remarks: tuple[str, ...]


@dataclass
class _Notes:
    """Gives every distinct text a mark: a, b and so on to z, then aa."""

    marks: dict[str, str] = field(default_factory=dict)

    def mark(self, *texts: str) -> tuple[str, ...]:
        return tuple(self.marks.setdefault(text, _letters(len(self.marks))) for text in texts if text)

    def by_mark(self) -> dict[str, str]:
        return {mark: text for text, mark in self.marks.items()}


def lay_out(table: Table, cells: Sequence[Cell], budget: str) -> Sheet:
    """Arrange the cells of a table."""
    notes = _Notes()
    by_place = {(cell.row.name, cell.column.name, cell.metric.name): cell for cell in cells}
    blocks = tuple(_block(table, columns, by_place, notes) for columns in _pack(table, cells))
    remarks = (_how_to_read(table, budget), *table.notes, *([f"Published: {table.source}."] if table.source else []))
    return Sheet(table.name, table.title, blocks, notes.by_mark(), remarks)


def number(value: float, digits: int, sign: bool = False) -> str:
    """A number with a typographic minus; zero has no sign."""
    text = f"{value:{'+' if sign else ''}.{digits}f}"
    if not text.strip("+-0."):
        text = text.lstrip("+-")
    return text.replace("-", "−")


def with_spread(value: float, sd: float | None, unit: Unit) -> str:
    """``87.05 ± 0.30``, or the value alone."""
    spread = f" ± {number(sd, max(unit.digits, 1))}" if sd is not None else ""
    return number(value, _digits(value, unit)) + spread


def _digits(value: float, unit: Unit) -> int:
    """Counts are whole numbers, but their mean over seeds need not be."""
    return unit.digits if float(value).is_integer() or unit.digits else 1


def _how_to_read(table: Table, budget: str) -> str:
    units = dict.fromkeys(metric.unit.name for metric in table.metrics.values())
    unit = f", in {next(iter(units))}" if len(units) == 1 and "count" not in units else ""
    runs = table.runs.get("paper", 0)
    mean = f"mean ± standard deviation of {runs} runs, " if runs > 1 else ""
    return (
        f"Measured at budget {budget}: mean ± sample standard deviation (number of runs){unit}. "
        f"Published: {mean}as the paper prints it. Δ: measured − published. A dash: the paper prints no value."
    )


def _pack(table: Table, cells: Sequence[Cell]) -> list[list[Column]]:
    """Put columns side by side as long as their widest numbers fit."""
    blocks: list[list[Column]] = []
    room = 0
    for column in table.columns:
        own = [_entry(cell, _Notes()) for cell in cells if cell.column is column]
        width = sum(_room(own[i :: len(column.metrics)], table.metrics[name]) for i, name in enumerate(column.metrics))
        if not blocks or width > room:
            blocks.append([])
            room = _WIDTH
        blocks[-1].append(column)
        room -= width
    return blocks


def _room(entries: Sequence[Entry], metric: Metric) -> int:
    """Characters that one column and metric needs; the same before and after its runs, so that nothing moves."""
    published = max(len(entry.published) for entry in entries)
    return published + (len("−00.00") + len("00.00 ± 0.00 (10)") if metric.unit.digits else published + 4)


def _block(table: Table, columns: list[Column], cells: dict, notes: _Notes) -> Block:
    places = [(column, table.metrics[name]) for column in columns for name in column.metrics]
    heads = tuple(Head(_head(table, column, metric), notes.mark(column.note)) for column, metric in places)
    lines = []
    for row in table.rows:
        own = [cells[row.name, column.name, metric.name] for column, metric in places]
        marks = notes.mark(row.note)
        entries = tuple(_entry(cell, notes) for cell in own)
        lines.append(Line(row.label, marks, entries, tuple(dict.fromkeys(p for cell in own for p in cell.records))))
    return Block(", ".join(column.label for column in columns), heads, tuple(lines))


def _head(table: Table, column: Column, metric: Metric) -> str:
    alone = len(table.metrics) == 1 or metric.label == column.label
    return column.label if alone else f"{column.label} {metric.label}"


def _entry(cell: Cell, notes: _Notes) -> Entry:
    unit = cell.metric.unit
    if cell.mean is None:
        measured = _WORDS.get(cell.status, cell.status.replace("_", " "))
    else:
        measured = f"{with_spread(cell.mean, cell.sd, unit)} ({cell.n})"
    paper = cell.published
    published = "–" if paper is None or paper.value is None else with_published(paper.value, paper.sd, unit)
    delta = cell.difference
    difference = "" if delta is None else number(delta, _digits(delta, unit), sign=True)
    return Entry(measured, published, difference, notes.mark(cell.reason, cell.note))


def with_published(value: float, sd: float | None, unit: Unit) -> str:
    """A published value with the decimals of the table, its deviation as it is printed."""
    text = number(value, unit.digits)
    return text if sd is None else f"{text} ± {sd:g}"


def _letters(index: int) -> str:
    letters = ""
    index += 1
    while index:
        index, digit = divmod(index - 1, 26)
        letters = chr(ord("a") + digit) + letters
    return letters


def used_marks(block: Block) -> list[str]:
    """The footnotes of a block, in order of first use."""
    heads = (head.marks for head in block.heads)
    lines = (marks for line in block.lines for marks in (line.marks, *(entry.marks for entry in line.entries)))
    return list(dict.fromkeys(mark for marks in (*heads, *lines) for mark in marks))

"""The one intermediate table between numbers and text: what stands where, before any markup.

A published table is often wider than a screen once every number has its spread, its verdict and its published value.
So columns are packed into blocks that fit; every block repeats the row labels. Footnotes are lettered over the table.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field

from dynbench.reporting import verdict
from dynbench.reporting.results import FULL, Cell
from dynbench.reporting.table import Column, Metric, Row, Table, Unit
from dynbench.reporting.words import recipe_words

# Room for footnotes.
_MARKS = 3
Place = tuple[Column, Metric]

# Characters side by side that a screen and a printed page hold, row labels included.
SCREEN, PAGE = 116, 84
_WORDS = {"no_metric": "not measured"}
SIGNS = {verdict.REPRODUCED: "=", verdict.ABOVE: "↑", verdict.BELOW: "↓", verdict.NOT_COMPARABLE: "×"}
DASH = "–"


@dataclass(frozen=True)
class Entry:
    """Measured and published value of one row × column × metric, as text.

    Attributes:
        measured: ``88.91 ± 0.44``, or why there is no number.
        runs: ``(3)``, where there are several.
        sign: The verdict's sign.
        published: As printed.
        best: Whether no other row's value is better.
        link: Where the runs behind the number are told, within the page.
        marks: Letters of its footnotes.
    """

    measured: str
    runs: str = ""
    sign: str = ""
    published: str = DASH
    best: bool = False
    link: str = ""
    marks: tuple[str, ...] = ()

    @property
    def width(self) -> int:
        """Characters of the measured part."""
        return len(" ".join(filter(None, (self.measured, self.runs, self.sign)))) + len(self.marks)


@dataclass(frozen=True)
class Line:
    """A row of a block."""

    label: str
    marks: tuple[str, ...]
    entries: tuple[Entry, ...]


@dataclass(frozen=True)
class Head:
    """What stands over the numbers of one column and metric; ``paired`` where the paper prints any of them."""

    label: str
    marks: tuple[str, ...]
    paired: bool


@dataclass(frozen=True)
class Block:
    """Some columns of the table with all of its rows."""

    title: str
    heads: tuple[Head, ...]
    lines: tuple[Line, ...]


@dataclass(frozen=True)
class RunsOf:
    """The runs behind some cells of a row.

    Attributes:
        anchors: Where links from the cells lead.
        title: The row and the columns.
        budget: The budget that they were run at.
        command: What was typed for the first of them.
        file: Where their lines are, relative to the results folder.
        metrics: Labels of the values.
        runs: Seed, identity and values of each run.
    """

    anchors: tuple[str, ...]
    title: str
    budget: str
    command: tuple[str, ...]
    file: str
    metrics: tuple[str, ...]
    runs: tuple[tuple[int, str, tuple[str, ...]], ...]


@dataclass(frozen=True)
class Sheet:
    """A table ready to be written.

    Attributes:
        notes: Footnotes by mark.
        remarks: Remarks without a mark: how to read the numbers, and the table's own notes.
        runs: The runs behind the numbers.
    """

    name: str
    title: str
    blocks: tuple[Block, ...]
    notes: dict[str, str]
    remarks: tuple[str, ...]
    runs: tuple[RunsOf, ...]


@dataclass
class _Notes:
    """Gives every distinct text a mark: a, b and so on to z, then aa."""

    marks: dict[str, str] = field(default_factory=dict)

    def mark(self, *texts: str) -> tuple[str, ...]:
        return tuple(self.marks.setdefault(text, _letters(len(self.marks))) for text in texts if text)

    def by_mark(self) -> dict[str, str]:
        return {mark: text for text, mark in self.marks.items()}


def lay_out(table: Table, cells: Sequence[Cell], width: int = SCREEN) -> Sheet:
    """Arrange the cells of a table in blocks of at most ``width`` characters."""
    notes = _Notes()
    by_place = {(cell.row.name, cell.column.name, cell.metric.name): cell for cell in cells}
    best = _best(cells)
    lines = {row.name: {} for row in table.rows}
    for (row, column, metric), cell in by_place.items():
        lines[row][column, metric] = _entry(cell, (column, metric, row) in best)
    blocks = tuple(_block(table, places, lines, by_place, notes) for places in _pack(table, lines, width))
    remarks = (_how_to_read(table, cells), *table.notes, *([f"Published: {table.source}."] if table.source else []))
    return Sheet(table.name, table.title, blocks, notes.by_mark(), remarks, _runs(table, cells))


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


def with_published(value: float, sd: float | None, unit: Unit) -> str:
    """A published value with the decimals of the table, its deviation as it is printed."""
    small = unit.digits > 2 and 0 < abs(value) < 10.0**-unit.digits  # a p-value, say
    text = f"{value:.2g}" if small else number(value, unit.digits)
    return text if sd is None else f"{text} ± {sd:g}"


def _digits(value: float, unit: Unit) -> int:
    """Counts are whole numbers, but their mean over seeds need not be."""
    return unit.digits if float(value).is_integer() or unit.digits else 1


def anchor(row: str, column: str) -> str:
    """Where the runs of a row × column are told."""
    return f"{row}-{column}"


# ---- cells ------------------------------------------------------------------------------------------------


def _entry(cell: Cell, best: bool) -> Entry:
    unit, paper = cell.metric.unit, cell.published
    printed = dataclasses.replace(unit, digits=cell.printed_digits)
    published = DASH
    if paper is not None and paper.value is not None:
        published = with_published(paper.value, paper.sd, printed)
    elif paper is not None and not paper.obtainable:
        published = "not obtainable"
    if cell.mean is None:
        return Entry(_WORDS.get(cell.status, cell.status.replace("_", " ")), published=published)
    return Entry(
        measured=with_spread(cell.mean, cell.sd, unit),
        runs="" if cell.seed_free else f"({cell.n})",
        sign=SIGNS.get(cell.verdict, ""),
        published=published,
        best=best,
        link=anchor(cell.row.name, cell.column.name),
    )


def _notes_of(cell: Cell) -> tuple[str, ...]:
    """What sets a cell apart, each in a footnote of its own, since many cells share them."""
    if cell.mean is None:
        return (_sentence(cell.reason), cell.note)
    at = f"At {cell.budget}: {cell.cuts}." if cell.cuts else f"At {cell.budget}, where nothing is cut."
    partial = f"{cell.reason.partition(';')[0]} so far." if cell.status == "partial" else ""
    at = "" if cell.budget == FULL else at
    return (at, recipe_words(cell.recipe), partial, _sentence(cell.changed), cell.note)


def _sentence(text: str) -> str:
    """With a capital letter and a full stop."""
    return text[:1].upper() + text[1:].removesuffix(".") + "." if text else ""


def _best(cells: Sequence[Cell]) -> set[tuple[str, str, str]]:
    """Places (column, metric, row) of the values that no other row's surpasses, as they are printed."""
    groups: dict[tuple[str, str, str], list[Cell]] = {}
    for cell in cells:
        if cell.mean is not None and cell.metric.best != "none":
            # Rows on several datasets do not compete.
            data = cell.runs[0][0].data
            groups.setdefault((cell.column.name, cell.metric.name, data), []).append(cell)
    found = set()
    for (*place, _), own in groups.items():
        rounded = {cell.row.name: round(cell.mean, cell.metric.unit.digits) for cell in own}
        top = (max if own[0].metric.best == "high" else min)(rounded.values())
        if len(own) > 1:
            found |= {(*place, row) for row, value in rounded.items() if value == top}
    return found


# ---- columns ----------------------------------------------------------------------------------------------


def _pack(table: Table, lines: dict[str, dict], most: int) -> list[list[Place]]:
    """Put columns side by side as long as their widest numbers fit; break within a column only if it is too wide."""
    blocks: list[list[Place]] = []
    whole = most - min(max(len(row.label) for row in table.rows), most // 3)
    room = 0
    for column in table.columns:
        places = [(column, table.metrics[name]) for name in column.metrics]
        widths = [_room(table, *place, lines) for place in places]
        if not blocks or sum(widths) > room:
            blocks.append([])
            room = whole
        for place, width in zip(places, widths, strict=True):
            if blocks[-1] and width > room:
                blocks.append([])
                room = whole
            blocks[-1].append(place)
            room -= width
    return blocks


def _room(table: Table, column: Column, metric: Metric, lines: dict[str, dict]) -> int:
    """Characters that one column and metric needs."""
    own = [by_place[column.name, metric.name] for by_place in lines.values()]
    # A head may break between words.
    head = max(map(len, _head(table, column, metric).split()))
    measured = max(head, *(entry.width + _MARKS for entry in own))
    published = max(len(entry.published) for entry in own) if _is_paired(own) else -3
    return measured + 3 + published + 3


def _is_paired(entries: Sequence[Entry]) -> bool:
    return any(entry.published != DASH for entry in entries)


def _block(table: Table, places: list[Place], lines: dict, cells: dict, notes: _Notes) -> Block:
    columns = list(dict.fromkeys(column.label for column, _ in places))
    heads = tuple(
        Head(
            metric.label if len(columns) == 1 and len(places) > 1 else _head(table, column, metric),
            notes.mark(column.note),
            _is_paired([by_place[column.name, metric.name] for by_place in lines.values()]),
        )
        for column, metric in places
    )
    rows = []
    for row in table.rows:
        marks = notes.mark(row.note)
        entries = tuple(_marked(lines[row.name], row, column, metric, cells, notes) for column, metric in places)
        rows.append(Line(row.label, marks, entries))
    first, last = places[0], places[-1]
    parted = first[1].name != first[0].metrics[0] or last[1].name != last[0].metrics[-1]
    title = ", ".join(columns) + (f": {', '.join(metric.label for _, metric in places)}" if parted else "")
    return Block(title, heads, tuple(rows))


def _marked(entries: dict, row: Row, column: Column, metric: Metric, cells: dict, notes: _Notes) -> Entry:
    entry = entries[column.name, metric.name]
    marks = notes.mark(*_notes_of(cells[row.name, column.name, metric.name]))
    return Entry(**{**vars(entry), "marks": marks})


def _head(table: Table, column: Column, metric: Metric) -> str:
    alone = len(table.metrics) == 1 or metric.label == column.label
    return column.label if alone else f"{column.label} {metric.label}"


# ---- what is said around the numbers ----------------------------------------------------------------------


def _how_to_read(table: Table, cells: Sequence[Cell]) -> str:
    units = dict.fromkeys(metric.unit.name for metric in table.metrics.values())
    unit = f", in {next(iter(units))}" if len(units) == 1 and "count" not in units else ""
    runs = table.runs.get("paper", 0)
    mean = f"mean ± standard deviation of {runs} runs" if runs > 1 else "as the paper prints it"
    seen = dict.fromkeys(cell.verdict for cell in cells if cell.verdict)
    signs = ", ".join(f"{SIGNS[one]} {one}" for one in verdict.VERDICTS if one in seen)
    free = " No number: nothing is drawn, one run says all." if any(c.seed_free and c.n for c in cells) else ""
    return f"Measured: mean ± sample standard deviation (number of runs){unit}.{free} Published: {mean}." + (
        f" Verdict: {signs}." if signs else ""
    )


def _runs(table: Table, cells: Sequence[Cell]) -> tuple[RunsOf, ...]:
    """The runs of every row, columns that share them together."""
    groups: dict[tuple, list[Cell]] = {}
    for cell in cells:
        if cell.runs:
            groups.setdefault((cell.row.name, tuple(identity for identity, _ in cell.runs)), []).append(cell)
    found = []
    for (_, identities), own in groups.items():
        columns = tuple(dict.fromkeys(cell.column for cell in own))
        first = own[0]
        values = [[with_spread(value, None, cell.metric.unit) for _, value in cell.runs] for cell in own]
        name = identities[0]
        found.append(
            RunsOf(
                anchors=tuple(anchor(first.row.name, column.name) for column in columns),
                title=f"{first.row.label}: {'; '.join(column.label for column in columns)}",
                budget=first.budget,
                command=first.overrides,
                file=f"runs/{name.protocol}/{name.data}.jsonl",
                metrics=tuple(cell.metric.label for cell in own),
                runs=tuple(
                    (identity.seed, identity.digest, row)
                    for identity, row in zip(identities, zip(*values, strict=True), strict=True)
                ),
            )
        )
    return tuple(found)


def _letters(index: int) -> str:
    letters = ""
    index += 1
    while index:
        index, digit = divmod(index - 1, 26)
        letters = chr(ord("a") + digit) + letters
    return letters

"""What a run says at its end: what ran, what came out, what the paper says, and where it is kept."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path

from dynbench.records import Record
from dynbench.reporting.layout import number, with_published
from dynbench.reporting.published import Near, PublishedValue, is_default
from dynbench.reporting.results import changed_text, cut_text
from dynbench.reporting.table import UNITS, Unit, split

_WIDTH = 100
_INDENT = 12
# Settings of these groups move numbers.
_GROUPS = ("model", "data", "protocol", "trainer")


def format_summary(
    record: Record, published: Sequence[PublishedValue], path: str | Path, near: Near | None = None
) -> str:
    """The summary of a run as plain text of at most 100 columns (a longer path stands on a line of its own).

    Args:
        record: The run's record.
        published: What it can be set beside, from :func:`dynbench.reporting.published.find`.
        path: Where the record lies.
        near: What it could have been set beside, from :func:`dynbench.reporting.published.nearest`.
    """
    what = f"{record.model} on {record.data}, {record.protocol}, seed {record.seed}, budget {record.budget}"
    lines = [*_wrap(f"{what}: {record.status}"), ""]
    if record.reason:
        lines += [*_item("reason", record.reason), ""]
    if record.metrics:
        lines += [*_metrics(record, published), *([] if published else _nothing_published(near)), ""]
    lines += [*_caveats(record, published), *_cost(record), *_path(path)]
    return "\n".join(lines)


def _metrics(record: Record, published: Sequence[PublishedValue]) -> list[str]:
    """An aligned line per metric and published value."""
    rows = [("metric", "measured", "published", "Δ", "from")]
    plain = _units(record)
    for name, value in record.metrics.items():
        beside = [paper for paper in published if paper.metric == name] or [None]
        for index, paper in enumerate(beside):
            rows.append(_metric_row("" if index else name, value, paper, plain[name]))
    if not published:
        rows = [row[:2] for row in rows]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    last = max(_WIDTH - sum(widths[:4]) - 8, 10)
    lines = []
    for row in rows:
        numbers = [text.rjust(width) for text, width in zip(row[1:4], widths[1:4], strict=False)]
        source = textwrap.shorten(row[4], last, placeholder=" …") if len(row) > 4 else ""
        lines.append("  ".join([row[0].ljust(widths[0]), *numbers, source]).rstrip())
    return lines


def _nothing_published(near: Near | None) -> list[str]:
    if near is None:
        return ["(no table has a published value for this run)"]
    place = f"{near.table}, {near.row}, {near.column}"
    return _wrap(f"(no table has a published value for this run; {place} would, with {' '.join(near.overrides)})")


def _metric_row(name: str, value: float, paper: PublishedValue | None, plain: Unit) -> tuple[str, ...]:
    unit = paper.unit if paper else plain
    measured = number(value * unit.scale, unit.digits)
    if paper is None:
        return name, measured, "", "", ""
    runs = f" ({paper.runs} runs)" if paper.runs and paper.runs > 1 else ""
    doubt = "" if paper.comparable else "; not comparable"
    source = f"{paper.table}, {paper.row}, {paper.column}{runs}{doubt}"
    delta = number(paper.difference(value), unit.digits, sign=True)
    return name, measured, with_published(paper.value, paper.sd, unit), delta, source


def _units(record: Record) -> dict[str, Unit]:
    """Counts stand as they are; scores are fractions and are shown in percent, unless one of them exceeds 1."""
    counts = {name for name, value in record.metrics.items() if float(value).is_integer() and value > 1}
    scores = [value for name, value in record.metrics.items() if name not in counts]
    score = UNITS["percent"] if all(abs(value) <= 1 for value in scores) else UNITS["fraction"]
    return {name: UNITS["count"] if name in counts else score for name in record.metrics}


def _caveats(record: Record, published: Sequence[PublishedValue]) -> list[str]:
    lines = []
    if published:
        others = _other_settings(record, published)
        if others:
            lines += _item("not as in the table", ", ".join(others))
    lines += _item("budget", cut_text(record) or f"{record.budget}; nothing was cut")
    said = [text for paper in published for text in paper.overrides]
    changed = changed_text(record, said)
    # Where no table has the cell there is nothing to be comparable with, unless a change must be told.
    if published or changed:
        lines += _item("comparable", changed or "yes: no setting of the protocol was changed")
    return lines


def _other_settings(record: Record, published: Sequence[PublishedValue]) -> list[str]:
    """What was typed that the table does not say and that can move a number."""
    said = {split(text)[0] for paper in published for text in paper.overrides}
    typed = [text for text in record.overrides if split(text)[0].split(".")[0] in _GROUPS]
    beyond = [text for text in typed if split(text)[0] not in said and "." in split(text)[0]]
    own = [text for text in beyond if not is_default(record.config, record.budget, text)]
    tuned = dict.fromkeys(f"{key} is {text} there" for paper in published for key, text in map(split, paper.otherwise))
    return [*own, *tuned]


def _cost(record: Record) -> list[str]:
    parts = [f"{key} {_duration(record.seconds[key])}" for key in ("fit", "evaluate", "total") if key in record.seconds]
    lines = _item("time", ", ".join(parts)) if parts else []
    return lines + (_item("memory", f"{record.peak_memory_mb:.0f} MiB at most") if record.peak_memory_mb else [])


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def _path(path: str | Path) -> list[str]:
    text = str(path)
    if len(text) + _INDENT <= _WIDTH:
        return [f"{'record':<{_INDENT}}{text}"]
    return ["record", text]


def _item(name: str, text: str) -> list[str]:
    """``name        text``, wrapped; a name that is too long stands on a line of its own."""
    lines = _wrap(" ".join(text.split()), _WIDTH - _INDENT)
    if len(name) < _INDENT:
        first, *rest = lines or [""]
        return [f"{name:<{_INDENT}}{first}", *(" " * _INDENT + line for line in rest)]
    return [name, *(" " * _INDENT + line for line in lines)]


def _wrap(text: str, width: int = _WIDTH) -> list[str]:
    return textwrap.wrap(text, width, break_on_hyphens=False)

"""From records to the numbers of a table: mean and spread over seeds, and the difference to what was published."""

from __future__ import annotations

import dataclasses
import re
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from dynbench.records import Record, Store
from dynbench.reporting.plan import CellPlan, Run
from dynbench.reporting.significance import p_value
from dynbench.reporting.table import Column, Metric, Published, Row, Table, split

# How the reason of a failure record starts when the dataset could not be had.
_UNAVAILABLE = re.compile(r"DataUnavailable\b|dataset '[^']*'( is not available|: downloading )")
# Folders of whoever ran it are of no use to readers of a table.
_FOLDERS = re.compile(r"(?<![\w:/.>])/(?:[^\s/,;:'\"()]+/)+")


@dataclass(frozen=True)
class Cell:
    """One row × column × metric, in the table's unit.

    Attributes:
        mean, sd, n: Over the finished runs; ``sd`` is the sample's and needs two runs.
        published: What the paper prints, if the table says so.
        status: ``measured``, ``partial`` (fewer runs than planned), or why there is no number: ``not_run``,
            ``failed``, ``unavailable``, ``not_built``, ``unsupported``, ``skipped``, ``no_metric``.
        reason: The status in words; for a measured cell what sets it apart from the paper's, if anything does.
        records: Files with its runs, relative to the results folder.
        note: Remarks of the table on this very cell.
    """

    row: Row
    column: Column
    metric: Metric
    mean: float | None
    sd: float | None
    n: int
    published: Published | None
    status: str
    reason: str
    records: tuple[str, ...]
    note: str = ""

    @property
    def difference(self) -> float | None:
        """Measured minus published."""
        if self.mean is None or self.published is None or self.published.value is None:
            return None
        return self.mean - self.published.value


@dataclass(frozen=True)
class _Found:
    """What lies on disk for a cell."""

    finished: tuple[tuple[Run, Record], ...]
    failed: tuple[tuple[Run, str], ...]
    absent: tuple[Run, ...]


class Reader:
    """Finds the records of runs, each once."""

    def __init__(self, store: Store):
        self._store = store
        self._known: dict[Run, Record | None] = {}

    def read(self, run: Run) -> Record | None:
        """The record of a run, ``None`` if there is none that can be read."""
        if run not in self._known:
            published = self._store.published.find(run.identity)
            self._known[run] = published or self._store.spooled(run.identity)
        return self._known[run]

    def finished(self, run: Run) -> bool:
        """Whether a run has its number."""
        record = self.read(run)
        return record is not None and record.finished

    def failure(self, run: Run) -> str | None:
        """Why a run failed, or ``None`` if it did not."""
        record = self.read(run)
        return None if record is None or record.finished else _line(record.reason) or "no reason was recorded"

    def place(self, run: Run) -> str:
        """The file with the published line of a run, relative to the results folder."""
        return self._store.published.path(run.identity).relative_to(self._store.results_dir).as_posix()


def measure(table: Table, plans: Sequence[CellPlan], budget: str, reader: Reader) -> list[Cell]:
    """All cells of a table, row by row, column by column, metric by metric."""
    cells = []
    known = {(plan.row.name, plan.column.name): _find(plan.runs, reader) for plan in plans}
    for plan in plans:
        found = known[plan.row.name, plan.column.name]
        reference = known.get((table.against, plan.column.name))
        for name in plan.column.metrics:
            published = table.published.get((plan.row.name, plan.column.name, name))
            measured = _compared(found, reference, table.metrics[name])
            cells.append(_cell(plan, table.metrics[name], published, measured, budget, reader))
    return cells


def _compared(found: _Found, reference: _Found | None, metric: Metric) -> _Found:
    """With the p-value among the metrics of a record, where the metric is one and both rows ran with a seed."""
    if not metric.test or reference is None:
        return found
    others = {run.identity.seed: record for run, record in reference.finished}
    finished = []
    for run, record in found.finished:
        other = others.get(run.identity.seed)
        p = None if other is None or other is record else p_value(metric.test, metric.of, record, other)
        more = {} if p is None else {metric.name: p}
        finished.append((run, dataclasses.replace(record, metrics=record.metrics | more)))
    return dataclasses.replace(found, finished=tuple(finished))


def is_unavailable(reason: str) -> bool:
    """Whether a failure means that the dataset could not be had."""
    return _UNAVAILABLE.match(reason) is not None


def cut_text(record: Record) -> str:
    """What a budget made smaller: ``cut at quick: model.epochs 300 of 1000``."""
    cuts = ", ".join(f"{key} {_cut(*values)}" for key, values in sorted(record.cuts.items()))
    return f"cut at {record.budget}: {cuts}" if cuts else ""


def changed_text(record: Record, overrides: Sequence[str] = ()) -> str:
    """Why a run cannot be compared with the paper, or nothing.

    Args:
        record: The run's record.
        overrides: What the table itself says about the cell; a change that it asks for is none.
    """
    asked = {split(text)[0] for text in overrides}
    changes = [f"protocol.{key}={value}" for key, value in sorted(record.changed.items())]
    changes = [change for change in changes if split(change)[0] not in asked]
    if record.comparable or (record.changed and not changes):
        return ""
    return f"not comparable with the paper: {', '.join(changes) or 'the protocol was changed'}"


def _cut(used: object, full: object) -> str:
    numbers = isinstance(used, (int, float)) and isinstance(full, (int, float))
    return f"{used} of {full}" if numbers else f"{used} instead of {full}"


def _find(runs: Iterable[Run], reader: Reader) -> _Found:
    finished, failed, absent = [], [], []
    for run in runs:
        reason = reader.failure(run)
        if reader.finished(run):
            finished.append((run, reader.read(run)))
        elif reason is not None:
            failed.append((run, reason))
        else:
            absent.append(run)
    return _Found(tuple(finished), tuple(failed), tuple(absent))


def _cell(
    plan: CellPlan, metric: Metric, published: Published | None, found: _Found, budget: str, reader: Reader
) -> Cell:
    with_metric = [(run, record) for run, record in found.finished if metric.name in record.metrics]
    values = [record.metrics[metric.name] * metric.unit.scale for _, record in with_metric]
    status, reason = _status(plan, metric, found, len(values), budget)
    return Cell(
        row=plan.row,
        column=plan.column,
        metric=metric,
        mean=statistics.fmean(values) if values else None,
        sd=statistics.stdev(values) if len(values) > 1 else None,
        n=len(values),
        published=published,
        status=status,
        reason=reason,
        records=tuple(dict.fromkeys(reader.place(run) for run, _ in (with_metric or found.finished))),
        note=" ".join(text for text in (plan.note, published.note if published else "") if text),
    )


def _status(plan: CellPlan, metric: Metric, found: _Found, measured: int, budget: str) -> tuple[str, str]:
    """Status and reason of a cell, given how many runs measured its metric."""
    if measured:
        remarks = _remarks([record for _, record in found.finished], plan.overrides)
        if measured == len(plan.runs):
            return "measured", remarks
        return "partial", "; ".join(filter(None, [_partial(plan, found, measured), remarks]))
    if found.finished:
        has = ", ".join(sorted(found.finished[0][1].metrics)) or "none"
        return "no_metric", f"the runs do not measure {metric.name}; they measure {has}"
    if plan.obstacle:
        return plan.obstacle.status, _line(plan.obstacle.reason)
    if found.failed:
        reason = found.failed[0][1]
        return ("unavailable", reason) if is_unavailable(reason) else ("failed", f"failed: {reason}")
    return "not_run", f"not run yet at budget {budget}"


def _partial(plan: CellPlan, found: _Found, measured: int) -> str:
    parts = [f"{measured} of {len(plan.runs)} runs"]
    parts += [f"seed {run.identity.seed} failed: {reason}" for run, reason in found.failed]
    if found.absent:
        seeds = ", ".join(str(run.identity.seed) for run in found.absent)
        parts.append(f"not run yet: seed{'s' if len(found.absent) > 1 else ''} {seeds}")
    return "; ".join(parts)


def _remarks(finished: Iterable[Record], overrides: Sequence[str]) -> str:
    texts = [text for record in finished for text in (cut_text(record), changed_text(record, overrides)) if text]
    return "; ".join(dict.fromkeys(texts))


def _line(text: str) -> str:
    return _FOLDERS.sub("…/", " ".join(str(text).split()))

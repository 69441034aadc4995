"""From published runs to the numbers of a table: mean and spread over seeds, difference, and verdict."""

from __future__ import annotations

import dataclasses
import re
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dynbench.records import Identity, Record
from dynbench.records.published import Published as Runs
from dynbench.reporting import verdict
from dynbench.reporting.plan import CellPlan, Run
from dynbench.reporting.significance import p_value
from dynbench.reporting.standing import Standing
from dynbench.reporting.table import Column, Metric, Published, Row, Table, split
from dynbench.reporting.words import cut_words, plain_value

# How the reason of a failure record starts when the dataset could not be had.
_UNAVAILABLE = re.compile(r"DataUnavailable\b|dataset '[^']*'( is not available|: downloading )")
# Folders of whoever ran it are of no use to readers of a table.
_FOLDERS = re.compile(r"(?<![\w:/.>])/(?:[^\s/,;:'\"()]+/)+")
# The budget that cuts nothing.
FULL = "paper"

Found = tuple[tuple[Run, Record], ...]


@dataclass(frozen=True)
class Cell:
    """One row × column × metric, in the table's unit.

    Attributes:
        mean, sd, n: Over the finished runs; ``sd`` is the sample's and needs two runs.
        published: What the paper prints, if the table says so.
        status: ``measured``, ``partial`` (fewer runs than planned), or why there is no number: ``not_run``,
            ``unavailable``, ``not_built``, ``unsupported``, ``skipped``, ``no_metric``.
        reason: The status in words; for a measured cell what sets it apart from the paper's, if anything does.
        budget: The budget that it shows: the largest that was measured. Empty where none was.
        cuts: What that budget cut, in words.
        changed: Why a measured value cannot be compared with the paper's, or empty.
        verdict: One of :data:`dynbench.reporting.verdict.VERDICTS`, or empty without both values.
        runs: What was measured, run by run.
        overrides: What was typed for its first run.
        seed_free: Whether nothing is drawn, so that one run says all.
        printed_digits: Decimals of the published value.
        recipe: Name of the recipe that changes the model.
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
    budget: str = ""
    cuts: str = ""
    changed: str = ""
    verdict: str = ""
    runs: tuple[tuple[Identity, float], ...] = ()
    overrides: tuple[str, ...] = ()
    seed_free: bool = False
    printed_digits: int = 0
    recipe: str = ""
    note: str = ""

    @property
    def difference(self) -> float | None:
        """Measured minus published."""
        if self.mean is None or self.published is None or self.published.value is None:
            return None
        return self.mean - self.published.value


def measure(
    table: Table, plans: Mapping[str, Sequence[CellPlan]], runs: Runs, budget: str, standing: Standing | None = None
) -> list[Cell]:
    """All cells of a table, row by row, column by column, metric by metric.

    Args:
        table: What to measure.
        plans: By budget, the largest first.
        runs: Where the published runs are.
        budget: What is run for; where no budget was measured, it says why.
        standing: Says which of them are of the data of today; others count as not run.
    """
    standing = standing or Standing()
    reference: dict[tuple[str, str], dict[str, Found]] = {}
    places: dict[tuple[str, str], list[CellPlan]] = {}
    for size, own in plans.items():
        for plan in own:
            place = (plan.row.name, plan.column.name)
            places.setdefault(place, []).append(plan)
            known = ((run, runs.find(run.identity)) for run in plan.runs)
            found = tuple((run, one) for run, one in known if one is not None and standing.holds(one, plan.values))
            reference.setdefault(place, {})[size] = found
    cells = []
    for place, own in places.items():
        against = reference.get((table.against, place[1]), {})
        for name in own[0].column.metrics:
            metric, published = table.metrics[name], table.published.get((*place, name))
            found = {b: _compared(f, against.get(b, ()), metric) for b, f in reference[place].items()}
            cells.append(_cell(table, own, metric, published, found, budget))
    return cells


def _compared(found: Found, reference: Found, metric: Metric) -> Found:
    """With the p-value among the metrics of a record, where the metric is one and both rows ran with a seed.

    Likewise with the seconds of a part of a run, where the metric is ``seconds_fit``, ``seconds_evaluate`` or the like.
    """
    if metric.name.startswith("seconds_"):
        timed = [(run, {f"seconds_{part}": value for part, value in record.seconds.items()}) for run, record in found]
        return tuple(
            (run, dataclasses.replace(record, metrics=record.metrics | own))
            for (run, own), (_, record) in zip(timed, found, strict=True)
        )
    if not metric.test or not reference:
        return found
    others = {run.identity.seed: record for run, record in reference}
    more = []
    for run, record in found:
        other = others.get(run.identity.seed)
        alone = other is None or other.identity == record.identity
        p = None if alone else p_value(metric.test, metric.of, record, other)
        own = {} if p is None else {metric.name: p}
        more.append((run, dataclasses.replace(record, metrics=record.metrics | own)))
    return tuple(more)


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


def one_line(text: str) -> str:
    """A reason for readers: one line, without folders of whoever ran it."""
    return _FOLDERS.sub("…/", " ".join(str(text).split()))


def _cut(used: object, full: object) -> str:
    numbers = isinstance(used, (int, float)) and isinstance(full, (int, float))
    return f"{used} of {full}" if numbers else f"{plain_value(used)} instead of {plain_value(full)}"


def _cell(
    table: Table,
    plans: Sequence[CellPlan],
    metric: Metric,
    published: Published | None,
    found: Mapping[str, Found],
    budget: str,
) -> Cell:
    """The cell at the largest budget that was measured."""
    having = {b: [(run, r) for run, r in own if metric.name in r.metrics] for b, own in found.items()}
    asked = next(plan for plan in plans if plan.budget == budget)
    plan = next((plan for plan in plans if having[plan.budget]), asked)
    own = having[plan.budget]
    values = [(run.identity, record.metrics[metric.name] * metric.unit.scale) for run, record in own]
    numbers = [value for _, value in values]
    status, reason = _status(plan, metric, found[plan.budget], len(values))
    changed = next(filter(None, (changed_text(record, plan.overrides) for _, record in own)), "")
    full = next((one.settings for one in plans if one.budget == FULL), plan.settings)
    cuts = cut_words(plan.settings, full) if values and full else ""
    cell = Cell(
        row=plan.row,
        column=plan.column,
        metric=metric,
        mean=statistics.fmean(numbers) if values else None,
        sd=statistics.stdev(numbers) if len(values) > 1 else None,
        n=len(values),
        published=published,
        status=status,
        reason="; ".join(filter(None, [reason, cuts and f"{plan.budget}: {cuts}", changed])),
        budget=plan.budget if values else "",
        cuts=cuts,
        changed=changed,
        runs=tuple(values),
        overrides=plan.runs[0].overrides if plan.runs else (),
        seed_free=plan.seed_free,
        recipe=plan.recipe,
        printed_digits=table.printed_digits(plan.row.name, metric),
        note=" ".join(text for text in (plan.note, published.note if published else "") if text),
    )
    return dataclasses.replace(cell, verdict=_verdict(table, cell))


def _verdict(table: Table, cell: Cell) -> str:
    if cell.difference is None:
        return ""
    if cell.changed or not table.is_comparable(cell.row, cell.column):
        return verdict.NOT_COMPARABLE
    if cell.metric.test:
        return verdict.judge_p(cell.mean, cell.published.value)
    unit = 10.0**-cell.printed_digits
    allowed = verdict.tolerance(cell.sd, cell.n, cell.published.sd, table.runs.get(FULL), unit)
    return verdict.judge(cell.difference, allowed)


def _status(plan: CellPlan, metric: Metric, found: Found, measured: int) -> tuple[str, str]:
    """Status and reason of a cell, given how many runs measured its metric."""
    if measured:
        absent = [str(run.identity.seed) for run in plan.runs if run not in {run for run, _ in found}]
        if measured == len(plan.runs):
            return "measured", ""
        missing = f"; not run yet: seed{'s' if len(absent) > 1 else ''} {', '.join(absent)}" if absent else ""
        return "partial", f"{measured} of {len(plan.runs)} runs{missing}"
    if found:
        has = ", ".join(sorted(found[0][1].metrics)) or "none"
        return "no_metric", f"the runs do not measure {metric.name}; they measure {has}"
    if plan.obstacle:
        return plan.obstacle.status, one_line(plan.obstacle.reason)
    return "not_run", f"not run yet at budget {plan.budget}"

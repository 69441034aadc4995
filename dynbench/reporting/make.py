"""Make tables: run what is missing, publish what the tables use, then write what there is.

Every run is a process of its own, so that a run which is killed takes nothing with it. Finished runs are found by their
records and left alone; interrupting and starting again goes on where it stopped. A table is written from published
runs only: a failed run is told, and leaves no trace in a file that is committed.
"""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tqdm import tqdm

from dynbench import records
from dynbench.config import compose
from dynbench.config.schema import BUDGETS
from dynbench.errors import DynbenchError
from dynbench.records import Identity, Record, Store
from dynbench.reporting import figures, guests, launching, process_pool, render, schedule, scoreboard, sweeps, table
from dynbench.reporting.composer import Composer
from dynbench.reporting.plan import CellPlan, Filter, Planner, Run
from dynbench.reporting.results import Cell, is_unavailable, measure, one_line
from dynbench.reporting.standing import Standing
from dynbench.reporting.table import Table

INTERRUPTED = 130
# Smoke measures nothing: its tables lie where nothing is committed.
SMOKE_RESULTS = "runs/smoke"


@dataclass(frozen=True)
class Task:
    """A run to start, with what it is for, and its configuration."""

    run: Run
    label: str
    tables: tuple[str, ...]
    values: Mapping[str, Any] = field(default_factory=dict)

    @property
    def data(self) -> str:
        """The dataset it needs."""
        return self.run.identity.data

    @property
    def fit(self) -> str:
        """What it learns."""
        return self.run.fit

    @property
    def seed(self) -> int:
        """Its seed."""
        return self.run.identity.seed


@dataclass
class Plan:
    """The tables to make, and what has to be run for them.

    Attributes:
        budget: What is run for.
        store: Where records are.
        tables: By name.
        cells: By table and budget, the largest budget first: a cell shows the largest that was measured.
        standing: Says which records are of the data of today.
    """

    budget: str
    store: Store
    tables: dict[str, Table] = field(default_factory=dict)
    cells: dict[str, dict[str, list[CellPlan]]] = field(default_factory=dict)
    standing: Standing = field(default_factory=Standing)

    def measure(self, name: str) -> list[Cell]:
        """The cells of a table."""
        return measure(self.tables[name], self.cells[name], self.store.published, self.budget, self.standing)

    def write(self, chosen: Iterable[str] | None = None) -> None:
        """Write some tables, or all of them, from the published runs."""
        for name in self.cells if chosen is None else chosen:
            render.write_tables(self.tables[name], self.measure(name), self.store.results_dir)

    def scores(self) -> list[scoreboard.Score]:
        """The counts of the project's own tables; what a plug-in brings stands in its own pages only."""
        own = [name for name, one in self.tables.items() if one.path.is_relative_to(compose.CONF)]
        return [scoreboard.Score.of(self.tables[name], self.measure(name)) for name in own]

    def wanted(self, chosen: Iterable[str] | None = None) -> dict[Identity, set[str]]:
        """The runs that some tables use, or all of them, with the metrics whose steps are tested on."""
        found: dict[Identity, set[str]] = {}
        for name in self.cells if chosen is None else chosen:
            tested = {metric.of for metric in self.tables[name].metrics.values() if metric.test}
            for run in (run for own in self.cells[name].values() for plan in own for run in plan.runs):
                found.setdefault(run.identity, set()).update(tested)
        return found

    def runs(self, only: Filter) -> list[Task]:
        """The runs of the budget that can be started here, each once."""
        found: dict[Identity, Task] = {}
        for name, by_budget in self.cells.items():
            for plan in by_budget[self.budget]:
                if plan.runnable and only.admits(plan):
                    for run in plan.runs:
                        _add(found, run, plan, name)
        return list(found.values())

    def tasks(self, only: Filter) -> list[Task]:
        """The runs that are missing, in the order in which they are best started."""
        return schedule.in_order(task for task in self.runs(only) if not self._finished(task))

    def _finished(self, task: Task) -> bool:
        published = self.store.published.find(task.run.identity)
        return self.stands(published, task) or self.stands(self.store.spooled(task.run.identity), task)

    def stands(self, record: Record | None, task: Task) -> bool:
        """Whether a record is that of the finished run, on the data of today."""
        return record is not None and record.finished and self.standing.holds(record, task.values)


@dataclass
class Report:
    """What came of the runs."""

    finished: int = 0
    failed: dict[str, str] = field(default_factory=dict)
    unavailable: dict[str, str] = field(default_factory=dict)
    left: int = 0


def prepare(
    names: Sequence[str], budget: str, store: Store, extra: Sequence[str] = (), composer: Composer | None = None,
    own: Sequence[table.Row] = (),
) -> Plan:  # fmt: skip
    """Read tables and compose their cells, at the budget that is run for and at those that are shown.

    Rows of the user's ``own`` stand below those of each table.

    Raises:
        ConfigError: If a table is unknown or wrong.
    """
    composer = composer or Composer()
    shown = [one for one in reversed(BUDGETS) if one != BUDGETS[0] or one == budget]
    if budget not in shown:
        shown.append(budget)  # the planner says what is wrong with it
    planners = {one: Planner(one, extra, composer) for one in shown}
    plan = Plan(budget, store)
    for definition in (guests.with_rows(one, own) for one in table.load_all(names)):
        plan.tables[definition.name] = definition
        plan.cells[definition.name] = {one: planner.plan(definition) for one, planner in planners.items()}
    return plan


def execute(plan: Plan, tasks: Sequence[Task], jobs: int = 1, force_failed: bool = False) -> Report:
    """Start runs, ``jobs`` at a time, and write the tables that a run belongs to as soon as it is over."""
    report = Report()
    pool = process_pool.ProcessPool()
    bar = tqdm(total=len(tasks), unit="run", disable=None)
    done = schedule.carry_out(
        tasks, lambda task: _attempt(plan, task, jobs, force_failed, report, pool), jobs, lambda: pool.stopped
    )
    try:
        for task, came in done:
            bar.set_postfix_str(task.label)
            bar.update()
            # One run that cannot even be started must not stop the others.
            reason = f"could not be started: {came}" if isinstance(came, Exception) else came
            _note(report, task, reason)
            if reason is None:
                plan.store.publish({task.run.identity: plan.wanted(task.tables)[task.run.identity]})
                plan.write(task.tables)
    except KeyboardInterrupt:
        pool.stop()
        raise
    finally:
        done.close()
        bar.close()
    return report


def execute_elsewhere(plan: Plan, tasks: Sequence[Task], launcher: str) -> Report:
    """Send runs through a launcher of Hydra's, one of each fit first; their records tell what became of them."""
    report = Report()
    for wave in launching.waves(tasks):
        launching.launch([_typed(plan, task) for task in wave], launcher)
        for task in wave:
            record = plan.store.spooled(task.run.identity)
            said = one_line(record.reason) if record else ""
            said = said or "it left no record; the job's own log says why"
            _note(report, task, None if plan.stands(record, task) else said)
    return report


def main(arguments: Sequence[str] | None = None) -> int:
    """The command ``scripts/make_tables.py``; returns its exit code."""
    return command(_main, _parser().parse_args(arguments))


def command(play: Callable[[argparse.Namespace], int], options: argparse.Namespace) -> int:
    """Carry out a command that makes pages; what goes wrong is told in a sentence."""
    # A polite end (a batch system's, say) is treated as Ctrl-C: runs are ended and pages are written.
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return play(options)
    except DynbenchError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted; the same command goes on from here", file=sys.stderr)
        return INTERRUPTED
    finally:
        signal.signal(signal.SIGTERM, before)


def complete(plan: Plan, only: Filter, options: argparse.Namespace) -> Report:
    """Publish what was run before, run what is missing unless told not to, and write the pages of a plan."""
    store = plan.store
    store.publish(plan.wanted())
    tasks = plan.tasks(only)
    _print_plan(plan.runs(only), tasks)
    missing = [] if options.no_run else tasks
    try:
        if options.launcher and missing:
            return execute_elsewhere(plan, missing, options.launcher)
        return execute(plan, missing, options.jobs, options.force_failed)
    finally:
        # What was over when the user asked for the end was not published yet.
        started = {task.run.identity for task in tasks}
        store.publish({run: steps for run, steps in plan.wanted().items() if run in started})
        plan.write()


def _main(options: argparse.Namespace) -> int:
    folder = options.results_dir or (SMOKE_RESULTS if options.budget == BUDGETS[0] else "results")
    own = guests.rows(options.model)
    if own:
        folder = guests.overlay(folder, options.work_dir)
    store = Store(folder, options.work_dir)
    composer = Composer()
    plan = prepare(options.tables, options.budget, store, options.set, composer, own)
    only = Filter.parse(options.only, plan.tables.values())
    records.require_writable(store.results_dir / render.FOLDER)
    report = complete(plan, only, options)
    for name in plan.tables:
        print(f"written: {store.results_dir / render.FOLDER / name}.{{md,csv,tex}}")
    if own:
        print_report(report, options.no_run)
        return 1 if report.failed else 0
    every = prepare((), options.budget, store, options.set, composer) if options.tables else plan
    if options.prune:
        used = {*every.wanted(), *sweeps.used(composer), *figures.used(composer)}
        print(f"pruned: {store.published.prune(used)} runs that no table, sweep or figure uses")
    print(f"written: {scoreboard.write(every.scores(), store.results_dir)}")
    print_report(report, options.no_run)
    return 1 if report.failed else 0


def _attempt(
    plan: Plan, task: Task, jobs: int, force_failed: bool, report: Report, pool: process_pool.ProcessPool
) -> str | None:
    """Carry out a run; return why it failed, or ``None``."""
    if task.data in report.unavailable and not force_failed:
        return report.unavailable[task.data]
    store = plan.store
    command = [*compose.program(), *_typed(plan, task)]
    code, last_words = pool.run(command, single_thread=jobs > 1)
    record = store.spooled(task.run.identity)
    if plan.stands(record, task):
        return None
    if pool.stopped:
        return "stopped by the user"
    # A process that was killed could not say so itself; a run that failed has said more than its exit code. What was
    # measured on other data is never replaced by a failure.
    before = record is not None and record.finished
    if code < 0 or record is None or before:
        record = _failure(task, process_pool.describe(code, last_words))
        if not before:
            store.write(record)
    reason = one_line(record.reason) or "no reason was recorded"
    if is_unavailable(reason):
        report.unavailable.setdefault(task.data, reason)
    return reason


def _typed(plan: Plan, task: Task) -> list[str]:
    """What would be typed for a run."""
    words, store = [*task.run.overrides, "progress=false"], plan.store
    for key, folder, usual in (("results_dir", store.results_dir, "results"), ("work_dir", store.work_dir, "runs")):
        if str(folder) != usual:
            words.append(f"{key}={_quoted(str(folder))}")
    return words


def _failure(task: Task, reason: str) -> Record:
    name = task.run.identity
    return Record(
        identity=name.digest,
        model=name.model,
        data=name.data,
        protocol=name.protocol,
        budget=name.budget,
        seed=name.seed,
        status="failed",
        fit=task.fit,
        reason=reason,
        overrides=list(task.run.overrides),
    )


def _note(report: Report, task: Task, reason: str | None) -> None:
    if reason is None:
        report.finished += 1
    elif is_unavailable(reason):
        report.left += 1
    else:
        report.failed[task.label] = reason
        tqdm.write(f"failed: {task.label}: {reason}", file=sys.stderr)


def _print_plan(runs: Sequence[Task], tasks: Sequence[Task]) -> None:
    """How many runs there are, and how many fits they need; those that share a fit learn once."""
    told = [f"{len(own)} runs, {len({task.fit for task in own})} fits" for own in (runs, tasks)]
    print(f"planned: {told[0]}; missing: {told[1]}")


def print_report(report: Report, no_run: bool) -> None:
    """Say what came of the runs."""
    if not no_run:
        print(f"runs: {report.finished} finished, {len(report.failed)} failed, {report.left} without their data")
    for data, reason in report.unavailable.items():
        print(f"not available: {data}: {reason}")
    for label, reason in report.failed.items():
        print(f"failed: {label}: {reason}", file=sys.stderr)


def _add(found: dict[Identity, Task], run: Run, plan: CellPlan, name: str) -> None:
    if run.identity in found:
        before = found[run.identity]
        found[run.identity] = Task(run, before.label, tuple(dict.fromkeys((*before.tables, name))), plan.values)
    else:
        label = f"{name}, {plan.row.label}, {plan.column.label}, seed {run.identity.seed}"
        found[run.identity] = Task(run, label, (name,), plan.values)


def _quoted(text: str) -> str:
    """A value that Hydra's grammar takes as it is."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=f"{compose.program_name()} tables",
        description="Run what is missing of the papers' tables and write them as Markdown, CSV and LaTeX. Finished "
        "runs are left alone, failed ones are tried again; interrupt and repeat as you like.",
    )
    add = parser.add_argument
    add("--tables", nargs="+", default=[], metavar="NAME", help="tables to make (default: all)")
    add("--model", nargs="+", default=[], metavar="NAME", help="models of yours as rows (NAME, or "
        "NAME,model.KEY=VALUE); such tables are written to own_rows/ in the work folder")  # fmt: skip
    add("--budget", default="quick", help=f"{' | '.join(BUDGETS)} (default: quick)")
    add("--results-dir", metavar="DIR", help=f"published runs, tables (default: results; at smoke {SMOKE_RESULTS})")
    add("--prune", action="store_true", help="remove published runs that no table, sweep or figure uses")
    add("--only", default="", metavar="row=NAME,column=NAME", help="run these rows and columns only")
    add_run_options(parser)
    return parser


def add_run_options(parser: argparse.ArgumentParser) -> None:
    """What all commands that make pages are told about runs."""
    add = parser.add_argument
    add("--jobs", type=_positive, default=1, metavar="N", help="runs at a time (default: 1)")
    add("--launcher", default="", metavar="NAME,KEY=VALUE", help="one of Hydra's: submitit_slurm,partition=gpu")
    add("--work-dir", default="runs", metavar="DIR", help="spooled records of runs (default: runs)")
    add("--no-run", action="store_true", help="only write the pages from the runs there are")
    add("--force-failed", action="store_true",
        help="try every run whose dataset could not be had, not one per dataset only")  # fmt: skip
    add("--set", nargs="+", default=[], metavar="KEY=VALUE", help="override for every run: trainer=gpu")


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is less than 1")
    return value

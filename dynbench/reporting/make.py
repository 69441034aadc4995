"""Make tables: run what is missing, then write what there is.

Every run is a process of its own, so that a run which is killed takes nothing with it. Finished runs are found by their
records and left alone; interrupting and starting again goes on where it stopped.
"""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path

from tqdm import tqdm

from dynbench import records
from dynbench.config import compose
from dynbench.config.schema import BUDGETS
from dynbench.errors import ConfigError, DynbenchError
from dynbench.records import Identity, Record, Store
from dynbench.reporting import children, render, table
from dynbench.reporting.plan import CellPlan, Planner, Run
from dynbench.reporting.results import Reader, is_unavailable, measure
from dynbench.reporting.table import Table

INTERRUPTED = 130


@dataclass(frozen=True)
class Task:
    """A run to start, with what it is for."""

    run: Run
    label: str
    tables: tuple[str, ...]

    @property
    def data(self) -> str:
        """The dataset it needs."""
        return self.run.identity.data


@dataclass
class Plan:
    """The tables to make, and what has to be run for them."""

    budget: str
    store: Store
    cells: dict[str, tuple[Table, list[CellPlan]]] = field(default_factory=dict)

    def write(self, chosen: Iterable[str] | None = None) -> list[Path]:
        """Write some tables, or all of them, from the records there are."""
        reader = Reader(self.store)
        paths: list[Path] = []
        for name in self.cells if chosen is None else chosen:
            definition, plans = self.cells[name]
            cells = measure(definition, plans, self.budget, reader)
            paths += render.write_tables(definition, cells, self.budget, self.store.results_dir)
        return paths

    def publish(self, chosen: Iterable[str] | None = None) -> int:
        """Publish what some tables use, or all of them, of what was spooled here; returns the number of new lines."""
        wanted: dict[Identity, set[str]] = {}
        for name in self.cells if chosen is None else chosen:
            definition, plans = self.cells[name]
            tested = {metric.of for metric in definition.metrics.values() if metric.test}
            for run in (run for plan in plans for run in plan.runs):
                wanted.setdefault(run.identity, set()).update(tested)
        return self.store.publish(wanted)

    def tasks(self, only: Filter) -> list[Task]:
        """The runs that are missing, each once: first seeds first, so that every cell soon has a number."""
        reader = Reader(self.store)
        found: dict[Identity, Task] = {}
        for name, (_, plans) in self.cells.items():
            for plan in plans:
                if plan.obstacle is None and only.admits(plan):
                    for run in plan.runs:
                        if not reader.finished(run):
                            _add(found, run, plan, name)
        order = {name: index for index, name in enumerate(found)}
        return sorted(found.values(), key=lambda task: (task.run.identity.seed, order[task.run.identity]))


@dataclass(frozen=True)
class Filter:
    """The rows and columns to run; empty means all."""

    rows: frozenset[str] = frozenset()
    columns: frozenset[str] = frozenset()

    def admits(self, plan: CellPlan) -> bool:
        """Whether a cell is to be run."""
        return (not self.rows or plan.row.name in self.rows) and (not self.columns or plan.column.name in self.columns)

    @classmethod
    def parse(cls, text: str, tables: Iterable[Table]) -> Filter:
        """Read ``row=nlsm,row=bas,column=enron``.

        Raises:
            ConfigError: For a row or column that none of the tables has.
        """
        tables = list(tables)
        known = {
            "row": {row.name for one in tables for row in one.rows},
            "column": {column.name for one in tables for column in one.columns},
        }
        chosen: dict[str, set[str]] = {"row": set(), "column": set()}
        for part in filter(None, text.split(",")):
            kind, _, name = part.partition("=")
            if kind not in known or name not in known[kind]:
                names = "; ".join(f"{key}: {', '.join(sorted(values))}" for key, values in known.items())
                raise ConfigError(f"--only: '{part}' is no row=NAME or column=NAME of the tables. {names}")
            chosen[kind].add(name)
        return cls(frozenset(chosen["row"]), frozenset(chosen["column"]))


@dataclass
class Report:
    """What came of the runs."""

    finished: int = 0
    failed: dict[str, str] = field(default_factory=dict)
    unavailable: dict[str, str] = field(default_factory=dict)
    left: int = 0


def prepare(names: Sequence[str], budget: str, store: Store, extra: Sequence[str] = ()) -> Plan:
    """Read tables and compose their cells.

    Raises:
        ConfigError: If a table is unknown or wrong.
    """
    planner = Planner(budget, extra)
    plan = Plan(budget, store)
    for definition in table.load_all(names):
        plan.cells[definition.name] = definition, planner.plan(definition)
    return plan


def execute(plan: Plan, tasks: Sequence[Task], jobs: int = 1, force_failed: bool = False) -> Report:
    """Start runs, ``jobs`` at a time, and write the tables that a run belongs to as soon as it is over."""
    report = Report()
    pool = ThreadPoolExecutor(max_workers=jobs)
    brood = children.Brood()
    bar = tqdm(total=len(tasks), unit="run", disable=None)
    try:
        futures = {pool.submit(_attempt, plan, task, jobs, force_failed, report, brood): task for task in tasks}
        for task, reason in _in_turn(futures):
            bar.set_postfix_str(task.label)
            bar.update()
            _note(report, task, reason)
            plan.publish(task.tables)
            plan.write(task.tables)
    except KeyboardInterrupt:
        pool.shutdown(wait=False, cancel_futures=True)
        brood.stop()
        raise
    finally:
        bar.close()
        pool.shutdown(wait=True, cancel_futures=True)
        plan.write()
    return report


def main(arguments: Sequence[str] | None = None) -> int:
    """The command ``scripts/make_tables.py``; returns its exit code."""
    options = _parser().parse_args(arguments)
    # A polite end (a batch system's, say) is treated as Ctrl-C: runs are ended and tables are written.
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return _main(options)
    except DynbenchError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted; the same command goes on from here", file=sys.stderr)
        return INTERRUPTED
    finally:
        signal.signal(signal.SIGTERM, before)


def _main(options: argparse.Namespace) -> int:
    plan = prepare(options.tables, options.budget, Store(options.results_dir, options.work_dir), options.set)
    only = Filter.parse(options.only, [definition for definition, _ in plan.cells.values()])
    records.require_writable(Path(options.results_dir) / render.FOLDER)
    plan.publish()
    tasks = [] if options.no_run else plan.tasks(only)
    report = execute(plan, tasks, options.jobs, options.force_failed)
    for name in plan.cells:
        print(f"written: {Path(options.results_dir) / render.FOLDER / name}.{{md,csv,tex}}")
    _print_report(report, options.no_run)
    return 1 if report.failed else 0


def _attempt(
    plan: Plan, task: Task, jobs: int, force_failed: bool, report: Report, brood: children.Brood
) -> str | None:
    """Carry out a run; return why it failed, or ``None``."""
    if task.data in report.unavailable and not force_failed:
        return report.unavailable[task.data]
    overrides = [*task.run.overrides, "progress=false"]
    for key, folder, default in (
        ("results_dir", plan.store.results_dir, "results"),
        ("work_dir", plan.store.work_dir, "runs"),
    ):
        if str(folder) != default:
            overrides.append(f"{key}={_quoted(str(folder))}")
    command = [sys.executable, str(Path(compose.CONF).parent / "run.py"), *overrides]
    code, last_words = brood.run(command, single_thread=jobs > 1)
    reader = Reader(plan.store)
    if reader.finished(task.run):
        return None
    if brood.stopped:
        return "stopped by the user"
    # A process that was killed could not say so itself; a run that failed has said more than its exit code.
    if code < 0 or reader.failure(task.run) is None:
        _write_failure(plan, task, children.describe(code, last_words))
        reader = Reader(plan.store)
    reason = reader.failure(task.run) or "it left no record"
    if is_unavailable(reason):
        report.unavailable.setdefault(task.data, reason)
    return reason


def _write_failure(plan: Plan, task: Task, reason: str) -> None:
    name = task.run.identity
    record = Record(
        identity=name.digest,
        model=name.model,
        data=name.data,
        protocol=name.protocol,
        budget=name.budget,
        seed=name.seed,
        status="failed",
        reason=reason,
        overrides=list(task.run.overrides),
    )
    plan.store.write(record)


def _in_turn(futures: dict[Future, Task]) -> Iterator[tuple[Task, str | None]]:
    for future in as_completed(futures):
        try:
            yield futures[future], future.result()
        except (OSError, DynbenchError) as error:
            # One run that cannot even be started must not stop the others.
            yield futures[future], f"could not be started: {error}"


def _note(report: Report, task: Task, reason: str | None) -> None:
    if reason is None:
        report.finished += 1
    elif is_unavailable(reason):
        report.left += 1
    else:
        report.failed[task.label] = reason
        tqdm.write(f"failed: {task.label}: {reason}", file=sys.stderr)


def _print_report(report: Report, no_run: bool) -> None:
    if not no_run:
        print(f"runs: {report.finished} finished, {len(report.failed)} failed, {report.left} without their data")
    for data, reason in report.unavailable.items():
        print(f"not available: {data}: {reason}")
    for label, reason in report.failed.items():
        print(f"failed: {label}: {reason}", file=sys.stderr)


def _add(found: dict[Identity, Task], run: Run, plan: CellPlan, name: str) -> None:
    if run.identity in found:
        before = found[run.identity]
        found[run.identity] = Task(run, before.label, tuple(dict.fromkeys((*before.tables, name))))
    else:
        label = f"{name}, {plan.row.label}, {plan.column.label}, seed {run.identity.seed}"
        found[run.identity] = Task(run, label, (name,))


def _quoted(text: str) -> str:
    """A value that Hydra's grammar takes as it is."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="make_tables.py",
        description="Run what is missing of the papers' tables and write them as Markdown, CSV and LaTeX. Finished "
        "runs are left alone, failed ones are tried again; interrupt and repeat as you like.",
    )
    parser.add_argument("--tables", nargs="+", default=[], metavar="NAME", help="tables to make (default: all)")
    parser.add_argument("--budget", default="quick", help=f"{' | '.join(BUDGETS)} (default: quick)")
    parser.add_argument("--jobs", type=_positive, default=1, metavar="N", help="runs at a time (default: 1)")
    parser.add_argument(
        "--results-dir", default="results", metavar="DIR", help="published runs, tables (default: results)"
    )
    parser.add_argument("--work-dir", default="runs", metavar="DIR", help="spooled records of runs (default: runs)")
    parser.add_argument("--no-run", action="store_true", help="only write the tables from the records there are")
    parser.add_argument(
        "--force-failed",
        action="store_true",
        help="try every run whose dataset could not be had, not one per dataset only",
    )
    parser.add_argument("--only", default="", metavar="row=NAME,column=NAME", help="run these rows and columns only")
    parser.add_argument("--set", nargs="+", default=[], metavar="KEY=VALUE", help="override for every run: trainer=gpu")
    return parser


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is less than 1")
    return value

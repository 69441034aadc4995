"""Choose settings on validation pairs: run the candidates of a sweep that are missing, and write what validation says.

Runs are found, started and published as those of tables are (:mod:`dynbench.reporting.make`).
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence

from dynbench import records
from dynbench.config import compose
from dynbench.records import Store
from dynbench.reporting import make, sweeps
from dynbench.reporting.composer import Composer
from dynbench.reporting.plan import Filter


class SweepPlan(make.Plan):
    """The systems of some sweeps as tables, and what has to be run for them."""

    def write(self, chosen: Iterable[str] | None = None) -> None:
        """Write the pages of some systems, or of all of them, from the published runs."""
        for name in self.cells if chosen is None else chosen:
            sweeps.write(self.tables[name], self.measure(name), self.store.results_dir)


def prepare(
    names: Sequence[str], store: Store, systems: Sequence[str] = (), extra: Sequence[str] = (),
    composer: Composer | None = None,
) -> SweepPlan:  # fmt: skip
    """Read sweeps, all of them when none is named, and compose their candidates.

    Raises:
        ConfigError: If a sweep, a system or a candidate is unknown or wrong.
    """
    plan = SweepPlan(sweeps.BUDGET, store)
    for table, cells in sweeps.planned(composer, names, systems, extra):
        plan.tables[table.name] = table
        plan.cells[table.name] = {sweeps.BUDGET: cells}
    return plan


def main(arguments: Sequence[str] | None = None) -> int:
    """The command ``scripts/sweep.py``; returns its exit code."""
    return make.command(_main, _parser().parse_args(arguments))


def _main(options: argparse.Namespace) -> int:
    store = Store(options.results_dir, options.work_dir)
    plan = prepare(options.names, store, options.systems, options.set)
    records.require_writable(store.results_dir / sweeps.FOLDER)
    report = make.complete(plan, Filter(), options)
    for name, table in plan.tables.items():
        cells = plan.measure(name)
        print(f"\n{sweeps.page(table, cells)}")
        if chosen := sweeps.best(table, cells):
            columns = ", ".join(column.name for column in table.columns)
            model, *settings = chosen.overrides
            row = model.partition("=")[2]
            print(f"best: {{row: {row}, column: [{columns}], overrides: [{', '.join(settings)}]}}")
        print(f"written: {store.results_dir / sweeps.FOLDER / name}.md")
    make.print_report(report, options.no_run)
    return 1 if report.failed else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=f"{compose.program_name()} sweep",
        description="Run the candidates of sweeps (conf/sweep/) that are missing, and write what validation pairs say "
        "of them. No test metric is read. Interrupt and repeat as you like.",
    )
    add = parser.add_argument
    add("names", nargs="*", metavar="NAME", help=f"{' | '.join(sweeps.names())} (default: all)")
    add("--systems", nargs="+", default=[], metavar="NAME", help="these systems only")
    add("--results-dir", default="results", metavar="DIR", help="published runs, pages (default: results)")
    make.add_run_options(parser)
    return parser

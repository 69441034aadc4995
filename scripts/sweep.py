"""Choose settings of systems on validation pairs: ``python scripts/sweep.py nlsm_table2 --systems dysat``.

Runs every candidate of ``conf/sweep/<name>.yaml`` that was not run before, and writes what validation says of it to
``results/sweeps/<name>_<system>.md``. Test metrics are not read. What was chosen is printed as it may stand among the
``cells`` of a table.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from statistics import mean
from typing import Any

import yaml

from dynbench.config.check import check
from dynbench.config.compose import CONF, compose
from dynbench.errors import DynbenchError
from dynbench.runner import run


def main(words: list[str] | None = None) -> int:
    """Run a sweep and write its page."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("name", help="of the sweep, a file in conf/sweep/")
    parser.add_argument("--systems", nargs="*", help="only these")
    parser.add_argument(
        "--set", nargs="*", default=[], dest="settings", help="settings of every run, such as work_dir=runs"
    )
    parser.add_argument("--results-dir", default="results", help="where the page goes")
    options = parser.parse_args(words)
    sweep = yaml.safe_load((CONF / "sweep" / f"{options.name}.yaml").read_text(encoding="utf-8"))
    place = Path(options.results_dir) / "sweeps"
    place.mkdir(parents=True, exist_ok=True)
    for system in options.systems or list(sweep["systems"]):
        best, table = system_table(sweep, system, options.settings)
        text = f"# {sweep['title']}: {system}\n\n{sweep['rule']}\n{table}"
        (place / f"{options.name}_{system}.md").write_text(text, encoding="utf-8")
        print(f"{system}\n{table}")
        print(f"- {{row: {system}, column: [{', '.join(sweep['columns'])}], overrides: [{', '.join(best)}]}}\n")
    return 0


def system_table(sweep: dict[str, Any], system: str, settings: list[str]) -> tuple[list[str], str]:
    """Run all candidates of a system; returns the best, and a table of what validation says, that one marked."""
    rows = []
    for candidate in sweep["systems"][system]:
        cells = [measured(sweep, system, column, candidate, settings) for column in sweep["columns"].values()]
        rows.append((candidate, cells, mean(value for cell in cells for value in cell)))
        print(f"{system} {' '.join(candidate) or 'defaults'}: {rows[-1][2]:.2f}", file=sys.stderr, flush=True)
    best = max(range(len(rows)), key=lambda number: rows[number][2])  # the first of equals
    names = [metric.removeprefix("validation_") for metric in sweep["metrics"]]
    heads = [f"{column} {name}" for column in sweep["columns"] for name in names]
    lines = ["", "| settings | " + " | ".join(heads) + " | mean |", "| --- |" + " ---: |" * (len(heads) + 1)]
    for number, (candidate, cells, average) in enumerate(rows):
        numbers = [f"{value:.2f}" for cell in cells for value in cell] + [f"{average:.2f}"]
        name = " ".join(candidate) or "as released"
        marked = [f"**{text}**" if number == best else text for text in (name, *numbers)]
        lines.append("| " + " | ".join(marked) + " |")
    return rows[best][0], "\n".join(lines) + "\n"


def measured(
    sweep: dict[str, Any], system: str, column: list[str], candidate: list[str], settings: list[str]
) -> list[float]:
    """Means over the seeds, in percent."""
    found = []
    for seed in sweep["seeds"]:
        words = [
            f"model={system}",
            *column,
            *sweep["overrides"],
            *candidate,
            f"seed={seed}",
            "progress=false",
            *settings,
        ]
        metrics = run(check(compose(words)), words).record.metrics
        found.append([100 * metrics[name] for name in sweep["metrics"]])
    return [mean(values) for values in zip(*found, strict=True)]


if __name__ == "__main__":
    try:
        sys.exit(main())
    except DynbenchError as error:
        sys.exit(f"error: {error}")

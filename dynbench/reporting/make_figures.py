"""Make figures: run what is missing, then draw what there is.

A file ``conf/figure/<name>.yaml`` says which runs to draw and, by its ``kind``, with which module: every such module
has a function ``draw(scores, folder, title, names, formats)``; what a run names under ``settings`` is passed on. A file
with a ``table`` in place of ``runs`` draws the measured cells of that table. Any other run's figures are drawn from its
overrides alone: ``--run model=gae data=collegemsg data.window=1d``. Curves of several models come in one picture:
``--curves model=gae,nglp data=collegemsg --seeds 0 1 2``; in a file of the kind ``curves`` each run is one of them.
"""

from __future__ import annotations

import argparse
import importlib
import itertools
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dynbench import records
from dynbench.config.check import resolved
from dynbench.config.compose import choices, compose, parse, program, program_name
from dynbench.errors import ConfigError, DynbenchError
from dynbench.reporting import figures
from dynbench.reporting.composer import Composer
from dynbench.reporting.make import prepare
from dynbench.reporting.words import choice_words


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog=f"{program_name()} figures", description=__doc__.splitlines()[0])
    parser.add_argument("--figures", nargs="*", default=[], help="names of conf/figure files; all when omitted")
    parser.add_argument("--run", nargs="+", metavar="OVERRIDE", help="draw this run instead, typed as for run.py")
    parser.add_argument("--curves", nargs="+", metavar="OVERRIDE", help="draw these in one picture: model=gae,nglp …")
    parser.add_argument("--seeds", nargs="+", type=int, metavar="SEED", help="seeds of each curve (default: --seed)")
    parser.add_argument(
        "--kind",
        choices=sorted(figures.KINDS.keys() - {"curves"}),
        default="link",
        help="which figures of --run (default: link)",
    )
    parser.add_argument("--budget", default="quick", help="smoke, quick or paper")
    parser.add_argument("--seed", type=int, default=0, help="seed of the runs that are drawn")
    parser.add_argument("--format", nargs="+", default=["png", "pdf"], help="png, svg, pdf (png pdf)")
    parser.add_argument("--results-dir", default="results", help="where published runs lie and figures go")
    parser.add_argument("--work-dir", default="runs", help="where records of runs are spooled")
    parser.add_argument("--no-run", action="store_true", help="draw finished runs only")
    chosen = parser.parse_args(arguments)
    if chosen.run:
        run = {"name": "-".join(chosen.run).replace("/", "_"), "label": " ".join(chosen.run), "overrides": chosen.run}
        return 0 if _make("runs", {"kind": chosen.kind}, run, chosen) else 1
    if chosen.curves:
        try:
            return 1 if _make_curves("curves", _expanded(chosen.curves), chosen) else 0
        except DynbenchError as error:
            print(f"error: {error}", file=sys.stderr)
            return 2
    failed, composer, store = 0, Composer(), records.Store(chosen.results_dir, chosen.work_dir)
    for name in chosen.figures or choices("figure"):
        try:
            entries = figures.load(name)
            if "table" in entries:
                _make_from_table(name, entries, chosen)
            if entries["kind"] == "curves":
                failed += _make_curves(name, entries, chosen)
            else:
                failed += sum(not _make(name, entries, run, chosen) for run in entries.get("runs", ()))
            # What is drawn among the results has its record among the results.
            store.publish(dict.fromkeys(figures.used(composer, [name]), ()))
        except DynbenchError as error:
            print(f"{name}: {error}", file=sys.stderr)
            failed += 1
    return 1 if failed else 0


def _make(name: str, entries: dict[str, Any], run: dict[str, Any], chosen: argparse.Namespace) -> bool:
    """Draw one run; what stands in the way is said, and does not stop the others."""
    try:
        scores = _scores(run["overrides"], chosen.seed, chosen)
        folder = Path(chosen.results_dir) / figures.FOLDER / name / run["name"]
        module = importlib.import_module(figures.KINDS[entries["kind"]])
        title = f"{run['label']} (seed {chosen.seed})"
        module.draw(scores, folder, title, entries.get("names"), chosen.format, **run.get("settings", {}))
        print(f"{name}, {run['name']}: {folder}")
        return True
    except DynbenchError as error:
        print(f"{name}, {run['name']}: {error}", file=sys.stderr)
        return False


def _scores(words: Sequence[str], seed: int, chosen: argparse.Namespace) -> Path:
    """Where a run keeps what it answered; it is made if there is none.

    Raises:
        DynbenchError: If it is not there and cannot be made.
    """
    overrides = [*words, f"budget={chosen.budget}", f"seed={seed}"]
    identity = records.identify(resolved(compose(overrides)))
    scores = identity.arrays_path(chosen.work_dir)
    record = records.Store(chosen.results_dir, chosen.work_dir).find(identity)
    if not scores.is_file() or record is None or not record.finished:
        if chosen.no_run:
            raise ConfigError("not run yet")
        folders = [f"results_dir={chosen.results_dir}", f"work_dir={chosen.work_dir}"]
        _run([*overrides, *folders, "progress=false", "force=true"])
    return scores


def _make_curves(name: str, entries: dict[str, Any], chosen: argparse.Namespace) -> int:
    """Draw all runs of a figure in one picture; returns how many are missing in it."""
    seeds = chosen.seeds or figures.seeds(entries) or [chosen.seed]
    scores: dict[str, list[Path]] = {}
    missing = 0
    for run in entries["runs"]:
        for seed in seeds:
            try:
                scores.setdefault(run["label"], []).append(_scores(run["overrides"], seed, chosen))
            except DynbenchError as error:
                print(f"{name}, {run['label']}, seed {seed}: {error}", file=sys.stderr)
                missing += 1
    folder = Path(chosen.results_dir) / figures.FOLDER / name
    found = {label: paths for label, paths in scores.items() if paths}
    module = importlib.import_module(figures.KINDS["curves"])
    written = module.draw(found, folder, entries.get("title", ""), entries.get("names"), chosen.format)
    print("written:", *written, sep="\n  ")
    return missing


def _expanded(words: Sequence[str]) -> dict[str, Any]:
    """One run for each combination of what is separated by commas, as a figure's file would say it."""
    parsed = parse(words, sweep=True)
    several = [override for override in parsed if override.is_sweep_override()]
    fixed = [override.input_line for override in parsed if override not in several]
    parts = [[(one.get_key_element(), str(value)) for value in one.sweep_string_iterator()] for one in several]
    runs = []
    for combination in itertools.product(*parts):
        told = [choice_words(key, value) if "." not in key else f"{key.partition('.')[2]} {value}"
                for key, value in combination]  # fmt: skip
        model = next((word.split("=", 1)[1] for word in fixed if word.startswith("model=")), "")
        label = ", ".join(([choice_words("model", model)] if model else []) + told)
        runs.append({"label": label, "overrides": [*fixed, *(f"{key}={value}" for key, value in combination)]})
    settings = resolved(compose(runs[0]["overrides"]))
    title = settings["data"].get("card", {}).get("title") or choice_words("data", settings["data"]["name"])
    return {"title": title, "runs": runs, "names": {"curves": "-".join(words).replace("/", "_")}}


def _make_from_table(name: str, entries: dict[str, Any], chosen: argparse.Namespace) -> None:
    """Draw what is measured of a table; making the table is another command's work."""
    store = records.Store(chosen.results_dir, chosen.work_dir)
    plan = prepare([entries["table"]], chosen.budget, store)
    definition, cells = plan.tables[entries["table"]], plan.measure(entries["table"])
    folder = Path(chosen.results_dir) / figures.FOLDER / name
    module = importlib.import_module(figures.KINDS[entries["kind"]])
    title = entries.get("title", definition.title)
    module.draw(cells, folder, title, entries.get("names"), chosen.format, **entries.get("settings", {}))
    print(f"{name}: {folder}")


def _run(overrides: Sequence[str]) -> None:
    done = subprocess.run([*program(), *overrides], capture_output=True, text=True, check=False)
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        raise ConfigError(lines[-1].removeprefix("error: "))

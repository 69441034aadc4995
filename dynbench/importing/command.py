"""The command ``dynbench import``: read a file, say what was understood and changed, and write a dataset."""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import re
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from dynbench.config.compose import DATASETS, choices, program_name
from dynbench.data.duration import SECONDS, describe
from dynbench.errors import ConfigError, answered

_UNITS = {"steps": None, "ms": 1e-3, **SECONDS}


@answered
def main(arguments: Sequence[str] | None = None) -> None:
    """Command line; returns the exit code."""
    _import(_parser().parse_args(arguments))


def _import(options: argparse.Namespace) -> None:
    from dynbench.importing import events, roles, table

    path = Path(options.file).expanduser()
    name = options.name or _name(path)
    folder = Path(options.to).expanduser() if options.to else Path(DATASETS) / name
    _require_free(name, folder)
    read = table.read(path, options.delimiter, {True: False, False: None}[options.no_header])
    told = {role: getattr(options, role) for role in ("src", "dst", "time", "weight", "relation")}
    found = roles.find(read, told, tuple(options.features or ()))
    made = events.make(
        read, found, directed=not options.undirected, bipartite=True if options.bipartite else None,
        loops=options.keep_loops, duplicates=options.keep_duplicates,
        seconds=_UNITS[options.unit] if options.unit else None,
    )  # fmt: skip
    if options.unit == "steps":
        made.graph = dataclasses.replace(made.graph, seconds=None)
    _print_understood(read, found, made)
    _write(options, name, folder, read, made)


def _name(path: Path) -> str:
    """The file's name as the name of a dataset."""
    stem = re.sub(r"(\.(csv|tsv|txt|edges|parquet|pq|gz|zip|dat|data))+$", "", path.name.lower())
    return re.sub(r"[^a-z0-9]+", "_", stem).strip("_") or "mine"


def _require_free(name: str, folder: Path) -> None:
    """A dataset of the catalogue must not be taken for the user's."""
    if not re.fullmatch(r"[a-z0-9_]+", name):
        raise ConfigError(f"'{name}' is no name for a dataset; use lower-case letters, digits and _ (--name)")
    if name in choices("data") and not (folder / "conf" / "data" / f"{name}.yaml").is_file():
        raise ConfigError(f"there is a dataset '{name}' already; choose another name with --name")


def _print_understood(read: Any, found: Any, made: Any) -> None:
    graph = made.graph
    print(f"{read.path}: {read.layout}\n\nunderstood")
    rows = {"source": found.src, "destination": found.dst, "time": f"{found.time or ''}: {made.unit}".lstrip(": ")}
    if graph.num_steps is None:
        rows["span"] = _span(graph)
    rows |= {"relation": found.relation, "weight": found.weight}
    if graph.edge_features is not None:
        rows["features"] = f"{graph.edge_features.shape[1]} of each event"
    left = [name for name in read.columns if name not in found.used()]
    rows["left out"] = ", ".join(left)
    rows["nodes"] = f"{graph.num_nodes:,}" + (" by name" if graph.node_names is not None else "")
    rows["directed"] = "yes (--undirected)" if graph.directed else "no"
    rows["two sides"] = "yes, numbered apart" if graph.bipartite else ""
    for key, value in rows.items():
        if value:
            print(f"  {key:<13}{value}")
    print("\nchanged")
    for line in made.changes or ["nothing"]:
        print(f"  {line}")


def _span(graph: Any) -> str:
    first, last = graph.time[0].item(), graph.time[-1].item()
    if graph.seconds == 1.0 and first > 1e8:
        from dynbench.graph.times import as_dates

        ends = [str(moment)[:16].replace("T", " ") for moment in as_dates([first, last], 1.0)]
        return f"{ends[0]} to {ends[1]} UTC ({describe(last - first, 1.0)})"
    return f"{first:g} to {last:g} ({describe(last - first, graph.seconds)})"


def _write(options: argparse.Namespace, name: str, folder: Path, read: Any, made: Any) -> None:
    from dynbench.data.writing import write_folder
    from dynbench.importing.window import suggest
    from dynbench.records import write_text

    graph, window = made.graph, suggest(made.graph)
    write_folder(graph, folder)
    # Where one stands a folder is found by its relative path, wherever all of it is moved to.
    place = str(folder) if not options.to else str(folder.resolve())
    write_text(folder / "conf" / "data" / f"{name}.yaml", _card(name, place, read.path, made, window))
    print(f"\nwritten      {folder}: {len(graph):,} events among {graph.num_nodes:,} nodes")
    if window is not None:
        print(f"window       {window} suggested, in its card: {_snapshots(graph, window)}")
    if options.to:
        print(f"to use it    export DYNBENCH_PLUGINS={shlex.quote(str(folder.resolve()))}")
    model = "common_neighbors" if graph.num_steps is None or graph.num_steps > 1 else "vgae"
    print(f"try          {program_name()} model={model} data={name}")


def _snapshots(graph: Any, window: Any) -> str:
    from dynbench.data.cutting import cut

    made = cut(graph, window, None, graph.directed)
    links = sorted(len(step) for step in made.steps())
    return f"{made.num_steps} snapshots, {links[len(links) // 2]:,} links in the middle one by size"


def _card(name: str, place: str, path: Path, made: Any, window: Any) -> str:
    """A file for ``conf/data``, every key with its comment."""
    graph = made.graph

    def value(content: Any) -> str:
        text = yaml.safe_dump(content, allow_unicode=True, width=10**6, default_flow_style=True).strip()
        return text.removesuffix("...").strip()

    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    statistics = [f"  nodes: {graph.num_nodes}  # Counted at the import."]
    if graph.num_steps is None:
        statistics.append(f"  events: {len(graph)}  # The same.")
    return "\n".join(
        [
            f"# {name}: imported from {path.name}.",
            "_target_: dynbench.data.dataset.FileDataset",
            f"name: {name}  # Name in records.",
            f"path: {value(place)}  # The folder with edges.csv.gz.",
            f"directed: {value(graph.directed)}  # Whether (i, j) and (j, i) are different links.",
            f"bipartite: {value(graph.bipartite)}  # Whether sources and destinations are disjoint sets of nodes.",
            f"window: {value(window)}  # Length of a snapshot; suggested at the import, yours to choose.",
            f"seconds: {value(graph.seconds)}  # Seconds per unit of t; null if t only counts steps.",
            "expected:  # Checked after every load.",
            *statistics,
            "card:  # For people.",
            f"  title: {value(name)}  # Name in tables.",
            "  homepage: null  # Where it comes from.",
            "  licence: null  # Terms.",
            "  citation: null  # Cite this.",
            f"  source: {value(f'{path.name}, sha256 {digest}')}  # What was imported.",
            f"  changed: {value('; '.join(made.changes) or 'nothing')}  # On the way.",
            "",
        ]
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=f"{program_name()} import",
        description="Turn a file of events (CSV, TSV, SNAP, KONECT, JODIE, Parquet; packed or not) into a dataset. "
        "What the columns are is found out; where that goes wrong, say it. Columns are named, or numbered from 1.",
    )
    add = parser.add_argument
    add("file", help="the file")
    add("--name", help="name of the dataset (default: the file's)")
    add("--to", metavar="FOLDER", help=f"where to write it (default: {DATASETS}/NAME, where it is found by its name)")
    for role, meaning in (("src", "source"), ("dst", "destination"), ("time", "time"), ("weight", "weight"),
                          ("relation", "kind of event")):  # fmt: skip
        add(f"--{role}", metavar="COLUMN", help=f"column with the {meaning}; none if there is none")
    add("--features", nargs="+", metavar="COLUMN", help="columns with numbers that describe the events")
    add("--undirected", action="store_true", help="(i, j) and (j, i) are one link")
    add("--bipartite", action="store_true", help="sources and destinations are two sets of nodes")
    add("--unit", choices=list(_UNITS), help="what plain numbers of time count")
    add("--delimiter", metavar="SIGN", help="what separates fields (default: found out)")
    add("--no-header", action="store_true", help="the first line is data")
    add("--keep-loops", action="store_true", help="keep events from a node to itself")
    add("--keep-duplicates", action="store_true", help="keep lines that repeat another one")
    return parser

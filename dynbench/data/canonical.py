"""The project's own folder format: ``edges.csv`` and its companions (docs/data_format.md)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from dynbench.data import facts
from dynbench.data.arrays import check_rows, read_npz
from dynbench.data.events import RawEvents, require_steps, require_used
from dynbench.data.textfiles import Columns, column_names, read_table
from dynbench.errors import DataError

STEMS = ("edges", "snapshots", "nodes", "labels")
# Features of nodes and of events (rows of `edges`).
ARRAYS = ("features", "edge_features")
# A file with these columns only is a graph without times: one snapshot. Any other column may be a misspelt "t".
_TIMELESS = {"src", "dst", "weight", "rel"}


def find(folder: Path, stem: str) -> Path | None:
    """``<stem>.csv.gz`` or ``<stem>.csv`` of a folder, or ``None``."""
    return next((path for path in (folder / f"{stem}.csv.gz", folder / f"{stem}.csv") if path.is_file()), None)


def is_canonical(folder: Path) -> bool:
    """Whether a folder holds a graph in this format."""
    return find(folder, "edges") is not None or find(folder, "snapshots") is not None or facts.is_facts(folder)


def files_of(path: Path) -> list[Path]:
    """The files that make up a graph: those of a folder, or a single file of edges."""
    if path.is_file():
        return [path]
    if facts.is_facts(path):
        return facts.files_of(path)
    tables = [found for stem in STEMS if (found := find(path, stem))]
    return tables + [found for stem in ARRAYS if (found := path / f"{stem}.npz").is_file()]


def reader_of(files: list[Path]) -> Callable[[list[Path]], RawEvents]:
    """The reader of the files of a graph: :func:`read_canonical`, or that of knowledge graphs."""
    return facts.read_facts if any(path.name.startswith("train.") for path in files) else read_canonical


def has_edges(files: list[Path]) -> bool:
    """Whether the files include events, or only snapshots."""
    return "edges" in _by_stem(files)


def read_canonical(files: list[Path]) -> RawEvents:
    """Read a graph in the project's own format.

    Args:
        files: As given by :func:`files_of`. A file of another name than the known ones is taken as edges.

    Returns:
        The events. Where ``edges`` has no column ``snapshot`` and a file ``snapshots`` is there, see
        :func:`read_snapshots` for the cut.

    Raises:
        DataError: If a column is missing or a line is malformed, with file and line number.
    """
    by_stem = _by_stem(files)
    if "edges" not in by_stem:
        raise DataError(f"{files[0].parent}: no edges.csv or edges.csv.gz; only snapshots can be loaded from it")
    return _read_edges(by_stem["edges"], by_stem)


def read_snapshots(files: list[Path]) -> RawEvents | None:
    """Read ``snapshots.csv``, the pairs of each step, or ``None`` if there is no such file."""
    by_stem = _by_stem(files)
    if "snapshots" not in by_stem:
        return None
    raw = _read_edges(by_stem["snapshots"], by_stem)
    if raw.time.dtype != np.int64 or (len(raw.time) and raw.time.min() < 0):
        raise DataError(f"{by_stem['snapshots']}: column 't' must hold snapshot indices 0, 1, 2, …")
    require_steps(int(raw.time.max(initial=0)), by_stem["snapshots"])
    raw.snapshot = raw.time
    return raw


def _by_stem(files: list[Path]) -> dict[str, Path]:
    named = {path.name.split(".")[0]: path for path in files}
    return named if len(files) > 1 or set(named) & set(STEMS) else {"edges": files[0]}


def _read_edges(path: Path, by_stem: dict[str, Path]) -> RawEvents:
    plain = {"src", "dst"} <= column_names(path) <= _TIMELESS
    timeless = plain and not path.name.startswith("snapshots.")
    table = read_table(path, ("src", "dst") if timeless else ("src", "dst", "t"), ("weight", "snapshot", "rel"))
    src, dst = table.integers("src"), table.integers("dst")
    never = np.zeros(len(src), dtype=np.int64)
    raw = RawEvents(src, dst, never, snapshot=never) if timeless else RawEvents(src, dst, table.times("t"))
    raw.weight = table.floats("weight") if "weight" in table else None
    raw.relation = table.integers("rel") if "rel" in table else None
    raw.snapshot = table.integers("snapshot") if "snapshot" in table else raw.snapshot
    highest = int(max(raw.src.max(), raw.dst.max()))
    require_used(highest, 2 * len(src), "node", path)
    if raw.relation is not None:
        require_used(int(raw.relation.max()), len(src), "relation", path)
    if raw.snapshot is not None:
        require_steps(int(raw.snapshot.max()), path)
    raw.num_nodes = highest + 1
    if "nodes" in by_stem:
        raw.num_nodes = _count_nodes(by_stem["nodes"], path, highest)
    elif "edges" in by_stem and path != by_stem["edges"]:
        raw.num_nodes = max(raw.num_nodes, _read_edges(by_stem["edges"], {}).num_nodes)
    elif timeless and "labels" in by_stem:
        raw.num_nodes = max(raw.num_nodes, _count_labelled(by_stem["labels"]))
    if "features" in by_stem:
        raw.node_features = check_rows(read_npz(by_stem["features"]), raw.num_nodes, "nodes", by_stem["features"])
    if "edge_features" in by_stem and path == by_stem.get("edges"):
        raw.edge_features = check_rows(
            read_npz(by_stem["edge_features"]), len(table), "events", by_stem["edge_features"]
        )
    if "labels" in by_stem:
        raw.node_labels = _read_labels(by_stem["labels"], raw.num_nodes)
    return raw


def _count_nodes(nodes: Path, edges: Path, highest: int) -> int:
    table = read_table(nodes, ("id",))
    ids = _unique_ids(table, nodes)
    require_used(int(ids.max()), len(ids), "node", nodes)
    if highest > ids.max():
        raise DataError(f"{edges}: node {highest} occurs, but {nodes.name} ends at {ids.max()}; add it there")
    return int(ids.max()) + 1


def _count_labelled(labels: Path) -> int:
    """Nodes of a graph without times, of which some may have no edge and yet a class."""
    ids = read_table(labels, ("id",)).integers("id")
    require_used(int(ids.max()), len(ids), "node", labels)
    return int(ids.max()) + 1


def _read_labels(path: Path, num_nodes: int) -> np.ndarray:
    table = read_table(path, ("id", "label"))
    ids = _unique_ids(table, path)
    if ids.max() >= num_nodes:
        raise DataError(f"{path}: node {ids.max()} has a label but the graph has only {num_nodes} nodes")
    labels = np.full(num_nodes, -1, dtype=np.int64)
    labels[ids] = table.integers("label", lowest=-1)
    return labels


def _unique_ids(table: Columns, path: Path) -> np.ndarray:
    ids = table.integers("id")
    values, counts = np.unique(ids, return_counts=True)
    if counts.max() > 1:
        raise DataError(f"{path}: node {values[np.argmax(counts)]} is listed more than once")
    return ids

"""Write a graph as a folder in the project's own format (docs/data_format.md)."""

from __future__ import annotations

import csv
import gzip
import io
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from dynbench.errors import DataError
from dynbench.graph import TemporalGraph


def write_folder(graph: TemporalGraph, folder: str | Path, names: dict[str, Sequence[str]] | None = None) -> Path:
    """Write ``edges.csv.gz`` and what belongs beside it; equal graphs give equal files.

    Args:
        graph: In continuous time, or of snapshots, whose step stands in a column of its own.
        folder: Made if it is not there; its files of these names are replaced.
        names: More columns of ``nodes.csv.gz``, for people.

    Raises:
        DataError: If the folder cannot be written.
    """
    folder = Path(folder)
    columns = {"src": graph.src, "dst": graph.dst}
    if not (graph.num_steps == 1 and not bool(graph.time.any())):
        columns["t"] = graph.time
        columns |= {"snapshot": graph.time} if graph.num_steps is not None else {}
    columns |= {"weight": graph.weight} if graph.weight is not None else {}
    columns |= {"rel": graph.relation} if graph.relation is not None else {}
    nodes = {"id": list(range(graph.num_nodes))}
    nodes |= {"name": graph.node_names} if graph.node_names is not None else {}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _write_table(folder / "edges.csv.gz", {name: part.tolist() for name, part in columns.items()})
        _write_table(folder / "nodes.csv.gz", {**nodes, **(names or {})})
        if graph.relation_names is not None:
            ids = list(range(len(graph.relation_names)))
            _write_table(folder / "relations.csv.gz", {"id": ids, "name": graph.relation_names})
        if graph.node_labels is not None and graph.node_labels.dim() == 1:
            _write_table(folder / "labels.csv.gz", {"id": nodes["id"], "label": graph.node_labels.tolist()})
        for stem, features in (("features", graph.node_features), ("edge_features", graph.edge_features)):
            if features is not None:
                _write(folder / f"{stem}.npz", _packed(features.numpy()))
    except OSError as error:
        raise DataError(f"cannot write {folder}: {error.strerror or error}") from error
    return folder


def _write_table(path: Path, columns: dict[str, Iterable]) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    rows = zip(*columns.values(), strict=True)
    # A name that holds a line break would make two lines of one.
    writer.writerows([" ".join(v.split()) if isinstance(v, str) else v for v in row] for row in rows)
    _write(path, gzip.compress(text.getvalue().encode("utf-8"), mtime=0))


def _packed(features: np.ndarray) -> bytes:
    content = io.BytesIO()
    np.savez_compressed(content, features=features)
    return content.getvalue()


def _write(path: Path, content: bytes) -> None:
    """There whole or not at all."""
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        part.write_bytes(content)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)

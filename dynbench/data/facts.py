"""Knowledge graphs: facts ``(subject, relation, object, t)`` in three parts that follow each other in time.

A folder of this project's format holds ``train.csv``, ``test.csv`` and perhaps ``valid.csv``, plain or packed, and
perhaps the names of entities and relations. Readers of other formats share :func:`assemble`, which checks and joins
the parts.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dynbench.data.events import RawEvents, require_used
from dynbench.data.textfiles import Columns, read_table, read_text
from dynbench.errors import DataError

PARTS = ("train", "valid", "test")
COLUMNS = ("subject", "relation", "object", "t")
NAMES = ("entities", "relations")


@dataclass(frozen=True)
class Count:
    """How many ids there are, and which file says so."""

    value: int
    source: str


def is_facts(folder: Path) -> bool:
    """Whether a folder holds a knowledge graph in this project's format."""
    return all(_find(folder, part, "csv") for part in ("train", "test"))


def files_of(folder: Path) -> list[Path]:
    """The files of a knowledge graph."""
    wanted = [*((part, "csv") for part in PARTS), *((name, "tsv") for name in NAMES)]
    return [found for stem, suffix in wanted if (found := _find(folder, stem, suffix))]


def read_facts(files: list[Path]) -> RawEvents:
    """Read a knowledge graph in this project's format.

    Args:
        files: As given by :func:`files_of`.

    Raises:
        DataError: If a file is malformed, or the files contradict each other; names file and line.
    """
    stems = {path.name.split(".")[0]: path for path in files}
    entities, relations = (_count_names(stems[name]) if name in stems else None for name in NAMES)
    parts = {part: read_table(stems[part], COLUMNS) for part in PARTS if part in stems}
    return assemble(parts, entities, relations)


def assemble(parts: Mapping[str, Columns], entities: Count | None, relations: Count | None) -> RawEvents:
    """Join the parts of a knowledge graph.

    Args:
        parts: Columns ``subject``, ``relation``, ``object``, ``t`` by part; ``valid`` may be absent.
        entities, relations: How many there are; as many as occur where it is not known.

    Returns:
        Events whose ``snapshot`` numbers the distinct times and whose ``part`` is 0, 1 or 2 for train, valid, test.
        A fact that a time holds repeatedly is one event with that weight.

    Raises:
        DataError: If an id exceeds its count, or two parts share a time.
    """
    for part in ("train", "test"):
        if part not in parts:
            raise DataError(f"a knowledge graph needs a {part} part; add {part}.csv or {part}.txt")
    present = [part for part in PARTS if part in parts]
    columns = [_facts(parts[part], entities, relations) for part in present]
    for before, after in itertools.pairwise(range(len(present))):
        end, start = columns[before][3].max(), columns[after][3].min()
        if start <= end:
            raise DataError(
                f"{parts[present[after]].path} begins at t={start}, but {parts[present[before]].path} ends at t={end}; "
                "the parts must follow each other in time without a shared step"
            )
    subject, relation, target, time = (np.concatenate(column) for column in zip(*columns, strict=True))
    part = np.concatenate([np.full(len(c[0]), PARTS.index(p)) for p, c in zip(present, columns, strict=True)])
    times, step = np.unique(time, return_inverse=True)
    # Repeated facts become a weight; the others keep the order of the files.
    _, first, counts = np.unique(
        np.stack([step, subject, relation, target]), axis=1, return_index=True, return_counts=True
    )
    order = np.argsort(first)
    kept, weight = first[order], counts[order]
    subject, relation, target, time, part, step = (a[kept] for a in (subject, relation, target, time, part, step))
    return RawEvents(
        subject,
        target,
        time,
        weight=weight,
        num_nodes=int(max(subject.max(), target.max())) + 1 if entities is None else entities.value,
        relation=relation,
        num_relations=int(relation.max()) + 1 if relations is None else relations.value,
        snapshot=step,
        num_steps=len(times),
        part=part,
    )


def count_ids(path: Path, column: int) -> Count:
    """Read a file that gives every id a name, fields separated by tabs, and check that no id is missing.

    Args:
        path: The file; its first line may be a header with ``id``.
        column: Position of the id.

    Raises:
        DataError: If a line has no id, or an id is missing or listed twice.
    """
    ids = []
    # Names may hold quotes and exotic line separators, so that lines are cut here and nowhere else.
    for number, line in enumerate(read_text(path).split("\n"), start=1):
        if not line.strip():
            continue
        fields = line.rstrip("\r").split("\t")
        if number == 1 and "id" in fields:
            continue
        if column >= len(fields) or not fields[column].strip().isdigit():
            raise DataError(f"{path}, line {number}: column {column + 1} holds no id; fields are separated by tabs")
        ids.append(int(fields[column]))
    require_used(max(ids, default=0), len(ids), "id", path)
    counts = np.bincount(ids, minlength=1)
    for wrong, words in ((counts > 1, "is listed more than once"), (counts == 0, "is missing; ids run from 0")):
        if wrong.any():
            raise DataError(f"{path}: id {np.argmax(wrong)} {words}")
    return Count(len(ids), path.name)


def _count_names(path: Path) -> Count:
    return count_ids(path, column=0)


def _facts(table: Columns, entities: Count | None, relations: Count | None) -> tuple[np.ndarray, ...]:
    bounds = {"subject": entities, "object": entities, "relation": relations}
    ids = []
    for name in COLUMNS[:3]:
        bound = bounds[name]
        ids.append(table.integers(name) if bound is None else table.integers(name, 0, bound.value, bound.source))
    for name, values in zip(COLUMNS[:3], ids, strict=True):
        require_used(int(values.max()), 2 * len(values), name, table.path)
    return (*ids, table.times("t"))


def _find(folder: Path, stem: str, suffix: str) -> Path | None:
    paths = (folder / f"{stem}.{suffix}.gz", folder / f"{stem}.{suffix}")
    return next((path for path in paths if path.is_file()), None)

"""RE-NET's text format of temporal knowledge graphs, which later projects took over."""

from __future__ import annotations

from pathlib import Path

from dynbench.data.events import RawEvents
from dynbench.data.facts import COLUMNS, PARTS, Count, assemble, count_ids
from dynbench.data.textfiles import read_columns, read_text
from dynbench.errors import DataError

_STAT, _ENTITIES, _RELATIONS = "stat.txt", "entity2id.txt", "relation2id.txt"
FILES = (*(f"{part}.txt" for part in PARTS), _STAT, _ENTITIES, _RELATIONS)


def is_renet(folder: Path) -> bool:
    """Whether a folder holds a knowledge graph in this format."""
    return all((folder / name).is_file() for name in ("train.txt", "test.txt"))


def files_of(folder: Path) -> list[Path]:
    """Those files of a folder that :func:`read_renet` knows."""
    return [folder / name for name in FILES if (folder / name).is_file()]


def read_renet(files: list[Path]) -> RawEvents:
    """Read lines ``subject relation object t`` of a train, a test and perhaps a validation file.

    Fields beyond the fourth are ignored: some copies carry a column of zeros. Times are numbered in their order, since
    some copies count hours or minutes.

    Args:
        files: ``train.txt``, ``test.txt`` and any of ``valid.txt``, ``stat.txt`` (numbers of entities and relations),
            ``entity2id.txt`` and ``relation2id.txt`` (name, tab, id), packed or not.

    Raises:
        DataError: If a file is malformed, or the files contradict each other.
    """
    named = {path.name.removesuffix(".gz"): path for path in files}
    parts = {p: read_columns(named[f"{p}.txt"], COLUMNS, range(4)) for p in PARTS if f"{p}.txt" in named}
    declared = _read_stat(named[_STAT]) if _STAT in named else (None, None)
    counts = []
    for count, name in zip(declared, (_ENTITIES, _RELATIONS), strict=True):
        listed = count_ids(named[name], column=1) if name in named else None
        if count and listed and count.value != listed.value:
            raise DataError(f"{named[name]} lists {listed.value:,} ids, but {_STAT} declares {count.value:,}")
        counts.append(count or listed)
    return assemble(parts, *counts)


def _read_stat(path: Path) -> tuple[Count, Count]:
    """Numbers of entities and relations; what follows them differs from copy to copy."""
    fields = read_text(path).split()
    if len(fields) < 2 or not all(field.isdigit() for field in fields[:2]):
        raise DataError(f"{path}: expected the numbers of entities and relations, found {' '.join(fields[:4])!r}")
    return Count(int(fields[0]), path.name), Count(int(fields[1]), path.name)

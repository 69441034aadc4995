"""Read a file of events into columns of text, whatever separates its fields and whether or not it has a header."""

from __future__ import annotations

import csv
import gzip
import io
import re
import zipfile
import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from dynbench.errors import DataError
from dynbench.graph.times import as_times
from dynbench.importing.words import ROLES, plain

_DELIMITERS = {"\t": "tab", ";": "semicolon", "|": "bar", ",": "comma"}
# Lines that are looked at to tell fields and header.
_SAMPLE = 200


@dataclass
class Table:
    """A file as columns.

    Attributes:
        path: The file.
        columns: Text by name, or by number from 1 where there is no header; of a Parquet file values of any kind.
        lines: Line of each row in the file.
        layout: How the file is laid out, in words.
        header: Whether the columns have names of their own.
        notes: What was left out or changed while reading.
        listed: Columns of features that the header does not name one by one (JODIE).
    """

    path: Path
    columns: dict[str, np.ndarray]
    lines: np.ndarray
    layout: str
    header: bool
    notes: list[str] = field(default_factory=list)
    listed: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.lines)

    def sample(self, name: str) -> list[Any]:
        """Some values of a column that are not empty."""
        return [value for value in self.columns[name][: 5 * _SAMPLE].tolist() if value not in ("", None)][:_SAMPLE]


def read(path: Path, delimiter: str | None = None, header: bool | None = None) -> Table:
    """Read a text file, packed or not, or a Parquet file.

    Args:
        path: The file.
        delimiter: Between fields; found out when omitted, white space where nothing else fits.
        header: Whether the first line names the columns; found out when omitted.

    Raises:
        DataError: If it cannot be read or holds no events.
    """
    if not path.is_file():
        raise DataError(f"{path} is not a file")
    if path.suffix in (".parquet", ".pq"):
        return _read_parquet(path)
    text, notes = _text(path)
    rows = [(number, line) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
    comments = [(number, line) for number, line in rows if line.lstrip().startswith(("#", "%"))]
    rows = [row for row in rows if not row[1].lstrip().startswith(("#", "%"))]
    if not rows:
        raise DataError(f"{path} holds no lines with data")
    if comments:
        notes.append(f"{len(comments):,} lines of comment skipped")
    if delimiter is None:
        delimiter = _delimiter([line for _, line in rows[:_SAMPLE]])
    fields = _split([line for _, line in rows], delimiter)
    named = _has_header(fields) if header is None else header
    names, listed = _names(fields, named)
    kept = [(number, own) for (number, _), own in zip(rows, fields, strict=True)][1 if named else 0 :]
    if not kept:
        raise DataError(f"{path} holds nothing but its header")
    whole = [row for row in kept if len(row[1]) >= len(names)]
    if len(whole) < len(kept):
        first = next(number for number, own in kept if len(own) < len(names))
        notes.append(f"{len(kept) - len(whole):,} lines with too few fields left out, the first is line {first}")
    if not whole:
        raise DataError(f"{path}, line {kept[0][0]}: {len(kept[0][1])} fields for {len(names)} columns")
    parts = zip(*(own[: len(names)] for _, own in whole), strict=True)
    columns = {name: np.array([value.strip() for value in part]) for name, part in zip(names, parts, strict=True)}
    how = f"separated by {_DELIMITERS.get(delimiter, repr(delimiter))}" if delimiter else "separated by white space"
    layout = f"{how}, {'header in line ' + str(rows[0][0]) if named else 'no header'}, {len(kept):,} lines"
    return Table(path, columns, np.array([number for number, _ in whole]), layout, named, notes, listed)


def _text(path: Path) -> tuple[str, list[str]]:
    try:
        content = path.read_bytes()
        if path.suffix == ".gz":
            content = gzip.decompress(content)
        elif path.suffix == ".zip":
            with zipfile.ZipFile(io.BytesIO(content)) as packed:
                inside = [name for name in packed.namelist() if not name.endswith("/")]
                if len(inside) != 1:
                    raise DataError(f"{path} holds {len(inside)} files; unpack it and name one")
                content = packed.read(inside[0])
    except (OSError, EOFError, zlib.error, zipfile.BadZipFile) as error:
        raise DataError(f"{path} cannot be read: {error}") from error
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return content.decode("utf-16"), ["text in UTF-16"]
    try:
        return content.decode("utf-8-sig"), []
    except UnicodeDecodeError:
        if b"\x00" in content[:4096]:
            raise DataError(f"{path} is no text; CSV, TSV, SNAP, JODIE and Parquet files can be imported") from None
        return content.decode("cp1252", errors="replace"), ["not UTF-8, so read as Windows-1252"]


def _delimiter(lines: Sequence[str]) -> str | None:
    """What separates the fields: what cuts nearly all lines into the same number of at least two; the most wins."""
    best, most = None, 1
    for delimiter in _DELIMITERS:
        counts = Counter(map(len, _split(lines, delimiter)))
        width, often = counts.most_common(1)[0]
        if width > most and often >= 0.6 * len(lines):
            best, most = delimiter, width
    return best


def _split(lines: Sequence[str], delimiter: str | None) -> list[list[str]]:
    if delimiter is None:
        return [line.split() for line in lines]
    return list(csv.reader(lines, delimiter=delimiter, skipinitialspace=True))


def _has_header(fields: Sequence[list[str]]) -> bool:
    """Whether the first line speaks of columns: in words, one of them known, or above numbers or dates."""
    first, rest = fields[0], fields[1:_SAMPLE]
    if any(_is_time(word) for word in first):
        return False
    if any(plain(word) in words for word in first for words in ROLES.values()):
        return True
    below = [[row[k] for row in rest if len(row) > k and row[k].strip()] for k in range(len(first))]
    return any(part and all(_is_time(value) for value in part) for part in below)


def _is_time(text: str) -> bool:
    """Whether it is a number or a date."""
    try:
        as_times([text.strip()])
    except DataError as error:
        return "told apart" in str(error)
    return bool(text.strip())


def _names(fields: Sequence[list[str]], header: bool) -> tuple[list[str], tuple[str, ...]]:
    """Names of the columns, and of those that come after the last one that the header names."""
    width = Counter(map(len, fields[1:] or fields)).most_common(1)[0][0]
    if not header:
        return [str(number + 1) for number in range(width)], ()
    names = [re.sub(r"\s+", " ", name.strip()) or str(number + 1) for number, name in enumerate(fields[0])]
    twice = [name for name, often in Counter(names).items() if often > 1]
    names = [f"{name} ({number + 1})" if name in twice else name for number, name in enumerate(names)]
    # JODIE's last name stands for all the features that follow.
    if width >= len(names) and plain(names[-1]) == "commaseparatedlistoffeatures":
        names.pop()
        more = tuple(f"feature {number}" for number in range(1, width - len(names) + 1))
        return [*names, *more], more
    return names, ()


def _read_parquet(path: Path) -> Table:
    try:
        from pyarrow import ArrowException, parquet
    except ImportError as error:
        raise DataError(f"{path}: Parquet files need pyarrow: pip install pyarrow") from error
    try:
        content = parquet.read_table(path)
    except (OSError, ArrowException) as error:
        raise DataError(f"{path} is no Parquet file: {error}") from error
    if not len(content):
        raise DataError(f"{path} holds no rows")
    columns = {}
    for name in content.column_names:
        part = content[name]
        dated = str(part.type).startswith(("timestamp", "date"))
        columns[name] = part.to_numpy().astype("datetime64[us]") if dated else np.array(part.to_pylist(), dtype=object)
    lines = np.arange(1, len(content) + 1)
    return Table(path, columns, lines, f"Parquet, {len(content):,} rows", True)

"""Event streams in the formats of JODIE, of the DGB collection (which DyGLib took over), and of TGB."""

from __future__ import annotations

import csv
import io
from array import array
from pathlib import Path

import numpy as np

from dynbench.data.arrays import check_rows, read_npy
from dynbench.data.events import RawEvents
from dynbench.data.textfiles import Columns, read_table, read_text
from dynbench.errors import DataError

# What the columns of TGB's files are called.
_TIMES = ("timestamp", "ts", "time", "day")
_SOURCES = ("src", "source", "user_id", "head", "u")
_DESTINATIONS = ("dst", "destination", "item_id", "product_id", "tail", "i")
# Columns that are no features: labels of nodes, row numbers, and JODIE's name for all that follows.
_NO_FEATURES = ("state_label", "label", "idx", "", "comma_separated_list_of_features")
_TWO_SIDES = ("item_id", "product_id")


def read_jodie(files: list[Path]) -> RawEvents:
    """Read lines ``user,item,time,label,feature,...`` below a header that names no feature.

    Users and items are numbered from 0 apart; items come to stand behind the users.

    Args:
        files: The one file.
    """
    path = files[0]
    text = read_text(path)
    lines = text.lstrip().split("\n", 2)
    width = len(lines[1].split(",")) if len(lines) > 1 else 0
    names = ["user_id", "item_id", "timestamp", "state_label"]
    if width < 3:
        raise DataError(f"{path}, line 2: {width} fields; a line holds user, item, time, label and features")
    names = names[:width] + [f"feature {k}" for k in range(width - 4)]
    table = Columns(path, text, names, range(width), skip=1)
    users, items = table.integers("user_id"), table.integers("item_id")
    features = np.stack([table.floats(name) for name in names[4:]], axis=1) if width > 4 else None
    return RawEvents(
        users,
        items + users.max() + 1,
        table.times("timestamp"),
        edge_features=_useful(None if features is None else features.astype(np.float32)),
    )


def read_dgb(files: list[Path]) -> RawEvents:
    """Read ``ml_<name>.csv`` with the columns ``u,i,ts,label,idx``, and ``ml_<name>.npy`` with features of the events.

    Node and event numbers count from 1; the first row of the features belongs to no event. Features that are all zero
    are none.

    Args:
        files: The text file, and perhaps one of arrays.

    Raises:
        DataError: If the features do not fit the events.
    """
    named = {path.suffix if path.suffix != ".gz" else Path(path.stem).suffix: path for path in files}
    if ".csv" not in named:
        raise DataError(f"no .csv file among {', '.join(path.name for path in files)}")
    table = read_table(named[".csv"], ("u", "i", "ts"), ("idx",))
    src, dst = (table.integers(name, lowest=1) - 1 for name in ("u", "i"))
    features = None
    if ".npy" in named:
        rows = table.integers("idx", lowest=1) if "idx" in table else np.arange(1, len(table) + 1)
        features = check_rows(read_npy(named[".npy"]), len(table) + 1, "events and an empty first row", named[".npy"])
        if rows.max() >= len(features):
            raise DataError(f"{named['.csv']}: 'idx' is {rows.max()}, beyond the {len(features):,} rows of features")
        features = features[rows]
    return RawEvents(src, dst, table.times("ts"), edge_features=_useful(features))


def read_tgb(files: list[Path]) -> RawEvents:
    """Read an edge list with a header that names the columns of time, source and destination.

    Nodes are words; they are numbered by first appearance, source before destination, and items of a two-sided graph
    behind all users. Times are numbers or dates. Other columns of numbers are features.

    Args:
        files: The one file.

    Raises:
        DataError: If a column cannot be found.
    """
    path = files[0]
    lines = csv.reader(io.StringIO(read_text(path)))
    header = [name.strip().lower() for name in next(lines)]
    when, src, dst = (_find(header, names, path) for names in (_TIMES, _SOURCES, _DESTINATIONS))
    two_sides = header[dst] in _TWO_SIDES
    users: dict[str, int] = {}
    items = {} if two_sides else users
    sources, destinations, times = array("q"), array("q"), array("d")
    features: list[array] = []
    others: list[int] = []
    dates: dict[str, float] = {}
    for number, row in enumerate(lines, start=2):
        if not row:
            continue
        if not times:
            others = _feature_columns(header, row, (when, src, dst))
            features = [array("d") for _ in others]
        try:
            sources.append(users.setdefault(row[src], len(users)))
            destinations.append(items.setdefault(row[dst], len(items)))
            times.append(_when(row[when], dates))
            for column, place in zip(features, others, strict=True):
                column.append(float(row[place]))
        except (IndexError, ValueError) as error:
            raise DataError(f"{path}, line {number}: {error}; complete or correct the line") from error
    if not times:
        raise DataError(f"{path}: no data lines; the file holds nothing but its header")
    table = np.stack([np.frombuffer(c) for c in features], axis=1).astype(np.float32) if features else None
    if table is not None and not np.isfinite(table).all():
        row = int(np.argmax(~np.isfinite(table).all(axis=1)))
        raise DataError(f"{path}: a feature of event {row} (counted from 0) is not a finite number")
    destinations = np.frombuffer(destinations, dtype=np.int64) + (len(users) if two_sides else 0)
    return RawEvents(
        np.frombuffer(sources, dtype=np.int64), destinations, _whole(np.frombuffer(times)), edge_features=_useful(table)
    )


def _find(header: list[str], names: tuple[str, ...], path: Path) -> int:
    found = next((header.index(name) for name in names if name in header), None)
    if found is None:
        raise DataError(f"{path}, line 1: no column {' or '.join(names)}; the header names {', '.join(header)}")
    return found


def _feature_columns(header: list[str], row: list[str], taken: tuple[int, ...]) -> list[int]:
    """Columns that hold numbers in the first line and are neither named otherwise nor taken."""
    names = dict(enumerate(header))
    places = [k for k in range(len(row)) if k not in taken and names.get(k, "feature") not in _NO_FEATURES[:-1]]
    return [k for k in places if _is_number(row[k])]


def _when(word: str, dates: dict[str, float]) -> float:
    """A number, or a date as Unix seconds in UTC."""
    if _is_number(word):
        value = float(word)
        if not np.isfinite(value) or abs(value) > 2**53:
            raise ValueError(f"the time {word} is not finite, or too large to be kept exactly")
        return value
    if word not in dates:
        dates[word] = float(np.datetime64(word, "s").astype(np.int64))
    return dates[word]


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def _whole(times: np.ndarray) -> np.ndarray:
    """Whole numbers where all are."""
    return times.astype(np.int64) if (times == np.floor(times)).all() else times


def _useful(features: np.ndarray | None) -> np.ndarray | None:
    return features if features is not None and features.any() else None

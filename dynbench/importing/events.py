"""From columns to a graph: names become numbers, dates seconds, and what cannot be used is left out and counted."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from dynbench.errors import DataError
from dynbench.graph import TemporalGraph
from dynbench.graph.convert import from_columns
from dynbench.graph.times import as_times
from dynbench.importing.roles import UNITS, Roles
from dynbench.importing.table import Table

_EMPTY = ("", "nan", "na", "n/a", "null", "none", "nat")


@dataclass
class Imported:
    """A graph, and what was done to get it.

    Attributes:
        graph: In continuous time, or one snapshot if the file has no times.
        unit: What the times are, in words.
        changes: What was left out or changed.
    """

    graph: TemporalGraph
    unit: str
    changes: list[str] = field(default_factory=list)


def make(
    table: Table, roles: Roles, *, directed: bool, bipartite: bool | None, loops: bool, duplicates: bool,
    seconds: float | None = None,
) -> Imported:  # fmt: skip
    """Make a graph of a table.

    Args:
        table: The file's columns.
        roles: What they are.
        directed: Whether ``(i, j)`` and ``(j, i)`` differ.
        bipartite: Whether the two sides are apart; as the columns are called, or as the ends are, when ``None``.
        loops, duplicates: Whether to keep events from a node to itself, and lines that say the same again.
        seconds: Seconds per unit of time, for times that are plain numbers.

    Raises:
        DataError: If no event is left, or a time or weight is none.
    """
    changes = list(table.notes)
    names = [roles.src, roles.dst, roles.time, roles.relation, roles.weight, *roles.features]
    columns = {name: table.columns[name] for name in dict.fromkeys(names) if name is not None}
    keep = _complete(table, roles, columns, changes)
    bipartite = _two_sides(roles, columns, keep) if bipartite is None else bipartite
    if not loops and not bipartite:
        loop = keep & (columns[roles.src].astype(str) == columns[roles.dst].astype(str))
        if loop.any():
            changes.append(f"{int(loop.sum()):,} events from a node to itself left out (--keep-loops keeps them)")
            keep &= ~loop
    if not duplicates and keep.any():
        twice = _repeated(table, keep)
        if twice.any():
            changes.append(
                f"{int(twice.sum()):,} lines that repeat another one left out (--keep-duplicates keeps them)"
            )
            keep &= ~twice
    if not keep.any():
        raise DataError(f"{table.path}: no event is left: {'; '.join(changes) or 'the file holds none'}")
    columns = {name: part[keep] for name, part in columns.items()}
    time, unit, seconds = _times(table, roles, columns, keep, seconds, changes)
    given: dict[str, Any] = {"relation": columns[roles.relation] if roles.relation else None}
    if roles.weight:
        given["weight"] = _numbers(table, roles.weight, columns[roles.weight], keep)
    if roles.features:
        parts = [_numbers(table, name, columns[name], keep) for name in roles.features]
        features = np.stack(parts, axis=1)
        if features.any():
            given["edge_features"] = features
        else:
            changes.append(f"{len(parts)} columns of features that are all 0 left out")
    graph = from_columns(
        _ids(columns[roles.src]), _ids(columns[roles.dst]), time, directed=directed, bipartite=bipartite,
        seconds=seconds, **given,
    )  # fmt: skip
    if time is not None and bool((np.diff(time) < 0).any()):
        changes.append("lines were not in the order of time, and were sorted")
    if graph.node_names is not None:
        changes.append(f"node names replaced by numbers 0 to {graph.num_nodes - 1:,} (nodes.csv.gz has the names)")
    if graph.relation_names is not None:
        count = len(graph.relation_names)
        changes.append(f"relations replaced by numbers 0 to {count - 1:,} (relations.csv.gz has the names)")
    return Imported(graph, unit, changes)


def _complete(table: Table, roles: Roles, columns: dict[str, np.ndarray], changes: list[str]) -> np.ndarray:
    """The rows in which nothing that an event needs is missing."""
    keep = np.ones(len(table), dtype=bool)
    for role, name in (("source", roles.src), ("destination", roles.dst), ("time", roles.time)):
        if name is None:
            continue
        part = columns[name]
        empty = np.isnat(part) if part.dtype.kind == "M" else np.isin(np.char.lower(part.astype(str)), _EMPTY)
        missing = keep & empty
        if missing.any():
            first = int(table.lines[np.argmax(missing)])
            changes.append(f"{int(missing.sum()):,} lines without a {role} left out, the first is line {first}")
            keep &= ~missing
    return keep


def _two_sides(roles: Roles, columns: dict[str, np.ndarray], keep: np.ndarray) -> bool:
    """Whether the columns are called so, or no name stands on both sides although both are spoken of often."""
    if roles.bipartite is not None:
        return roles.bipartite
    src, dst = (columns[name][keep].astype(str) for name in (roles.src, roles.dst))
    left, right = np.unique(src), np.unique(dst)
    return min(len(left), len(right)) >= 5 and len(src) >= 50 and not len(np.intersect1d(left, right))


def _repeated(table: Table, keep: np.ndarray) -> np.ndarray:
    """Rows that are equal to an earlier one in every column of the file."""
    rows = zip(*(part.tolist() for part in table.columns.values()), strict=True)
    seen: set[tuple] = set()
    twice = np.zeros(len(table), dtype=bool)
    for number, row in enumerate(rows):
        if keep[number]:
            twice[number] = row in seen
            seen.add(row)
    return twice


def _times(
    table: Table, roles: Roles, columns: dict[str, np.ndarray], keep: np.ndarray, seconds: float | None,
    changes: list[str],
) -> tuple[np.ndarray | None, str, float | None]:  # fmt: skip
    """Times, what they are in words, and seconds per unit."""
    if roles.time is None:
        return None, "none: the file becomes one snapshot", None
    part = columns[roles.time]
    try:
        time, dated = as_times(part if part.dtype.kind == "M" else part.tolist())
    except DataError as error:
        bad = _first_bad(part)
        where = f", line {table.lines[np.flatnonzero(keep)[bad]]}" if bad is not None else ""
        raise DataError(f"{table.path}{where}, column {roles.time}: {error}") from error
    if dated is not None:
        return time, "dates, as seconds since 1970 (UTC)", 1.0
    if seconds is not None:
        return time, f"numbers, {seconds:g} s each, as told", seconds
    for name, (per_second, low, high) in UNITS.items():
        if low <= time.min() and time.max() <= high:
            if per_second == 1:
                return time, "seconds since 1970", 1.0
            changes.append(f"times in {name} since 1970 turned into seconds")
            exact = bool((time % per_second == 0).all())
            return (time // int(per_second) if exact else time / per_second), f"{name} since 1970", 1.0
    if table.listed or len(np.unique(time)) > 1000:
        return time, "numbers, taken for seconds (--unit says otherwise)", 1.0
    return time, "numbers that count steps (--unit says otherwise)", None


def _first_bad(part: np.ndarray) -> int | None:
    for number, value in enumerate(part.tolist()):
        try:
            as_times([value])
        except DataError as error:
            if "told apart" not in str(error):
                return number
    return None


def _numbers(table: Table, name: str, part: np.ndarray, keep: np.ndarray) -> np.ndarray:
    try:
        found = part.astype(np.float64)
        bad = int(np.argmax(~np.isfinite(found))) if not np.isfinite(found).all() else None
    except (TypeError, ValueError):
        bad = next(number for number, value in enumerate(part.tolist()) if not _is_number(value))
    if bad is not None:
        line = table.lines[np.flatnonzero(keep)[bad]]
        raise DataError(f"{table.path}, line {line}: column {name} is {str(part[bad])!r}, which is no number")
    return found


def _is_number(value: Any) -> bool:
    try:
        return bool(np.isfinite(float(value)))
    except (TypeError, ValueError):
        return False


def _ids(part: np.ndarray) -> np.ndarray:
    """Whole numbers where all are, else names."""
    try:
        numbers = part.astype(np.int64)
    except (TypeError, ValueError):
        return part.astype(str)
    # 007 is a name.
    return numbers if bool((numbers.astype(str) == part.astype(str)).all()) else part.astype(str)

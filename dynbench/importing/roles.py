"""Which column is what: told by the user, by its name, or by what stands in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from dynbench.errors import DataError
from dynbench.graph.times import as_times
from dynbench.importing.table import Table
from dynbench.importing.words import ROLES, TWO_SIDES, plain

# Plausible numbers since 1970 (1973 to 2128), by the parts of a second that they count.
UNITS = {"s": (1, 1e8, 5e9), "ms": (1e3, 1e11, 5e12), "us": (1e6, 1e14, 5e15), "ns": (1e9, 1e17, 5e18)}


@dataclass(frozen=True)
class Roles:
    """The columns by what they are; ``None`` where there is none."""

    src: str
    dst: str
    time: str | None
    weight: str | None = None
    relation: str | None = None
    features: tuple[str, ...] = ()
    bipartite: bool | None = None

    def used(self) -> set[str]:
        """All columns that are something."""
        return {name for name in (self.src, self.dst, self.time, self.weight, self.relation) if name} | {*self.features}


def find(table: Table, told: Mapping[str, str | None], features: tuple[str, ...] = ()) -> Roles:
    """Say what each column is.

    Args:
        table: The file.
        told: Columns by role, by name or by number from 1, as the user says; ``none`` for a role that no column has.
        features: Columns that describe the events.

    Raises:
        DataError: If a column that was told is not there, or there are fewer than two columns.
    """
    if len(table.columns) < 2:
        raise DataError(f"{table.path}: one column only ({table.layout}); a line needs two ends (see --delimiter)")
    absent = {role for role, name in told.items() if name == "none"}
    found = {role: _column(table, name) for role, name in told.items() if name and role not in absent}
    features = tuple(_column(table, name) for name in features) or table.listed
    free = [name for name in table.columns if name not in (*found.values(), *features)]
    if table.header:
        for role, words in ROLES.items():
            known = [name for name in free if plain(name) in words]
            if role not in found and role not in absent and known:
                found[role] = known[0]
                free.remove(known[0])
    if "time" not in found and "time" not in absent and (time := _time(table, free, found)) is not None:
        found["time"] = time
        free.remove(time)
    if not table.header:
        _by_place(table, free, found, absent)
    for role in ("src", "dst"):
        if role not in found:
            if not free:
                raise DataError(f"{table.path}: no column is left for '{role}'; name it with --{role}")
            found[role] = free.pop(0)
    two = table.header and (plain(found["dst"]) in TWO_SIDES or bool(table.listed))
    return Roles(
        found["src"], found["dst"], found.get("time"), found.get("weight"), found.get("relation"), features, two or None
    )


def _column(table: Table, name: str) -> str:
    names = list(table.columns)
    if name in names:
        return name
    if name.isdigit() and 1 <= int(name) <= len(names):
        return names[int(name) - 1]
    close = [known for known in names if plain(known) == plain(name)]
    if len(close) == 1:
        return close[0]
    raise DataError(f"{table.path} has no column '{name}'; it has {', '.join(names)}")


def _time(table: Table, free: list[str], found: Mapping[str, str]) -> str | None:
    """The column that looks most like times; of two alike the last."""
    ends = 2 - len({"src", "dst"} & set(found))
    if len(free) <= ends:
        return None
    ranked = [(_timeliness(table.sample(name)), number, name) for number, name in enumerate(free)]
    rank, _, name = max(ranked)
    return name if rank > 0 else None


def _timeliness(values: list) -> int:
    """3 for dates, 2 for numbers that fit the years since 1973, 1 for other numbers that do not fall, 0 for none."""
    try:
        time, seconds = as_times(np.array(values) if values and isinstance(values[0], np.datetime64) else values)
    except DataError:
        return 0
    if seconds is not None:
        return 3
    if not len(time):
        return 0
    if any(low <= time.min() and time.max() <= high for _, low, high in UNITS.values()):
        return 2
    return 1 if len(time) > 1 and time[-1] > time[0] and bool((np.diff(time) >= 0).all()) else 0


def _by_place(table: Table, free: list[str], found: dict[str, str], absent: set[str]) -> None:
    """Without a header: a relation stands between the ends where the third column speaks of the first one's nodes."""
    if len(free) < 3 or {"src", "dst"} & set(found):
        return
    first, second, third = (set(map(str, table.columns[name].tolist())) for name in free[:3])
    if "relation" not in absent and "relation" not in found and len(first & third) > len(first & second):
        found["src"], found["relation"], found["dst"] = free[:3]
        del free[:3]
    elif "weight" not in absent and "weight" not in found and _is_numeric(table.sample(free[2])):
        found["weight"] = free.pop(2)


def _is_numeric(values: list) -> bool:
    try:
        return bool(np.isfinite(np.array(values, dtype=np.float64)).all())
    except (TypeError, ValueError):
        return False

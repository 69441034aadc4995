"""The table after a sweep: every member notes where its record lies, in whatever process it was played."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dynbench.errors import ConfigError, RunError
from dynbench.records import Identity, Record, Store, read

# Names the sweep in all processes that play its members; loggers group runs by it.
VARIABLE = "DYNBENCH_SWEEP"


def begin() -> str:
    """Give the sweep a name that its members inherit."""
    os.environ[VARIABLE] = f"{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}"
    return os.environ[VARIABLE]


def note(values: Mapping[str, Any], identity: Identity) -> None:
    """Note a finished member, if there is a sweep."""
    name = os.environ.get(VARIABLE, "")
    if not name:
        return
    place = Path(values["work_dir"]) / "sweeps" / name / "members.txt"
    place.parent.mkdir(parents=True, exist_ok=True)
    path = Store(values["results_dir"], values["work_dir"]).place(identity)
    with place.open("a", encoding="utf-8") as file:
        file.write(f"{path.resolve()}\t{identity}\n")


def finished(name: str, results_dir: str | Path, work_dir: str | Path) -> list[Record]:
    """The records of a sweep's members."""
    place = Path(work_dir) / "sweeps" / name / "members.txt"
    if not place.is_file():
        return []
    store, found = Store(results_dir, work_dir), []
    for line in dict.fromkeys(place.read_text(encoding="utf-8").splitlines()):
        path, _, identity = line.partition("\t")
        try:
            record = read(path) if path.endswith(".json") else _published(store, Path(path), identity)
        except RunError:
            continue
        if record is not None and record.finished:
            found.append(record)
    return found


def table(records: list[Record], colours: bool = False) -> str:
    """What came out, a table per protocol; nothing for a single run."""
    if len(records) < 2:
        return ""
    # Here, so that a mistake in a sweep's words is answered before numpy is loaded.
    from dynbench.comparing import tables
    from dynbench.comparing.matrix import build

    parts = []
    for protocol in dict.fromkeys(record.protocol for record in records):
        try:
            parts.append(tables.terminal(build([one for one in records if one.protocol == protocol]), colours))
        except ConfigError:
            continue
    return "\n\n".join(parts)


def _published(store: Store, path: Path, identity: str) -> Record | None:
    return next((one for one in store.published.read(path).values() if str(one.name) == identity), None)

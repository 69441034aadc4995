"""One run, from a configuration to its record.

What can be told without torch is told first: whether the configuration makes sense, whether the run is finished
already, whether its results could be kept. Then :mod:`dynbench.engine` does the work.
"""

from __future__ import annotations

import datetime
import errno
import hashlib
import json
import logging
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import asdict, dataclass, fields
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dynbench import files, journal, records
from dynbench.config.compose import read_choice
from dynbench.config.cuts import find_cuts
from dynbench.config.source import read_class
from dynbench.errors import RunError
from dynbench.records import Identity, Record, locks

if TYPE_CHECKING:
    from dynbench.engine.session import Result

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Outcome:
    """What became of a run.

    Attributes:
        record: Its record.
        path: Where the record lies.
        skipped: Whether it was finished before.
        is_main: Whether this is the process that evaluates, reports and writes.
    """

    record: Record
    path: Path
    skipped: bool = False
    is_main: bool = True


def run(values: dict[str, Any], overrides: Sequence[str] = ()) -> Outcome:
    """Carry out one run, or find that it was carried out before.

    Args:
        values: A resolved and checked configuration (:func:`dynbench.config.check.check`).
        overrides: What was typed, for the record.

    Raises:
        DynbenchError: If the run is impossible or fails; a failure that has an identity leaves a record.
    """
    identity = records.identify(values)
    store = records.Store(values["results_dir"], values["work_dir"])
    if (before := _finished_before(store, identity, values)) is not None:
        return before
    path = store.path(identity)
    records.require_writable(path.parent)
    records.require_writable(values["work_dir"])
    about = _about(identity, values, overrides)
    try:
        with _no_space_is_the_users():
            from dynbench.engine import session

            trainer = session.start(values)
            folder, fit = Path(values["work_dir"]) / str(identity), f"{identity.model}-{identity.data}-{about['fit']}"
            # Ranks of one run are not each other's rivals.
            lock = locks.alone(folder, "carried out this run") if trainer.is_main else nullcontext(False)
            with lock as waited:
                before = _finished_before(store, identity, values) if waited else None
                if trainer.agreed(before is not None):
                    return before or _finished_before(store, identity, values)
                with journal.kept(folder, values, about["overrides"], fit) if trainer.is_main else nullcontext():
                    result = session.carry_out(values, str(identity), fit, trainer)
                    return _keep(result, about, identity, path, values)
    except Exception as error:
        if _is_main():
            _write_failure(about, store, error)
        raise


def _keep(result: Result, about: dict[str, Any], identity: Identity, path: Path, values: dict[str, Any]) -> Outcome:
    """Write what came out of a run."""
    found = {
        field.name: getattr(result, field.name) for field in fields(result) if field.name not in ("arrays", "is_main")
    }
    threads = found["environment"].pop("threads", 0)
    record = Record(**about, **found, threads=threads, status="finished", created=_now())
    if result.is_main:
        if result.arrays:
            records.write_arrays(result.arrays, identity.arrays_path(values["work_dir"]))
        records.write(record, path)
    return Outcome(record, path, is_main=result.is_main)


def _finished_before(store: records.Store, identity: Identity, values: dict[str, Any]) -> Outcome | None:
    """A finished run of the same settings and on the same data, unless it is to be run again."""
    before = store.find(identity)
    if values["force"] or before is None or not before.finished:
        return None
    if not _same_data(before, values):
        _log.warning("data=%s is not what it was on %s; the run is made again", identity.data, before.created)
        return None
    return Outcome(before, store.place(identity), skipped=True)


def _same_data(record: Record, values: dict[str, Any]) -> bool:
    """Whether the files of today hold the graph of a record. Files that are not at hand contradict nothing.

    Raises:
        DataError: If they are not those of the card.
    """
    from dynbench.data.locations import Locations
    from dynbench.data.sameness import is_same

    where = Locations.from_settings(values["data_dir"], values["cache_dir"], values["offline"])
    view = read_class(values["protocol"]["_target_"]).attributes.get("view", "snapshots")
    kept, graph = record.provenance.get("files"), record.checksums.get("graph")
    return is_same(values["data"], where, view, kept, graph)


@contextmanager
def _no_space_is_the_users() -> Iterator[None]:
    """A full disk, or a folder that may no longer be written, is nothing that a traceback explains."""
    try:
        yield
    except OSError as error:
        if error.errno not in _NO_SPACE:
            raise
        where = f" {error.filename}" if error.filename else ""
        raise RunError(
            f"cannot write{where}: {error.strerror}; free some space, or set work_dir and results_dir to other folders"
        ) from error


# Full, over quota, read-only, not permitted.
_NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM})


def save_embeddings(values: dict[str, Any], overrides: Sequence[str] = ()) -> Path:
    """Embed a whole graph, and write arrays and their manifest, unless they are there already.

    Args:
        values: A checked configuration with ``save_embeddings=true``.
        overrides: What was typed.

    Returns:
        The manifest: what a record holds, and the name, checksum and shapes of the arrays beside it.

    Raises:
        DynbenchError: If the model cannot embed, or the data or the numbers fail.
    """
    outcome = run(values, overrides)
    identity = Identity(*(getattr(outcome.record, name) for name in _NAMES), outcome.record.identity)
    path, arrays = identity.embeddings_path(values["results_dir"]), identity.arrays_path(values["work_dir"])
    manifest = path.with_suffix(".json")
    if outcome.skipped and _is_whole(manifest, path):
        return manifest
    if outcome.skipped and not arrays.is_file():
        return save_embeddings({**values, "force": True}, overrides)
    if outcome.is_main:
        # The manifest comes last: where it is, the arrays are whole.
        manifest.unlink(missing_ok=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        with arrays.open("rb") as kept:
            files.replace(path, partial(shutil.copyfileobj, kept))
        arrays.unlink()
        records.write_text(manifest, json.dumps(_manifest(outcome.record, path), indent=1, default=str) + "\n")
    return manifest


def _is_whole(manifest: Path, arrays: Path) -> bool:
    """Whether arrays are those that their manifest tells of."""
    try:
        return json.loads(manifest.read_text("utf-8"))["sha256"] == _sum(arrays)
    except (OSError, ValueError, LookupError, TypeError):
        return False


_NAMES = ("model", "data", "protocol", "budget", "seed")


def _manifest(record: Record, path: Path) -> dict[str, Any]:
    """What a reader of the arrays has to know; what only a measured run has is left out."""
    import numpy as np

    content = {key: value for key, value in asdict(record).items() if value not in ({}, [], "")}
    for key in ("protocol", "comparable", "changed", "fit"):
        content.pop(key, None)
    content["config"] = {key: value for key, value in record.config.items() if key != "protocol"}
    with np.load(path, allow_pickle=False) as kept:
        shapes = {name: [str(part.dtype), *part.shape] for name in kept.files for part in (kept[name],)}
    return {"file": path.name, "sha256": _sum(path), "arrays": shapes, **content}


def _sum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _about(identity: Identity, values: dict[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    """What a record says of a run before it has begun."""
    changed = changed_protocol(values)
    return {
        **{name: getattr(identity, name) for name in _NAMES},
        "identity": identity.digest,
        "fit": records.fit_key(values),
        "comparable": not changed,
        "changed": changed,
        "cuts": find_cuts(values),
        "config": records.identity_config(values),
        "versions": records.versions(values),
        "overrides": [part for part in overrides if not part.startswith(("hydra.", "results_dir=", "work_dir="))],
    }


def changed_protocol(values: dict[str, Any]) -> dict[str, Any]:
    """Protocol settings that differ from those of the protocol's own file."""
    own = read_choice("protocol", values["protocol"]["name"])
    return {
        key: value
        for key, value in values["protocol"].items()
        if key in own and own[key] != value and not str(own[key]).startswith("${")
    }


def _is_main() -> bool:
    """Whether this process writes, as far as Lightning has found out before the run failed."""
    ranks = sys.modules.get("pytorch_lightning.utilities.rank_zero")
    return ranks is None or getattr(ranks.rank_zero_only, "rank", 0) == 0


def _write_failure(about: dict[str, Any], store: records.Store, error: Exception) -> None:
    """Leave a record of the failure, but never in the place of a finished one.

    Its reason starts with the error's type, from which tables tell absent data.
    """
    record = Record(**about, status="failed", reason=f"{type(error).__name__}: {error}", created=_now())
    before = store.find(record.name)
    if before is None or not before.finished:
        with suppress(RunError):  # where nothing can be written, the error itself says more
            store.write(record)


def _now() -> str:
    # Of two records of one run the later is believed, and a small run takes less than a second.
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")

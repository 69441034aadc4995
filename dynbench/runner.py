"""One run, from a configuration to its record.

What can be told without torch is told first: whether the configuration makes sense, whether the run is finished
already, whether its results could be kept. Then :mod:`dynbench.engine` does the work.
"""

from __future__ import annotations

import datetime
import hashlib
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from dynbench import records
from dynbench.config.compose import read_choice
from dynbench.config.cuts import find_cuts
from dynbench.records import Identity, Record


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
    before = store.find(identity)
    if before is not None and before.finished and not values["force"]:
        return Outcome(before, store.place(identity), skipped=True)
    path = store.path(identity)
    records.require_writable(path.parent)
    records.require_writable(values["work_dir"])
    about = _about(identity, values, overrides)
    try:
        from dynbench.engine.session import carry_out

        result = carry_out(values, str(identity), f"{identity.model}-{identity.data}-{about['fit']}")
    except Exception as error:
        if _is_main() and (before is None or not before.finished):
            _write_failure(about, path, error)
        raise
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
    if outcome.skipped and manifest.is_file() and path.is_file():
        return manifest
    if outcome.skipped and not arrays.is_file():
        return save_embeddings({**values, "force": True}, overrides)
    if outcome.is_main:
        # The manifest comes last: where it is, the arrays are whole.
        manifest.unlink(missing_ok=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        os.replace(arrays, path)
        records.write_text(manifest, json.dumps(_manifest(outcome.record, path), indent=1, default=str) + "\n")
    return manifest


_NAMES = ("model", "data", "protocol", "budget", "seed")


def _manifest(record: Record, path: Path) -> dict[str, Any]:
    """What a reader of the arrays has to know; what only a measured run has is left out."""
    import numpy as np

    content = {key: value for key, value in asdict(record).items() if value not in ({}, [], "")}
    for key in ("protocol", "comparable", "changed", "fit"):
        content.pop(key, None)
    content["config"] = {key: value for key, value in record.config.items() if key != "protocol"}
    with np.load(path, allow_pickle=False) as kept:
        shapes = {name: [str(kept[name].dtype), *kept[name].shape] for name in kept.files}
    return {"file": path.name, "sha256": hashlib.sha256(path.read_bytes()).hexdigest(), "arrays": shapes, **content}


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


def _write_failure(about: dict[str, Any], path: Path, error: Exception) -> None:
    """Leave a record of the failure. Its reason starts with the error's type, from which tables tell absent data."""
    reason = f"{type(error).__name__}: {error}"
    records.write(Record(**about, status="failed", reason=reason, created=_now()), path)


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")

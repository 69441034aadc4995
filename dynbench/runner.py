"""One run, from a configuration to its record.

What can be told without torch is told first: whether the configuration makes sense, whether the run is finished
already, whether its results could be kept. Then :mod:`dynbench.engine` does the work.
"""

from __future__ import annotations

import datetime
import hashlib
import json
import os
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from dynbench import records
from dynbench.config.check import check_groups, check_pair, require_embeddings, resolved
from dynbench.config.compose import read_choice
from dynbench.engine.processes import is_main_process
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


def run(config: DictConfig, overrides: list[str] | None = None) -> Outcome:
    """Carry out one run, or find that it was carried out before.

    With ``save_embeddings=true`` the protocol is ``embeddings``, whatever else was chosen.

    Args:
        config: A composed configuration.
        overrides: What was typed, for the record.

    Raises:
        DynbenchError: If the run is impossible or fails; a failure that has an identity leaves a record.
    """
    values = resolved(config)
    if values["save_embeddings"]:
        require_embeddings(values)
        config.protocol = read_choice("protocol", "embeddings")
        values = resolved(config)
    check_groups(values)
    identity = records.identify(values)
    store = records.Store(values["results_dir"], values["work_dir"])
    before = store.find(identity)
    if before is not None and before.finished and not values["force"]:
        return Outcome(before, store.place(identity), skipped=True)
    path = store.path(identity)
    records.require_writable(path.parent)
    records.require_writable(values["work_dir"])
    about = _about(identity, values, config, list(overrides or []))
    try:
        check_pair(values)
        from dynbench.engine.session import carry_out

        result = carry_out(config, values, str(identity), f"{identity.model}-{identity.data}-{about['fit']}")
    except Exception as error:
        if is_main_process() and (before is None or not before.finished):
            _write_failure(about, path, error)
        raise
    found = {field.name: getattr(result, field.name) for field in fields(result) if field.name != "arrays"}
    threads = found["environment"].pop("threads", 0)
    record = Record(**about, **found, threads=threads, status="finished", created=_now())
    if is_main_process():
        if result.arrays:
            records.write_arrays(result.arrays, identity.arrays_path(values["work_dir"]))
        records.write(record, path)
    return Outcome(record, path, is_main=is_main_process())


def save_embeddings(config: DictConfig, overrides: list[str] | None = None) -> Path:
    """Embed a whole graph, and write arrays and their manifest, unless they are there already.

    Returns:
        The manifest: what a record holds, and the name, checksum and shapes of the arrays beside it.

    Raises:
        DynbenchError: If the model cannot embed, or the data or the numbers fail.
    """
    config.save_embeddings = True
    outcome = run(config, overrides)
    identity = Identity(*(getattr(outcome.record, name) for name in _NAMES), outcome.record.identity)
    path, arrays = identity.embeddings_path(config.results_dir), identity.arrays_path(config.work_dir)
    manifest = path.with_suffix(".json")
    if outcome.skipped and manifest.is_file() and path.is_file():
        return manifest
    if outcome.skipped and not arrays.is_file():
        config.force = True
        return save_embeddings(config, overrides)
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


def _about(identity: Identity, values: dict[str, Any], config: DictConfig, overrides: list[str]) -> dict[str, Any]:
    """What a record says of a run before it has begun."""
    changed = changed_protocol(values)
    return {
        **{name: getattr(identity, name) for name in _NAMES},
        "identity": identity.digest,
        "fit": records.fit_key(values),
        "comparable": not changed,
        "changed": changed,
        "cuts": budget_cuts(config, values),
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


def budget_cuts(config: DictConfig, values: dict[str, Any]) -> dict[str, list[Any]]:
    """Settings that the budget makes differ from the paper's, as ``key: [used, paper's]``."""
    paper = OmegaConf.create(OmegaConf.to_container(config, resolve=False))
    paper.budget.name = "paper"
    flat, full = (_flatten(records.identity_config(v)) for v in (values, resolved(paper)))
    return {key: [value, full.get(key)] for key, value in flat.items() if full.get(key) != value}


def _flatten(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        flat |= _flatten(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
    return flat


def _write_failure(about: dict[str, Any], path: Path, error: Exception) -> None:
    """Leave a record of the failure. Its reason starts with the error's type, from which tables tell absent data."""
    reason = f"{type(error).__name__}: {error}"
    records.write(Record(**about, status="failed", reason=reason, created=_now()), path)


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")

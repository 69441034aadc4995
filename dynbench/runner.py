"""One run, from a configuration to its record: the only place where models and protocols meet.

What can be told without torch is told first: whether the configuration makes sense, whether the run is finished
already, whether its results could be kept. Then :mod:`dynbench.engine.loop` does the work.
"""

from __future__ import annotations

import datetime
import hashlib
import json
from dataclasses import asdict, dataclass
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

    Args:
        config: A composed configuration.
        overrides: What was typed, for the record.

    Raises:
        DynbenchError: If the run is impossible or fails; a failure that has an identity leaves a record.
    """
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
    record = _blank(identity, values, config, list(overrides or []))
    try:
        check_pair(values)
        from dynbench.engine.loop import play

        play(config, values, identity, record)
    except Exception as error:
        if before is None or not before.finished:
            _write_failure(record, path, error)
        raise
    record.status, record.created = "finished", _now()
    record.threads = record.environment.pop("threads", 0)
    if is_main_process():
        records.write(record, path)
    return Outcome(record, path, is_main=is_main_process())


def save_embeddings(config: DictConfig, overrides: list[str] | None = None) -> Path:
    """Embed a whole graph, and write arrays and their manifest, unless they are there already.

    Returns:
        The manifest: a record without metrics, and the name, checksum and shapes of the arrays beside it.

    Raises:
        DynbenchError: If the model cannot embed, or the data or the numbers fail.
    """
    values = resolved(config)
    check_groups(values)
    require_embeddings(values)
    identity = records.identify_embeddings(values)
    path = identity.embeddings_path(values["results_dir"])
    manifest = path.with_suffix(".json")
    if manifest.is_file() and path.is_file() and not values["force"]:
        return manifest
    records.require_writable(path.parent)
    record = _blank(identity, values, config, list(overrides or []))
    from dynbench.engine.loop import embed

    arrays = embed(config, values, identity, record)
    if is_main_process():
        # The manifest comes last: where it is, the arrays are whole.
        manifest.unlink(missing_ok=True)
        records.write_arrays(arrays, path)
        record.status, record.created = "finished", _now()
        content = _manifest(record, path, {name: [str(a.dtype), *a.shape] for name, a in arrays.items()})
        records.write_text(manifest, json.dumps(content, indent=1, default=str) + "\n")
    return manifest


def _manifest(record: Record, path: Path, shapes: dict[str, list]) -> dict[str, Any]:
    """What a reader of the arrays has to know; what only a measured run has is left out."""
    content = {key: value for key, value in asdict(record).items() if value not in ({}, [], "")}
    for key in ("protocol", "comparable", "changed", "fit"):
        content.pop(key, None)
    content["config"] = {key: value for key, value in record.config.items() if key != "protocol"}
    content["cuts"] = {key: value for key, value in record.cuts.items() if not key.startswith("protocol.")}
    checksum = hashlib.sha256(path.read_bytes()).hexdigest()
    return {"file": path.name, "sha256": checksum, "arrays": shapes, **content}


def _blank(identity: Identity, values: dict[str, Any], config: DictConfig, overrides: list[str]) -> Record:
    changed = changed_protocol(values)
    return Record(
        identity=identity.digest,
        model=identity.model,
        data=identity.data,
        protocol=identity.protocol,
        budget=identity.budget,
        seed=identity.seed,
        status="failed",
        fit=records.fit_key(values),
        comparable=not changed,
        changed=changed,
        cuts=budget_cuts(config, values),
        config=records.identity_config(values),
        versions=records.versions(values),
        overrides=[part for part in overrides if not part.startswith(("hydra.", "results_dir=", "work_dir="))],
    )


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


def _write_failure(record: Record, path: Path, error: Exception) -> None:
    """Leave a record of the failure. Its reason starts with the error's type, from which tables tell absent data."""
    kind = f"{type(error).__name__}: "
    record.status, record.reason, record.created = "failed", f"{kind}{error}", _now()
    if is_main_process():
        records.write(record, path)


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")

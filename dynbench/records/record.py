"""The record of a run: one JSON file that says what was run, on what, and what came out.

A run is known by its *identity*: a hash of everything in its configuration that can move a number, with its seed.
Its record lies at a path that follows from the identity alone, so whether a run is finished can be told without
loading a dataset or importing torch. A run that failed leaves a record at the same path, with its reason; running it
again replaces it.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from dynbench.config.source import read_class
from dynbench.errors import RunError

SCHEMA_VERSION = 1

# The groups that can move a number. Logging, folders and progress cannot.
_IDENTITY_GROUPS = ("data", "model", "protocol", "trainer")
# Keys of a dataset's card that describe it for people and for checks, and what a model's file says about other models.
_PRIVATE = ("card", "expected", "files", "native", "unavailable", "variants")


@dataclass
class Record:
    """What is kept of one run.

    Attributes:
        identity: Hash of all that can move a number; with the names below it forms the file name.
        model, data, protocol, budget: The choices by name.
        seed: The run's seed.
        status: ``"finished"`` or ``"failed"``.
        reason: Why it failed; empty for a finished run.
        metrics: Overall metrics by name, as fractions.
        steps: One mapping per step with ``step``, ``n`` and the step's metrics.
        comparable: Whether every protocol setting is the protocol's own; if not, ``changed`` names those that differ.
        changed: Protocol settings that differ from the protocol's file, as ``key: value``.
        cuts: Settings that the budget makes smaller than the paper's: ``key: [used, paper's]``.
        config: The resolved configuration of the groups that can move a number.
        overrides: What was typed on the command line.
        sizes: Nodes, events, steps, queries, parameters.
        checksums: SHA-256 of the graph and of all queries with their answers.
        provenance: Where the dataset came from.
        seconds: Wall-clock seconds: ``fit``, ``evaluate``, ``total``, and ``per_fit_step`` where there are any.
        peak_memory_mb: Highest resident memory of the process, in MiB.
        environment: Device, package versions, git revision.
        created: UTC time at which the record was written.
    """

    identity: str
    model: str
    data: str
    protocol: str
    budget: str
    seed: int
    status: str
    reason: str = ""
    metrics: dict[str, float] = field(default_factory=dict)
    steps: list[dict[str, Any]] = field(default_factory=list)
    comparable: bool = True
    changed: dict[str, Any] = field(default_factory=dict)
    cuts: dict[str, list[Any]] = field(default_factory=dict)
    config: dict[str, Any] = field(default_factory=dict)
    overrides: list[str] = field(default_factory=list)
    sizes: dict[str, int] = field(default_factory=dict)
    checksums: dict[str, str] = field(default_factory=dict)
    provenance: dict[str, Any] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    peak_memory_mb: float = 0.0
    environment: dict[str, Any] = field(default_factory=dict)
    created: str = ""
    schema_version: int = SCHEMA_VERSION

    @property
    def finished(self) -> bool:
        """Whether the run came to its end."""
        return self.status == "finished"


@dataclass(frozen=True)
class Identity:
    """Name of a run, from which the path of its record follows."""

    model: str
    data: str
    protocol: str
    budget: str
    seed: int
    digest: str

    def __str__(self) -> str:
        return f"{self.model}-{self.data}-{self.protocol}-{self.budget}-s{self.seed}-{self.digest}"

    def path(self, results_dir: str | Path) -> Path:
        """Where the record of this run lies."""
        return Path(results_dir) / "records" / self.data / f"{self}.json"

    def arrays_path(self, results_dir: str | Path) -> Path:
        """Where the scores of this run lie, if its protocol keeps any; figures are drawn from them."""
        return Path(results_dir) / "scores" / self.data / f"{self}.npz"

    def embeddings_path(self, results_dir: str | Path) -> Path:
        """Where embeddings lie that were saved under this name; their manifest ends in ``.json`` instead."""
        return Path(results_dir) / "embeddings" / self.data / f"{self}.npz"


def identify(values: dict[str, Any]) -> Identity:
    """The identity of a resolved configuration (see :func:`dynbench.config.check.resolved`)."""
    version = read_class(values["protocol"]["_target_"]).attributes.get("version", 1)
    digest = _digest([_content(values, _IDENTITY_GROUPS), version])
    names = (values[group]["name"] for group in ("model", "data", "protocol", "budget"))
    return Identity(*names, values["seed"], digest)


def fit_key(values: dict[str, Any]) -> str:
    """Name of the fits of a run: runs that differ in what is asked only have the same one."""
    model, protocol = (read_class(values[group]["_target_"]).attributes for group in ("model", "protocol"))
    free = set(protocol.get("exam_settings", ())) | set(protocol.get("context_settings", ()))
    if model.get("learns") == "context":
        free -= set(protocol.get("context_settings", ()))
    if model.get("selects") and protocol.get("validates"):
        free -= set(protocol.get("validation_settings", ()))
        plan = [values["protocol"]["name"], protocol.get("version", 1)]
    else:
        plan = [protocol.get("learning") or values["protocol"]["name"]]
    plan.append({k: v for k, v in values["protocol"].items() if k not in free and k not in ("name", "_target_")})
    digest = _digest([_content(values, [group for group in _IDENTITY_GROUPS if group != "protocol"]), plan])
    names = (values[group]["name"] for group in ("model", "data", "budget"))
    return "-".join([*names, f"s{values['seed']}", digest])


def _content(values: dict[str, Any], groups: Iterable[str]) -> dict[str, Any]:
    content = {group: _without_private(values[group]) for group in groups}
    return {**content, "budget": values["budget"]["name"], "seed": values["seed"]}


def _digest(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()[:10]


def _without_private(group: dict[str, Any]) -> dict[str, Any]:
    """A dataset's card and a model's list of variants move no number; everything else does."""
    # Records of runs name the Trainer by the place where it first stood.
    moved = {"dynbench.engine.trainer.Trainer": "dynbench.training.Trainer"}
    return {key: moved.get(value, value) if key == "_target_" else value for key, value in group.items()
            if key not in _PRIVATE}  # fmt: skip


def identity_config(values: dict[str, Any]) -> dict[str, Any]:
    """The part of a resolved configuration that a record keeps."""
    return {group: _without_private(values[group]) for group in _IDENTITY_GROUPS}


def read(path: str | Path) -> Record | None:
    """The record at ``path``, or ``None`` if there is none.

    Raises:
        RunError: If the file is not a record.
    """
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
        return Record(**content)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise RunError(f"cannot read {path}: {error.strerror}; check results_dir") from error
    except (json.JSONDecodeError, TypeError, UnicodeDecodeError) as error:
        raise RunError(f"{path} is not a record that this version reads ({error}); delete it and run again") from error


def read_all(results_dir: str | Path) -> Iterator[tuple[Path, Record]]:
    """All records under a results folder, in order of their paths."""
    for path in sorted(Path(results_dir).glob("records/*/*.json")):
        yield path, read(path)


def write(record: Record, path: str | Path) -> Path:
    """Write a record so that it is there whole or not at all.

    Raises:
        RunError: If the folder cannot be written, or a metric is NaN.
    """
    bad = [name for name, value in record.metrics.items() if isinstance(value, float) and math.isnan(value)]
    if bad and record.finished:
        raise RunError(f"{', '.join(bad)} is NaN; a finished run has numbers")
    return write_text(path, json.dumps(asdict(record), indent=1, sort_keys=False, default=str) + "\n")


def write_text(path: str | Path, text: str) -> Path:
    """Write a text file through a temporary name, so that no reader meets half of it.

    Raises:
        RunError: If the folder cannot be written.
    """
    path = Path(path)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(text, encoding="utf-8")
        os.replace(part, path)
    except OSError as error:
        raise RunError(f"cannot write {path}: {error.strerror}; set results_dir to a folder you may write") from error
    finally:
        if part.exists():
            part.unlink()
    return path


def write_arrays(arrays: dict[str, Any], path: str | Path) -> Path:
    """Write arrays (plain ones, no pickles) so that they are there whole or not at all.

    Raises:
        RunError: If the folder cannot be written.
    """
    import numpy as np

    path = Path(path)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as file:
            np.savez_compressed(file, **arrays)
        os.replace(part, path)
    except OSError as error:
        raise RunError(f"cannot write {path}: {error.strerror}; set results_dir to a folder you may write") from error
    finally:
        part.unlink(missing_ok=True)
    return path


def require_writable(folder: str | Path) -> None:
    """Find out before a run, not after it, that its results could not be kept.

    Raises:
        RunError: If the folder cannot be made or written.
    """
    probe = Path(folder) / f".probe.{os.getpid()}"
    try:
        probe.parent.mkdir(parents=True, exist_ok=True)
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise RunError(
            f"cannot write to '{folder}': {error.strerror}; choose another folder with results_dir=…"
        ) from error

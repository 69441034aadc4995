"""The record of a run: what was run, on what, and what came out."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from dynbench.errors import ConfigError, RunError
from dynbench.records.files import write_text
from dynbench.records.identity import GROUPS, Identity, run_digest

SCHEMA_VERSION = 2

_TYPES = {"str": str, "int": int, "float": (int, float), "bool": bool, "dict": dict, "list": list}


@dataclass
class Record:
    """What is kept of one run.

    Attributes:
        identity: Hash in the run's name (see :mod:`dynbench.records.identity`).
        model, data, protocol, budget: The choices by name.
        seed: The run's seed.
        status: ``"finished"`` or ``"failed"``.
        fit: What the run learnt is known by this; runs with the same one share a fit.
        reason: Why it failed; empty for a finished run.
        metrics: Overall metrics by name, as fractions; those of an exam with a name begin with it: ``historical_ap``.
        steps: One mapping per step with ``step``, ``n`` and the step's metrics.
        comparable: Whether every protocol setting is the protocol's own; if not, ``changed`` names those that differ.
        changed: Protocol settings that differ from the protocol's file, as ``key: value``.
        cuts: Settings that the budget makes smaller than the paper's: ``key: [used, paper's]``.
        config: The resolved configuration of the groups that can move a number.
        versions: Versions of dataset, model and protocol at the time of the run.
        overrides: What was typed on the command line.
        sizes: Nodes, events, steps, queries, parameters.
        checksums: SHA-256 of the graph and of all queries with their answers.
        provenance: Where the dataset came from.
        seconds: Wall-clock seconds: ``fit``, ``evaluate``, ``total``, and ``per_fit_step`` where there are any; a fit
            that another run or an interrupted one made counts with the time that it took there.
        peak_memory_mb: Highest resident memory of the process, in MiB.
        threads: Threads that numerical libraries used; 0 where nobody counted.
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
    fit: str = ""
    reason: str = ""
    metrics: dict[str, float] = field(default_factory=dict)
    steps: list[dict[str, Any]] = field(default_factory=list)
    comparable: bool = True
    changed: dict[str, Any] = field(default_factory=dict)
    cuts: dict[str, list[Any]] = field(default_factory=dict)
    config: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, int] = field(default_factory=dict)
    overrides: list[str] = field(default_factory=list)
    sizes: dict[str, int] = field(default_factory=dict)
    checksums: dict[str, str] = field(default_factory=dict)
    provenance: dict[str, Any] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    peak_memory_mb: float = 0.0
    threads: int = 0
    environment: dict[str, Any] = field(default_factory=dict)
    created: str = ""
    schema_version: int = SCHEMA_VERSION

    @property
    def finished(self) -> bool:
        """Whether the run came to its end."""
        return self.status == "finished"

    @property
    def name(self) -> Identity:
        """What the run is known by."""
        return Identity(self.model, self.data, self.protocol, self.budget, self.seed, self.identity)


def from_json(content: Any) -> Record:
    """A record from what its file holds, if all of it is as it should be.

    Raises:
        ValueError: For another version of the schema, unknown or missing fields, wrong types, a metric that is no
            number, or an identity that does not follow from the settings.
    """
    if not isinstance(content, dict):
        raise ValueError("it holds no fields")
    version = content.get("schema_version")
    if version != SCHEMA_VERSION:
        raise ValueError(f"its schema_version is {version!r}, this version reads {SCHEMA_VERSION}")
    try:
        record = Record(**content)
    except TypeError as error:
        raise ValueError(str(error).removeprefix("Record.__init__() ")) from error
    for one in fields(Record):
        value, kind = getattr(record, one.name), _TYPES[str(one.type).partition("[")[0]]
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise ValueError(f"{one.name} is {value!r}; expected {one.type}")
    members = {"steps": (record.steps, dict), "overrides": (record.overrides, str)}
    members["versions"] = (record.versions.values(), int)
    if record.finished:
        members["config"] = ([record.config.get(group) for group in GROUPS], dict)
    for name, (values, kind) in members.items():
        if not all(isinstance(value, kind) for value in values):
            raise ValueError(f"{name} holds something else than {kind.__name__}")
    bad = [name for name, value in record.metrics.items() if not _is_number(value)]
    if bad:
        raise ValueError(f"{bad[0]} is {record.metrics[bad[0]]!r}, which is no number")
    _require_own_identity(record)
    return record


def _require_own_identity(record: Record) -> None:
    """A default that changed without a version would make an old record pose as a run of today's default."""
    if not all(isinstance(record.config.get(group), dict) for group in GROUPS):
        return  # a run that died before it could say more than its name
    values = {**record.config, "budget": {"name": record.budget}, "seed": record.seed}
    try:
        digest = run_digest(values, record.versions)
    except (ConfigError, KeyError):
        return  # a plug-in that is not there; no run of today asks for it
    if digest != record.identity:
        raise ValueError(
            f"its settings lead to the identity {digest}, not to {record.identity}; did a default change without a "
            "new version?"
        )


def read(path: str | Path) -> Record | None:
    """The record at ``path``, or ``None`` if there is none.

    Raises:
        RunError: If the file cannot be read or is not a record that this version reads.
    """
    try:
        return from_json(json.loads(Path(path).read_text(encoding="utf-8")))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise RunError(f"cannot read {path}: {error.strerror}; check work_dir") from error
    except (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError) as error:
        raise RunError(f"{path} is not a record that this version reads: {error}") from error


def write(record: Record, path: str | Path) -> Path:
    """Write a record so that it is there whole or not at all.

    Raises:
        RunError: If the folder cannot be written, or a metric is NaN.
    """
    bad = [name for name, value in record.metrics.items() if not _is_number(value)]
    if bad and record.finished:
        raise RunError(f"{', '.join(bad)} is NaN; a finished run has numbers")
    return write_text(path, json.dumps(asdict(record), indent=1, sort_keys=False, default=str) + "\n")


def newest(records: list[Record]) -> Record:
    """Of several records of one run the one to believe, in whatever order they come.

    A finished one before a failed one, then the later one, then the one that says more.
    """
    return max(records, key=lambda one: (one.finished, one.created, len(one.steps), _text(asdict(one))))


def _is_number(value: Any) -> bool:
    # A whole number may be too large for a float; NaN is below nothing.
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) <= sys.float_info.max


def _text(content: Mapping[str, Any]) -> str:
    return json.dumps(content, sort_keys=True, default=str)

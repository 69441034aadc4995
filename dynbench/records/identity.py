"""What a run is known by, and what a fit is known by.

A run is known by names (of model, data, protocol and budget), by the settings that differ from the defaults of the
classes they configure, by the explicit versions of model, protocol and dataset, and by its seed. Where a class stands
and what it is called play no part, and a setting that is at its default is not mentioned: a moved module, a renamed
class, or a new setting with a default orphans no record. Whoever changes what a default means raises the version.

A fit is known by what moves its parameters: not by what is asked afterwards. Protocols say in literal sets which of
their settings change what is known, what selects, and what is asked; runs that differ in these alone share one fit.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dynbench.config.callbacks import moving
from dynbench.config.compose import read_choice
from dynbench.config.source import UNKNOWN, ClassSource, read_class
from dynbench.errors import ConfigError

# The groups that can move a number. Logging, folders and progress cannot.
GROUPS = ("data", "model", "protocol", "trainer")
# Groups whose classes or cards carry a version; the Trainer only carries out what a model's version stands for.
VERSIONED = ("data", "model", "protocol")
# What describes a choice to people and to checks, and what identity spells otherwise.
_PRIVATE = frozenset(
    {"_target_", "name", "version", "card", "expected", "files", "native", "unavailable", "variants", "threads"}
)
# Where a run took place. The same run elsewhere differs by rounding and by draws; its record names the device.
_PLACE = frozenset({"accelerator", "devices", "num_nodes", "strategy"})
# Settings of a protocol that change what happens after the fit.
_AFTER_FIT = ("context_settings", "validation_settings", "exam_settings")


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

    def path(self, work_dir: str | Path) -> Path:
        """Where the record of this run is spooled."""
        return Path(work_dir) / "records" / self.data / f"{self}.json"

    def arrays_path(self, folder: str | Path) -> Path:
        """Where the scores of this run lie, if its protocol keeps any; figures are drawn from them."""
        return Path(folder) / "scores" / self.data / f"{self}.npz"

    def embeddings_path(self, folder: str | Path) -> Path:
        """Where embeddings lie that were saved under this name; their manifest ends in ``.json`` instead."""
        return Path(folder) / "embeddings" / self.data / f"{self}.npz"


class Names:
    """What the runs of one configuration are known by, seed by seed.

    Args:
        values: A resolved configuration (see :func:`dynbench.config.check.resolved`) in which nothing but the seed
            itself depends on the seed.
    """

    def __init__(self, values: Mapping[str, Any]):
        self._names = tuple(values[group]["name"] for group in ("model", "data", "protocol", "budget"))
        own = versions(values)
        parts = {group: _part(group, values[group], own.get(group, 1)) for group in GROUPS}
        self._run = _Digest([*parts.values(), self._names[-1]])
        del parts["protocol"]
        asked = _source("data", values["data"]).attributes.get("exam_settings", frozenset())
        if asked:
            parts["data"] = _part("data", values["data"], own.get("data", 1), without=asked)
        self._fit = _Digest([*parts.values(), _plan_of_learning(values, own), self._names[-1]])

    def run(self, seed: int) -> Identity:
        """The run with a seed."""
        return Identity(*self._names, seed, self._run.of(seed))

    def fit(self, seed: int) -> str:
        """What a run learns; runs with the same one need not learn twice."""
        return self._fit.of(seed)


def identify(values: Mapping[str, Any]) -> Identity:
    """The identity of a resolved configuration."""
    return Names(values).run(values["seed"])


def fit_key(values: Mapping[str, Any]) -> str:
    """The name of what the run of a resolved configuration learns."""
    return Names(values).fit(values["seed"])


def run_digest(values: Mapping[str, Any], versions: Mapping[str, int]) -> str:
    """The hash in a run's name.

    Args:
        values: ``data``, ``model``, ``protocol``, ``trainer`` with their settings, ``budget`` with its name, ``seed``.
        versions: Of dataset, model and protocol; today's by :func:`versions`, a record's own as they were.
    """
    parts = [_part(group, values[group], versions.get(group, 1)) for group in GROUPS]
    return _Digest([*parts, values["budget"]["name"]]).of(values["seed"])


def versions(values: Mapping[str, Any]) -> dict[str, int]:
    """The versions of dataset, model and protocol: of a card, and of two classes."""
    classes = {group: _source(group, values[group]).attributes.get("version", 1) for group in ("model", "protocol")}
    return {"data": values["data"].get("version", 1), **classes}


def differing(group: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a group that are not at their constructor's default.

    A setting that the constructor does not know (any more) configures nothing and is left out.
    """
    parameters, values = _source(group, values).parameters, _without_watchers(values)
    found = {}
    for key in sorted(set(values) & set(parameters) - _PRIVATE - _PLACE):
        value, default = plain(values[key]), parameters[key].default
        if default is UNKNOWN or _text(value) != _text(plain(default)):
            found[key] = value
    return found


def identity_config(values: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a resolved configuration that a record keeps."""
    return {
        group: {
            key: v for key, v in _without_watchers(values[group]).items() if key not in _PRIVATE - {"_target_", "name"}
        }
        for group in GROUPS
    }


def _without_watchers(values: Mapping[str, Any]) -> Mapping[str, Any]:
    """The settings of a group without callbacks that move no number."""
    if not values.get("callbacks"):
        return values
    left = moving(values["callbacks"])
    return {key: value for key, value in values.items() if key != "callbacks"} | ({"callbacks": left} if left else {})


def plain(value: Any) -> Any:
    """One spelling for values that mean the same: tuples are lists, and 1.0 is 1."""
    if isinstance(value, (list, tuple)):
        return [plain(part) for part in value]
    if isinstance(value, Mapping):
        return {str(key): plain(part) for key, part in value.items()}
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return int(value)
    return value


def _part(group: str, values: Mapping[str, Any], version: int, without: frozenset[str] = frozenset()) -> list[Any]:
    # A Trainer's name says nothing that its settings do not.
    name = [] if group == "trainer" else [values["name"], version]
    return [group, *name, {key: value for key, value in differing(group, values).items() if key not in without}]


def _plan_of_learning(values: Mapping[str, Any], own: Mapping[str, int]) -> list[Any]:
    """What a protocol contributes to a fit."""
    model, protocol = (_source(group, values[group]) for group in ("model", "protocol"))
    says = protocol.attributes.get
    after = {kind: says(kind, frozenset()) for kind in _AFTER_FIT}
    known = frozenset().union(*after.values())
    if model.attributes.get("learns", "train") == "context":
        known -= after["context_settings"]
    name = values["protocol"]["name"]
    settings = differing("protocol", values["protocol"])
    plan = [says("learning", "") or name, {key: value for key, value in settings.items() if key not in known}]
    if model.attributes.get("selects", False) and says("validates", False):
        chosen = {key: value for key, value in settings.items() if key in after["validation_settings"]}
        plan += [name, own["protocol"], chosen]
    return plan


def _source(group: str, values: Mapping[str, Any]) -> ClassSource:
    """The class of a choice as it stands today, for configurations of today and of old records."""
    try:
        return read_class(values["_target_"])
    except ConfigError:
        return read_class(read_choice(group, values["name"]).get("_target_", ""))


class _Digest:
    """The hash of some content and a seed."""

    def __init__(self, content: list[Any]):
        self._text = _text(content).removesuffix("]")

    def of(self, seed: int) -> str:
        return hashlib.sha256(f"{self._text}, {seed}]".encode()).hexdigest()[:10]


def _text(content: Any) -> str:
    return json.dumps(content, sort_keys=True, default=str)

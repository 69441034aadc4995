"""Compose configurations, list the choices of a group, and say clearly what is wrong with an override."""

from __future__ import annotations

import difflib
import os
import re
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from dynbench.config import schema
from dynbench.errors import ConfigError

CONF = Path(__file__).resolve().parents[2] / "conf"
PLUGINS = "DYNBENCH_PLUGINS"

# OmegaConf's names of types, in words a user of YAML would use.
_PLAIN_TYPES = {"Integer": "a whole number", "Float": "a number", "Boolean": "true or false", "Bool": "true or false"}


def plugin_folders() -> list[Path]:
    """Folders named by ``DYNBENCH_PLUGINS``: Python files at their top, YAML files under ``conf/``.

    Raises:
        ConfigError: If a named folder does not exist.
    """
    folders = [Path(part).resolve() for part in os.environ.get(PLUGINS, "").split(os.pathsep) if part]
    for folder in folders:
        if not folder.is_dir():
            raise ConfigError(f"{PLUGINS} names '{folder}', which is not a folder")
    return folders


def enable_plugins() -> list[str]:
    """Make plug-in modules importable; return the Hydra override that makes their YAML files known."""
    folders = plugin_folders()
    for folder in folders:
        if str(folder) not in sys.path:
            sys.path.insert(0, str(folder))
    paths = ",".join(f"file://{folder / 'conf'}" for folder in folders)
    return [f"hydra.searchpath=[{paths}]"] if paths else []


def compose(overrides: Sequence[str], config_name: str = "config") -> DictConfig:
    """Compose a configuration in this process, as the command line would.

    Args:
        overrides: As on the command line: ``["model=nlsm", "data=enron", "model.dim=32"]``.
        config_name: The primary YAML file, without ``.yaml``.

    Raises:
        ConfigError: For an unknown choice, key or type, naming it.
    """
    schema.register()
    extra = enable_plugins()
    overrides = with_variants(overrides)
    GlobalHydra.instance().clear()
    try:
        with initialize_config_dir(str(CONF), version_base="1.3"):
            return hydra_compose(config_name, [*extra, *overrides])
    except (HydraException, OmegaConfBaseException) as error:
        raise ConfigError(explain(error, overrides)) from error


def with_variants(words: Sequence[str]) -> list[str]:
    """Replace a model by the variant that stands for it under the chosen protocol, if its file names one.

    ``variants: {windowed_kg: nlsm_kg}`` in ``conf/model/nlsm.yaml`` makes ``model=nlsm protocol=windowed_kg`` mean
    ``model=nlsm_kg protocol=windowed_kg``. A protocol that is swept over chooses no variant.
    """
    chosen = dict(word.split("=", 1) for word in words if "=" in word)
    known = choices("model")
    typed = chosen.get("model", default_choices()["model"])
    names = [
        read_choice("model", name).get("variants", {}).get(chosen.get("protocol"), name) if name in known else name
        for name in typed.split(",")
    ]
    meant = ",".join(names)
    if meant == typed:
        return list(words)
    # In place: command lines end with options of Hydra's, after which no override may stand.
    place = f"model={typed}" if "model" in chosen else f"protocol={chosen['protocol']}"
    standing = [f"model={meant}"] if "model" in chosen else [f"model={meant}", place]
    return [new for word in words for new in (standing if word == place else [word])]


def folders(group: str) -> list[Path]:
    """The folders that hold the YAML files of a group, plug-ins first."""
    return [folder for folder in (*(p / "conf" / group for p in plugin_folders()), CONF / group) if folder.is_dir()]


def choices(group: str) -> list[str]:
    """The names that can be chosen in a group, in alphabetical order."""
    return sorted({path.stem for folder in folders(group) for path in folder.glob("*.yaml")})


@cache
def read_choice(group: str, name: str) -> dict[str, Any]:
    """The YAML file of one choice as it stands, without composing.

    Raises:
        ConfigError: If there is no such choice.
    """
    return yaml.safe_load(choice_path(group, name).read_text(encoding="utf-8")) or {}


def choice_path(group: str, name: str) -> Path:
    """Where the YAML file of one choice lies.

    Raises:
        ConfigError: If there is no such choice.
    """
    for folder in folders(group):
        if (folder / f"{name}.yaml").is_file():
            return folder / f"{name}.yaml"
    raise ConfigError(unknown_choice(group, name))


def unknown_choice(group: str, name: str) -> str:
    """The message for a choice that does not exist."""
    known = choices(group)
    close = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean '{close[0]}'? " if close else ""
    return f"{group}={name} is unknown; {hint}choices: {', '.join(known) or 'none'}"


def explain(error: Exception, overrides: Sequence[str]) -> str:
    """One sentence for an error of Hydra or OmegaConf: the culprit and the cure."""
    text = _innermost(error)
    if match := re.search(r"Could not find '([\w/]+)/([^']+)'", text):
        return unknown_choice(match[1], match[2])
    if match := re.search(r"Could not override '([\w.@/]+)'", text) or re.search(r"Key '([\w.]+)' is not in", text):
        return _unknown_key(_full_key(text) or match[1], overrides)
    if match := re.search(r"You must specify '(\w+)'", text):
        return f"{match[1]} is not chosen; choose one with {match[1]}=NAME: {', '.join(choices(match[1]))}"
    if match := re.search(r"Ambiguous value for argument '([^']+)'", text):
        return f"{match[1]} names several values; sweep over them with -m, or quote a list: 'key=[a,b]'"
    if match := re.search(r"Value '(.*)' of type '\w+' could not be converted to (\w+)", text):
        return f"{_full_key(text)} is {match[1]!r}; expected {_PLAIN_TYPES.get(match[2], match[2])}"
    if match := re.search(r"Value '(.*)' is not a valid (\w+) ", text):
        return f"{_full_key(text)} is {match[1]!r}; expected {_PLAIN_TYPES.get(match[2].title(), match[2])}"
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    key = _full_key(text)
    return (f"{key}: " if key and key not in lines[0] else "") + lines[0]


def _innermost(error: BaseException) -> str:
    """The message of an error with those of its causes, which name the key."""
    texts = []
    while error is not None:
        texts.append(str(error))
        error = error.__cause__ or error.__context__
    return "\n".join(texts)


def _full_key(text: str) -> str | None:
    match = re.search(r"full_key: ([\w.]+)", text)
    return match[1] if match else None


def _unknown_key(key: str, overrides: Sequence[str]) -> str:
    parent, _, name = key.rpartition(".")
    known = _known_keys(parent, overrides)
    close = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean '{parent + '.' if parent else ''}{close[0]}'?" if close else f"known: {', '.join(known)}"
    return f"there is no setting '{key}'; {hint}"


def _known_keys(parent: str, overrides: Sequence[str]) -> list[str]:
    if not parent:
        return [*schema.Settings.__dataclass_fields__]
    group = parent.split(".")[0]
    chosen = {**default_choices(), **dict(part.split("=", 1) for part in overrides if "=" in part)}.get(group)
    try:
        return [key for key in read_choice(group, chosen) if key != "defaults" and key[0] != "_"] if chosen else []
    except ConfigError:
        return []


def default_choices() -> dict[str, str]:
    """What is chosen in each group when nothing is said."""
    return dict(_default_choices((CONF / "config.yaml").read_text(encoding="utf-8")))


@cache
def _default_choices(text: str) -> dict[str, str]:
    return {
        group: name
        for item in yaml.safe_load(text)["defaults"]
        if isinstance(item, dict)
        for group, name in item.items()
        if " " not in group
    }

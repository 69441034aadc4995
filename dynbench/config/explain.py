"""One sentence for what Hydra says about a configuration that cannot be composed: the culprit and the cure."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence

from dynbench.config.check import GENERAL
from dynbench.config.compose import choices, default_choices, read_choice, unknown_choice
from dynbench.config.source import read_class
from dynbench.errors import ConfigError

# Launchers and sweepers of Hydra that are packages of their own.
_PACKAGES = {"joblib": "hydra-joblib-launcher", "submitit_local": "hydra-submitit-launcher",
             "submitit_slurm": "hydra-submitit-launcher", "optuna": "hydra-optuna-sweeper"}  # fmt: skip


def explain(error: Exception, overrides: Sequence[str]) -> str:
    """One sentence for an error of Hydra or OmegaConf."""
    text = _innermost(error)
    if match := re.search(r"Could not find '(hydra/\w+)/([^']+)'", text):
        package = _PACKAGES.get(match[2], "a plug-in of Hydra")
        return f"{match[1]}={match[2]} is not installed; it comes with {package}"
    if match := re.search(r"Could not find '([\w/]+)/([^']+)'", text):
        return unknown_choice(match[1], match[2])
    if match := re.search(r"Could not override '([\w.@/]+)'", text) or re.search(r"Key '([\w.]+)' is not in", text):
        return unknown_key(_full_key(text) or match[1], overrides)
    if match := re.search(r"You must specify '(\w+)'", text):
        return f"{match[1]} is not chosen; choose one with {match[1]}=NAME: {', '.join(choices(match[1]))}"
    lines = [line.strip() for line in text.splitlines() if line.strip()] or [type(error).__name__]
    key = _full_key(text)
    return (f"{key}: " if key and key not in lines[0] else "") + lines[0]


def unknown_key(key: str, overrides: Sequence[str]) -> str:
    """The message for a setting that does not exist."""
    parent, _, name = key.rpartition(".")
    known = _known_keys(parent, overrides)
    close = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean '{parent + '.' if parent else ''}{close[0]}'?" if close else f"known: {', '.join(known)}"
    return f"there is no setting '{key}'; {hint}"


def _known_keys(parent: str, overrides: Sequence[str]) -> list[str]:
    if not parent:
        return [*default_choices(), *GENERAL]
    group, *inner = parent.split(".")
    if inner[:1] == ["callbacks"]:
        return _keys_of_callback(inner[1:])
    chosen = {**default_choices(), **dict(part.split("=", 1) for part in overrides if "=" in part)}.get(group) or ""
    known: dict[str, None] = {}
    for name in chosen.split(","):
        try:
            card = read_choice(group, name)
            known |= dict.fromkeys(key for key in card if key != "defaults" and key[0] != "_")
            parameters = read_class(card["_target_"]).parameters
            known |= dict.fromkeys(key for key, one in parameters.items() if one.types or one.choices)
        except (ConfigError, KeyError):
            continue
    return list(known)


def _keys_of_callback(names: Sequence[str]) -> list[str]:
    """The settings of a callback of the catalogue, or the names of all of them."""
    if not names or names[0] not in choices("callbacks"):
        return choices("callbacks")
    return [key for key in read_choice("callbacks", names[0])[names[0]] if key[0] != "_"]


def _innermost(error: BaseException | None) -> str:
    """The message of an error with those of its causes, which name the key."""
    texts = []
    while error is not None:
        texts.append(str(error))
        error = error.__cause__ or error.__context__
    return "\n".join(texts)


def _full_key(text: str) -> str | None:
    match = re.search(r"full_key: ([\w.]+)", text)
    return match[1] if match else None

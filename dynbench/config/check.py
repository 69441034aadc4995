"""Check a composed configuration before anything heavy is imported."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from dynbench.config.callbacks import check_callbacks
from dynbench.config.compose import choices, read_choice
from dynbench.config.schema import BUDGETS
from dynbench.config.source import ClassSource, read_class
from dynbench.errors import ConfigError

# Groups whose YAML is handed to the constructor named by its _target_.
GROUPS = ("data", "model", "protocol", "trainer", "logger")
# Groups that configure no class, with all that their files say.
_NAMED = {"recipe": ("name", "models"), "budget": ("name", "seeds")}
# Parts of a dataset's card that hold keys of their own.
_OF_CARDS = ("card", "expected", "native")
# What every run can set beside the groups.
GENERAL = read_class("dynbench.config.schema.Settings").parameters
# Names become parts of paths, so one rule holds for all of them.
_NAME = read_class("dynbench.config.schema.Choice").parameters["name"]


def resolved(config: DictConfig) -> dict[str, Any]:
    """The configuration as plain containers, interpolations filled in.

    Raises:
        ConfigError: If a mandatory key is unset or an interpolation leads nowhere.
    """
    budget = OmegaConf.select(config, "budget.name")
    if "budget" in config and budget not in BUDGETS:
        raise ConfigError(f"budget.name is {budget!r}; choose one of {', '.join(BUDGETS)}")
    try:
        return OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
    except OmegaConfBaseException as error:
        key = getattr(error, "full_key", None)
        where = f"'{key}'" if key else "the configuration"
        raise ConfigError(f"{where} cannot be read: {str(error).splitlines()[0]}; set it as {key}=VALUE") from error


def check(config: DictConfig) -> dict[str, Any]:
    """Resolve a configuration, check every group against its constructor, and the model against the protocol.

    Returns:
        The resolved values.

    Raises:
        ConfigError: Naming the key, what is wrong with it, and what would be right.
    """
    values = resolved(config)
    check_general(values)
    if values["save_embeddings"]:
        require_embeddings(values)
        # Whatever else was chosen: nothing is asked but all embeddings.
        values["protocol"] = dict(read_choice("protocol", "embeddings"))
    check_recipe(values)
    check_groups(values)
    check_pair(values)
    return values


def check_general(values: dict[str, Any]) -> None:
    """Check the settings that every run has."""
    for key, value in values.items():
        if key in GENERAL and (complaint := GENERAL[key].complaint(value)):
            raise ConfigError(f"{key} {complaint}")
        if key == "callbacks":
            raise ConfigError("a file in conf/callbacks begins with '# @package trainer.callbacks'")
        if key not in GENERAL and key not in (*GROUPS, *_NAMED):
            raise ConfigError(f"there is no setting '{key}'{_hint(key, [*GENERAL, *GROUPS, *_NAMED])}")
    for group, known in _NAMED.items():
        for key in values.get(group) or {}:
            if key not in known:
                raise ConfigError(f"there is no setting '{group}.{key}'{_hint(key, known)}")
    for folder in filter(None, (values.get("data_dir") or "").split(os.pathsep)):
        if not Path(folder).expanduser().is_dir():
            raise ConfigError(f"data_dir names '{folder}', which is not a folder")


def check_recipe(values: dict[str, Any]) -> None:
    """Check that a recipe is for the model that was chosen."""
    recipe = values.get("recipe") or {}
    models = recipe.get("models")
    if recipe and (complaint := _NAME.complaint(recipe.get("name"))):
        raise ConfigError(f"recipe.name {complaint}")
    if models and values["model"].get("name") not in models:
        meant = ", ".join(f"model={name}" for name in models)
        raise ConfigError(f"recipe={recipe.get('name')} is for {meant}, not for model={values['model'].get('name')}")


def check_groups(values: dict[str, Any]) -> None:
    """Check every group of a resolved configuration against its constructor."""
    for group in GROUPS:
        if not isinstance(values.get(group), dict):
            raise ConfigError(f"{group} is not chosen; choose one with {group}=NAME")
        check_group(group, values[group])


def check_group(group: str, values: dict[str, Any]) -> None:
    """Check the keys and value types of one group."""
    if "_target_" not in values:
        raise ConfigError(f"{group} has no _target_: conf/{group}/<name>.yaml must name the class it configures")
    if complaint := _NAME.complaint(values.get("name")):
        raise ConfigError(f"{group}.name {complaint}")
    parameters = read_class(values["_target_"]).parameters
    for key, value in values.items():
        if key.startswith("_") or key in ("defaults", "name", "variants") or (group, key) == ("data", "version"):
            continue
        if key not in parameters:
            raise ConfigError(f"{group}.{key} is not a setting of {values['_target_']}{_hint(key, parameters)}")
        complaint = parameters[key].complaint(value)
        if complaint:
            raise ConfigError(f"{group}.{key} {complaint}")
    if group == "trainer" and values.get("callbacks"):
        check_callbacks(values["callbacks"])
    for key in _OF_CARDS if group == "data" and values["name"] in choices("data") else ():
        known = read_choice("data", values["name"]).get(key) or {}
        for inner in set(values.get(key) or {}) - set(known):
            raise ConfigError(f"there is no setting 'data.{key}.{inner}'{_hint(inner, known)}")


def check_pair(values: dict[str, Any]) -> None:
    """Refuse a model that cannot answer what the protocol asks or see what it shows, naming models that can."""
    model, protocol, data = (read_class(values[group]["_target_"]) for group in ("model", "protocol", "data"))
    if data.attributes.get("several", False) and asked(protocol) is not None:
        _check_several(values, model, protocol)
    if reason := obstacle(model, protocol):
        raise ConfigError(
            f"model={values['model']['name']} cannot be run under protocol={values['protocol']['name']}: {reason}. "
            f"Models that can {asked(protocol)}: {', '.join(_able(protocol)) or 'none'}"
        )


def _check_several(values: dict[str, Any], model: ClassSource, protocol: ClassSource) -> None:
    """Refuse a dataset of several graphs to a protocol or a model that is made for one."""
    names = {group: values[group]["name"] for group in ("model", "protocol", "data")}
    if not protocol.attributes.get("several", False):
        raise ConfigError(
            f"data={names['data']} is several graphs, and protocol={names['protocol']} asks about one; "
            "use protocol=cross_domain, or choose one of the graphs as data"
        )
    if not model.attributes.get("several", False):
        reason = model.attributes.get("alone") or "it learns from one graph"
        raise ConfigError(f"model={names['model']} cannot be run on data={names['data']}, several graphs: {reason}")


def obstacle(model: ClassSource, protocol: ClassSource) -> str | None:
    """Why a model cannot be run under a protocol, or ``None`` if it can."""
    asks = asked(protocol)
    if asks is None:
        return None
    if asks not in answers(model):
        offers = ", ".join(sorted(answers(model))) or "nothing"
        return f"the protocol asks it to {asks}, it can {offers}"
    needs, shows = model.attributes.get("needs", frozenset()), protocol.attributes.get("view", "snapshots")
    other = {"snapshots": "events", "events": "snapshots"}[shows]
    return f"the protocol shows {shows}, the model needs {other}" if other in needs else None


def require_embeddings(values: dict[str, Any]) -> None:
    """Refuse to save embeddings of a model that has none, naming models that have."""
    can = answers(read_class(values["model"]["_target_"]))
    if "embed" not in can:
        raise ConfigError(
            f"save_embeddings=true needs a model that can embed; model={values['model']['name']} can "
            f"{', '.join(sorted(can)) or 'do nothing'}. Models that can: {', '.join(_answering('embed')) or 'none'}"
        )


def answers(model: ClassSource) -> frozenset[str]:
    """What a model class declares it can be asked."""
    return model.attributes.get("answers", frozenset())


def asked(protocol: ClassSource) -> str | None:
    """What a protocol class asks for."""
    return protocol.attributes.get("asks", "score")


def _able(protocol: ClassSource) -> list[str]:
    """Models that can be run under a protocol."""
    return [name for name, model in _models() if obstacle(model, protocol) is None]


def _answering(asks: str) -> list[str]:
    return [name for name, model in _models() if asks in answers(model)]


def _models() -> Iterator[tuple[str, ClassSource]]:
    """The models of the catalogue whose classes can be read."""
    for name in choices("model"):
        with suppress(ConfigError):
            yield name, read_class(read_choice("model", name).get("_target_", ""))


def _hint(key: str, known: dict) -> str:
    close = difflib.get_close_matches(key, known, n=1)
    return f"; did you mean '{close[0]}'?" if close else f"; its settings are {', '.join(known)}"

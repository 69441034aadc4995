"""Check a composed configuration before anything heavy is imported."""

from __future__ import annotations

import difflib
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from dynbench.config.source import ClassSource, read_class
from dynbench.errors import ConfigError

# Groups whose YAML is handed to the constructor named by its _target_.
GROUPS = ("data", "model", "protocol", "trainer", "logger")


def resolved(config: DictConfig) -> dict[str, Any]:
    """The configuration as plain containers, interpolations filled in.

    Raises:
        ConfigError: If a mandatory key is unset or an interpolation leads nowhere.
    """
    try:
        return OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
    except OmegaConfBaseException as error:
        key = getattr(error, "full_key", None)
        where = f"'{key}'" if key else "the configuration"
        raise ConfigError(f"{where} cannot be read: {str(error).splitlines()[0]}; set it as {key}=VALUE") from error


def check(config: DictConfig) -> None:
    """Check every group against its constructor, and the model against the protocol.

    Raises:
        ConfigError: Naming the key, what is wrong with it, and what would be right.
    """
    values = resolved(config)
    check_groups(values)
    check_pair(values)


def check_groups(values: dict[str, Any]) -> None:
    """Check every group of a resolved configuration against its constructor."""
    for group in GROUPS:
        if values.get(group):
            check_group(group, values[group])


def check_group(group: str, values: dict[str, Any]) -> None:
    """Check the keys and value types of one group."""
    if "_target_" not in values:
        raise ConfigError(f"{group} has no _target_: conf/{group}/<name>.yaml must name the class it configures")
    parameters = read_class(values["_target_"]).parameters
    for key, value in values.items():
        if key.startswith("_") or key in ("defaults", "name", "variants") or (group, key) == ("data", "version"):
            continue
        if key not in parameters:
            raise ConfigError(f"{group}.{key} is not a setting of {values['_target_']}{_hint(key, parameters)}")
        complaint = parameters[key].complaint(value)
        if complaint:
            raise ConfigError(f"{group}.{key} {complaint}")


def check_pair(values: dict[str, Any]) -> None:
    """Refuse a model that cannot answer what the protocol asks, naming models that can."""
    model, protocol = (read_class(values[group]["_target_"]) for group in ("model", "protocol"))
    asks = asked(protocol)
    if asks is not None and asks not in answers(model):
        offers = ", ".join(sorted(answers(model))) or "nothing"
        raise ConfigError(
            f"model={values['model']['name']} cannot be run under protocol={values['protocol']['name']}: the protocol "
            f"asks it to {asks}, it can {offers}. Models that can {asks}: {', '.join(_able(asks)) or 'none'}"
        )


def require_embeddings(values: dict[str, Any]) -> None:
    """Refuse to save embeddings of a model that has none, naming models that have."""
    can = answers(read_class(values["model"]["_target_"]))
    if "embed" not in can:
        raise ConfigError(
            f"save_embeddings=true needs a model that can embed; model={values['model']['name']} can "
            f"{', '.join(sorted(can)) or 'do nothing'}. Models that can: {', '.join(_able('embed')) or 'none'}"
        )


def answers(model: ClassSource) -> frozenset[str]:
    """What a model class declares it can be asked."""
    return model.attributes.get("answers", frozenset())


def asked(protocol: ClassSource) -> str | None:
    """What a protocol class asks for."""
    return protocol.attributes.get("asks", "score")


def _able(asks: str) -> list[str]:
    from dynbench.config.compose import choices, read_choice

    return [name for name in choices("model") if asks in _answers_of(read_choice("model", name))]


def _answers_of(card: dict[str, Any]) -> frozenset[str]:
    """What a model file's class can be asked; nothing if there is no such class."""
    try:
        return answers(read_class(card.get("_target_", "")))
    except ConfigError:
        return frozenset()


def _hint(key: str, known: dict) -> str:
    close = difflib.get_close_matches(key, known, n=1)
    return f"; did you mean '{close[0]}'?" if close else f"; its settings are {', '.join(known)}"

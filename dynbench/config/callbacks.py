"""Callbacks of a run: what may be said about them, and whether they can move a number. Nothing is imported for it."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

from dynbench.config.source import read_class
from dynbench.errors import ConfigError

# Callbacks of Lightning that show, log or keep, and leave parameters and their gradients alone.
_LIGHTNING = ("pytorch_lightning.callbacks", "lightning.pytorch.callbacks")
_WATCHING = frozenset(
    {"DeviceStatsMonitor", "LearningRateMonitor", "ModelCheckpoint", "ModelSummary", "RichModelSummary",
     "RichProgressBar", "TQDMProgressBar", "ThroughputMonitor"}
)  # fmt: skip


def check_callbacks(callbacks: Mapping[str, Any]) -> None:
    """Check each callback against the constructor of its class.

    Args:
        callbacks: By name ``_target_`` and settings; ``None`` for one that was taken out.

    Raises:
        ConfigError: Naming the callback, what is wrong with it, and what would be right.
    """
    for name, settings in callbacks.items():
        place = f"trainer.callbacks.{name}"
        if settings is None:
            continue
        if not (isinstance(settings, Mapping) and isinstance(settings.get("_target_"), str)):
            raise ConfigError(f"{place} names no class; set {place}._target_=MODULE.CLASS")
        source = read_class(settings["_target_"])
        for key, value in settings.items():
            if key.startswith("_"):
                continue
            if key not in source.parameters:
                if source.closed:
                    close = difflib.get_close_matches(key, source.parameters, n=1)
                    known = ", ".join(source.parameters) or "none"
                    hint = f"did you mean '{close[0]}'?" if close else f"its settings are {known}"
                    raise ConfigError(f"{place}.{key} is not a setting of {settings['_target_']}; {hint}")
            elif complaint := source.parameters[key].complaint(value):
                raise ConfigError(f"{place}.{key} {complaint}")


def moving(callbacks: Mapping[str, Any] | None) -> dict[str, Any]:
    """The callbacks that may move a number, and so belong to a run's name: all that do not say that they only watch."""
    told = {name: one for name, one in (callbacks or {}).items() if one is not None}
    return {name: settings for name, settings in told.items() if not _watches(str(settings.get("_target_", "")))}


def _watches(target: str) -> bool:
    module, _, name = target.rpartition(".")
    if any(module == home or module.startswith(f"{home}.") for home in _LIGHTNING):
        return name in _WATCHING
    try:
        return read_class(target).attributes.get("watches") is True
    except ConfigError:
        return False  # a plug-in that is no longer there

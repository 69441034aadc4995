"""What a search over settings may look at: a run's score on validation, or the reason why there is none."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from dynbench.config.compose import choices, read_choice
from dynbench.config.source import ClassSource, read_class
from dynbench.errors import ConfigError

# Of several validation metrics the one that selects comes first.
_VALIDATION = ("validation_ap", "validation_macro_auc", "validation_raw_mrr", "val_ap")


def validation_score(metrics: Mapping[str, float]) -> float | None:
    """What a search over settings may look at: the run's score on validation, ``None`` where there is none."""
    names = [*_VALIDATION, *(name for name in metrics if name.startswith(("validation_", "val_")))]
    return next((metrics[name] for name in names if name in metrics), None)


def require_validation(values: Mapping[str, Any]) -> None:
    """Refuse to search where the protocol offers no validation, before anything is run.

    Raises:
        ConfigError: Saying why there is none, and naming protocols that have one.
    """
    protocol = read_class(values["protocol"]["_target_"])
    if not protocol.attributes.get("validates", False):
        raise ConfigError(_refusal(values, protocol.attributes.get("unvalidated", "")))


def no_score(values: Mapping[str, Any]) -> str:
    """Why a run under a protocol that validates came out without a score on validation."""
    model, protocol = (read_class(values[group]["_target_"]) for group in ("model", "protocol"))
    if model.attributes.get("learns", "train") == "context":
        known = f"model={values['model']['name']} learns from all that is known, its validation part included"
        keys = sorted(protocol.attributes.get("context_settings", frozenset()))
        by = f"; see {', '.join(f'protocol.{key}' for key in keys)}" if keys else ""
        return _refusal(values, known + by)
    return _refusal(values, "its settings leave nothing for it")


def _refusal(values: Mapping[str, Any], reason: str) -> str:
    told = f" ({reason})" if reason else ""
    return (
        f"protocol={values['protocol']['name']} measures nothing on validation{told}, and a search must not look at "
        f"the test; protocols that do: {', '.join(_validating())}"
    )


def _validating() -> list[str]:
    """The protocols of the catalogue that offer a validation exam."""
    return [name for name in choices("protocol") if _protocol(name).attributes.get("validates", False)]


def _protocol(name: str) -> ClassSource:
    with suppress(ConfigError):
        return read_class(read_choice("protocol", name).get("_target_", ""))
    return ClassSource()

"""What a run spends less than the paper did, whoever said so: a budget, a recipe, a table or the user."""

from __future__ import annotations

from typing import Any

from dynbench.config.compose import read_choice
from dynbench.config.source import UNKNOWN, read_class
from dynbench.errors import ConfigError

# The groups whose classes may declare work.
_GROUPS = ("data", "model", "protocol")


def find_cuts(values: dict[str, Any]) -> dict[str, list[Any]]:
    """Settings that are below the paper's value, which is the constructor's default: ``key: [used, paper's]``.

    Those count that a class declares as work (``work = frozenset({"epochs"})``), and those that its file leaves to the
    budget. Where the paper takes all there is (null), any number is below.

    Args:
        values: A resolved configuration.
    """
    return {
        f"{group}.{key}": [used, full]
        for group in _GROUPS
        for key, used, full in _compared(group, values[group])
        if used is not None and (full is None or used < full)
    }


def _compared(group: str, values: dict[str, Any]) -> list[tuple[str, Any, Any]]:
    """Each setting that says how much is done, with its value and the paper's, if both are numbers or null."""
    source = read_class(values["_target_"])
    own = [
        (key, values[key], source.parameters[key].default)
        for key in values
        if key in source.parameters and key in source.attributes.get("work", frozenset()) | budgeted(group, values)
    ]
    return [row for row in own if row[2] is not UNKNOWN and all(map(_is_amount, row[1:]))]


def budgeted(group: str, values: dict[str, Any]) -> frozenset[str]:
    """The settings that the file of a choice leaves to the budget."""
    try:
        card = read_choice(group, values["name"])
    except ConfigError:
        return frozenset()
    return frozenset(key for key, value in card.items() if "${budgeted:" in str(value))


def _is_amount(value: Any) -> bool:
    return value is None or (isinstance(value, (int, float)) and not isinstance(value, bool))

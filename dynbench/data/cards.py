"""The cards of ``conf/data`` outside a run: for the scripts and for tests."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from dynbench.data.base import Dataset
from dynbench.data.locations import Locations
from dynbench.errors import DataError


def read_card(path: Path) -> dict[str, Any]:
    """One YAML file of ``conf/data`` as plain values.

    Raises:
        DataError: If it cannot be read or does not say which class it configures.
    """
    from omegaconf import OmegaConf
    from yaml import YAMLError

    from dynbench.config import schema

    schema.register()
    try:
        # Outside a run nothing is cut: what a card leaves to the budget is as in the paper.
        alone = OmegaConf.create({"budget": {"name": schema.BUDGETS[-1]}, "data": OmegaConf.load(path)})
        card = OmegaConf.to_container(alone, resolve=True)["data"]
    except (OSError, YAMLError) as error:
        raise DataError(f"{path}: cannot be read as YAML ({error})") from error
    if not isinstance(card, dict) or "." not in str(card.get("_target_", "")):
        raise DataError(f"{path}: no _target_; a card names its class, e.g. dynbench.data.dataset.FileDataset")
    card.pop("defaults", None)  # what it chooses in other groups
    return card


def build(card: dict[str, Any], where: Locations, **settings: Any) -> Dataset:
    """Turn a card into a dataset.

    Args:
        card: As read by :func:`read_card`.
        where: Folders to look in.
        **settings: Replace keys of the card.
    """
    values = {**card, **settings}
    module, _, name = values.pop("_target_").rpartition(".")
    return getattr(importlib.import_module(module), name)(**values, where=where)


def build_settings(values: dict[str, Any], where: Locations) -> Dataset:
    """Turn the checked settings of a dataset into one; keys that its class does not take only describe it."""
    from dynbench.config.source import read_class

    accepted = read_class(values["_target_"]).parameters
    kept = {key: value for key, value in values.items() if key in accepted}
    module, _, name = values["_target_"].rpartition(".")
    return getattr(importlib.import_module(module), name)(**kept, **({"where": where} if "where" in accepted else {}))

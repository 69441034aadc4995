"""The settings that every run has, with what they may be. Groups are checked against their constructors instead."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from omegaconf import DictConfig, OmegaConf

from dynbench.errors import ConfigError
from dynbench.ranges import Name, Place, Positive, Seed

BUDGETS = ("smoke", "quick", "paper")


@dataclass
class Settings:
    """What the keys of ``conf/config.yaml`` beside the groups may be; the YAML file explains each."""

    seed: Seed = 0
    save_embeddings: bool = False
    force: bool = False
    progress: bool = True
    checkpoint_seconds: Positive = 60.0
    results_dir: Place = "results"
    work_dir: Place = "runs"
    data_dir: Place | None = None
    cache_dir: Place | None = None
    offline: bool = False


@dataclass
class Choice:
    """What a group's YAML file says about itself: its name, which records, folders and tables know it by."""

    name: Name


def register() -> None:
    """Make the resolvers known to Hydra. May be called twice.

    ``${budgeted:smoke,quick,paper}`` is the value for the chosen budget; ``${at_window:WINDOW,VALUE}`` in a dataset's
    card is ``VALUE`` as long as ``window`` is the card's own ``WINDOW``, and null for any other;
    ``${for_data:{uci:0.1,mooc:0.2},0.0}`` is the value for the chosen dataset, or the last one for others.
    """
    OmegaConf.register_new_resolver("at_window", _at_window, replace=True)
    OmegaConf.register_new_resolver("budgeted", _budgeted, replace=True)
    OmegaConf.register_new_resolver("for_data", _for_data, replace=True)


def _budgeted(*values: Any, _root_: DictConfig) -> Any:
    """The value for the chosen budget, from one value per budget."""
    name = OmegaConf.select(_root_, "budget.name")
    if len(values) != len(BUDGETS) or name not in BUDGETS:
        raise ConfigError(f"${{budgeted:...}} takes one value for each of {', '.join(BUDGETS)}; budget is '{name}'")
    return values[BUDGETS.index(name)]


def _at_window(window: Any, value: Any, *, _parent_: DictConfig) -> Any:
    """A setting of one paper's cut, which another window does not inherit."""
    return value if str(_parent_.get("window")) == str(window) else None


def _for_data(values: DictConfig, *other: Any, _root_: DictConfig) -> Any:
    """The value for the chosen dataset, by name."""
    name = OmegaConf.select(_root_, "data.name")
    if name not in values and not other:
        raise ConfigError(f"the recipe has no value for data={name}; it has one for {', '.join(values)}")
    return values.get(name, *other)

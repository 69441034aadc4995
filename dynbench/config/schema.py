"""The settings that every run has, with their types. Groups are checked against their constructors instead."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hydra.core.config_store import ConfigStore
from omegaconf import MISSING, DictConfig, OmegaConf

from dynbench.errors import ConfigError

BUDGETS = ("smoke", "quick", "paper")


@dataclass
class Settings:
    """Types of the keys of ``conf/config.yaml``; the YAML file explains each."""

    model: Any = MISSING
    data: Any = MISSING
    protocol: Any = MISSING
    budget: Any = MISSING
    trainer: Any = MISSING
    logger: Any = MISSING
    seed: int = 0
    save_embeddings: bool = False
    force: bool = False
    progress: bool = True
    checkpoint_seconds: float = 60.0
    results_dir: str = "results"
    work_dir: str = "runs"
    data_dir: str | None = None
    cache_dir: str | None = None
    offline: bool = False


def register() -> None:
    """Make the schema and the resolvers known to Hydra. May be called twice.

    ``${budgeted:smoke,quick,paper}`` is the value for the chosen budget; ``${at_window:WINDOW,VALUE}`` in a dataset's
    card is ``VALUE`` as long as ``window`` is the card's own ``WINDOW``, and null for any other.
    """
    ConfigStore.instance().store(name="schema", node=Settings)
    OmegaConf.register_new_resolver("at_window", _at_window, replace=True)
    OmegaConf.register_new_resolver("budgeted", _budgeted, replace=True)


def _budgeted(*values: Any, _root_: DictConfig) -> Any:
    """The value for the chosen budget, from one value per budget."""
    name = OmegaConf.select(_root_, "budget.name")
    if len(values) != len(BUDGETS) or name not in BUDGETS:
        raise ConfigError(f"${{budgeted:...}} takes one value for each of {', '.join(BUDGETS)}; budget is '{name}'")
    return values[BUDGETS.index(name)]


def _at_window(window: Any, value: Any, *, _parent_: DictConfig) -> Any:
    """A setting of one paper's cut, which another window does not inherit."""
    return value if str(_parent_.get("window")) == str(window) else None

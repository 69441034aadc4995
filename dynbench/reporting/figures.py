"""The files of ``conf/figure``: which runs a figure is drawn from, and by which module."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dynbench.config.compose import choices, read_choice
from dynbench.config.schema import BUDGETS
from dynbench.errors import ConfigError
from dynbench.records import Identity, identify
from dynbench.reporting.composer import Composer

FOLDER = "figures"
KINDS = {
    "link": "dynbench.reporting.link_figures",
    "embedding": "dynbench.reporting.embedding_figures",
    "sweep": "dynbench.reporting.sweep_figures",
    "bars": "dynbench.reporting.bar_figures",
    "versus": "dynbench.reporting.versus_figures",
    "communities": "dynbench.reporting.community_figures",
    "latent": "dynbench.reporting.latent_figures",
    "curves": "dynbench.reporting.curve_figures",
}
_KEYS = {"kind", "title", "names", "runs", "table", "settings"}


def load(name: str) -> dict[str, Any]:
    """One figure file, checked.

    Raises:
        ConfigError: If there is no such file, or a key is missing or unknown.
    """
    content = read_choice("figure", name)
    if set(content) - _KEYS:
        raise ConfigError(f"conf/figure/{name}.yaml: unknown key '{min(set(content) - _KEYS)}'; known: {sorted(_KEYS)}")
    if content.get("kind") not in KINDS or not (content.get("runs") or content.get("table")):
        raise ConfigError(f"conf/figure/{name}.yaml needs a kind ({', '.join(KINDS)}), and runs or a table")
    return content


def seeds(entries: Mapping[str, Any]) -> list[int]:
    """The seeds that a figure file asks for; none for those of the command."""
    return list(entries.get("settings", {}).get("seeds", ()))


def runs(name: str, composer: Composer) -> dict[str, set[Identity]]:
    """What each run of a figure file may be published as: at ``quick`` or ``paper``, of seed 0 if none is asked for.

    Raises:
        ConfigError: If the file or a run of it is wrong.
    """
    entries = load(name)
    asked = [f"seed={seed}" for seed in seeds(entries) or [0]]
    return {
        run.get("name", run["label"]): {
            identify(composer.values([*run["overrides"], f"budget={budget}", seed]))
            for budget in BUDGETS[1:] for seed in asked
        }
        for run in entries.get("runs", ())
    }  # fmt: skip


def used(composer: Composer, chosen: Sequence[str] = ()) -> set[Identity]:
    """The runs that figures are drawn from: those of all files when none is chosen."""
    return {run for name in chosen or choices("figure") for found in runs(name, composer).values() for run in found}

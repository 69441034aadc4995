"""From a table to runs: what would have to be run for each cell, and what stands in the way.

Planning composes every cell as the command line would, so the paths of records follow without running anything. A
model or a dataset whose YAML file does not exist yet is no error: its cells say so, and are picked up when it appears.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from dynbench.config.check import GROUPS, check_group, check_pair
from dynbench.config.compose import choices, read_choice
from dynbench.config.source import read_class
from dynbench.data.locations import Locations
from dynbench.errors import ConfigError
from dynbench.records import Identity, fit_key, identify
from dynbench.reporting.composer import Composer
from dynbench.reporting.table import Column, Row, Table, merge, split


@dataclass(frozen=True)
class Run:
    """One run, as it would be typed.

    Attributes:
        identity: What it is known by.
        overrides: What to type after ``run.py``.
        fit: What it learns is known by this; of several runs with the same one only the first learns.
    """

    identity: Identity
    overrides: tuple[str, ...]
    fit: str


@dataclass(frozen=True)
class Obstacle:
    """Why a cell cannot or should not be run; ``status`` is one of the words of CSV files."""

    status: str
    reason: str


@dataclass(frozen=True)
class CellPlan:
    """The runs of one row × column.

    Attributes:
        overrides: What the table says about the cell.
        runs: One per seed; none where nothing can be composed.
        obstacle: Why they are not to be started, or ``None``.
        note: The table's remark on the cell.
    """

    row: Row
    column: Column
    overrides: tuple[str, ...]
    runs: tuple[Run, ...]
    obstacle: Obstacle | None = None
    note: str = ""


class Planner:
    """Plans tables at one budget; cells that share a run share its composition.

    Args:
        budget: Name of the budget.
        extra: Further overrides for every run, such as ``trainer=gpu``.

    Raises:
        ConfigError: If there is no such budget.
    """

    def __init__(self, budget: str, extra: Sequence[str] = ()):
        self.budget, self._extra, self._composer = budget, tuple(extra), Composer()
        self._seeds: list[int] = list(read_choice("budget", budget)["seeds"])
        self._known: dict[tuple[str, ...], tuple[tuple[Run, ...], Obstacle | None]] = {}

    def seeds(self, table: Table, row: Row, column: Column) -> list[int]:
        """The seeds of a cell."""
        runs = table.cell_runs(row, column, self.budget)
        return self._seeds if runs is None else list(range(runs))

    def plan(self, table: Table) -> list[CellPlan]:
        """All cells of a table, row by row.

        Raises:
            ConfigError: For an override that cannot be, naming file, row, column and key.
        """
        return [self._cell(table, row, column) for row in table.rows for column in table.columns]

    def _cell(self, table: Table, row: Row, column: Column) -> CellPlan:
        own = table.cell_overrides(row, column, self.budget)
        overrides = merge(own, self._extra)
        seeds = self.seeds(table, row, column)
        key = (*overrides, *map(str, seeds))
        if key not in self._known:
            try:
                self._known[key] = self._compose(overrides, seeds)
            except ConfigError as error:
                raise ConfigError(f"{table.path}: row '{row.name}', column '{column.name}': {error}") from error
        runs, obstacle = self._known[key]
        skip = table.skip_reason(row, column, self.budget)
        if skip and (obstacle is None or obstacle.status == "unsupported"):
            obstacle = Obstacle("skipped", f"skipped at {self.budget}: {skip}")
        return CellPlan(row, column, own, runs, obstacle, table.cell_note(row, column, self.budget))

    def _compose(self, overrides: tuple[str, ...], seeds: list[int]) -> tuple[tuple[Run, ...], Obstacle | None]:
        missing = _missing_choice(overrides)
        if missing:
            return (), Obstacle("not_built", missing)
        typed = (*overrides, f"budget={self.budget}")
        runs = []
        for seed in seeds:
            words = (*typed, f"seed={seed}")
            values = self._composer.values(words)
            missing = _missing_class(values)
            if missing:
                return (), Obstacle("not_built", missing)
            runs.append(Run(identify(values), words, fit_key(values)))
        return tuple(runs), self._obstacle(values)

    @staticmethod
    def _obstacle(values: dict[str, Any]) -> Obstacle | None:
        for group in GROUPS:
            if values.get(group):
                check_group(group, values[group])
        try:
            check_pair(values)
        except ConfigError as error:
            return Obstacle("unsupported", str(error))
        return _unavailable(values)


def _unavailable(values: dict[str, Any]) -> Obstacle | None:
    """A dataset that cannot be downloaded, unless the user seems to have it."""
    data = values["data"]
    folders = Locations.from_settings(values.get("data_dir")).user_folders(data["name"])
    if not data.get("unavailable") or any(folder.exists() for folder in folders):
        return None
    return Obstacle("unavailable", f"dataset '{data['name']}' is not available: {data['unavailable']}")


def _missing_choice(overrides: Sequence[str]) -> str | None:
    """Name a choice that has no YAML file yet."""
    for group, name in map(split, overrides):
        if group in GROUPS and name not in choices(group):
            return f"{_KINDS.get(group, group)} '{name}' is not built yet: there is no conf/{group}/{name}.yaml"
    return None


def _missing_class(values: dict[str, Any]) -> str | None:
    """Name a choice whose YAML file is there but whose class is not."""
    for group in GROUPS:
        try:
            if values.get(group) and "_target_" in values[group]:
                read_class(values[group]["_target_"])
        except ConfigError as error:
            return f"{_KINDS.get(group, group)} '{values[group].get('name', '?')}' is not built yet: {error}"
    return None


_KINDS = {"data": "dataset"}

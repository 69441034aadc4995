"""From a table to runs: what would have to be run for each cell, and what stands in the way.

Planning composes every cell as the command line would, so the paths of records follow without running anything. A
model or a dataset whose YAML file does not exist yet is no error: its cells say so, and are picked up when it appears.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dynbench.config.check import GROUPS, check_group, check_pair
from dynbench.config.compose import choices, read_choice
from dynbench.config.source import read_class
from dynbench.data.locations import Locations
from dynbench.errors import ConfigError
from dynbench.records import Identity, Names, identity_config
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
        obstacle: Why there may be no number, or ``None``. An ``unavailable`` dataset that the user has is run.
        runnable: Whether the runs can be started here.
        note: The table's remark on the cell.
        settings: What is configured, as ``group.key``.
        seed_free: Whether nothing is drawn, so that one run says all.
        recipe: Name of the recipe that changes the model.
        values: The configuration of its first run.
    """

    row: Row
    column: Column
    budget: str
    overrides: tuple[str, ...]
    runs: tuple[Run, ...]
    obstacle: Obstacle | None = None
    runnable: bool = True
    note: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    seed_free: bool = False
    recipe: str = ""
    values: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Filter:
    """The rows and columns to run; empty means all."""

    rows: frozenset[str] = frozenset()
    columns: frozenset[str] = frozenset()

    def admits(self, plan: CellPlan) -> bool:
        """Whether a cell is to be run."""
        return (not self.rows or plan.row.name in self.rows) and (not self.columns or plan.column.name in self.columns)

    @classmethod
    def parse(cls, text: str, tables: Iterable[Table]) -> Filter:
        """Read ``row=nlsm,row=bas,column=enron``.

        Raises:
            ConfigError: For a row or column that none of the tables has.
        """
        tables = list(tables)
        known = {
            "row": {row.name for one in tables for row in one.rows},
            "column": {column.name for one in tables for column in one.columns},
        }
        chosen: dict[str, set[str]] = {"row": set(), "column": set()}
        for part in filter(None, text.split(",")):
            kind, _, name = part.partition("=")
            if kind not in known or name not in known[kind]:
                names = "; ".join(f"{key}: {', '.join(sorted(values))}" for key, values in known.items())
                raise ConfigError(f"--only: '{part}' is no row=NAME or column=NAME of the tables. {names}")
            chosen[kind].add(name)
        return cls(frozenset(chosen["row"]), frozenset(chosen["column"]))


@dataclass(frozen=True)
class _Composed:
    """What a set of overrides comes to, whatever table it stands in."""

    runs: tuple[Run, ...] = ()
    obstacle: Obstacle | None = None
    runnable: bool = False
    settings: Mapping[str, Any] = field(default_factory=dict)
    seed_free: bool = False
    recipe: str = ""
    values: Mapping[str, Any] = field(default_factory=dict)


class Planner:
    """Plans tables at one budget; cells that share a run share its composition.

    Args:
        budget: Name of the budget.
        extra: Further overrides for every run, such as ``trainer=gpu``.
        composer: Shared by the planners of several budgets.

    Raises:
        ConfigError: If there is no such budget.
    """

    def __init__(self, budget: str, extra: Sequence[str] = (), composer: Composer | None = None):
        self.budget, self._extra, self._composer = budget, tuple(extra), composer or Composer()
        self._seeds: list[int] = list(read_choice("budget", budget)["seeds"])
        self._known: dict[tuple[str, ...], _Composed] = {}
        self._names: dict[tuple[int, ...], tuple[Names, Mapping[str, Any]]] = {}
        self._there = {group: frozenset(choices(group)) for group in GROUPS}

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
        found = self._known[key]
        obstacle, runnable = found.obstacle, found.runnable
        skip = table.skip_reason(row, column, self.budget)
        if skip and (obstacle is None or obstacle.status == "unsupported"):
            obstacle, runnable = Obstacle("skipped", f"skipped at {self.budget}: {skip}"), False
        return CellPlan(
            row=row,
            column=column,
            budget=self.budget,
            overrides=own,
            runs=found.runs,
            obstacle=obstacle,
            runnable=runnable,
            note=table.cell_note(row, column, self.budget),
            settings=found.settings,
            seed_free=found.seed_free,
            recipe=found.recipe,
            values=found.values,
        )

    def _compose(self, overrides: tuple[str, ...], seeds: list[int]) -> _Composed:
        missing = self._missing_choice(overrides)
        if missing:
            return _Composed(obstacle=Obstacle("not_built", missing))
        typed = (*overrides, f"budget={self.budget}")
        values = self._composer.values((*typed, f"seed={seeds[0]}"))
        missing = _missing_class(values)
        if missing:
            return _Composed(obstacle=Obstacle("not_built", missing))
        seed_free = draws_nothing(values)
        runs = [self._run(values, typed, seed) for seed in (seeds[:1] if seed_free else seeds)]
        obstacle, runnable = _obstacle(values)
        recipe = (values.get("recipe") or {}).get("name", "")
        return _Composed(tuple(runs), obstacle, runnable, flat(identity_config(values)), seed_free, recipe, values)

    def _missing_choice(self, overrides: Sequence[str]) -> str | None:
        """Name a choice that has no YAML file yet."""
        for group, name in map(split, overrides):
            if name not in self._there.get(group, (name,)):
                return f"{_KINDS.get(group, group)} '{name}' is not built yet"
        return None

    def _run(self, values: Mapping[str, Any], typed: tuple[str, ...], seed: int) -> Run:
        words = (*typed, f"seed={seed}")
        if seed != values["seed"]:
            values = self._composer.values(words)
        key = tuple(map(id, (values[group] for group in GROUPS if group in values)))
        if key not in self._names:
            # The groups are kept beside their names, so that no other object can take their place in memory.
            self._names[key] = Names(values), values
        names = self._names[key][0]
        return Run(names.run(seed), words, names.fit(seed))


def draws_nothing(values: Mapping[str, Any]) -> bool:
    """Whether every seed gives the same numbers: the model draws nothing, and no question hangs on the run's seed.

    A model says ``draws = False``; a protocol names in ``seeds`` the settings that take the run's seed where null.
    """
    model, protocol = (read_class(values[group]["_target_"]).attributes for group in ("model", "protocol"))
    seeds = protocol.get("seeds")
    # What a model is selected by may be drawn with every run.
    if seeds is None or model.get("draws", True) or model.get("selects", False):
        return False
    return all(values["protocol"].get(key) is not None for key in seeds)


def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings as one with dotted keys."""
    found: dict[str, Any] = {}
    for key, value in values.items():
        found |= flat(value, f"{prefix}{key}.") if isinstance(value, dict) and value else {f"{prefix}{key}": value}
    return found


def _obstacle(values: Mapping[str, Any]) -> tuple[Obstacle | None, bool]:
    """What stands in the way of a number, and whether the run can be started here nevertheless."""
    for group in GROUPS:
        if values.get(group):
            check_group(group, values[group])
    try:
        check_pair(values)
    except ConfigError as error:
        return Obstacle("unsupported", str(error)), False
    return _unavailable(values)


def _unavailable(values: Mapping[str, Any]) -> tuple[Obstacle | None, bool]:
    """A dataset that cannot be downloaded; the user may have it."""
    data = values["data"]
    if not data.get("unavailable"):
        return None, True
    folders = Locations.from_settings(values.get("data_dir")).user_folders(data["name"])
    obstacle = Obstacle("unavailable", f"dataset '{data['name']}' is not available: {data['unavailable']}")
    return obstacle, any(folder.exists() for folder in folders)


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

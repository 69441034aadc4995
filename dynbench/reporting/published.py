"""Find the published values that a run can be set beside.

A run belongs to a cell of a table if it was composed with everything that the cell's overrides say. Of several rows of
one table that fit, the one that says most is meant: with ``model.weights=unbiased`` a run belongs to the row that
says so, and no longer to the plain row of its model.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml
from omegaconf import DictConfig, OmegaConf

from dynbench.config.compose import read_choice
from dynbench.config.schema import BUDGETS
from dynbench.errors import ConfigError
from dynbench.reporting.table import Column, Row, Table, Unit, load, names, split

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class PublishedValue:
    """A published value that a run stands beside.

    Attributes:
        table, title: Where it is printed.
        row, column: Labels of its place there.
        metric: Name of the metric in records.
        value, sd: As printed, in ``unit``.
        runs: Runs behind the published value, if the table says how many.
        overrides: What produces the cell; what a run sets beyond these is not the table's.
        note: What the table remarks on the row.
    """

    table: str
    title: str
    row: str
    column: str
    metric: str
    value: float
    sd: float | None
    unit: Unit
    runs: int | None
    overrides: tuple[str, ...]
    note: str = ""

    def difference(self, measured: float) -> float:
        """Measured (as in a record) minus published, in the unit of the table."""
        return measured * self.unit.scale - self.value


def find(config: Mapping[str, Any] | DictConfig) -> list[PublishedValue]:
    """The published values for a run, in order of table, column and metric.

    A table that cannot be read is reported in the log and left out: a finished run must not fail for it.

    Args:
        config: A composed configuration, or the one kept in a record.
    """
    found: list[PublishedValue] = []
    budget = _select(config, "budget.name") or BUDGETS[-1]
    for name in names():
        try:
            found += _in_table(load(name), config, budget)
        except ConfigError as error:
            _log.warning("table %s is left out: %s", name, error)
    return found


def _in_table(table: Table, config: Mapping[str, Any] | DictConfig, budget: str) -> list[PublishedValue]:
    values: list[PublishedValue] = []
    for column in table.columns:
        fitting: list[tuple[int, Row, tuple[str, ...]]] = []
        for row in table.rows:
            overrides = table.cell_overrides(row, column, budget)
            spelt = _spelt(overrides)
            if all(_holds(config, text) for text in spelt):
                fitting.append((len(spelt), row, overrides))
        most = max((count for count, _, _ in fitting), default=0)
        for count, row, overrides in fitting:
            if count == most:
                values += _values(table, row, column, overrides)
    return values


def _values(table: Table, row: Row, column: Column, overrides: Sequence[str]) -> list[PublishedValue]:
    found = []
    for name in column.metrics:
        paper = table.published.get((row.name, column.name, name))
        if paper is not None and paper.value is not None:
            found.append(
                PublishedValue(
                    table=table.name,
                    title=table.title,
                    row=row.label,
                    column=column.label,
                    metric=name,
                    value=paper.value,
                    sd=paper.sd,
                    unit=table.metrics[name].unit,
                    runs=table.runs.get("paper"),
                    overrides=tuple(overrides),
                    note=" ".join(filter(None, [row.note, column.note, paper.note])),
                )
            )
    return found


def _spelt(overrides: Sequence[str]) -> list[str]:
    """Overrides with a recipe replaced by what it sets: who typed the same stands in the same place."""
    typed = dict(map(split, overrides))
    settings = read_choice("recipe", typed.pop("recipe")).get("model", {}) if "recipe" in typed else {}
    plain = {f"model.{key}": json.dumps(value) for key, value in settings.items() if "${" not in str(value)}
    return [f"{key}={text}" for key, text in (plain | typed).items()]


def _holds(config: Mapping[str, Any] | DictConfig, override: str) -> bool:
    """Whether a configuration is as an override says. A choice is compared by its name, a setting by its value."""
    key, text = split(override)
    value = _select(config, key)
    if isinstance(value, (Mapping, DictConfig)) and "." not in key:
        return value.get("name", text) == text
    wanted = yaml.safe_load(text)
    value = OmegaConf.to_container(value, resolve=True) if OmegaConf.is_config(value) else value
    # The same word can be read as text by one and as null or a number by the other.
    return value == wanted or str(value) == text


def _select(config: Mapping[str, Any] | DictConfig, key: str) -> Any:
    """The value at a dotted key, or ``None``."""
    if OmegaConf.is_config(config):
        return OmegaConf.select(config, key)
    value: Any = config
    for part in key.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value

"""Find the published values that a run can be set beside.

A run belongs to a cell of a table if it was composed with everything that the cell's overrides say. Of several rows of
one table that fit, the one that says most is meant: with ``model.weights=unbiased`` a run belongs to the row that
says so, and no longer to the plain row of its model. So it is with columns: with ``data.directed=false`` a run belongs
to the column of the undirected network.

A recipe may hold what a paper tuned for each dataset. A run of the model without it is set beside the row too, if no
other row is its own, and is told what the row sets otherwise.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import yaml
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from dynbench.config import schema
from dynbench.config.compose import read_choice, standing_for
from dynbench.config.schema import BUDGETS
from dynbench.errors import ConfigError
from dynbench.reporting.table import Column, Published, Row, Table, Unit, load, names, split

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
        comparable: Whether the table sets what it measures there against the published value.
        otherwise: What the row's recipe sets for the dataset, and the run does not: ``model.dropout=0.4``.
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
    comparable: bool = True
    otherwise: tuple[str, ...] = ()

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
    budget = _budget(config)
    for name in names():
        try:
            found += _in_table(load(name), config, budget)
        except ConfigError as error:
            _log.warning("table %s is left out: %s", name, error)
    return found


class Near(NamedTuple):
    """A cell with a published value, and what a run would have to say to belong to it."""

    table: str
    row: str
    column: str
    overrides: tuple[str, ...]


def nearest(config: Mapping[str, Any] | DictConfig) -> Near | None:
    """The published cell of the same model and dataset to which a run without any could be brought most easily.

    Args:
        config: A composed configuration, or the one kept in a record.
    """
    found: list[Near] = []
    budget = _budget(config)
    for name in names():
        with contextlib.suppress(ConfigError):  # the log has heard of it already
            found += _near(load(name), config, budget)
    return min(found, key=lambda near: len(near.overrides), default=None)


def _near(table: Table, config: Mapping[str, Any] | DictConfig, budget: str) -> Iterator[Near]:
    for row, column in itertools.product(table.rows, table.columns):
        if not _printed(table, row, column):
            continue
        said = dict(map(split, table.cell_overrides(row, column, budget)))
        if not all(group in said and _holds(config, group, said[group]) for group in ("model", "data")):
            continue
        if "recipe" in said and not _recipe_lacks(config, said)[0]:
            del said["recipe"]
        lacks = tuple(f"{key}={text}" for key, text in said.items() if key == "recipe" or not _holds(config, key, text))
        if lacks:
            yield Near(table.name, row.label, column.label, lacks)


def _in_table(table: Table, config: Mapping[str, Any] | DictConfig, budget: str) -> list[PublishedValue]:
    found: list[tuple[int, PublishedValue]] = []
    for column in table.columns:
        fitting: list[_Fit] = []
        for row in table.rows:
            overrides = table.cell_overrides(row, column, budget)
            typed = dict(map(split, overrides))
            if not all(_holds(config, key, text) for key, text in typed.items() if key != "recipe"):
                continue
            says, otherwise = len(typed), ()
            if "recipe" in typed:
                otherwise, tuned, own = _recipe_lacks(config, typed)
                if otherwise and not tuned:
                    continue
                says = len(own.keys() | typed.keys() - {"recipe"}) - len(otherwise)
            fitting.append(_Fit(row, overrides, says, otherwise))
        own = [fit for fit in fitting if not fit.otherwise] or fitting
        most = max((fit.says for fit in own), default=0)
        for fit in own:
            if fit.says == most:
                found += [(most, value) for value in _values(table, column, fit)]
    most_of: dict[str, int] = {}
    for says, value in found:
        most_of[value.metric] = max(says, most_of.get(value.metric, 0))
    return [value for says, value in found if says == most_of[value.metric]]


class _Fit(NamedTuple):
    """A row that a run belongs to but for what is set ``otherwise``, and how many of its settings say so."""

    row: Row
    overrides: tuple[str, ...]
    says: int
    otherwise: tuple[str, ...]


def _printed(table: Table, row: Row, column: Column) -> dict[str, Published]:
    """What the paper prints in a cell, by metric."""
    papers = ((metric, table.published.get((row.name, column.name, metric))) for metric in column.metrics)
    return {metric: paper for metric, paper in papers if paper is not None and paper.value is not None}


def _values(table: Table, column: Column, fit: _Fit) -> list[PublishedValue]:
    row = fit.row
    return [
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
            overrides=tuple(fit.overrides),
            note=" ".join(filter(None, [row.note, column.note, paper.note])),
            comparable=table.is_comparable(row, column),
            otherwise=fit.otherwise,
        )
        for name, paper in _printed(table, row, column).items()
    ]


def _recipe_lacks(
    config: Mapping[str, Any] | DictConfig, said: Mapping[str, str]
) -> tuple[tuple[str, ...], bool, dict[str, str]]:
    """What a cell's recipe sets and a run does not, less what the cell says itself; then what ``_settings`` gives."""
    tuned, own = _settings(said["recipe"], _select(config, "data.name"))
    lacks = (f"{key}={text}" for key, text in own.items() if key not in said and not _holds(config, key, text))
    return tuple(lacks), tuned, own


def _budget(config: Mapping[str, Any] | DictConfig) -> str:
    return _select(config, "budget.name") or BUDGETS[-1]


def _settings(recipe: str, data: str | None) -> tuple[bool, dict[str, str]]:
    """Whether a recipe has settings for datasets, and what it sets for this one: who typed the same did the same."""
    settings = read_choice("recipe", recipe).get("model", {})
    tuned = any("${for_data:" in str(value) for value in settings.values())
    return tuned, {f"model.{key}": json.dumps(value) for key, value in _for_data(settings, data).items()}


def _for_data(settings: Mapping[str, Any], data: str | None) -> dict[str, Any]:
    """A recipe's settings for a dataset, less those that hang on something else."""
    schema.register()
    found = {}
    for key, value in settings.items():
        root = OmegaConf.create({"data": {"name": data}, "model": {key: value}})
        try:
            found[key] = OmegaConf.to_container(root, resolve=True)["model"][key]
        except OmegaConfBaseException:
            continue
    return found


def is_default(config: Mapping[str, Any] | DictConfig, budget: str, override: str) -> bool:
    """Whether an override says what the file of its choice says anyway, for this dataset and budget.

    Args:
        config: The configuration of the run.
        budget: Its name.
        override: ``model.dim=32``.
    """
    key, text = split(override)
    group = key.split(".")[0]
    name = _select(config, f"{group}.name")
    if name is None:  # a record of few words
        return False
    schema.register()
    try:
        content = read_choice(group, name)
        root = OmegaConf.create({"budget": {"name": budget}, "data": _select(config, "data"), group: content})
        return _holds(root, key, text)
    except (ConfigError, OmegaConfBaseException):  # a choice that is gone, or a setting that hangs on something else
        return False


def _holds(config: Mapping[str, Any] | DictConfig, key: str, text: str) -> bool:
    """Whether a configuration is as an override says. A choice is compared by its name, a setting by its value."""
    value = _select(config, key)
    if isinstance(value, (Mapping, DictConfig)) and "." not in key:
        name = value.get("name", text)
        return name == text or (key == "model" and name == standing_for(text, _select(config, "protocol.name")))
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

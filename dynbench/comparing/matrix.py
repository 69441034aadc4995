"""Models × datasets: one metric of some runs, by seed."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dynbench.config.compose import read_choice
from dynbench.errors import ConfigError
from dynbench.records import Record

# Metrics of which less is better.
LOWER = frozenset({"calibration_error", "cross_sectional", "longitudinal", "cross_sectional_max", "longitudinal_max"})


@dataclass(frozen=True)
class Matrix:
    """One metric of runs under one protocol.

    Attributes:
        protocol, metric: What was asked, and how it is measured.
        rows, columns: Labels of models and of datasets.
        values: By row and column the value of each seed.
        steps: By row, column and seed the value of each step, where the records have it.
    """

    protocol: str
    metric: str
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    values: dict[tuple[str, str], dict[int, float]]
    steps: dict[tuple[str, str, int], dict[int, float]]

    @property
    def lower(self) -> bool:
        """Whether less is better."""
        return self.metric in LOWER

    @property
    def scale(self) -> float:
        """Factor for printing: fractions are printed in percent."""
        numbers = [value for own in self.values.values() for value in own.values()]
        return 100.0 if numbers and max(map(abs, numbers)) <= 1 else 1.0

    def mean(self, row: str, column: str) -> float | None:
        """Over seeds; ``None`` where nothing was run."""
        own = self.values.get((row, column))
        return statistics.fmean(own.values()) if own else None

    def sd(self, row: str, column: str) -> float | None:
        """The sample's standard deviation over seeds; ``None`` for less than two."""
        own = self.values.get((row, column), {})
        return statistics.stdev(own.values()) if len(own) > 1 else None

    def best(self, column: str) -> set[str]:
        """The rows with the best mean of a column, as printed."""
        means = {row: round(mean * self.scale, 2) for row in self.rows if (mean := self.mean(row, column)) is not None}
        top = (min if self.lower else max)(means.values(), default=None)
        return {row for row, mean in means.items() if mean == top}

    def complete(self) -> Matrix:
        """The rows that have all columns; columns that the fewest rows have are given up until there are two rows."""
        columns = list(self.columns)
        while True:
            rows = [row for row in self.rows if all((row, column) in self.values for column in columns)]
            if len(rows) > 1 or len(columns) <= 1:
                return self.part(rows, columns)
            columns.remove(min(columns, key=lambda one: sum((row, one) in self.values for row in self.rows)))

    def part(self, rows: Sequence[str], columns: Sequence[str]) -> Matrix:
        """Some rows and columns."""
        kept = {place: own for place, own in self.values.items() if place[0] in rows and place[1] in columns}
        steps = {place: own for place, own in self.steps.items() if place[0] in rows and place[1] in columns}
        return Matrix(self.protocol, self.metric, tuple(rows), tuple(columns), kept, steps)


def build(records: Sequence[Record], metric: str | None = None) -> Matrix:
    """Set runs under one protocol side by side.

    Settings that differ between runs of one model stand in its label where they are not those of its file; those that
    differ between runs of one dataset or protocol stand in the column's.

    Args:
        records: Finished runs under one protocol.
        metric: Name of a metric; the first that a record has when omitted.

    Raises:
        ConfigError: If no run has the metric, or the runs are of several protocols.
    """
    protocols = sorted({record.protocol for record in records})
    if len(protocols) > 1:
        raise ConfigError(f"the runs are of several protocols; choose one: protocol={', '.join(protocols)}")
    metric = metric or next((name for record in records for name in record.metrics), "")
    having = [record for record in records if metric in record.metrics]
    if not having:
        known = dict.fromkeys(name for record in records for name in record.metrics)
        raise ConfigError(f"no run has the metric '{metric}'; there are {', '.join(known) or 'no runs'}")
    model_varies, data_varies = _varying(having, "model"), _varying(having, "data")
    protocol_varies = _varying(having, "protocol")
    budgets = {record.budget for record in having}
    values: dict[tuple[str, str], dict[int, float]] = {}
    steps: dict[tuple[str, str, int], dict[int, float]] = {}
    for record in having:
        row = _label(
            record.model,
            record.config.get("model", {}),
            model_varies.get(record.model, []),
            _usual("model", record.model),
        )
        row += f" [{record.budget}]" if len(budgets) > 1 else ""
        asked = [f"protocol.{key}" for key in protocol_varies.get(record.protocol, [])]
        asking = {f"protocol.{key}": value for key, value in record.config.get("protocol", {}).items()}
        settings = {**record.config.get("data", {}), **asking}
        said = _usual("protocol", record.protocol)
        usual = {**_usual("data", record.data), **{f"protocol.{key}": value for key, value in said.items()}}
        column = _label(record.data, settings, [*data_varies.get(record.data, []), *asked], usual)
        values.setdefault((row, column), {})[record.seed] = record.metrics[metric]
        own = {step["step"]: step[metric] for step in record.steps if step.get(metric) is not None and "step" in step}
        name = metric.removeprefix("micro_").removeprefix("macro_")
        own = own or {step["step"]: step[name] for step in record.steps if step.get(name) is not None}
        if own:
            steps[row, column, record.seed] = own
    rows, columns = ([*dict.fromkeys(sorted(place[k] for place in values))] for k in (0, 1))
    return Matrix(protocols[0], metric, tuple(rows), tuple(columns), values, steps)


def _varying(records: Sequence[Record], group: str) -> dict[str, list[str]]:
    """By choice of a group the settings that its runs differ in."""
    first: dict[str, dict[str, str]] = {}
    found: dict[str, dict[str, None]] = {}
    for record in records:
        name = getattr(record, group)
        for key, value in record.config.get(group, {}).items():
            if key in ("_target_", "name"):
                continue
            # What a paper's budget makes smaller follows from the budget, which is said once.
            text = "" if f"{group}.{key}" in record.cuts else repr(value)
            if first.setdefault(name, {}).setdefault(key, text) != text:
                found.setdefault(name, {})[key] = None
    return {name: sorted(keys) for name, keys in found.items()}


def _label(name: str, settings: Mapping[str, Any], keys: Sequence[str], usual: Mapping[str, Any]) -> str:
    told = [key for key in keys if key in settings and (key not in usual or usual[key] != settings[key])]
    text = ", ".join(f"{key.removeprefix('protocol.')}={settings[key]}" for key in told)
    return f"{name} ({text})" if text else name


def _usual(group: str, name: str) -> dict[str, Any]:
    """What the file of a choice says; nothing for one that is no longer there."""
    try:
        return read_choice(group, name)
    except ConfigError:
        return {}

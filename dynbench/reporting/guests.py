"""A user's own models as rows of a paper's table, beside what is published, without touching the published pages."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Sequence
from pathlib import Path

from dynbench.config.compose import choices, unknown_choice
from dynbench.errors import ConfigError
from dynbench.records.gather import shipped
from dynbench.reporting.table import Row, Table


def rows(models: Sequence[str]) -> tuple[Row, ...]:
    """Rows for ``mine`` or ``mine,model.dim=32``: a model, and settings of its own.

    Raises:
        ConfigError: If there is no such model, or a setting is none.
    """
    found = []
    for text in models:
        name, *settings = text.split(",")
        if name not in choices("model"):
            raise ConfigError(unknown_choice("model", name))
        for setting in settings:
            if "=" not in setting:
                raise ConfigError(f"--model {text}: '{setting}' is not KEY=VALUE; write NAME,model.KEY=VALUE")
        label = f"{name} ({', '.join(settings)})" if settings else name
        known = "".join(sign if sign.isalnum() else "_" for sign in text)
        found.append(Row(f"own_{known}", label, (f"model={name}", *settings), "not a row of the paper"))
    return tuple(found)


def with_rows(table: Table, own: Sequence[Row]) -> Table:
    """The table with more rows below its own; what its rows are made comparable by holds for them as well."""
    taken = {row.name for row in table.rows}
    return dataclasses.replace(table, rows=(*table.rows, *(row for row in own if row.name not in taken)))


def overlay(results_dir: str | Path, work_dir: str | Path) -> Path:
    """A results folder below the work folder, with all published runs in it, in which such tables are written."""
    target = Path(work_dir) / "own_rows"
    for source in dict.fromkeys((shipped().resolve(), Path(results_dir).resolve())):
        for path in sorted((source / "runs").rglob("*.jsonl")):
            place = target / "runs" / path.relative_to(source / "runs")
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, place)
    return target

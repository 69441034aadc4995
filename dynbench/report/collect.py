"""What the page shows, as plain values: papers, tables, cells, runs, cards, datasets, speed, figures."""

from __future__ import annotations

import base64
import re
import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from dynbench import __version__
from dynbench.config.compose import choices, read_choice
from dynbench.config.source import read_class
from dynbench.errors import ConfigError
from dynbench.records import Record
from dynbench.reporting.make import Plan
from dynbench.reporting.results import Cell
from dynbench.reporting.scoreboard import Score
from dynbench.reporting.table import Table

_COUNTS = ("reproduced", "above", "below", "not comparable", "unavailable", "to do")


def collect(plan: Plan, records: Sequence[Record], results_dir: Path) -> dict[str, Any]:
    """Everything on the page.

    Args:
        plan: All tables, see :func:`dynbench.reporting.make.prepare`.
        records: Finished runs, for speed and the sizes of datasets.
        results_dir: Where figures lie.
    """
    tables = []
    for name, table in sorted(plan.tables.items(), key=lambda item: _in_order(item[1])):
        cells = plan.measure(name)
        tables.append(_table(table, cells))
    models = sorted({cell["model"] for one in tables for cell in one["cells"] if cell["model"]})
    return {
        "version": __version__,
        "papers": papers(tables),
        "tables": tables,
        "cards": {name: card for name in models if (card := _card(name))},
        "datasets": datasets(records),
        "speed": speed(records),
        "figures": list(figures(results_dir / "figures")),
        "runs": len(records),
    }


def papers(tables: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The counts of each paper's tables, added up."""
    found: dict[str, Counter] = {}
    for table in tables:
        found.setdefault(table["paper"], Counter()).update(table["counts"])
    return [{"name": name, "counts": dict(counts)} for name, counts in found.items()]


def _in_order(table: Table) -> tuple[str, list[tuple[int, str]]]:
    """Table 2 before Table 10, and numbered tables before others."""
    parts = re.findall(r"\d+|\D+", table.name)
    return table.paper, [(int(part), "") if part.isdigit() else (10**9, part) for part in parts]


def _table(table: Table, cells: Sequence[Cell]) -> dict[str, Any]:
    counts = Score.of(table, cells).counts
    columns = []
    for column in table.columns:
        for metric in column.metrics:
            one = table.metrics[metric]
            key = f"{column.name}/{metric}"
            columns.append({"key": key, "column": column.label, "metric": one.label, "best": one.best})
    return {
        "name": table.name,
        "paper": table.paper.upper(),
        "title": table.title,
        "source": table.source,
        "notes": list(table.notes),
        "counts": {name: counts[name] for name in ("published", "measured", *_COUNTS, "own rows")},
        "columns": columns,
        "rows": [{"name": row.name, "label": row.label, "note": row.note} for row in table.rows],
        "cells": [_cell(cell) for cell in cells],
    }


def _cell(cell: Cell) -> dict[str, Any]:
    paper = cell.published
    chosen = dict(text.split("=", 1) for text in cell.overrides if "=" in text)
    content = {
        "row": cell.row.name,
        "column": f"{cell.column.name}/{cell.metric.name}",
        "mean": None if cell.mean is None else round(cell.mean, 6),
        "sd": None if cell.sd is None else round(cell.sd, 6),
        "n": cell.n,
        "digits": cell.metric.unit.digits,
        "published": None if paper is None else paper.value,
        "published_sd": None if paper is None else paper.sd,
        "verdict": cell.verdict,
        "status": cell.status,
        "reason": cell.reason,
        "budget": cell.budget,
        "note": cell.note,
        "model": chosen.get("model", ""),
        "command": " ".join(cell.overrides),
        "runs": [[str(identity), round(value, 4)] for identity, value in cell.runs],
    }
    return {key: value for key, value in content.items() if value not in (None, "", [])} | {"model": content["model"]}


def _card(name: str) -> str:
    """The card of a model: what its module says."""
    try:
        return read_class(read_choice("model", name)["_target_"]).module_docstring
    except (ConfigError, KeyError):
        return ""


def datasets(records: Iterable[Record]) -> list[dict[str, Any]]:
    """The catalogue, with the sizes that runs met and those that cards promise."""
    sizes: dict[str, dict[str, int]] = {}
    runs: Counter = Counter()
    for record in records:
        runs[record.data] += 1
        own = sizes.setdefault(record.data, {})
        for key in ("nodes", "events", "steps", "relations"):
            if record.sizes.get(key):
                own[key] = max(own.get(key, 0), record.sizes[key])
    found = []
    for name in choices("data"):
        card = read_choice("data", name)
        about, expected = card.get("card") or {}, card.get("expected") or {}
        if name == "custom":
            continue
        size = {**{key: value for key, value in expected.items() if isinstance(value, int)}, **sizes.get(name, {})}
        found.append(
            {
                "name": name,
                "title": about.get("title") or name,
                "nodes": size.get("nodes"),
                "events": size.get("events"),
                "steps": size.get("steps"),
                "relations": size.get("relations") if (size.get("relations") or 0) > 1 else None,
                "runs": runs[name],
                "licence": about.get("licence") or "",
                "homepage": about.get("homepage") or "",
                "citation": about.get("citation") or "",
            }
        )
    return found


def speed(records: Iterable[Record]) -> list[dict[str, Any]]:
    """Medians over the runs of one model, dataset, protocol, budget and device."""
    groups: dict[tuple[str, ...], list[Record]] = {}
    for record in records:
        if record.seconds.get("total"):
            device = str(record.environment.get("device", ""))
            groups.setdefault((record.model, record.data, record.protocol, record.budget, device), []).append(record)
    found = []
    for (model, data, protocol, budget, device), own in sorted(groups.items()):
        row: dict[str, Any] = {"model": model, "data": data, "protocol": protocol, "budget": budget, "device": device}
        for key in ("fit", "evaluate", "per_fit_step"):
            values = [record.seconds[key] for record in own if key in record.seconds]
            row[key] = statistics.median(values) if values else None
        row["memory"] = statistics.median(record.peak_memory_mb for record in own)
        row["parameters"] = max(record.sizes.get("parameters", 0) for record in own) or None
        found.append(row | {"runs": len(own)})
    return found


def figures(folder: Path) -> Iterable[dict[str, str]]:
    """The figures that were drawn, each within the page."""
    for path in sorted(folder.rglob("*.png")):
        name = path.relative_to(folder).with_suffix("").as_posix()
        content = base64.b64encode(path.read_bytes()).decode("ascii")
        yield {"name": name, "group": name.split("/")[0], "src": f"data:image/png;base64,{content}"}

"""The table in the documentation is a table."""

import re
from pathlib import Path

from dynbench.reporting.plan import Planner
from dynbench.reporting.table import load

PAGE = Path(__file__).parents[2] / "docs" / "add_a_table.md"


def test_the_example_can_be_planned(tmp_path, monkeypatch):
    name, text = re.search(
        r"^`myplugins/([^`]+)`:\n\n```yaml\n(.*?)```", PAGE.read_text(), re.MULTILINE | re.DOTALL
    ).groups()
    path = tmp_path / name
    path.parent.mkdir(parents=True)
    path.write_text(text)
    monkeypatch.setenv("DYNBENCH_PLUGINS", str(tmp_path))
    table = load(path.stem)
    status = {plan.row.name: plan.obstacle and plan.obstacle.status for plan in Planner("smoke").plan(table)}
    assert status == {"last_snapshot": None, "common_neighbors": None, "mymodel": "not_built"}


def test_every_key_and_status_is_explained():
    text = PAGE.read_text()
    statuses = ["measured", "partial", "not_run", "failed", "unavailable", "not_built", "unsupported", "skipped"]
    for word in [*statuses, "no_metric", "cells", "skip", "published", "notes", "runs", "metrics", "unit", "source"]:
        assert f"`{word}`" in text

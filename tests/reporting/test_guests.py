"""A user's models as rows of a paper's table, apart from what is published."""

from __future__ import annotations

import pytest

from dynbench.errors import ConfigError
from dynbench.records import Store
from dynbench.reporting import guests
from dynbench.reporting.make import prepare
from dynbench.reporting.table import load


def test_a_row_for_every_model_of_ones_own():
    own = guests.rows(["edgebank", "nlsm,model.dim=32"])
    assert [row.overrides for row in own] == [("model=edgebank",), ("model=nlsm", "model.dim=32")]
    assert own[1].label == "nlsm (model.dim=32)"
    table = guests.with_rows(load("nlsm_table2"), own)
    assert [row.name for row in table.rows[-2:]] == ["own_edgebank", "own_nlsm_model_dim_32"]
    assert len(table.rows) == len(load("nlsm_table2").rows) + 2
    with pytest.raises(ConfigError, match="model=nlms is unknown; did you mean 'nlsm'"):
        guests.rows(["nlms"])
    with pytest.raises(ConfigError, match="'dim' is not KEY=VALUE"):
        guests.rows(["nlsm,dim"])


def test_the_table_shows_published_runs_and_asks_for_the_new_ones(tmp_path):
    folder = guests.overlay("results", tmp_path)
    plan = prepare(["nlsm_table2"], "quick", Store(folder, tmp_path), own=guests.rows(["edgebank"]))
    cells = {(cell.row.name, cell.column.name, cell.metric.name): cell for cell in plan.measure("nlsm_table2")}
    assert cells["nlsm", "enron", "micro_auc"].mean > 80
    new = cells["own_edgebank", "enron", "micro_auc"]
    assert (new.mean, new.status, new.published) == (None, "not_run", None)
    wanted = {identity.model for identity in plan.wanted()}
    assert "edgebank" in wanted

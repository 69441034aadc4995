"""The NGLP paper's tables hold every value that its text states, and each cell composes."""

import pytest

from dynbench.config.check import check
from dynbench.config.compose import compose
from dynbench.reporting.table import load, names

TABLES = [name for name in names() if name.startswith("nglp_")]

AP = {
    "nglp_table5": {
        "wust": (0.9918, 0.9840, 0.9744),
        "email_eu": (0.9617, 0.9640, 0.9394),
        "collegemsg": (0.9953, 0.9920, 0.9885),
    },
    "nglp_table7": {
        "wust": (0.9945, 0.9906, 0.9872),
        "email_eu": (0.9614, 0.9633, 0.9565),
        "collegemsg": (0.9836, 0.9866, 0.9872),
    },
}


@pytest.mark.parametrize("name", AP)
def test_published_values(name):
    table = load(name)
    for row, values in AP[name].items():
        assert tuple(table.published[row, column, "ap"].value for column in ("d1", "d3", "d7")) == values
    assert not any(row == "bursty_mail" for row, _, _ in table.published)


def test_all_tables_are_there():
    assert set(TABLES) == {"nglp_leakage", *(f"nglp_table{number}" for number in range(1, 9))}
    first = load("nglp_table1").published
    assert first["wust", "d1", "f1"].value == 0.9628
    assert (first["wust", "d1", "threshold"].value, first["wust", "d7", "threshold"].value) == (0.57, 0.72)


@pytest.mark.parametrize("name", TABLES)
def test_cells_compose(name):
    table = load(name)
    for row in table.rows:
        check(compose(table.cell_overrides(row, table.columns[0], "quick")))
    for column in table.columns:
        check(compose(table.cell_overrides(table.rows[0], column, "quick")))

"""Every table is planned at smoke; of each kind of question a run is made from nothing, and a table from such runs."""

from __future__ import annotations

import pytest

from dynbench.config.check import check
from dynbench.config.compose import compose
from dynbench.data.locations import DataUnavailable
from dynbench.records import Record, Store
from dynbench.reporting import make, table
from dynbench.reporting.plan import CellPlan, Planner
from dynbench.runner import run

# What is read and learnt in no time, the quickest first.
DATA = ("synthetic_1", "nlsm_process", "school", "nips234", "enron", "cora")
MODELS = (
    "none",
    "uase",
    "last_snapshot",
    "edgebank",
    "preferential_attachment",
    "decayed_count",
    "omni",
    "osbm",
    "nlsm",
)


@pytest.fixture(scope="module")
def cells() -> dict[str, list[CellPlan]]:
    """The cells of every table at smoke."""
    planner = Planner("smoke")
    return {one.name: planner.plan(one) for one in table.load_all(())}


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> Store:
    folder = tmp_path_factory.mktemp("tables")
    return Store(folder / "results", folder / "runs")


def quickest(cells: list[CellPlan]) -> list[CellPlan]:
    """Cells that can be run here, those of quick models and small datasets first."""

    def place(cell: CellPlan) -> tuple[int, int]:
        name = cell.runs[0].identity
        return tuple(
            known.index(one) if one in known else 99 for known, one in ((MODELS, name.model), (DATA, name.data))
        )

    return sorted((cell for cell in cells if cell.runnable and cell.runs), key=place)


def play(store: Store, cell: CellPlan) -> Record | None:
    """The first run of a cell, in this process; ``None`` where its data are not at hand."""
    places = (f"results_dir={store.results_dir}", f"work_dir={store.work_dir}")
    typed = (*cell.runs[0].overrides, "progress=false", "logger=none", *places)
    try:
        return run(check(compose(typed)), typed).record
    except DataUnavailable:
        return None


def test_every_row_of_every_table_leads_to_runs_or_says_why_not(cells):
    for name, own in cells.items():
        for row in {cell.row.name for cell in own}:
            found = [cell for cell in own if cell.row.name == row]
            assert any(cell.runs or cell.obstacle is not None for cell in found), f"{name}, {row}"


def test_what_the_tables_ask_can_be_run_from_nothing(cells, store):
    """One run under each protocol, of the quickest cell that there is."""
    met = set()
    for cell in quickest([cell for own in cells.values() for cell in own]):
        name = cell.runs[0].identity
        if name.protocol in met or name.model not in MODELS or name.data not in DATA:
            continue
        record = play(store, cell)
        if record is not None:
            met.add(name.protocol)
            assert record.finished
            assert record.metrics
    assert met >= {"stability", "node_clustering"}, "generated data are always at hand"


def test_a_table_is_made_from_nothing(store):
    """Statistics ask no model, and keep no scores."""
    plan = make.prepare(("nlsm_table1",), "smoke", store)
    made = [cell for cell in plan.cells["nlsm_table1"]["smoke"] if cell.runs[0].identity.data in DATA]
    records = [record for cell in made if (record := play(store, cell)) is not None]
    if not records:
        pytest.skip("none of its datasets is at hand")
    assert all({"nodes", "links", "steps"} <= set(record.metrics) for record in records)
    assert store.publish(plan.wanted()) == len({record.identity for record in records})
    plan.write()
    text = (store.results_dir / "tables" / "nlsm_table1.csv").read_text("utf-8")
    assert sum("smoke" in line for line in text.splitlines()) >= len(records)


@pytest.mark.product
def test_every_row_can_be_run_from_nothing(cells, store):
    """A run of each row of each table on the smallest dataset that is at hand."""
    failed = {}
    for name, own in cells.items():
        met: set[str] = set()
        for cell in quickest(own):
            if cell.row.name not in met:
                try:
                    done = play(store, cell) is not None
                except Exception as error:
                    done = True
                    failed[f"{name}, {cell.row.name}, {cell.column.name}"] = f"{type(error).__name__}: {error}"
                met |= {cell.row.name} if done else set()
    assert not failed

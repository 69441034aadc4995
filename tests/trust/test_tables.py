"""Every table is planned at smoke; of each kind of question a run is made from nothing, and a table from such runs."""

from __future__ import annotations

import logging
import os

import pytest

from dynbench.config.check import check
from dynbench.config.compose import compose
from dynbench.data import sameness
from dynbench.data.download import sha256_of
from dynbench.data.locations import DataUnavailable, Locations
from dynbench.errors import DynbenchError
from dynbench.records import Record, Store
from dynbench.reporting import make, table
from dynbench.reporting.plan import CellPlan, Filter, Planner
from dynbench.reporting.process_pool import ProcessPool
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
def cells(composer) -> dict[str, list[CellPlan]]:
    """The cells of every table at smoke."""
    planner = Planner("smoke", composer=composer)
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


# ---- a user's own graph -------------------------------------------------------------------------------------------

TABLE = """
paper: own
table: 1
title: My graph
unit: percent
overrides: [protocol=single_step_allpairs, data=custom, data.name=mine, "data.path={folder}", data.window=10]
metrics: {{macro_auc: {{label: AUC}}}}
columns: [{{name: mine, label: Mine, overrides: [data.directed=false]}}]
rows: [{{name: counts, label: Counts, overrides: [model=decayed_count]}}]
"""
EDGES = "src,dst,t\n" + "".join(f"{i % 5},{(i * 3 + 1) % 5},{i}\n" for i in range(30))


@pytest.fixture
def mine(tmp_path, monkeypatch):
    """A table of a user, on a graph of a user; makes it, and gives what it then shows, and how many runs
    were made and failed."""
    folder, plugins, work = tmp_path / "graph", tmp_path / "plugins", tmp_path / "work"
    (plugins / "conf" / "table").mkdir(parents=True)
    (plugins / "conf" / "table" / "own_table1.yaml").write_text(TABLE.format(folder=folder))
    folder.mkdir()
    (folder / "edges.csv").write_text(EDGES)
    monkeypatch.setenv("DYNBENCH_PLUGINS", str(plugins))
    monkeypatch.setenv("DYNBENCH_CACHE", str(tmp_path / "cache"))
    played = []

    def pool_run(self, command, single_thread):
        typed = [word.replace("'", "") for word in command[2:]]
        played.append(typed)
        try:
            run(check(compose([*typed, "logger=none"])), typed)
        except DynbenchError as error:
            return 1, f"error: {error}"
        return 0, ""

    monkeypatch.setattr(ProcessPool, "run", pool_run)

    def show(run=True):
        store = Store(work / "results", work / "runs")
        plan = make.prepare(["own_table1"], "smoke", store)
        store.publish(plan.wanted())
        played.clear()
        report = make.execute(plan, plan.tasks(Filter())) if run else make.Report()
        (cell,) = plan.measure("own_table1")
        return cell.status, len(played), len(report.failed)

    show.folder = folder
    return show


def test_a_replaced_graph_is_not_shown_as_measured_and_is_measured_again(mine, caplog):
    assert mine() == ("measured", 1, 0)
    assert mine() == ("measured", 0, 0)
    # The same events, written otherwise.
    (mine.folder / "edges.csv").write_text(EDGES.replace("src,dst,t\n", "src,dst,t,remark\n").replace("\n0,", "\n0.0,"))
    assert mine() == ("measured", 0, 0)
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]
    (mine.folder / "edges.csv").write_text(EDGES + "0,2,31\n")
    assert mine(run=False) == ("not_run", 0, 0)
    assert len([line for line in caplog.messages if line.startswith("data=mine is not what it was on 2")]) == 1
    assert mine() == ("measured", 1, 0)
    assert mine() == ("measured", 0, 0)


def test_of_two_runs_within_a_second_the_later_is_shown(mine):
    """Where the second of a clock is all that a record keeps, either of them may be taken for the later one."""
    for end in (2, 3, 4) * 4:
        (mine.folder / "edges.csv").write_text(EDGES + f"0,{end},31\n")
        assert mine() == ("measured", 1, 0)


def test_a_graph_that_can_no_longer_be_read_leaves_no_number(mine, caplog, capsys):
    assert mine() == ("measured", 1, 0)
    (mine.folder / "edges.csv").write_text("src,dst,t\n0,one,2\n")
    assert mine(run=False) == ("not_run", 0, 0)
    assert "'dst' is 'one', which is not a number" in caplog.text
    # A run that fails leaves the record of what was measured before where it is.
    assert mine() == ("not_run", 1, 1)
    assert "'dst' is 'one', which is not a number" in capsys.readouterr().err
    (mine.folder / "edges.csv").write_text(EDGES)
    assert mine() == ("measured", 0, 0)


def test_a_graph_that_is_not_at_hand_contradicts_nothing(mine, caplog):
    assert mine() == ("measured", 1, 0)
    (mine.folder / "edges.csv").rename(mine.folder / "elsewhere")
    assert mine(run=False) == ("measured", 0, 0)
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def test_files_are_read_again_only_when_they_were_written(mine, monkeypatch):
    assert mine() == ("measured", 1, 0)
    assert mine(run=False) == ("measured", 0, 0)
    monkeypatch.setattr(sameness, "sha256_of", lambda path: pytest.fail(f"{path} was read"))
    assert mine(run=False) == ("measured", 0, 0)
    # Of the same length, and with the time of before.
    path, old = mine.folder / "edges.csv", (mine.folder / "edges.csv").stat()
    path.write_text(EDGES.replace("\n1,4,", "\n1,3,"))
    os.utime(path, ns=(old.st_atime_ns, old.st_mtime_ns))
    monkeypatch.undo()
    assert sameness.KnownSums(Locations.from_settings())(path) == sha256_of(path)

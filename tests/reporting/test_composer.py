"""Cells are composed as the command line composes them, only faster."""

from __future__ import annotations

import json
import time

import pytest

from dynbench.config.check import GROUPS, resolved
from dynbench.config.compose import choices, compose
from dynbench.config.schema import BUDGETS
from dynbench.errors import ConfigError
from dynbench.records import Store
from dynbench.reporting.composer import Composer
from dynbench.reporting.make import prepare
from dynbench.reporting.table import load_all, split


def cells(budget: str) -> list[tuple[str, ...]]:
    """What is typed for every cell of every table whose choices are there."""
    found = {
        (*table.cell_overrides(row, column, budget), f"budget={budget}"): None
        for table in load_all()
        for row in table.rows
        for column in table.columns
    }
    there = {group: set(choices(group)) for group in GROUPS}
    return [own for own in found if all(name in there.get(group, {name}) for group, name in map(split, own))]


def test_cells_of_all_tables_are_as_hydra_composes_them():
    composer = Composer()
    for own in [own for budget in BUDGETS[1:] for own in cells(budget)][::97]:
        assert composer.values(own) == resolved(compose(own)), own


@pytest.mark.long
def test_every_part_of_every_cell_is_as_hydra_composes_it():
    """Cells are put together from groups; as few are composed as hold every group of every cell between them."""
    composer = Composer()
    values = {own: composer.values(own) for budget in BUDGETS[1:] for own in cells(budget)}
    assert len(values) > 600
    parts = {
        own: {json.dumps(part) for part in found.values() if isinstance(part, dict)} for own, found in values.items()
    }
    left, composed = set().union(*parts.values()), 0
    while left:
        own = max(parts, key=lambda one: len(parts[one] & left))
        assert values[own] == resolved(compose(own)), own
        left -= parts[own]
        composed += 1
    assert composed < len(values) / 5
    # A cell holds nothing but what is shared, and what belongs to no group.
    top = [{key: part for key, part in found.items() if not isinstance(part, dict)} for found in values.values()]
    assert all(one == top[0] for one in top)


@pytest.mark.parametrize(
    "words",
    [
        ("model=nlsm", "data=uci", "model.dim=32", "seed=7"),
        ("model=nlsm", "data=yago", "protocol=windowed_kg"),  # a variant
        ("model=renet", "data=yago"),  # chooses its protocol
        ("model=uase", "data=synthetic_1", "protocol=node_clustering"),  # reads the dataset's card
        ("model=nglp", "data=collegemsg", "data.window=1d", "protocol=temporal_split", "model.degrees=[]"),
        ("data_dir=/somewhere", "offline=true", "protocol.split_seed=null"),
        ("trainer=gpu", "logger=none", "trainer.devices=2"),
        ("model.dim=${data.nodes}",),
        ("+data.extra=3",),
        ("model.dim='32'", "seed=3"),
        ("save_embeddings=true", "budget=paper"),
    ],
)
def test_other_command_lines_too(words):
    composer = Composer()
    for _ in range(2):
        assert composer.values(words) == resolved(compose(words))


def test_a_value_of_a_budget_that_hangs_on_the_dataset_is_that_of_the_dataset(lab):
    nested = "epochs: ${budgeted:1,${for_data:{alpha:2},3},4}\n"
    lab.put("model", "long", f"name: long\n_target_: labclasses.Scorer\n{nested}")
    composer = Composer()
    for data in ("alpha", "beta"):
        for budget in BUDGETS:
            words = ("model=long", f"data={data}", f"budget={budget}")
            assert composer.values(words)["model"] == resolved(compose(words))["model"], words


@pytest.mark.parametrize("words", [("model=nobody",), ("model.dmi=3",), ("model.dim=1,2",), ("modell=x",)])
def test_mistakes_are_told_as_by_hydra(words):
    with pytest.raises(ConfigError) as told:
        resolved(compose(words))
    with pytest.raises(ConfigError) as found:
        Composer().values(words)
    assert str(found.value) == str(told.value)


def test_a_choice_that_does_more_than_to_set_its_group_is_left_to_hydra(lab):
    lab.put("model", "bold", "# @package _global_\nmodel: {name: bold, _target_: labclasses.Scorer}\nseed: 5\n")
    lab.put("model", "base", "dim: 99\nweights: heavy\n")
    lab.put("model", "derived", "defaults: [base]\nname: derived\n_target_: labclasses.Scorer\n")
    composer = Composer()
    for words in (
        ("model=bold",),
        ("model=derived", "data=beta"),
        ("model=derived", "data=beta", "model.dim=3", "seed=2"),
    ):
        assert composer.values(words) == resolved(compose(words))
    assert composer.values(("model=derived",))["model"]["weights"] == "heavy"


def test_planning_all_tables_is_quick(tmp_path):
    started = time.process_time()
    plan = prepare((), "quick", Store(tmp_path, tmp_path))
    assert time.process_time() - started < 10  # 5 s where nothing else is measured beside it
    assert len(plan.wanted()) > 2000


def test_histories_of_a_knowledge_graph_are_one_fit(tmp_path):
    plan = prepare(["nlsm_table3"], "quick", Store(tmp_path, tmp_path))
    histories = {"renet", "renet_multi_step"}
    runs = {
        run
        for cell in plan.cells["nlsm_table3"]["quick"]
        if cell.row.name in histories and cell.column.name == "yago_raw"
        for run in cell.runs
        if run.identity.seed == 0
    }
    assert len(runs) == 2
    assert len({run.fit for run in runs}) == 1

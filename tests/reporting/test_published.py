"""Which published values a run stands beside, and the summary that shows them."""

import logging

import pytest
from omegaconf import OmegaConf

from dynbench.config.compose import compose
from dynbench.records import Record
from dynbench.reporting.published import find, nearest
from dynbench.reporting.summary import format_summary


def config(model="nlsm", data="enron", protocol="single_step_nlsm", **settings):
    groups = {"model": {"name": model, "weights": "balanced", **settings}, "data": {"name": data}}
    return {**groups, "protocol": {"name": protocol}, "budget": {"name": "quick"}}


def test_a_run_finds_its_cell():
    found = find(config())
    assert [(one.table, one.row, one.column, one.metric, one.value, one.sd) for one in found] == [
        ("nlsm_table2", "NLSM", "Enron", "micro_auc", 87.05, 0.3),
        ("nlsm_table2", "NLSM", "Enron", "macro_auc", 86.24, 0.4),
    ]
    assert found[0].runs == 10
    assert found[0].difference(0.88) == pytest.approx(0.95)
    assert found == find(OmegaConf.create(config()))


def test_the_row_that_says_most_is_meant():
    assert {one.row for one in find(config(weights="unbiased"))} == {"NLSM (unbiased)"}
    assert {one.row for one in find(config("bas", coupled=False))} == {"BAS (uncoupled)"}
    assert {one.row for one in find(config("bas", coupled=True))} == {"BAS"}


@pytest.mark.parametrize(("words", "column"), [([], "EU-D"), (["data.directed=false"], "EU-U")])
def test_the_column_that_says_most_is_meant(words, column):
    words = ["model=nlsm", "model.dim=32", "data=email_eu", "protocol=single_step_allpairs", *words]
    assert {one.column for one in find(compose(words))} == {column}


def test_the_model_that_stands_for_another_is_found_under_its_name():
    found = find(config("jodie_nodes", "synthetic_1", "node_clustering"))
    assert {(one.table, one.row) for one in found} == {("ulse_table1", "JODIE")}
    assert not find(config("jodie", "synthetic_1", "single_step_nlsm"))


def test_a_row_of_a_recipe_is_that_of_its_settings():
    words = ["model=nlsm_kg", "data=yago", "protocol=windowed_kg", "protocol.history=multi_step"]
    spelt = ["model.facts_per_step=null", "model.negatives=64", "model.kl_weight=0.01", "model.learning_rate=0.1"]
    for more in (["recipe=nlsm_kg_all_facts"], spelt):
        assert {one.row for one in find(compose([*words, *more]))} == {"NLSM [train + validation known]"}
    assert find(compose([*words, *spelt, "model.negatives=63"])) == []


def rows_beside(*words) -> dict[str, tuple]:
    found = find(compose(["protocol=temporal_events", *words]))
    return {(one.table, one.row): one.otherwise for one in found if one.table in ("dyglib_table1", "dyglib_table2")}


def test_a_run_without_the_settings_for_its_dataset_is_told_them():
    tables = ("dyglib_table1", "dyglib_table2")
    assert rows_beside("model=jodie", "data=dgb_uci") == dict.fromkeys(
        [(table, "JODIE") for table in tables], ("model.dropout=0.4",)
    )
    for words in (["recipe=jodie_datasets"], ["model.dropout=0.4"]):
        found = rows_beside("model=jodie", "data=dgb_uci", *words)
        assert found == dict.fromkeys([(table, "JODIE") for table in tables], ())
    # Elsewhere the paper has no other settings than the defaults.
    assert set(rows_beside("model=jodie", "data=wikipedia").values()) == {()}
    assert set(rows_beside("model=jodie", "data=wikipedia", "model.dropout=0.4").values()) == {("model.dropout=0.1",)}


def test_a_memory_that_is_best_against_other_negatives_stands_in_no_row_of_theirs():
    found = rows_beside("model=edgebank", "recipe=edgebank_random", "data=dgb_uci")
    assert list(found) == [("dyglib_table1", "EdgeBank"), ("dyglib_table2", "EdgeBank, unlimited memory")]
    values = find(compose(["protocol=temporal_events", "model=edgebank", "recipe=edgebank_random", "data=dgb_uci"]))
    assert {one.row: one.comparable for one in values} == {"EdgeBank": True, "EdgeBank, unlimited memory": False}


@pytest.mark.parametrize(
    "other", [{"data": "synthetic_1"}, {"protocol": "multi_step"}, {"model": "adamic_adar"}, {"model": "nobody"}]
)
def test_nothing_is_published_for_other_runs(other):
    assert find(config(**other)) == []


def test_counts_are_found_too():
    found = find(config("none", "uci", "statistics"))
    assert {one.metric: one.value for one in found} == {"nodes": 1809, "links": 16822, "steps": 13, "relations": 1}
    assert found[0].difference(1809) == 0


def test_a_composed_configuration_finds_its_cell(lab):
    found = find(compose(["model=good", "data=alpha", "protocol=pairs"]))
    assert [(one.row, one.metric, one.value) for one in found] == [("Good", "auc", 87.05), ("Good", "ap", 80)]
    # The special entry of this cell asks for model.dim=16; what the paper does not report is not found.
    assert find(compose(["model=good", "data=beta", "protocol=pairs"])) == []
    wide = find(compose(["model=good", "data=beta", "protocol=pairs", "model.dim=16"]))
    assert [(one.metric, one.value) for one in wide] == [("ap", 70.5)]


def test_a_broken_table_does_not_break_a_run(lab, caplog):
    lab.put("table", "lab_table0", "rows: 3")
    with caplog.at_level(logging.WARNING):
        assert len(find(compose(["model=good", "data=alpha", "protocol=pairs"]))) == 2
    assert "lab_table0" in caplog.text


def record(**more):
    values = {
        "identity": "0123456789",
        "model": "nlsm",
        "data": "enron",
        "protocol": "single_step_nlsm",
        "budget": "quick",
        "seed": 3,
        "status": "finished",
        "metrics": {"micro_auc": 0.8812, "macro_auc": 0.8601, "micro_ap": 0.9},
        "cuts": {"model.epochs": [300, 1000], "protocol.events": [2000, None]},
        "overrides": ["model=nlsm", "model.dim=32", "seed=3"],
        "seconds": {"fit": 125.2, "evaluate": 0.51, "total": 4000.0},
        "peak_memory_mb": 612.4,
    }
    return Record(**{**values, **more})


def test_summary_shows_all_that_matters():
    text = format_summary(record(), find(config()), "results/records/enron/x.json")
    lines = text.splitlines()
    assert lines[0] == "nlsm on enron, single_step_nlsm, seed 3, budget quick: finished"
    micro = next(line for line in lines if line.startswith("micro_auc"))
    assert " ".join(micro.split()) == "micro_auc 88.12 87.05 ± 0.3 +1.07 nlsm_table2, NLSM, Enron (10 runs)"
    assert "−0.23" in next(line for line in lines if line.startswith("macro_auc"))
    assert next(line for line in lines if line.startswith("micro_ap")).split() == ["micro_ap", "90.00"]
    for part in (
        "cut at quick: model.epochs 300 of 1000, protocol.events 2000 instead of all",
        "model.dim=32",
        "comparable  yes",
        "fit 2 min 05 s, evaluate 0.5 s, total 1 h 06 min",
        "612 MiB",
        "results/records/enron/x.json",
    ):
        assert part in text
    assert max(map(len, lines)) <= 100


@pytest.mark.parametrize(
    ("words", "place", "lacks"),
    [
        (
            ["model=nlsm", "data=email_eu"],
            ("nlsm_table4", "NLSM", "EU-D"),
            {"protocol=single_step_allpairs", "model.dim=32"},
        ),
        (
            ["model=edgebank", "data=mooc"],
            ("dyglib_table1", "EdgeBank, unlimited memory", "MOOC"),
            {"protocol=temporal_events"},
        ),
    ],
)
def test_what_would_be_published_is_told(words, place, lacks):
    values = compose(words)
    near = nearest(values)
    assert (near.table, near.row, near.column) == place
    assert lacks <= set(near.overrides)
    # What is told leads there.
    assert {(one.table, one.row, one.column) for one in find(compose([*words, *near.overrides]))} >= {place}
    text = format_summary(record(), find(values), "x.json", near)
    assert f"{', '.join(place)} would, with" in " ".join(text.split())
    assert nearest(config("nobody")) is None


@pytest.mark.parametrize(
    ("typed", "told"),
    [("model.dim=64", False), ("model.dim=32", True), ("model.epochs=300", False), ("model.epochs=1000", True)],
)
def test_what_was_typed_is_told_if_it_is_no_default(typed, told):
    values = OmegaConf.to_container(compose(["model=nlsm", "data=enron", typed]), resolve=True)
    text = format_summary(record(overrides=["model=nlsm", typed], config=values), find(values), "x.json")
    assert (typed in text) is told
    assert ("not as in the table" in text) is told


def test_summary_without_published_values_and_of_failures():
    text = format_summary(record(comparable=False, changed={"links": "new"}, cuts={}), [], "x.json")
    assert "no table has a published value" in text
    assert "not comparable with the paper: protocol.links=new" in text
    assert "comparable" not in format_summary(record(), [], "x.json")
    failed = format_summary(record(status="failed", reason="word " * 60, metrics={}), [], "y" * 120)
    assert failed.startswith("nlsm on enron, single_step_nlsm, seed 3, budget quick: failed")
    assert max(len(line) for line in failed.splitlines() if "yyy" not in line) <= 100


def test_summary_of_counts():
    counts = {"nodes": 143, "links": 2347, "steps": 16, "relations": 1}
    text = format_summary(
        record(model="none", protocol="statistics", metrics=counts, cuts={}),
        find(config("none", "enron", "statistics")),
        "x.json",
    )
    assert next(line for line in text.splitlines() if line.startswith("links")).split()[:4] == [
        "links",
        "2347",
        "2347",
        "0",
    ]
    assert "143.00" not in text

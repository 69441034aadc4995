"""Table definitions: what is read, and what is refused with which words."""

import pytest
import yaml

from dynbench.errors import ConfigError
from dynbench.reporting.table import Published, load, load_all, merge, names

BASE = """
paper: lab
table: 2
title: A table
overrides: [data=alpha, protocol=pairs]
metrics: {auc: {}}
columns: [{name: alpha}]
rows: [{name: good, overrides: [model=good]}]
"""


def test_definition_is_read(lab):
    table = load("lab_table1")
    assert (table.paper, table.number, table.runs) == ("lab", "1", {"paper": 10})
    assert table.metrics["auc"].unit.scale == 100
    assert table.columns[0].metrics == ("auc", "ap")
    assert table.published["good", "alpha", "auc"] == Published(87.05, 0.3)
    assert table.published["good", "alpha", "ap"] == Published(80, None)
    assert table.published["good", "beta", "auc"] == Published(None, None)
    assert table.published["good", "beta", "ap"] == Published(70.5, None, "read from a figure")


def test_later_overrides_replace_earlier_ones(lab):
    assert merge(["a=1", "b=2"], ["+a=3"]) == ("+a=3", "b=2")
    table = load("lab_table1")
    good, beta = table.rows[0], table.columns[1]
    assert table.cell_overrides(good, beta, "quick") == ("protocol=pairs", "data=beta", "model=good", "model.dim=16")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"colums": []}, ["colums is not a key that is known here", "did you mean 'columns'"]),
        ({"title": None}, ["title is missing"]),
        ({"title": 3}, ["title is 3; expected text"]),
        ({"unit": "percents"}, ["unit is 'percents'", "percent, fraction, count"]),
        ({"rows": []}, ["rows is empty"]),
        ({"rows": [{"name": "a", "overrides": ["model=good"]}] * 2}, ["names 'a' twice"]),
        ({"rows": [{"name": "a b"}]}, ["rows[0].name is 'a b'"]),
        ({"rows": [{"name": "a", "lable": "A"}]}, ["rows[0].lable", "did you mean 'label'"]),
        ({"rows": [{"name": "a", "overrides": ["model good"]}]}, ["rows[0].overrides holds 'model good'"]),
        ({"rows": [{"name": "a", "overrides": ["seed=1"]}]}, ["sets seed"]),
        ({"rows": [{"name": "a"}]}, ["row 'a', column 'alpha': no override chooses model"]),
        (
            {"columns": [{"name": "alpha", "metrics": ["acu"]}]},
            ["columns[0].metrics names 'acu'", "did you mean 'auc'"],
        ),
        ({"runs": {"quick": 0}}, ["runs.quick is 0"]),
        ({"runs": {"fast": 1}}, ["runs.fast is not a key"]),
        ({"skip": [{"row": "goood", "reason": "x"}]}, ["skip[0].row names 'goood'", "did you mean 'good'"]),
        ({"skip": [{"row": "good"}]}, ["skip[0].reason is missing"]),
        ({"published": {"goood": {}}}, ["published.goood is not a row", "did you mean 'good'"]),
        ({"published": {"good": {"alpa": 1}}}, ["published.good.alpa is not a column"]),
        ({"published": {"good": {"alpha": "high"}}}, ["published.good.alpha is 'high'"]),
        ({"published": {"good": {"alpha": {"auc": [1, 2, 3]}}}}, ["published.good.alpha.auc is [1, 2, 3]"]),
        ({"paper": "other"}, ["paper is 'other'", "other_<table>.yaml"]),
        ({"metrics": {"auc": {"digits": -1}}}, ["metrics.auc.digits is -1"]),
    ],
)
def test_mistakes_name_file_and_key(lab, change, words):
    content = {**yaml.safe_load(BASE), **change}
    lab.put("table", "lab_table2", yaml.safe_dump({key: value for key, value in content.items() if value is not None}))
    with pytest.raises(ConfigError) as caught:
        load("lab_table2")
    for word in ["lab_table2.yaml", *words]:
        assert word in str(caught.value)


def test_text_that_is_no_yaml_and_no_table(lab):
    lab.put("table", "lab_table2", "rows: [a\n")
    with pytest.raises(ConfigError, match=r"lab_table2\.yaml, line 2: not YAML"):
        load("lab_table2")
    with pytest.raises(ConfigError, match="did you mean 'lab_table1'"):
        load("lab_table11")


def test_a_table_of_one_metric_may_leave_its_name_out(lab):
    lab.put("table", "lab_table2", BASE + "published: {good: {alpha: [90, 1]}}\n")
    assert load("lab_table2").published == {("good", "alpha", "auc"): Published(90, 1)}


def test_tables_of_plugin_folders_are_found(lab, tmp_path, monkeypatch):
    folder = tmp_path / "mine" / "conf" / "table"
    folder.mkdir(parents=True)
    (folder / "lab_table9.yaml").write_text(BASE.replace("table: 2", "table: 9"))
    monkeypatch.setenv("DYNBENCH_PLUGINS", str(tmp_path / "mine"))
    assert names() == ["lab_table1", "lab_table9"]
    assert [table.number for table in load_all()] == ["1", "9"]


class TestProjectTables:
    """The tables in ``conf/table`` themselves."""

    def test_spot_values(self):
        published = load("nlsm_table2").published
        assert published["nlsm", "enron", "micro_auc"] == Published(87.05, 0.3)
        assert published["nlsm", "enron", "macro_auc"] == Published(86.24, 0.4)
        assert published["nlsm", "uci", "micro_auc"].value == 86.24
        assert published["nlsm", "uci", "macro_auc"] == Published(88.9, 0.3)
        assert published["dysat", "ml10m", "macro_auc"] == Published(93.68, 0.1)
        assert published["dynaernn", "yelp", "micro_auc"] == Published(69.54, 0.2)
        assert published["node2vec", "enron", "macro_auc"] == Published(83.05, 1.2)
        assert published["bas_uncoupled", "uci", "macro_auc"] == published["bas", "uci", "macro_auc"]

    def test_every_published_cell_is_there(self):
        systems = ["node2vec", "dynamictriad", "dyngem", "dynaernn", "dysat", "bas", "nlsm"]
        table = load("nlsm_table2")
        for system in systems:
            assert sum(row == system for row, _, _ in table.published) == 8
        assert len(load("nlsm_table1").published) == 24
        assert load("nlsm_table1").published["wiki", "links", "links"].value == 669934

    def test_what_cannot_be_had_is_no_value(self):
        published = load("dglfrm_auc").published
        assert published["sbm", "cora", "auc"] == Published(None, obtainable=False)
        assert published["dglfrm", "cora", "auc"].value == 0.9281
        assert published["vgae", "citeseer", "auc"].value == 0.908
        assert load("dglfrm_active").published["dglfrm_b", "cora", "active_communities"].value == 24.82

    def test_all_load(self):
        assert {"nlsm_table1", "nlsm_table2"} <= {table.name for table in load_all()}

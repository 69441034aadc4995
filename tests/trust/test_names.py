"""Names that become parts of paths: one rule, checked before anything is written."""

from __future__ import annotations

import os

import pytest

from dynbench.config.check import check
from dynbench.config.compose import compose
from dynbench.data import FileDataset
from dynbench.errors import ConfigError, DataError

BAD = ["../../../x", "/abs", "a/b", "a\\\\b", "..", ".hidden", "", "null", "[a]", "{a: b}", "a b", "-x", "x" * 49, "ä"]


@pytest.mark.parametrize("name", BAD)
@pytest.mark.parametrize("key", ["data.name", "model.name", "protocol.name", "trainer.name", "data.folder"])
def test_a_name_that_is_no_name(key, name, tmp_path):
    choice = "data=school" if key == "data.folder" else "data=nlsm_process"
    if (key, name) == ("data.folder", "null"):
        return  # no other folder
    value = name if name[:1] in "[{" or name == "null" else f"'{name}'"
    with pytest.raises(ConfigError, match=rf"^{key} ") as caught:
        check(compose([choice, f"+{key}={value}" if key == "data.folder" else f"{key}={value}"]))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["budget.name=../x", "recipe.name=../x"])
def test_budgets_and_recipes_have_names_too(name):
    with pytest.raises(ConfigError, match=name.partition("=")[0]):
        check(compose([name]))


@pytest.mark.parametrize("name", ["../x.txt", "/x.txt", "a/b.txt", "", "..", None, 3])
def test_a_card_cannot_put_files_elsewhere(name):
    with pytest.raises(DataError, match="is no name of a file"):
        FileDataset("own", files=[{"name": name, "url": "http://localhost/x"}])


def test_nothing_is_written_outside(play):
    outcome = play("data.name=own", "model=last_snapshot")
    assert outcome.path.is_relative_to(play.folder)
    assert {path.name for path in play.folder.iterdir()} <= {"runs", "results"}
    assert os.listdir(play.folder.parent) == ["own"]

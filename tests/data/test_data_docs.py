"""The recipe for a new dataset does what it says, and so do the scripts."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def _script(name):
    spec = importlib.util.spec_from_file_location(f"script_{name}", ROOT / "scripts" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def surroundings(tmp_path, monkeypatch):
    """No folders of the user, an empty cache, and the files of the recipe written out as a plug-in."""
    monkeypatch.delenv("DYNBENCH_DATA", raising=False)
    monkeypatch.setenv("DYNBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(sys, "path", list(sys.path))
    text = (ROOT / "docs" / "add_a_dataset.md").read_text(encoding="utf-8")
    blocks = dict(re.findall(r"^`([\w./]+)`:\n\n```\w*\n(.*?)^```$", text, re.MULTILINE | re.DOTALL))
    assert sorted(blocks) == ["conf/data/mydata.yaml", "mydata.py", "office.log"]
    for name, content in blocks.items():
        path = tmp_path / ("data/mydata" if name == "office.log" else "myplugins") / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    monkeypatch.setenv("DYNBENCH_PLUGINS", str(tmp_path / "myplugins"))
    yield tmp_path
    sys.modules.pop("mydata", None)


def test_the_recipe_works(surroundings, capsys):
    check = _script("check_data").main
    assert check(["mydata", "--data-dir", str(surroundings / "data")]) == 0
    assert capsys.readouterr().out.startswith("mydata  OK             3 nodes, 5 events, 3 steps, 4 links in all steps")
    log = surroundings / "data" / "mydata" / "office.log"
    log.write_text(log.read_text() + "2024-03-01 12:00:00;dora;anna\n")
    assert check(["mydata", "--data-dir", str(surroundings / "data")]) == 1
    assert "MISMATCH       dataset 'mydata': the card promises 3 nodes, the data have 4" in capsys.readouterr().out


def test_an_edited_reader_is_not_answered_from_the_cache(surroundings, capsys):
    check = _script("check_data").main
    check(["mydata", "--data-dir", str(surroundings / "data")])
    reader = surroundings / "myplugins" / "mydata.py"
    reader.write_text(reader.read_text().replace("src, dst = number_ends", "dst, src = number_ends") + "# edited\n")
    sys.modules.pop("mydata")
    importlib.invalidate_caches()
    _script("check_data").main(["mydata", "--data-dir", str(surroundings / "data")])
    capsys.readouterr()
    assert len(list((surroundings / "cache" / "graphs").glob("mydata-events-*"))) == 2


def test_scripts_tell_what_is_missing(surroundings, capsys):
    assert _script("check_data").main(["synthetic_1", "yelp", "enron"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert re.match(r"synthetic_1 +OK +200 nodes, 18,091 events, 3 steps", lines[0])
    assert re.match(r"yelp +not available +dataset 'yelp' is not available", lines[1])
    assert re.match(r"enron +not available .*vis\.digraph\.allEdges\.json", lines[2])
    assert _script("download_data").main(["synthetic_2", "nosuch", "--offline"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert re.match(r"synthetic_2 +ready \(generated\): TemporalGraph\(200 nodes, 19266 events, 3 steps", lines[0])
    assert re.match(r"nosuch +FAILED: data=nosuch is unknown", lines[1])


def test_download_script_finds_files_at_hand(surroundings, capsys):
    assert _script("download_data").main(["mydata", "--offline", "--data-dir", str(surroundings / "data")]) == 0
    assert capsys.readouterr().out == "mydata  ready (user folder): TemporalGraph(3 nodes, 5 events, directed)\n"

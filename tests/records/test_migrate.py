"""Records of version 1 of the schema become records of today."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from dynbench.records import Store
from dynbench.records.identity import run_digest
from dynbench.records.migrate import convert

ROOT = Path(__file__).parents[2]
# A record of NLSM on Enron as it was written at 20897164b43e, its steps shortened.
OLD = json.loads((Path(__file__).parent / "fixtures" / "version1.json").read_text())


def test_an_old_record_keeps_all_that_it_says():
    record = convert(OLD)
    for name in ("model", "data", "protocol", "budget", "seed", "metrics", "steps", "config", "checksums", "sizes",
                 "seconds", "created", "provenance", "overrides", "cuts"):  # fmt: skip
        assert getattr(record, name) == OLD[name]
    assert record.identity != OLD["identity"]
    assert (record.threads, "threads" in record.environment, record.fit) == (1, False, "")


def test_an_old_record_is_found_by_a_run_of_its_settings():
    values = {**OLD["config"], "budget": {"name": "quick"}, "seed": 0}
    assert convert(OLD).identity == run_digest(values, {"data": 1, "model": 1, "protocol": 1})
    # Where its classes stand today, and what settings they got since, plays no part.
    values["trainer"] = {"name": "other", "_target_": "dynbench.engine.trainer.Trainer", "devices": 1}
    assert convert(OLD).identity == run_digest(values, {"data": 1, "model": 1, "protocol": 1})


def test_the_version_of_the_protocol_follows_from_the_old_identity():
    assert convert(OLD).versions == {"data": 1, "model": 1, "protocol": 1}


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"schema_version": 2}, "only 1 is carried over"),
        ({"seed": 5}, "does not follow from its settings"),
        ({"metrics": {"auc": None}}, "auc is None, which is no number"),
    ],
)
def test_what_is_not_whole_is_left_out(change, word):
    with pytest.raises(ValueError, match=word):
        convert({**OLD, **change})


def test_the_script_carries_a_folder_over(tmp_path):
    old = tmp_path / "old" / "records" / "enron"
    old.mkdir(parents=True)
    (old / "one.json").write_text(json.dumps(OLD))
    (old / "two.json").write_text(json.dumps({**OLD, "seed": 9}))
    command = [
        sys.executable,
        "scripts/migrate_records.py",
        str(tmp_path / "old"),
        "--work-dir",
        str(tmp_path / "runs"),
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "1 records carried over, 1 left out" in done.stdout
    assert "two.json is left out: its identity 13612660f2 does not follow" in done.stderr
    assert Store(tmp_path / "results", tmp_path / "runs").find(convert(OLD).name) == convert(OLD)

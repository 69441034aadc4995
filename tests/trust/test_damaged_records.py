"""Records that are wrong in any way are set aside with a line: never believed, and never in the way of a table."""

from __future__ import annotations

import json
import random

import pytest

from dynbench.records import Store
from dynbench.records.published import Published

JUNK = [None, 0, -1, 2.5, "x", "", [], [1], {}, {"a": None}, True, float("nan"), float("inf"), 10**400]


@pytest.fixture
def finished(play):
    outcome = play("model=last_snapshot")
    store = Store(play.folder / "results", play.folder / "runs")
    return outcome.record, store


def damaged(content: dict, draw: random.Random) -> dict:
    """The content with one value, at any depth, replaced or removed."""
    copy = json.loads(json.dumps(content))
    place = copy
    while True:
        key = draw.choice(list(place) if isinstance(place, dict) else range(len(place)))
        if isinstance(place[key], (dict, list)) and place[key] and draw.random() < 0.7:
            place = place[key]
            continue
        if draw.random() < 0.2:
            del place[key]
        else:
            place[key] = draw.choice(JUNK)
        return copy


def test_no_damage_stops_anything_and_no_number_is_made_up(finished):
    record, store = finished
    path = store.path(record.name)
    content, draw = json.loads(path.read_text()), random.Random(1)
    for _ in range(250):
        path.write_text(json.dumps(damaged(content, draw)))
        found = store.find(record.name)
        if found is not None and found.finished:
            assert found.name == record.name
            assert set(found.metrics.values()) <= set(record.metrics.values()) | {0, -1, 2.5, 10**400}
            store.publish({record.name: {"auc"}})
        else:
            assert store.publish({record.name: ()}) == 0


def test_flipped_letters_of_a_record(finished, caplog):
    record, store = finished
    path = store.path(record.name)
    content, draw = path.read_bytes(), random.Random(2)
    for _ in range(250):
        flipped = bytearray(content)
        flipped[draw.randrange(len(flipped))] ^= 1 << draw.randrange(8)
        path.write_bytes(flipped)
        found = store.find(record.name)
        assert found is None or found.name == record.name
    assert all("\n" not in line for line in caplog.messages)


def test_damaged_lines_of_published_runs(finished):
    record, store = finished
    assert store.publish({record.name: {"auc"}}) == 1
    folder, draw = store.results_dir / "runs", random.Random(3)
    for path in sorted(folder.rglob("*.jsonl")):
        content = path.read_text()
        for _ in range(60):
            lines = [json.dumps(damaged(json.loads(line), draw)) for line in content.splitlines()]
            path.write_text("\n".join(lines) + "\n")
            for found in Published(store.results_dir).all():
                assert found.metrics
        path.write_text(content)
    assert Published(store.results_dir).find(record.name).metrics == record.metrics

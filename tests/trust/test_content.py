"""A card knows what its files say: a changed digit is seen, another spelling is not."""

from __future__ import annotations

import gzip
import random

import numpy as np
import pytest

from dynbench.config.compose import choice_path, choices
from dynbench.data import FileDataset, Locations, RawEvents, cards
from dynbench.data.canonical import files_of, read_canonical, read_snapshots
from dynbench.data.content import content_sums
from dynbench.errors import DataError

DRAW = random.Random(3)
ROWS = [f"{DRAW.randrange(9)},{DRAW.randrange(9)},{time},{DRAW.randrange(1, 4)}" for time in range(0, 60, 2)]
EDGES = "src,dst,t,weight\n" + "\n".join(ROWS) + "\n"
STEPS = "src,dst,t\n0,1,0\n1,2,1\n0,2,1\n"
LABELS = "id,label\n" + "".join(f"{node},{node % 2}\n" for node in range(9))


def write(folder, edges=EDGES, steps=STEPS, labels=LABELS, features=None):
    for name, text in (("edges.csv", edges), ("snapshots.csv", steps), ("labels.csv", labels)):
        (folder / name).write_text(text)
    np.savez(folder / "features.npz", features=np.eye(9) if features is None else features)
    return folder


def load(folder, content, view="snapshots"):
    where = Locations([], folder / "cache", offline=True)
    return FileDataset("own", path=str(folder), where=where, expected={"content": content}).load(view)


@pytest.fixture
def content(tmp_path):
    files = files_of(write(tmp_path))
    return content_sums(read_canonical(files)) | content_sums(read_snapshots(files), True)


def test_the_parts_that_are_known(content, tmp_path):
    assert set(content) == {"events", "snapshots", "nodes", "labels"}
    assert load(tmp_path, content).num_steps == 2
    assert len(load(tmp_path, content, "events")) == len(ROWS)


def test_another_spelling_is_the_same_content(content, tmp_path):
    rows = [row.replace(",", ".0,", 1) for row in ROWS]
    DRAW.shuffle(rows)
    write(tmp_path, "src,dst,t,weight,comment\n" + "".join(f"{row},x\n" for row in rows))
    (tmp_path / "edges.csv.gz").write_bytes(gzip.compress((tmp_path / "edges.csv").read_bytes()))
    (tmp_path / "edges.csv").unlink()
    assert len(load(tmp_path, content, "events")) == len(ROWS)


def test_every_changed_digit_is_seen(content, tmp_path):
    for _ in range(60):
        place = DRAW.choice([at for at, letter in enumerate(EDGES) if letter.isdigit()])
        digit = DRAW.choice([other for other in "12345678" if other != EDGES[place]])
        write(tmp_path, EDGES[:place] + digit + EDGES[place + 1 :])
        with pytest.raises(DataError, match="the events have the checksum") as caught:
            load(tmp_path, content, "events")
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("part", "change"),
    [
        ("snapshots", {"steps": STEPS.replace("0,2,1", "0,3,1")}),
        ("labels", {"labels": LABELS.replace("4,0", "4,1")}),
        ("nodes", {"features": np.eye(9) * 1.001}),
    ],
)
def test_the_other_parts_are_compared_too(content, tmp_path, part, change):
    write(tmp_path, **change)
    with pytest.raises(DataError, match=f"the {part} have the checksum"):
        load(tmp_path, content)


def test_features_of_events_move_with_their_rows():
    draw = np.random.default_rng(0)
    columns = [draw.integers(0, 5, 40) for _ in range(3)]
    features, order = draw.random((40, 7)), draw.permutation(40)
    one = content_sums(RawEvents(*columns, edge_features=features))
    assert one == content_sums(RawEvents(*(c[order] for c in columns), edge_features=features[order]))
    swapped = features[[1, 0, *range(2, 40)]]
    assert one["events"] == content_sums(RawEvents(*columns, edge_features=swapped))["events"]
    assert one["features"] != content_sums(RawEvents(*columns, edge_features=swapped))["features"]


def test_cards_whose_files_are_at_hand_know_what_they_say():
    where = Locations.from_settings(offline=True)
    for name in choices("data"):
        card = cards.read_card(choice_path("data", name)) if name != "custom" else {}
        folders = [name, card.get("folder")] if "expected" in card else []
        at_hand = [f for one in folders if one for f in where.user_folders(one) if (f / "edges.csv.gz").is_file()]
        if at_hand and card["_target_"].endswith(("FileDataset", "MonthlyDataset")):
            assert set(card["expected"]["content"]) >= {"events"}, name

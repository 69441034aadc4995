"""Readers of upstream formats on hand-made files, and their cuts on the real times."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from dynbench.data import Locations, canonical, cards
from dynbench.data.readers import READERS, find_reader
from dynbench.data.readers.enron import read_enron, two_month_steps
from dynbench.data.readers.movielens import ninety_day_steps, read_tags
from dynbench.data.readers.opsahl import read_opsahl
from dynbench.data.readers.snap import read_from_one, read_ranked
from dynbench.errors import DataError
from dynbench.graph.statistics import statistics

CONF = Path(__file__).resolve().parents[2] / "conf" / "data"


def _rows(raw):
    return list(zip(raw.src.tolist(), raw.dst.tolist(), raw.time.tolist(), strict=True))


def test_snap_ids_from_one(fixtures):
    raw = read_from_one([fixtures / "snap_from_one.txt"])
    assert _rows(raw) == [(0, 1, 100), (2, 3, 105), (4, 1, 107), (2, 0, 107)]
    assert raw.time.dtype == np.int64
    assert raw.snapshot is None


def test_snap_gaps_are_closed_and_lines_sorted_stably(fixtures, tmp_path):
    expected = [(0, 1, 0), (3, 0, 12), (2, 1, 30), (2, 1, 30)]
    assert _rows(read_ranked([fixtures / "snap_ranked.txt"])) == expected
    packed = tmp_path / "snap.txt.gz"
    packed.write_bytes(gzip.compress((fixtures / "snap_ranked.txt").read_bytes()))
    assert _rows(read_ranked([packed])) == expected


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("1 2 100\n3 x 105\n", "line 2: 'DST' is 'x', which is not a number"),
        ("1 2 100\n\n3 4\n", r"line 3: no field for 'UNIXTIME' \(column 3 of 2\)"),
        ("0 2 100\n", "line 1: 'SRC' is 0, which is below 1"),
        ("1 2 nan\n", "line 1: 'UNIXTIME' is nan, which is not a finite number"),
        ("# only a comment\n", "no data lines"),
        ("", "the file is empty"),
    ],
)
def test_snap_errors_name_the_line(tmp_path, text, words):
    path = tmp_path / "CollegeMsg.txt"
    path.write_text(text)
    with pytest.raises(DataError, match=rf"CollegeMsg\.txt.*{words}"):
        read_from_one([path])


def test_enron_export(fixtures):
    raw = read_enron([fixtures / "enron.json"])
    # alice 0, bob 1, carol 2, m..smith 3, by first appearance in the order of time.
    assert list(zip(raw.src.tolist(), raw.dst.tolist(), strict=True)) == [
        *[(0, 1), (1, 1), (2, 0), (1, 0), (1, 2), (3, 2)],
    ]
    assert raw.time[[0, -1]].tolist() == [946_684_800, 1_009_843_200]
    # Counting starts on 2000-07-19: day 59 is in step 0, day 60 in step 1; the last e-mail is past the last step.
    assert raw.snapshot.tolist() == [0, 0, 1, 5, 5, 5]


def test_enron_record_without_time_is_named(fixtures, tmp_path):
    path = tmp_path / "enron.json"
    path.write_text(
        (fixtures / "enron.json").read_text().replace('"time" : ISODate("2000-09-16', '"when" : ISODate("', 1)
    )
    with pytest.raises(DataError, match=r"enron\.json, line 12: a record lacks its name"):
        read_enron([path])
    path.write_text("[]")
    with pytest.raises(DataError, match="no record found"):
        read_enron([path])


def test_opsahl_cut_in_local_time(fixtures):
    raw = read_opsahl([fixtures / "out.opsahl-ucsocial"])
    # Kept: from five days after the first line to sixty days before the last. The third kept message comes ten days
    # of local time after the start, but one hour less of Unix time, since clocks went forward in between.
    assert raw.snapshot.tolist() == [0, 0, 1, 1, 2]
    assert list(zip(raw.src.tolist(), raw.dst.tolist(), strict=True)) == [(0, 1), (1, 0), (1, 2), (2, 2), (3, 0)]
    assert raw.time[0] == 1_081_065_600


def test_opsahl_file_that_is_too_short(tmp_path):
    path = tmp_path / "out.opsahl-ucsocial"
    path.write_text("% asym\n1 2 1 1000000\n2 1 1 1086400\n")
    with pytest.raises(DataError, match="span less than the 65 days"):
        read_opsahl([path])


@pytest.mark.parametrize("name", ["tags.dat", "tags_commas.dat"])
def test_movielens_tags_in_both_forms(fixtures, name):
    raw = read_tags([fixtures / name])
    # Users 20, 15, 31 are 0, 1, 2; the tags are 3 'star wars', 4 with a separator inside, 5 'Québécois' in both of
    # its encodings, 6 'Star Wars'.
    assert raw.num_nodes == 7
    assert list(zip(raw.src.tolist(), raw.dst.tolist(), strict=True)) == [
        (0, 3),
        (1, 4),
        (0, 5),
        (2, 3),
        (1, 5),
        (1, 6),
    ]
    assert raw.snapshot.tolist() == [0, 0, 1, 1, 2, 2]


def test_movielens_bad_line_is_named(tmp_path):
    path = tmp_path / "tags.dat"
    path.write_text("15::4973::excellent!::1215184630\n20::1747::politics\n")
    with pytest.raises(DataError, match=r"tags\.dat, line 2: '20::1747::politics' is not"):
        read_tags([path])
    path.write_text("UserID,MovieID,Tag,Timestamp\n20 ,1747 ,politics ,1\nnonsense\n")
    with pytest.raises(DataError, match=r"tags\.dat, line 3: 'nonsense' is not"):
        read_tags([path])


@pytest.mark.parametrize(("name", "recipe"), [("enron", two_month_steps), ("ml10m", ninety_day_steps)])
def test_recipes_give_the_published_steps_on_the_real_times(real, name, recipe):
    raw = canonical.read_canonical(canonical.files_of(real(name).folder))
    np.testing.assert_array_equal(recipe(raw.time), raw.snapshot)


# ---- upstream files rebuilt from the real data ------------------------------------------------------------


def test_uci_from_the_upstream_file(real, tmp_path):
    """The file is rebuilt byte for byte, so that the card's checksum is blocks_of along with the reader."""
    stream = canonical.read_canonical(canonical.files_of(real("uci_messages", card="uci").folder))
    lines = zip((stream.src + 1).tolist(), (stream.dst + 1).tolist(), stream.time.tolist(), strict=True)
    text = "% asym positive\n% 59835 1899 1899\n" + "".join(f"{i} {j} 1 {t}\n" for i, j, t in lines)
    upstream = _from_upstream(tmp_path, "uci", "out.opsahl-ucsocial", text)
    for view in ("snapshots", "events"):
        assert upstream.load(view).checksum() == real("uci").load(view).checksum()
    assert upstream.provenance()["files"]["out.opsahl-ucsocial"].startswith("72515c16")


def test_collegemsg_from_the_upstream_file(real, tmp_path):
    raw = canonical.read_canonical(canonical.files_of(real("collegemsg").folder))
    lines = zip((raw.src + 1).tolist(), (raw.dst + 1).tolist(), raw.time.tolist(), strict=True)
    upstream = _from_upstream(tmp_path, "collegemsg", "CollegeMsg.txt", "".join(f"{i} {j} {t}\n" for i, j, t in lines))
    for view in ("snapshots", "events"):
        assert upstream.load(view).checksum() == real("collegemsg").load(view).checksum()


def test_enron_from_records_in_any_order(real, tmp_path):
    """Ids differ from DySAT's, but no count of the card and no count per snapshot does."""
    raw = canonical.read_canonical(canonical.files_of(real("enron").folder))
    dates = raw.time.astype("datetime64[s]").astype(str)
    records = [
        f'{{\n "_id" : ObjectId("{n}"),\n "name" : "p{i}@enron.com_p{j}@enron.com",\n'
        f' "time" : ISODate("{date}.000+0000")\n}}\n'
        for n, (i, j, date) in enumerate(zip(raw.src, raw.dst, dates, strict=True))
    ]
    upstream = _from_upstream(tmp_path, "enron", "vis.digraph.allEdges.json", "".join(reversed(records)), sha256=None)
    found, expected = (statistics(source.load("snapshots")) for source in (upstream, real("enron")))
    assert found == expected


def _from_upstream(tmp_path, name, file, text, **changes):
    (tmp_path / name).mkdir()
    (tmp_path / name / file).write_text(text, newline="")
    card = cards.read_card(CONF / f"{name}.yaml")
    card["files"][0].update(changes)
    return cards.build(card, Locations([tmp_path], tmp_path / "cache", offline=True))


# ---- names of readers -------------------------------------------------------------------------------------


def test_every_reader_of_the_list_exists():
    assert all(callable(find_reader(name)) for name in READERS)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("nix", "no reader 'nix'; known: canonical"),
        ("nowhere.read", "no module 'nowhere'; .*DYNBENCH_PLUGINS"),
        ("dynbench.data.events.read", "has no function 'read'"),
    ],
)
def test_unknown_readers(name, words):
    with pytest.raises(DataError, match=words):
        find_reader(name)

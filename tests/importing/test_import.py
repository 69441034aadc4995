"""``dynbench import``: files as people have them become datasets, and what was understood and changed is said."""

from __future__ import annotations

import csv
import gzip
import random

import pytest
import yaml
from import_samples import SAMPLES, Sample

import dynbench
from dynbench.config import compose
from dynbench.importing.command import main
from dynbench.importing.window import suggest


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty folder to stand in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def take(here, sample: Sample, *words: str, code: int = 0) -> str:
    (here / sample.name).write_bytes(sample.content)
    assert main([sample.name, *words]) == code
    return ""


def names_of(folder) -> dict[int, str]:
    with gzip.open(folder / "nodes.csv.gz", "rt", encoding="utf-8") as file:
        return {int(row["id"]): row.get("name", row["id"]) for row in csv.DictReader(file)}


@pytest.mark.parametrize("sample", SAMPLES.values(), ids=SAMPLES)
def test_realistic_files_become_datasets(here, capsys, sample):
    take(here, sample, "--name", "mine")
    said = capsys.readouterr().out
    for words in sample.says:
        assert words in said, said
    view = "snapshots" if "one snapshot" in said else "events"
    graph = dynbench.load("mine", view=view)
    names = names_of(here / "datasets" / "mine")
    numbered = isinstance(sample.events[0][0], int)
    found = [
        (*((end if numbered else names[end]) for end in (src, dst)), time)
        for src, dst, time in zip(graph.src.tolist(), graph.dst.tolist(), graph.time.tolist(), strict=True)
    ]
    assert sorted(found) == sorted(sample.events)
    for key, value in sample.settings.items():
        assert getattr(graph, key) == value
    card = yaml.safe_load((here / "datasets" / "mine" / "conf" / "data" / "mine.yaml").read_text(encoding="utf-8"))
    assert card["expected"]["nodes"] == graph.num_nodes
    assert sample.name in card["card"]["source"]


def test_parquet(here, capsys):
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    times = pandas.to_datetime(["2004-03-16", "2004-03-15", None])
    frame = pandas.DataFrame({"user": ["a", "b", "a"], "movie": [3, 4, 3], "when": times, "rating": [1.0, 2.5, 3.0]})
    frame.to_parquet(here / "ratings.parquet")
    assert main(["ratings.parquet"]) == 0
    said = capsys.readouterr().out
    assert "two sides    yes" in said
    assert "1 lines without a time left out, the first is line 3" in said
    graph = dynbench.load("ratings", view="events")
    assert graph.time.tolist() == [1079308800, 1079395200]
    assert graph.weight.tolist() == [2.5, 1.0]
    assert graph.bipartite


def test_an_imported_file_is_run_by_its_name(here, capsys):
    draw = random.Random(0)
    people = [f"p{number}" for number in range(30)]
    rows = ["sender,receiver,sent"]
    for hour in range(3000):
        first = draw.choice(people)
        rows.append(f"{first},p{(int(first[1:]) + draw.choice([1, 2, 3])) % 30},{1.08e9 + 3600 * hour:.0f}")
    (here / "mails.csv").write_text("\n".join(rows))
    assert main(["mails.csv"]) == 0
    assert "window       7d suggested, in its card: 18 snapshots" in capsys.readouterr().out
    assert "mails" in compose.choices("data")
    found = dynbench.run("common_neighbors", "mails", budget="smoke")
    assert found[0].data == "mails"
    assert found[0].sizes["nodes"] == 30
    assert found[0].sizes["steps"] == 18


def test_columns_can_be_told(here, capsys):
    (here / "odd.csv").write_text("a,b,c,d,e\n5,1,2,0.5,7\n6,2,3,0.25,8\n7,3,1,1,9\n")
    assert main(["odd.csv", "--src", "c", "--dst", "2", "--time", "a", "--features", "d", "e", "--unit", "d"]) == 0
    graph = dynbench.load("odd", view="events")
    assert graph.seconds == 86400
    assert graph.edge_features.tolist() == [[0.5, 7.0], [0.25, 8.0], [1.0, 9.0]]
    names = names_of(here / "datasets" / "odd")
    assert [names[node] for node in graph.src.tolist()] == ["2", "3", "1"]
    assert main(["odd.csv", "--src", "x"]) == 2
    assert "has no column 'x'; it has a, b, c, d, e" in capsys.readouterr().err
    assert main(["odd.csv", "--keep-loops", "--undirected", "--time", "none", "--weight", "d"]) == 0
    assert dynbench.load("odd").directed is False


def test_a_name_of_the_catalogue_is_not_taken(here, capsys):
    (here / "enron.csv").write_text("src,dst,t\n0,1,5\n1,2,6\n")
    assert main(["enron.csv"]) == 2
    assert "there is a dataset 'enron' already; choose another name with --name" in capsys.readouterr().err
    assert main(["enron.csv", "--name", "my_enron"]) == 0
    assert main(["enron.csv", "--name", "my_enron"]) == 0


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "holds no lines with data"),
        (b"src,dst,t\n", "holds nothing but its header"),
        (b"just\nwords\n", "one column only"),
        (b"src,dst,t\na,a,1\nb,b,2\n", "no event is left: 2 events from a node to itself"),
        (b"src,dst,t\na,b,2004-01-01\nb,c,yesterday\n", "line 3, column t: the time 'yesterday' is neither"),
        (b"src,dst,t\na,b,01/02/2004\nb,c,03/04/2004\n", "cannot be told apart"),
        (b"src,dst,t,w\na,b,1,x\nb,c,2,3\n", "line 2: column w is 'x', which is no number"),
        (b"\x00\x01\x93\xff" * 50, "is no text"),
    ],
)
def test_what_cannot_be_read_is_said(here, capsys, content, said):
    (here / "bad.csv").write_bytes(content)
    assert main(["bad.csv"]) == 2
    assert said in capsys.readouterr().err
    assert not (here / "datasets").exists()


def test_windows_are_usual_lengths():
    graph = dynbench.TemporalGraph.from_events([0, 1], [1, 0], [0, 100 * 86400], seconds=1.0)
    assert suggest(graph) == "7d"
    steps = dynbench.TemporalGraph.from_events([0, 1], [1, 0], [0, 99])
    assert suggest(steps) == 5
    assert suggest(dynbench.TemporalGraph.from_events([0, 1], [1, 0], [7, 7])) is None

"""The cards, and the published figures of the real data where these are at hand."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
from pathlib import Path

import numpy as np
import pytest
import torch

from dynbench.data import DataUnavailable, Locations, canonical, cards
from dynbench.data.textfiles import read_text
from dynbench.errors import DataError
from dynbench.graph import TemporalGraph
from dynbench.graph.statistics import statistics

CONF = Path(__file__).resolve().parents[2] / "conf" / "data"

NAMES = sorted(path.stem for path in CONF.glob("*.yaml"))


def test_the_catalogue_is_complete():
    files = {"enron", "uci", "ml10m", "collegemsg", "email_eu", "yelp"}
    assert {*files, "custom", "synthetic_1", "synthetic_2", "nlsm_process"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_cards_fit_their_constructors_and_explain_every_key(name):
    text = (CONF / f"{name}.yaml").read_text(encoding="utf-8")
    lines = text.splitlines()
    assert lines[0].startswith("# ")
    assert len(lines[0]) <= 120
    bare = [line for line in lines[2:] if re.match(r"\s*(- )?\w+:", line) and "  # " not in line]
    assert bare == []
    card = cards.read_card(CONF / f"{name}.yaml") if name != "custom" else {"_target_": lines[1].split(": ")[1]}
    module, _, cls = card["_target_"].rpartition(".")
    constructor = inspect.signature(getattr(importlib.import_module(module), cls).__init__)
    assert set(card) - {"_target_"} <= set(constructor.parameters)
    assert all(p.annotation is not p.empty for key, p in constructor.parameters.items() if key != "self")
    assert not any(p.kind in (p.VAR_KEYWORD, p.VAR_POSITIONAL) for p in constructor.parameters.values())
    if name != "custom":
        assert card["name"] == name
        assert {"title", "homepage", "licence", "citation"} <= set(card["card"])


def test_custom_demands_a_path():
    tree = (CONF / "custom.yaml").read_text()
    assert re.search(r"^path: \?\?\?", tree, re.MULTILINE)


def test_the_package_itself_imports_nothing_heavy():
    import dynbench.data

    imported = [node for node in ast.walk(ast.parse(inspect.getsource(dynbench.data))) if isinstance(node, ast.Import)]
    assert [alias.name for node in imported for alias in node.names] == ["importlib"]
    with pytest.raises(AttributeError, match="no attribute 'Nix'"):
        _ = dynbench.data.Nix


def test_yelp_says_why_it_is_missing(where):
    with pytest.raises(DataUnavailable, match="12,728 nodes, not 6,569"):
        cards.build(cards.read_card(CONF / "yelp.yaml"), where).load()


# ---- golden figures ---------------------------------------------------------------------------------------

GOLDEN = {
    "enron": {
        "nodes": [18, 23, 24, 50, 66, 79, 98, 110, 117, 125, 131, 135, 137, 138, 141, 143],
        "links": [24, 22, 21, 64, 77, 93, 143, 197, 212, 220, 221, 258, 173, 128, 256, 238],
        "events": [237, 184, 216, 570, 649, 877, 1273, 2164, 2688, 2612, 2601, 2852, 1448, 581, 2125, 1707],
        "positives": [17, 20, 32, 56, 78, 113, 180, 205, 212, 212, 254, 171, 127, 245, 232],
        "self_loops": [1, 2, 4, 8, 10, 9, 11, 17, 22, 21, 23, 13, 15, 29, 29],
        "test": [10, 12, 19, 33, 46, 67, 108, 123, 127, 127, 152, 102, 76, 147, 139],
        "new": [4, 2, 13, 17, 27, 41, 66, 57, 46, 53, 77, 46, 38, 77, 60],
        "total": ("links_per_step_sum", 2347),
    },
    "uci": {
        "nodes": [497, 975, 1223, 1501, 1655, 1705, 1722, 1741, 1750, 1774, 1781, 1795, 1809],
        "links": [1593, 3653, 3020, 3637, 1849, 813, 244, 547, 377, 323, 249, 281, 236],
        "positives": [1110, 1912, 2100, 1151, 701, 181, 500, 358, 279, 229, 241, 221],
        "self_loops": [0] * 12,
        "test": [666, 1147, 1260, 690, 420, 108, 300, 214, 167, 137, 144, 132],
        "new": [791, 1158, 1352, 644, 378, 115, 293, 189, 130, 98, 132, 109],
        "total": ("links_per_step_sum", 16822),
    },
    "ml10m": {
        "nodes": [6058, 7588, 8825, 10030, 11529, 12766, 15193, 16097, 17168, 18036, 19494, 20265, 20537],
        "events": [16704, 6995, 5217, 6542, 11799, 9032, 10455, 4670, 6154, 4552, 6073, 5001, 2386],
        "self_loops": [0] * 12,
        "total": ("links_distinct", 43760),
    },
}


def _targets(graph: TemporalGraph) -> dict[str, list[int]]:
    """Counts of each snapshot but the first, as the single-step protocol sees it."""
    seen, result = graph.first_seen(), {"positives": [], "self_loops": [], "test": [], "new": []}
    for step in range(1, graph.num_steps):
        now, past = graph.step(step), graph.before(step)
        known = (seen[now.src] < step) & (seen[now.dst] < step)
        old = torch.isin(now.src * graph.num_nodes + now.dst, past.src * graph.num_nodes + past.dst)
        result["positives"].append(int(known.sum()))
        result["self_loops"].append(int((known & (now.src == now.dst)).sum()))
        result["test"].append(int(0.6 * int(known.sum())))
        result["new"].append(int((known & ~old & (now.src != now.dst)).sum()))
    return result


@pytest.mark.parametrize("name", sorted(GOLDEN))
def test_published_figures(real, name):
    golden = GOLDEN[name]
    dataset = real(name)
    graph = dataset.load("snapshots")
    found = statistics(graph)
    assert not graph.directed
    assert bool((graph.src <= graph.dst).all())
    assert found[golden["total"][0]] == golden["total"][1]
    for key, per_step in (("nodes", "nodes_per_step"), ("links", "links_per_step"), ("events", "events_per_step")):
        if key in golden:
            assert found[per_step] == golden[key], key
    targets = _targets(graph)
    for key in targets.keys() & golden.keys():
        assert targets[key] == golden[key], key
    # Known nodes are those with the smallest ids, which the benchmark's negatives rely on.
    if name != "ml10m":
        seen = graph.first_seen()
        assert bool((seen[1:] >= seen[:-1]).all())


@pytest.mark.parametrize("name", sorted(GOLDEN))
def test_the_column_and_the_file_give_the_same_snapshots(real, name):
    dataset = real(name)
    graph = dataset.load("snapshots")
    raw = canonical.read_snapshots(canonical.files_of(dataset.folder))
    keys = np.stack([raw.time, raw.src, raw.dst, raw.weight])
    keys = keys[:, np.lexsort(keys[2::-1])]
    np.testing.assert_array_equal(keys, torch.stack([graph.time, graph.src, graph.dst, graph.weight.long()]).numpy())


def test_email_eu(real):
    directed = real("email_eu").load("snapshots")
    assert (directed.num_nodes, directed.num_steps, directed.directed) == (986, 33, True)
    undirected = real("email_eu", directed=False).load("snapshots")
    assert (undirected.num_steps, undirected.directed) == (33, False)
    assert len(undirected) < len(directed) == 106_713
    assert statistics(directed)["events"] == statistics(undirected)["events"] == 304_906
    events = real("email_eu").load("events")
    assert (len(events), events.seconds, events.directed, events.num_steps) == (332_334, 1.0, True, None)
    assert statistics(events)["links_distinct"] == 24_929


def test_collegemsg(real):
    graph = real("collegemsg").load("snapshots")
    assert (graph.num_nodes, graph.num_steps, graph.directed) == (1899, 19, True)
    assert statistics(graph)["links_per_step"][:3] == [574, 3458, 4794]
    week = real("collegemsg", window="1w", span=None).load("snapshots")
    assert week.num_steps == 28
    assert statistics(week)["events"] == 59_835


def test_events_of_snapshot_benchmarks_keep_their_direction(real):
    events = real("enron").load("events")
    assert (len(events), events.directed, events.seconds) == (22_784, True, 1.0)
    assert events.time[0] == 910_958_820


def test_a_changed_file_is_noticed(real, tmp_path):
    dataset = real("uci")
    text = read_text(dataset.folder / "edges.csv.gz").splitlines()
    (tmp_path / "uci").mkdir()
    (tmp_path / "uci" / "edges.csv").write_text("\n".join(text[:-1]) + "\n")
    where = Locations([tmp_path], tmp_path / "cache", offline=True)
    with pytest.raises(DataError, match="the events have the checksum"):
        cards.build(cards.read_card(CONF / "uci.yaml"), where).load("snapshots")


def test_enron_b(real):
    graph = real("enron_b").load("snapshots")
    assert (graph.num_nodes, graph.num_steps, graph.directed) == (154, 24, True)
    assert statistics(graph)["links_per_step"][:4] == [126, 124, 139, 137]
    events = real("enron_b").load("events")
    inside = (events.time >= 946_684_800) & (events.time < 1_009_843_200)  # midnights that begin 2000 and 2002
    assert int(inside.sum()) == statistics(graph)["events"] == 34_180
    year = real("enron_b", first="2001-01", months=12).load("snapshots")
    assert statistics(year)["links_per_step"] == statistics(graph)["links_per_step"][12:]
    with pytest.raises(DataError, match=r"data\.first=soon is no month"):
        real("enron_b", first="soon")
    with pytest.raises(DataError, match="no event falls into the 2 months from 2010-01 on"):
        real("enron_b", first="2010-01", months=2).load("snapshots")

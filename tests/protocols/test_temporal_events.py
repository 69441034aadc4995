"""Streams of events: cuts, held-out nodes, what is asked and revealed, published sizes, and bad input."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import negatives_slow

from dynbench.data import Locations, cards
from dynbench.data.streams import FlipStream
from dynbench.errors import ConfigError, DataError
from dynbench.graph import TemporalGraph
from dynbench.protocols.event_split import split_events
from dynbench.protocols.temporal_events import TemporalEvents

CONF = Path(__file__).resolve().parents[2] / "conf" / "data"
SPLIT = {"validation": 0.15, "test": 0.15, "hold_out": 0.1, "seed": 2020, "order": "cpython_set"}


def stream(**settings) -> TemporalGraph:
    return FlipStream("s", **{"users": 60, "items": 25, "events": 3000, **settings}).load("events")


def exams_of(graph, **settings) -> dict:
    (episode,) = TemporalEvents(**settings).episodes(graph, 0)
    return {exam.name: exam for exam in episode.exams} | {"validation": episode.validation}


def real(name: str) -> TemporalGraph:
    folders = [Path(part) for part in os.environ.get("DYNBENCH_DATA", "").split(os.pathsep) if part]
    if not any((folder / name).is_dir() for folder in folders):
        pytest.skip(f"DYNBENCH_DATA has no folder '{name}'")
    return cards.build(cards.read_card(CONF / f"{name}.yaml"), Locations.from_settings(offline=True)).load("events")


# ---- the parts --------------------------------------------------------------------------------------------


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(-20, 20), min_size=8, max_size=60), st.sampled_from([0.15, 0.2, 0.05, 0.3]))
def test_cuts_are_quantiles_of_the_times(times, share):
    graph = TemporalGraph.from_events([0, 1] * len(times), [1, 2] * len(times), times * 2, 3)
    bounds = np.quantile(graph.time.numpy(), [1 - share - share, 1 - share])
    expected = [int((graph.time.numpy() <= bound).sum()) for bound in bounds]
    if expected[0] < expected[1] < len(graph):
        split = split_events(graph, share, share, 0.0, 0, "sorted")
        assert [split.first, split.second] == expected
        assert len(split.train) == split.first
    else:
        with pytest.raises(DataError, match="no event is left for"):
            split_events(graph, share, share, 0.0, 0, "sorted")


def test_times_beyond_doubles_are_cut_exactly():
    late = 2**61
    graph = TemporalGraph.from_events([0] * 100, [1] * 100, [late + k for k in range(100)])
    split = split_events(graph, 0.15, 0.15, 0.0, 0, "sorted")
    assert (split.first, split.second) == (70, 85)


def test_no_training_event_touches_a_node_held_out():
    graph = stream()
    split = split_events(graph, **SPLIT)
    whole = split_events(graph, **{**SPLIT, "hold_out": 0.0})
    assert (split.first, split.second) == (whole.first, whole.second)
    trained = torch.cat([split.train.src, split.train.dst]).unique()
    assert not split.new_nodes[trained].any()
    removed = ~torch.isin(whole.train.ids, split.train.ids)
    held_out = split.new_nodes & ~whole.new_nodes
    # Who met none but nodes that were drawn is new as well.
    assert int(held_out.sum()) >= int(0.1 * graph.num_nodes) - int(whole.new_nodes.sum())
    ends = held_out[whole.train.src] | held_out[whole.train.dst]
    assert torch.equal(removed, ends)
    assert (split.test.time > split.validation.time[-1]).all()
    assert (split.validation.time > split.known.time[-1]).all()


def test_the_draw_of_nodes():
    """Sorted or as a set holds them; the same nodes for the same seed, others for another one."""
    graph = stream()
    drawn = {
        (order, seed): split_events(graph, **{**SPLIT, "order": order, "seed": seed}).new_nodes.tolist()
        for order in ("cpython_set", "sorted")
        for seed in (2020, 7)
    }
    assert drawn["sorted", 2020] != drawn["sorted", 7]
    assert split_events(graph, **SPLIT).new_nodes.tolist() == drawn["cpython_set", 2020]


@pytest.mark.parametrize(
    ("name", "parts", "known", "new_events"),
    [
        ("dgb_uci", (34_352, 8_975, 8_976), 41_884, 5_932),
        ("wikipedia", (81_029, 23_621, 23_621), 110_232, 11_715),
        ("dgb_enron", (69_452, 18_786, 18_785), 87_664, 4_206),
    ],
)
def test_published_sizes(name, parts, known, new_events):
    graph = real(name)
    protocol = TemporalEvents()
    found = protocol.describe(graph)
    assert tuple(found[f"{part}_events"] for part in ("train", "validation", "test")) == parts
    assert sum(found[f"{part}_share"] for part in ("validation", "test")) == pytest.approx(0.3, abs=1e-3)
    split = protocol.split(graph)
    assert len(split.known) == known
    (episode,) = protocol.episodes(graph, 0)
    asked = {exam.name: sum(len(block.answers) for block in exam.blocks()) // 2 for exam in episode.exams}
    assert asked[""] == asked["historical"] == parts[2]
    assert asked["new"] == asked["new_inductive"] == new_events


def test_events_that_count_are_spread_over_the_stream():
    graph = stream()
    counted = TemporalEvents(events=300).split(graph).graph
    assert len(counted) == 300
    assert counted.ids[[0, -1]].tolist() == [0, 2999]
    assert counted.ids.diff().max() <= 11
    for enough in (None, 3000, 5000):
        assert len(TemporalEvents(events=enough).split(graph).graph) == 3000


# ---- what is asked ----------------------------------------------------------------------------------------


def test_all_exams_of_one_fit():
    graph = stream()
    (episode,) = TemporalEvents(ranking=5).episodes(graph, 3)
    names = ["", "historical", "inductive", "new", "new_historical", "new_inductive", "ranking"]
    assert [exam.name for exam in episode.exams] == names
    assert {exam.start for exam in episode.exams} == {"after_validation"}
    assert (episode.validation.name, episode.validation.start) == ("validation", "fitted")
    assert episode.validation.select == ("ap", "auc")
    split = TemporalEvents().split(graph)
    assert torch.equal(episode.context.ids, torch.arange(split.first))
    assert torch.equal(episode.train[""].ids, split.train.ids)


@pytest.mark.parametrize("batch", [1, 64, 200, 10_000])
def test_every_event_is_asked_about_once_and_revealed_once(batch):
    graph = stream()
    split = TemporalEvents().split(graph)
    for name, exam in exams_of(graph, batch=batch, strategies=["random"], nodes=["all"]).items():
        blocks = list(exam.blocks())
        part = split.validation if name == "validation" else split.test
        assert torch.equal(torch.cat([block.reveal.ids for block in blocks]), part.ids)
        assert {len(block.answers) for block in blocks[:-1]} <= {2 * batch}
        for block in blocks:
            true = block.answers == 1
            asked = block.queries[true]
            for key in ("src", "dst", "time"):
                assert torch.equal(getattr(asked, key), getattr(block.reveal, key))
            assert int(true.sum()) * 2 == len(true)
            assert torch.equal(block.queries.time[~true], asked.time)
            assert block.reveal.weight is None


def test_negatives_are_the_published_ones_and_stay():
    graph = stream()
    split = TemporalEvents().split(graph)
    new = split.new_nodes
    inductive = split.test.subset(new[split.test.src] | new[split.test.dst])
    for name, part, pool, seed in (
        ("validation", split.validation, graph, 0),
        ("", split.test, graph, 2),
        ("new", inductive, inductive, 3),
    ):
        exam = exams_of(graph)[name]
        drawn = torch.cat([block.queries.dst[block.answers == 0] for block in exam.blocks()]).tolist()
        assert drawn == negatives_slow.random_destinations(len(part), pool.src, pool.dst, seed, 200)
        again = torch.cat([block.queries.dst[block.answers == 0] for block in exam.blocks()]).tolist()
        assert drawn == again
    other = exams_of(graph, negative_seed=1)[""]
    assert (
        torch.cat([b.queries.dst for b in other.blocks()]).tolist()
        != torch.cat([b.queries.dst for b in exams_of(graph)[""].blocks()]).tolist()
    )


def test_exams_about_new_nodes():
    graph = stream()
    split = TemporalEvents().split(graph)
    new = split.new_nodes[split.test.src].long() + split.new_nodes[split.test.dst].long()
    exams = exams_of(graph, nodes=["new_any", "new_new", "new_old", "seen_only"], strategies=["random"])
    wanted = {"new": new > 0, "new_new": new == 2, "new_old": new == 1, "seen": new == 0}
    for name, mask in wanted.items():
        if not bool(mask.any()):
            assert name not in exams
            continue
        blocks = list(exams[name].blocks())
        asked = torch.cat([block.queries.src[block.answers == 1] for block in blocks])
        assert torch.equal(asked, split.test.src[mask])
        # Other events happen as well, up to the last one that is asked about, and weigh nothing.
        seen = torch.cat([block.reveal.ids for block in blocks])
        assert torch.equal(seen, split.test.ids[: len(seen)])
        weight = torch.cat([block.reveal.weight for block in blocks])
        assert torch.equal(weight == 1, mask[: len(seen)])
        assert bool(mask[len(seen) - 1])
    written = exams_of(graph, others="written")["new"]
    assert all(block.reveal.weight is None for block in written.blocks())


def test_new_and_old_share_the_negatives_of_one_kind():
    """A sampler that knows the asked events only has seen nothing before: both kinds of negatives are one."""
    exams = exams_of(stream())
    pairs = [
        torch.cat([torch.stack([b.queries.src, b.queries.dst]) for b in exams[name].blocks()], dim=1)
        for name in ("new_historical", "new_inductive")
    ]
    assert torch.equal(*pairs)


@pytest.mark.parametrize("count", [7, -1])
def test_ranking(count):
    graph = stream()
    split = TemporalEvents().split(graph)
    blocks = list(exams_of(graph, ranking=count, hold_out=0.0)["ranking"].blocks())
    assert torch.equal(torch.cat([block.reveal.ids for block in blocks]), split.test.ids)
    first = blocks[0]
    true = first.answers == 1
    assert torch.equal(first.queries.dst[true], first.reveal.dst)
    assert torch.equal(first.groups[true], torch.arange(len(first.reveal)))
    sizes = torch.bincount(first.groups)
    assert sizes.max() == (8 if count > 0 else 25)
    for row in range(20):
        own = first.groups == row
        assert first.queries.src[own].unique().tolist() == [int(first.reveal.src[row])]
        assert first.queries.time[own].unique().tolist() == [int(first.reveal.time[row])]
        assert len(first.queries.dst[own].unique()) == int(own.sum())


# ---- bad input --------------------------------------------------------------------------------------------


def from_times(times, pairs=None) -> TemporalGraph:
    pairs = pairs or [(k % 5, 5 + k % 7) for k in range(len(times))]
    return TemporalGraph.from_events([a for a, _ in pairs], [b for _, b in pairs], times, 12)


@pytest.mark.parametrize(
    ("graph", "words"),
    [
        (from_times([7] * 100), "no event is left for validation: the 100 events have 1 distinct times"),
        (from_times([*range(60), *[99] * 40]), "no event is left for validation"),
        (from_times([*range(80), *[99] * 20]), "no event is left for test: .*raise protocol.test=0.15"),
        (from_times([1, 2]), "no event is left for"),
    ],
)
def test_parts_without_events(graph, words):
    with pytest.raises(DataError, match=words):
        list(TemporalEvents().episodes(graph, 0))


def test_too_many_nodes_to_hold_out():
    graph = from_times(list(range(100)), [(0, 6)] * 70 + [(1, 7)] * 30)
    with pytest.raises(DataError, match=r"hold_out=0\.9 holds out 3 nodes, but only 2 have an event after"):
        TemporalEvents(hold_out=0.9).split(graph)
    with pytest.raises(DataError, match="no event is left to learn from: each of the 70 first ones"):
        TemporalEvents(hold_out=0.9).split(from_times(list(range(100)), [(0, 6)] * 100))


@pytest.mark.parametrize(
    ("settings_", "words"),
    [
        ({"batch": 0}, "batch=0 must be at least 1"),
        ({"hold_out": 1.0}, "hold_out=1.0 must be at least 0 and below 1"),
        ({"validation": 0.5, "test": 0.5}, "leave no part"),
        ({"strategies": ["random", "hard"]}, "strategies=.*must be different ones of random, historical, inductive"),
        ({"nodes": ["all", "all"]}, "nodes=.*must be different ones"),
        ({"ranking": -2}, "ranking=-2 must be at least -1"),
    ],
)
def test_settings_that_are_refused(settings_, words):
    with pytest.raises(ConfigError, match=words):
        TemporalEvents(**settings_)


def test_a_stream_of_one_pair(caplog):
    graph = from_times(list(range(100)), [(0, 6)] * 100)
    with caplog.at_level(logging.WARNING):
        exams = exams_of(graph)
    assert caplog.text.count("no event of the test part fits nodes=new_any") == 1
    assert set(exams) == {"", "historical", "inductive", "validation"}
    for exam in exams.values():
        for block in exam.blocks():
            assert (block.queries.src == 0).all()
            assert (block.queries.dst == 6).all()


def test_events_out_of_order_negative_and_huge_times():
    times = [(-1) ** k * 10**15 * (k % 50) for k in range(200)]
    graph = from_times(times)
    assert torch.equal(graph.time, torch.tensor(sorted(times)))
    split = TemporalEvents(hold_out=0.0).split(graph)
    assert len(split.train) + len(split.validation) + len(split.test) == 200
    for exam in exams_of(graph, hold_out=0.0, nodes=["all"]).values():
        assert sum(len(block.reveal) for block in exam.blocks()) > 0


def test_nodes_first_seen_in_test():
    graph = from_times(list(range(100)), [(0, 6)] * 85 + [(k % 5, 7 + k % 5) for k in range(15)])
    exams = exams_of(graph, hold_out=0.0)
    asked = torch.cat([block.queries.dst[block.answers == 1] for block in exams["new"].blocks()])
    assert torch.equal(asked, graph.dst[85:])

"""Chronological 70/15/15 over pairs of snapshots: counts, causality, candidates, diagnoses, bad input."""

import os

import pytest
import torch
from exams import blocks_of, validation_of

from dynbench.config.compose import CONF, compose
from dynbench.data import Locations, cards
from dynbench.errors import ConfigError, DataError
from dynbench.graph import TemporalGraph
from dynbench.protocols.temporal_split import NEW, REPEATED, TemporalSplit
from dynbench.sampling.pairs import PairIndex

DATA = os.environ.get("DYNBENCH_DATA")


def random_graph(steps=30, nodes=25, links=20, seed=0, empty=(), directed=True):
    generator = torch.Generator().manual_seed(seed)
    time = torch.arange(steps).repeat_interleave(links)
    src, dst = (torch.randint(nodes, (len(time),), generator=generator) for _ in range(2))
    kept = ~torch.isin(time, torch.tensor(empty, dtype=torch.long))
    graph = TemporalGraph.from_events(src[kept], dst[kept], time[kept], nodes)
    return graph.snapshots(graph.time, steps, directed)


def only(graph, seed=0, **settings):
    (episode,) = TemporalSplit(**settings).episodes(graph, seed)
    return episode


@pytest.mark.parametrize(
    ("window", "windows", "parts", "links"),
    [("1d", 194, (134, 28, 28), 716), ("3d", 65, (46, 9, 9), 567), ("7d", 28, (19, 4, 4), 508)],
)
def test_counts_on_collegemsg(window, windows, parts, links, tmp_path):
    if not DATA or not (Locations.from_settings().user_folders("collegemsg")):
        pytest.skip("CollegeMsg is not at hand; set DYNBENCH_DATA")
    where = Locations.from_settings(None, str(tmp_path), True)
    card = cards.read_card(CONF / "data" / "collegemsg.yaml")
    graph = cards.build(card, where, window=window, span=None).load("snapshots")
    protocol = TemporalSplit()
    pairs = protocol.pairs(graph)
    episode = only(graph)
    assert graph.num_steps == windows
    assert tuple(map(len, protocol.cut(pairs, "pairs"))) == parts
    assert (len(validation_of(episode)), len(blocks_of(episode))) == parts[1:]
    assert sum(int(block.answers.sum()) for block in blocks_of(episode)) == links


def test_a_window_of_ones_own_uses_all_days():
    assert compose(["data=collegemsg"]).data.span == "190d"
    assert compose(["data=collegemsg", "data.window=1d"]).data.span is None
    assert compose(["data=collegemsg", "data.window=1d", "data.span=100d"]).data.span == "100d"
    assert compose(["data=email_eu", "data.window=7d"]).data.span is None


def test_models_of_the_paper_bring_the_protocol_along():
    assert compose(["model=nglp"]).protocol.name == "temporal_split"
    for words in (["model=nglp", "protocol=multi_step"], ["protocol=multi_step", "model=nglp"]):
        assert compose(words).protocol.name == "multi_step"


@pytest.mark.parametrize("empty", [(), (5, 6, 20, 27)])
def test_the_story_is_chronological_and_complete(empty):
    graph = random_graph(empty=empty)
    graph = graph.subset(graph.src != graph.dst)
    episode = only(graph)
    known, asked = episode.train[""], []
    for block in (*validation_of(episode), *blocks_of(episode)):
        target = block.step
        # Everything before the target is known when it is asked about, and nothing of it or after it.
        assert len(known) == len(graph.before(target))
        assert bool((known.time < target).all())
        known = known.extended(block.reveal)
        asked.append(target)
        assert target - 1 not in empty
    assert asked == sorted(asked)
    assert len(known) == len(graph)


def test_links_and_non_links():
    graph = random_graph()
    index = PairIndex(graph)
    for block in (*validation_of(only(graph)), *blocks_of(only(graph))):
        src, dst, links = block.queries.src, block.queries.dst, block.answers == 1
        target = graph.step(block.step)
        proper = target.src != target.dst
        assert torch.equal(src[links], target.src[proper])
        assert int(links.sum()) * 2 == len(links)
        assert bool((src != dst).all())
        assert not bool(index.contains(block.step, src[~links], dst[~links]).any())
        assert len(torch.unique(src[~links] * 25 + dst[~links])) == int((~links).sum())
        repeated = index.contains(block.step - 1, src, dst)
        assert torch.equal(block.groups, torch.where(links, torch.where(repeated, REPEATED, NEW), 0))


def test_non_links_are_the_same_for_every_run_and_uniform():
    graph = random_graph(steps=400, nodes=6, links=4)
    one, two = only(graph, seed=1), only(graph, seed=2)
    assert all(torch.equal(a.queries.src, b.queries.src) for a, b in zip(blocks_of(one), blocks_of(two), strict=True))
    other = only(graph, seed=2, negative_seed=None)
    assert any(
        not torch.equal(a.queries.src, b.queries.src) for a, b in zip(blocks_of(one), blocks_of(other), strict=True)
    )
    drawn = torch.cat(
        [(b.queries.src * 6 + b.queries.dst)[b.answers == 0] for b in (*validation_of(one), *blocks_of(one))]
    )
    counts = torch.bincount(drawn, minlength=36).reshape(6, 6)
    assert bool((counts.diagonal() == 0).all())
    expected = len(drawn) / 30
    chi2 = float(((counts - expected) ** 2 / expected).sum() - 6 * expected)
    assert chi2 < 70  # 29 degrees of freedom; even the worst of 10,000 draws stays below


def test_undirected_graphs_have_no_pair_twice():
    graph = random_graph(directed=False)
    for block in blocks_of(only(graph)):
        low, high = (
            torch.minimum(block.queries.src, block.queries.dst),
            torch.maximum(block.queries.src, block.queries.dst),
        )
        assert len(torch.unique(low * 25 + high)) == len(low)


@pytest.mark.parametrize("links", ["new", "repeated", "events"])
def test_choices_of_links(links):
    graph = random_graph(nodes=8, links=30)
    index = PairIndex(graph)
    for block in blocks_of(only(graph, links=links)):
        chosen = block.answers == 1
        repeated = index.contains(block.step - 1, block.queries.src[chosen], block.queries.dst[chosen])
        if links == "events":
            target = graph.step(block.step)
            assert int(chosen.sum()) == int(target.weight[target.src != target.dst].sum())
        else:
            assert bool((repeated == (links == "repeated")).all())


def test_choices_of_non_links():
    graph = random_graph(nodes=200)
    first_seen, ever = graph.first_seen(), torch.unique(graph.src * 200 + graph.dst)
    for kind in ("active", "source", "never"):
        for block in blocks_of(only(graph, negatives=kind)):
            none = block.answers == 0
            src, dst = block.queries.src[none], block.queries.dst[none]
            if kind == "active":
                assert bool((first_seen[torch.cat([src, dst])] < block.step).all())
            elif kind == "source":
                assert torch.equal(src, block.queries.src[~none])
            else:
                assert not bool(torch.isin(src * 200 + dst, ever).any())


@pytest.mark.parametrize("source", ["previous", "cumulative", "target", "everything"])
@pytest.mark.parametrize("order", ["time", "shuffled"])
def test_diagnoses_change_what_is_given_and_nothing_that_is_asked(source, order):
    graph = random_graph(empty=(4, 9))
    graph = graph.subset(graph.src != graph.dst)
    plain, told = only(graph), only(graph, source=source, order=order)
    if order == "time":
        for a, b in zip(blocks_of(plain), blocks_of(told), strict=True):
            assert torch.equal(a.queries.src, b.queries.src)
            assert torch.equal(a.queries.dst, b.queries.dst)
    if (source, order) == ("previous", "time"):
        return
    known = [told.train[""], *(block.reveal for block in (*validation_of(told), *blocks_of(told)))]
    src, dst, time = (torch.cat([getattr(part, name) for part in known]) for name in ("src", "dst", "time"))
    size = {"cumulative": None, "everything": len(torch.unique(graph.src * 25 + graph.dst))}
    for block in blocks_of(told):
        given = time == block.step - 1
        links = block.answers == 1
        if source == "target":
            assert torch.equal(src[given], block.queries.src[links])
            assert torch.equal(dst[given], block.queries.dst[links])
        elif source == "everything":
            assert int(given.sum()) == size[source]
        assert bool((time != block.step - 2).all())


@pytest.mark.parametrize(
    ("graph", "settings", "words"),
    [
        (
            random_graph(steps=5),
            {},
            "the data have 4 usable pairs of consecutive snapshots, and a share of 0.15 of them",
        ),
        (
            random_graph(nodes=3, links=60),
            {},
            r"snapshot \d+ has 6 links and fewer pairs without a link among its 3 nodes",
        ),
        (random_graph(nodes=3, links=60), {"negatives": "source"}, "has a source that is linked to all nodes"),
    ],
)
def test_graphs_that_cannot_be_split(graph, settings, words):
    with pytest.raises(DataError, match=words):
        only(graph, **settings)


def test_continuous_time_is_refused():
    graph = TemporalGraph.from_events([0, 1], [1, 0], [0, 1])
    with pytest.raises(DataError, match="continuous time"):
        only(graph)


@pytest.mark.parametrize(("validation", "test"), [(0.0, 0.15), (0.15, -0.1), (0.5, 0.5)])
def test_shares_that_leave_nothing(validation, test):
    with pytest.raises(ConfigError, match="both must be positive and their sum below 1"):
        TemporalSplit(validation=validation, test=test)


def test_times_in_mixed_units(tmp_path):
    rows = ["src,dst,t", *(f"{i % 5},{(i + 1) % 5},{1_080_000_000 + i * 90_000}" for i in range(50))]
    rows += [f"{i % 5},{(i + 2) % 5},{(1_085_000_000 + i * 90_000) * 1000}" for i in range(50)]
    (tmp_path / "edges.csv").write_text("\n".join(rows) + "\n")
    card = {"_target_": "dynbench.data.dataset.FileDataset", "name": "mixed", "path": str(tmp_path), "window": "1d"}
    with pytest.raises(DataError, match="some seem to be seconds and others milliseconds"):
        cards.build(card, Locations.from_settings(None, str(tmp_path / "cache"), True)).load()

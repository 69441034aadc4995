"""Several graphs as data, batches of each alike, the protocol that asks about graphs never seen, and bad input."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from dynbench.config import compose
from dynbench.config.check import check
from dynbench.data import Locations
from dynbench.data.flip_graphs import FlipGraphs
from dynbench.data.mixture import Mixture as MixtureData
from dynbench.engine.loop import Loop
from dynbench.engine.trainer import Trainer
from dynbench.errors import ConfigError, DataError
from dynbench.graph import TemporalGraph
from dynbench.graph.collection import GraphCollection, Mixture, disjoint_union
from dynbench.graph.neighbors import TemporalNeighbors
from dynbench.models.base import Model
from dynbench.models.crossdomain.crosslink import CrossLink
from dynbench.models.stream.tcl import TCL
from dynbench.protocols.cross_domain import CrossDomain
from dynbench.records import identity
from dynbench.runner import run
from dynbench.sampling.mixture import MixtureSampler, draw_examples


def stream(seed: int, events: int = 200, nodes: int = 12, start: int = 1000) -> TemporalGraph:
    draw = torch.Generator().manual_seed(seed)
    src, dst = (torch.randint(nodes, (events,), generator=draw) for _ in range(2))
    return TemporalGraph.from_events(src, dst, start + torch.arange(events) * (seed + 1), nodes)


def collection() -> GraphCollection:
    train = {"a": stream(1), "b": stream(2, events=80, nodes=5)}
    return GraphCollection(train, {"c": stream(3), "d": stream(4, events=150)}, "mean")


class Parity(Model):
    """Knows nothing, remembers what it was shown."""

    answers = frozenset({"score"})
    several = True
    draws = False

    def __init__(self):
        self.fits, self.shown, self.known = [], [], []

    def fit(self, train, selector, trainer):
        self.fits.append(train)

    def condition(self, context):
        self.known.append(context)

    def study(self, examples):
        self.shown.append(examples)

    def score(self, queries):
        return (queries.src * 7 + queries.dst * 3).float() % 11


class Student(Parity):
    studies = True


def played(model, protocol, graph, folder, seed=0):
    folder.mkdir(exist_ok=True)
    loop = Loop(model, protocol, Trainer(), folder)
    loop.play(graph, seed)
    return loop


# ---- graphs side by side --------------------------------------------------------------------------------------


def test_a_union_gives_every_graph_its_own_neighbours():
    graphs = {"a": stream(1), "b": stream(2, events=80, nodes=5, start=0)}
    union, places = disjoint_union(graphs)
    assert bool((union.time[1:] >= union.time[:-1]).all())
    index, shift = TemporalNeighbors(union), 0
    for name, graph in graphs.items():
        place = places[name]
        assert torch.equal(union.src[place] - shift, graph.src)
        assert torch.equal(union.time[place], graph.time - graph.time[0])
        own = TemporalNeighbors(graph).before(graph.src, graph.time, 5)
        found = index.before(union.src[place], union.time[place], 5)
        assert torch.equal(own.mask, found.mask)
        assert torch.equal(torch.where(own.mask, own.nodes + shift, 0), found.nodes)
        shift += graph.num_nodes


def test_a_graph_without_events_cannot_be_learnt_from():
    with pytest.raises(DataError, match="graph 'b' has no events"):
        disjoint_union({"a": stream(1), "b": stream(2).events(0, 0)})


# ---- batches --------------------------------------------------------------------------------------------------


def test_every_graph_gives_as_many_events_whatever_the_batch():
    graphs = {"a": stream(1), "b": stream(2, events=80, nodes=5)}
    epochs = []
    for batch in (30, 50):
        sampler = MixtureSampler(graphs, 120, batch, seed=7)
        parts = [sampler.at(step) for step in range(sampler.steps, 2 * sampler.steps)]
        events, others = (torch.cat(own, dim=1) for own in zip(*parts, strict=True))
        epochs.append((events, others))
        assert events.shape == (2, 120)
        small = events[1].bincount(minlength=280)
        assert sorted(small[small > 0].unique().tolist()) == [1, 2]  # each once, and half of them twice
        assert int((small > 0).sum()) == 80
        assert int(events[0].unique().numel()) == 120
        nodes = torch.tensor([[0, 12], [12, 17]])
        for graph, (low, high) in enumerate(nodes.tolist()):
            assert low <= int(others[graph].min()) <= int(others[graph].max()) < high
    assert all(torch.equal(*pair) for pair in zip(*epochs, strict=True))
    assert MixtureSampler(graphs, 120, 50, seed=7).steps == 3
    assert MixtureSampler(graphs, 120, 50, seed=7, whole=True).steps == 2
    first = MixtureSampler(graphs, 120, 120, seed=7)
    assert not torch.equal(first.at(0)[0], first.at(1)[0])


def test_models_of_one_seed_meet_the_same_events(monkeypatch):
    seeds = []
    monkeypatch.setattr(
        "dynbench.models.stream.base.MixtureSampler",
        lambda graphs, edges, batch, seed, whole: (
            seeds.append(seed) or MixtureSampler(graphs, edges, batch, seed, whole)
        ),
    )
    for kind, settings in (
        (TCL, {"node_dim": 4, "edge_dim": 4, "time_dim": 4}),
        (CrossLink, {"width": 8, "blocks": 1}),
    ):
        torch.manual_seed(3)
        kind(**settings, epochs=0).fit(Mixture({"a": stream(1), "b": stream(2)}, 100), None, Trainer())
    assert seeds[0] == seeds[1]


def test_examples_are_half_events_and_half_not():
    graph = stream(5)
    examples = draw_examples(graph, 41, seed=3)
    asked, answers = examples.queries, examples.answers
    assert int(answers.sum()) == 21
    assert bool((asked.time[1:] >= asked.time[:-1]).all())
    true = set(zip(graph.src.tolist(), graph.dst.tolist(), graph.time.tolist(), strict=True))
    triples = list(zip(asked.src.tolist(), asked.dst.tolist(), asked.time.tolist(), strict=True))
    assert all(triple in true for triple, label in zip(triples, answers.tolist(), strict=True) if label)
    sources = {(src, time) for src, _, time in true}
    assert all((src, time) in sources for src, _, time in triples)
    assert len({time for *_, time in triples}) == 41  # of as many events: none is both shown and replaced
    with pytest.raises(ConfigError, match="shows one kind of answer"):
        draw_examples(graph, 1, seed=0)
    with pytest.raises(DataError, match="300 pairs was asked for, and the graph has 200 events"):
        draw_examples(graph, 300, seed=0)


# ---- the protocol ---------------------------------------------------------------------------------------------


def test_one_fit_and_every_target_with_every_context(tmp_path):
    model = Student()
    protocol = CrossDomain(contexts=["right", "none", "wrong", "b"], context_length=20, draws=2, batch=16)
    graph = collection()
    loop = played(model, protocol, graph, tmp_path)
    (train,) = model.fits
    assert isinstance(train, Mixture)
    assert train.edges == round((len(train["a"]) + len(train["b"])) / 2)
    assert int(train["a"].time.max()) < int(graph.train["a"].time[140 + 1])
    per_target = [2, 1, 2, 2]  # exams: twice with examples, once without
    assert len(model.known) == len(model.shown) == 2 * sum(per_target)
    pasts = {"c": model.known[0], "d": model.known[sum(per_target)]}
    sources = [None if shown is None else len(shown.graph) for shown in model.shown]
    c, d, b = len(pasts["c"]), len(pasts["d"]), len(train["b"])
    assert sources == [c, c, None, d, d, b, b, d, d, None, c, c, b, b]
    assert not torch.equal(model.shown[0].queries.src, model.shown[1].queries.src)
    for name, target in graph.targets.items():
        assert int(pasts[name].time.max()) < int(target.time[len(pasts[name])])
        assert all(int(shown.queries.time.max()) <= int(shown.graph.time.max()) for shown in model.shown if shown)
    metrics, _ = loop.results()
    assert {"c_ap", "c_none_ap", "d_wrong_auc", "d_b_pooled_ap"} <= set(metrics)
    assert metrics["c_ap"] == metrics["c_none_ap"] == metrics["c_wrong_ap"]
    assert metrics["c_ap_spread"] == 0
    metrics |= protocol.describe(graph)
    summary = protocol.summary(metrics)
    assert summary["ap"] == pytest.approx((metrics["c_ap"] + metrics["d_ap"]) / 2)
    assert summary["wrong_ap"] == pytest.approx((metrics["c_wrong_ap"] + metrics["d_wrong_ap"]) / 2)
    assert metrics["c_test_events"] == 30


def test_who_does_not_study_is_asked_once(tmp_path):
    model = Parity()
    loop = played(
        model, CrossDomain(contexts=["right", "none", "wrong"], context_length=20, draws=3), collection(), tmp_path
    )
    assert len(model.known) == 2
    assert {key.split("_")[0] for key in loop.results()[0]} == {"c", "d"}
    assert not any("none" in key or "wrong" in key for key in loop.results()[0])


def test_the_spread_over_draws_is_that_of_single_draws(tmp_path):
    class Swayed(Student):
        def score(self, queries):
            shown = self.shown[-1]
            return (
                super().score(queries) + (0 if shown is None else int(shown.queries.src.sum()) % 5 * queries.dst)
            ) % 11

    values = []
    for draws in (1, 3):
        loop = played(Swayed(), CrossDomain(context_length=20, draws=draws), collection(), tmp_path / str(draws))
        values.append(loop.results()[0])
    assert "c_ap_spread" not in values[0]
    assert values[1]["c_ap_spread"] > 0
    assert [row["n"] for row in loop.metrics["c"].per_step()] == [60]
    assert values[0]["c_ap"] == pytest.approx(loop.metrics["c"]._parts()[0].measured()["ap"])
    each = [part.measured()["ap"] for part in loop.metrics["c"]._parts()]
    assert values[1]["c_ap"] == pytest.approx(np.mean(each))
    assert values[1]["c_ap_spread"] == pytest.approx(np.std(each, ddof=1))


def test_one_graph_is_its_own_target(tmp_path):
    model = Student()
    protocol = CrossDomain(contexts=["right", "none", "wrong"], context_length=20)
    loop = played(model, protocol, stream(3), tmp_path)
    assert len(model.shown) == 2  # there is no wrong graph
    assert {"ap", "none_ap"} <= set(loop.results()[0])


def test_a_context_longer_than_a_target_is_told_with_its_name():
    protocol = CrossDomain(context_length=150)
    with pytest.raises(
        DataError, match=r"graph 'd': a context of 150 pairs.*has 127 events before; lower protocol.context"
    ):
        list(protocol.episodes(collection(), 0))


def test_an_unknown_context_is_told():
    with pytest.raises(ConfigError, match="names 'x', which is none of right, none, wrong, a, b, c, d"):
        list(CrossDomain(contexts=["x"], context_length=20).episodes(collection(), 0))
    with pytest.raises(ConfigError, match="must be different ones"):
        CrossDomain(contexts=["right", "right"])


# ---- data -----------------------------------------------------------------------------------------------------


def test_flip_graphs_follow_their_rules():
    graphs = FlipGraphs("flip", speed=0.0).load()
    assert list(graphs.targets) == ["hot_40", "cold_40", "hot_60", "cold_60"]
    assert len(graphs.train) == 12
    for name, graph in graphs.targets.items():
        assert len(graph) == 1500
        items = int(name.split("_")[1])
        assert graph.num_nodes == 50 + items
        last, ranks = {}, []
        for event, item in enumerate(graph.dst.tolist()):
            if event > 500:
                order = sorted(last, key=last.get, reverse=True)  # most recently used first
                ranks.append(order.index(item) / items if item in last else 1.0)
            last[item] = event
        few = max(3, int(0.15 * items))
        if name.startswith("cold"):
            assert min(ranks) >= (items - few - 1) / items
        else:
            assert np.mean(np.array(ranks) < few / items) > 0.7
    again = FlipGraphs("flip", speed=0.0).load()
    assert graphs.checksum() == again.checksum()
    assert graphs.checksum() != FlipGraphs("flip", speed=0.0, seed=1).load().checksum()
    fast = FlipGraphs("flip").load()
    spans = [float(graph.time[-1]) for graph in fast.train.values()]
    assert max(spans) / min(spans) > 100


def write(folder, name: str, scale: float = 1, events: int = 60):
    rows = [f"{i % 5},{5 + i * 7 % 6},{int(i * scale) + 1}" for i in range(events)]
    (folder / f"{name}.csv").write_text("src,dst,t\n" + "\n".join(rows) + "\n")
    return str(folder / f"{name}.csv")


@pytest.fixture
def where(tmp_path) -> Locations:
    return Locations([tmp_path], tmp_path / "cache", offline=True)


def test_own_files_can_be_mixed(tmp_path, where):
    one, two = write(tmp_path, "one"), write(tmp_path, "two")
    data = MixtureData("mine", train=[one], test=[two], where=where)
    graph = data.load()
    assert list(graph.train) == ["one"]
    assert list(graph.targets) == ["two"]
    assert len(graph) == 120
    assert set(data.provenance()["files"]) == {"one", "two"}


def test_a_training_graph_is_a_target_only_on_purpose(tmp_path, where):
    one, two = write(tmp_path, "one"), write(tmp_path, "two")
    with pytest.raises(ConfigError, match="which is learnt from: this would not be a graph never seen"):
        MixtureData("mine", train=[one, two], test=[two], where=where).load()
    graph = MixtureData("mine", train=[one], test=[two], seen=[one], where=where).load()
    assert list(graph.targets) == ["one", "two"]
    with pytest.raises(ConfigError, match=r"data.seen names .*two.csv, which is not in data.train"):
        MixtureData("mine", train=[one], test=[], seen=[two], where=where).load()
    with pytest.raises(ConfigError, match=r"data.train names one twice"):
        MixtureData("mine", train=[one, one], test=[two], where=where).load()
    with pytest.raises(ConfigError, match=r"data.test is empty"):
        MixtureData("mine", train=[one], test=[], where=where).load()
    with pytest.raises(ConfigError, match="several graphs itself"):
        MixtureData("mine", train=["flip_graphs"], test=[two], where=where).load()
    with pytest.raises(ConfigError, match="data=nix is unknown"):
        MixtureData("mine", train=["nix"], test=[two], where=where).load()
    with pytest.raises(ConfigError, match="use protocol=cross_domain"):
        MixtureData("mine", train=[one], test=[two], where=where).load("snapshots")


def test_times_in_other_units_are_told(tmp_path, where, caplog):
    one, two = write(tmp_path, "one"), write(tmp_path, "two", scale=1e7)
    MixtureData("mine", train=[one], test=[two], where=where).load()
    assert "hardly in one unit" in caplog.text
    assert "events of two are 1e+07 times as far apart as those of one" in caplog.text


# ---- whole runs -----------------------------------------------------------------------------------------------


def values(*words: str) -> dict:
    return check(compose.compose([*words, "budget=smoke", "progress=false"]))


@pytest.mark.parametrize("model", ["tgn", "jodie", "dyrep"])
def test_memories_do_not_travel(model):
    with pytest.raises(ConfigError, match=f"model={model} cannot be run on data=flip_graphs.*its memory belongs to"):
        values(f"model={model}", "data=flip_graphs")


def test_a_protocol_for_one_graph_refuses_several():
    with pytest.raises(
        ConfigError, match="data=flip_graphs is several graphs, and protocol=temporal_events asks about"
    ):
        values("model=crosslink", "data=flip_graphs", "protocol=temporal_events")


def test_other_targets_and_contexts_need_no_other_fit():
    keys = {
        identity.fit_key(values("model=crosslink", "data=flip_graphs", *more))
        for more in (
            [],
            ["data.sizes=[30]"],
            ["protocol.contexts=[none]"],
            ["protocol.context_length=5"],
            ["protocol.draws=2"],
        )
    }
    assert len(keys) == 1
    assert identity.fit_key(values("model=crosslink", "data=flip_graphs", "data.hot=7")) not in keys
    runs = {
        str(identity.identify(values("model=crosslink", "data=flip_graphs", *more)))
        for more in ([], ["data.sizes=[30]"], ["protocol.contexts=[none]"])
    }
    assert len(runs) == 3


@pytest.mark.parametrize("model", ["crosslink", "tgat", "cawn", "tcl", "graphmixer", "dygformer", "random"])
def test_every_model_of_several_graphs_runs(model, tmp_path):
    small = ["data.hot=2", "data.cold=1", "data.events=200", "data.equalise=48", "data.sizes=[20]", "protocol.draws=2"]
    epochs = [] if model in ("crosslink", "random") else ["model.epochs=1"]
    words = [f"model={model}", "data=flip_graphs", f"work_dir={tmp_path}", f"results_dir={tmp_path}", *small, *epochs]
    record = run(values(*words)).record
    assert 0.2 < record.metrics["ap"] < 1
    assert ("wrong_ap" in record.metrics) == (model == "crosslink")


def test_a_kept_fit_answers_about_other_networks_and_contexts(tmp_path, monkeypatch):
    small = ["data.hot=2", "data.cold=1", "data.events=200", "data.equalise=48", "data.sizes=[20]", "model.epochs=1"]
    words = ["model=crosslink", "data=flip_graphs", f"work_dir={tmp_path}", f"results_dir={tmp_path}", *small]
    first = run(values(*words)).record

    def refuse(*arguments):
        raise AssertionError("it is trained again")

    monkeypatch.setattr(CrossLink, "fit", refuse)
    for more in (["data.sizes=[24]"], ["protocol.contexts=[hot_1]"], ["protocol.context_length=6", "protocol.draws=1"]):
        record = run(values(*words, *more)).record
        assert (record.fit, record.identity != first.identity) == (first.fit, True)
    same = run(values(*words, "protocol.contexts=[right]", "protocol.draws=3")).record
    assert same.metrics["hot_20_ap"] == first.metrics["hot_20_ap"]
    with pytest.raises(AssertionError, match="trained again"):
        run(values(*words, "data.seed=1"))

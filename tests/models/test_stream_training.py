"""How event-stream models are trained: sizes, order, negatives, selection, precision, and streams that are odd."""

from __future__ import annotations

import re

import pytest
import torch

from dynbench.contract import Queries
from dynbench.engine.trainer import Trainer
from dynbench.errors import ConfigError, DataError
from dynbench.graph import TemporalGraph
from dynbench.models.stream.cawn import CAWN
from dynbench.models.stream.dygformer import DyGFormer
from dynbench.models.stream.dyrep import DyRep
from dynbench.models.stream.graphmixer import GraphMixer
from dynbench.models.stream.jodie import JODIE
from dynbench.models.stream.random import UntrainedNetwork
from dynbench.models.stream.tcl import TCL
from dynbench.models.stream.tgat import TGAT
from dynbench.models.stream.tgn import TGN

SMALL = {"node_dim": 8, "edge_dim": 8, "time_dim": 4, "batch_size": 20, "epochs": 2, "dropout": 0.0}
MODELS = {
    "tgat": (TGAT, {"neighbors": 4}),
    "tgn": (TGN, {"neighbors": 4}),
    "dyrep": (DyRep, {"neighbors": 4}),
    "jodie": (JODIE, {}),
    "graphmixer": (GraphMixer, {"neighbors": 4}),
    "tcl": (TCL, {"neighbors": 4}),
    "dygformer": (DyGFormer, {"length": 6, "channel": 4}),
    "cawn": (CAWN, {"walks": 6, "heads": 2, "position_dim": 8}),
}
MEMORY = ("tgn", "dyrep", "jodie")


def stream(events: int = 90, nodes: int = 12, **fields) -> TemporalGraph:
    """Friends meet again and again: i and the node opposite."""
    generator = torch.Generator().manual_seed(5)
    src = torch.randint(nodes // 2, (events,), generator=generator)
    time = torch.randint(10 * events, (events,), generator=generator).sort().values
    return TemporalGraph.from_events(src, src + nodes // 2, time, nodes, **fields)


def make(name: str, **settings):
    torch.manual_seed(0)
    kind, own = MODELS[name]
    return kind(**{**SMALL, **own, **settings})


def trained(name: str, graph: TemporalGraph, selector=None, precision: str = "32-true", **settings):
    model, trainer = make(name, **settings), Trainer(precision=precision)
    model.fit(graph, selector, trainer)
    return model, trainer


def asked(graph: TemporalGraph) -> Queries:
    return Queries(graph.src, graph.dst.flip(0), graph.time)


# ---- sizes ------------------------------------------------------------------------------------------------------

FULL = {"node_dim": 172, "edge_dim": 172, "time_dim": 100}
NARROW = {"node_dim": 128, "edge_dim": 128, "time_dim": 128}


@pytest.mark.parametrize(
    ("kind", "settings", "parameters"),
    [
        (TGAT, {}, 1_052_945),
        (TGN, {}, 963_969),
        (DyRep, {}, 692_209),
        (JODIE, {}, 195_937),
        (CAWN, {}, 4_022_717),
        (TCL, {}, 884_453),
        (GraphMixer, {}, 642_501),
        (DyGFormer, {}, 1_087_035),
        (DyGFormer, {"length": 64, "patch": 2}, 1_111_735),
        (DyGFormer, {"length": 128, "patch": 4}, 1_161_135),
        (DyGFormer, {"length": 256, "patch": 8}, 1_259_935),
        (DyGFormer, {"length": 512, "patch": 16}, 1_457_535),
        (DyGFormer, {"length": 2048, "patch": 64}, 2_643_135),
        (TGAT, NARROW, 821_761),
        (DyGFormer, NARROW, 1_048_759),
        (UntrainedNetwork, {}, 1_087_035),
    ],
)
def test_networks_have_as_many_parameters_as_the_published_ones(kind, settings, parameters):
    """Counted in the reference modules, with the network that scores pairs."""
    graph = stream()
    model = kind(**FULL | settings)
    model.create(**model.sizes_of(graph))
    assert model.num_parameters() == parameters


# ---- training ---------------------------------------------------------------------------------------------------


def share_right(model, graph: TemporalGraph, start: int, others: int) -> float:
    """How often the true destination of an event scores higher than another one; half the time by a coin."""
    right = []
    model.condition(graph.events(0, start))
    for place in range(start, len(graph), model.batch_size):
        batch = graph.events(place, place + model.batch_size)
        model.observe(batch)
        true = model.score(Queries(batch.src, batch.dst, batch.time))
        for shift in range(1, others):
            other = 6 + (batch.dst - 6 + shift) % others
            right.append((true > model.score(Queries(batch.src, other, batch.time))).float().mean())
    return float(torch.stack(right).mean())


@pytest.mark.parametrize("name", ["jodie", "graphmixer", "dygformer", "cawn"])
def test_training_learns_who_meets_whom(name):
    """Those that can tell: to attention over times alone, nodes without features are all alike."""
    graph = stream(300)
    model, trainer = trained(name, graph.events(0, 225), learning_rate=0.02, epochs=10, batch_size=25)
    assert trainer.steps == 10 * 9
    assert share_right(model, graph, 225, others=6) > 0.6


@pytest.mark.parametrize("name", MODELS)
def test_batches_are_consecutive_and_negatives_differ_between_epochs(name):
    graph, seen = stream(50), []
    model = make(name)
    loss = model.loss

    def note(events, others):
        seen.append((events.ids.tolist(), others.tolist()))
        return loss(events, others)

    model.loss = note
    model.fit(graph, None, Trainer())
    assert [ids for ids, _ in seen] == 2 * [list(range(0, 20)), list(range(20, 40)), list(range(40, 50))]
    first, second = ([n for _, others in part for n in others] for part in (seen[:3], seen[3:]))
    assert set(first) | set(second) <= set(graph.dst.tolist())
    assert first != second
    seen.clear()
    torch.manual_seed(0)
    model.fit(graph, None, Trainer())
    assert [n for _, others in seen[:3] for n in others] == first


@pytest.mark.parametrize("name", MODELS)
def test_selection_comes_after_every_epoch_and_keeps_the_best(name):
    graph, states = stream(50), []

    def selector(model):
        assert not model.training
        model.condition(graph)
        noted = {key: part.clone() for key, part in model.running_state().items()}
        model.observe(
            TemporalGraph(graph.src[:5], graph.dst[:5], graph.time[-1:].repeat(5), 12, ids=torch.arange(50, 55))
        )
        model.restore(noted)
        states.append({key: part.clone() for key, part in model.state_dict().items() if isinstance(part, torch.Tensor)})
        return {"ap": [0.5, 0.7, 0.6][len(states) - 1]}

    model, _ = trained(name, graph, selector, epochs=3, learning_rate=0.01)
    assert len(states) == 3
    kept = model.state_dict()
    assert all(torch.equal(kept[key], part) for key, part in states[1].items())
    assert any(not torch.equal(kept[key], part) for key, part in states[2].items())


@pytest.mark.parametrize("name", MEMORY)
def test_memory_after_training_is_that_of_one_pass(name):
    """Every epoch starts from nothing; where weights do not move, training remembers what a mere reader does."""
    graph = stream(90)
    model, _ = trained(name, graph, learning_rate=0.0, epochs=2)
    model.condition(graph)
    end = model.memory.copy()
    model.condition(graph.events(0, 0))
    for start in range(0, 90, 20):
        model.observe(graph.events(start, start + 20))
    model._write()
    for key, part in end.parts().items():
        torch.testing.assert_close(part, getattr(model.memory, key), msg=key)


@pytest.mark.parametrize("name", MODELS)
def test_devices_that_share_a_batch_have_the_gradient_of_one(name):
    graph = stream(60)

    def gradients(world: int, rank: int) -> list[torch.Tensor]:
        model = make(name)
        sharing = type("Sharing", (type(model),), {"world": world, "global_rank": rank})
        model.create(**model.sizes_of(graph))
        model.__class__ = sharing
        model.prepare(graph)
        model._train, model._pool, model._learning = graph, graph.dst.unique(), None
        model._learning = model.known_at_first()
        model.train()
        found = []
        for step in range(3):
            model.zero_grad()
            model.training_step(step, step).backward()
            found += [p.grad for p in model.parameters() if p.requires_grad]
        return found

    alone = gradients(1, 0)
    for one, first, second in zip(alone, gradients(2, 0), gradients(2, 1), strict=True):
        torch.testing.assert_close(one, (first + second) / 2, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", MODELS)
def test_half_precision_trains_to_nearly_the_same_scores(name):
    graph = stream(40)
    scores = []
    for precision in ("32-true", "bf16-mixed"):
        model, _ = trained(name, graph, precision=precision, learning_rate=0.003, dropout=0.1, epochs=1)
        assert all(
            part.dtype != torch.bfloat16 for part in model.state_dict().values() if isinstance(part, torch.Tensor)
        )
        model.condition(graph)
        scores.append(model.score(asked(graph)))
    assert bool(torch.isfinite(scores[1]).all())
    assert float((scores[0] - scores[1]).abs().mean()) < 0.05


# ---- odd streams ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize(
    "graph",
    [
        TemporalGraph.from_events([0] * 30, [1] * 30, range(30), 2),
        TemporalGraph.from_events([0, 1, 2] * 10, [1, 2, 0] * 10, [7] * 30, 4),
        TemporalGraph.from_events([0, 1, 2] * 10, [1, 2, 0] * 10, [-(10**12), 0, 10**12] * 10, 3),
        TemporalGraph.from_events([0, 1], [1, 0], [0.25, 0.5], 9),
    ],
    ids=["one pair", "one time", "huge and negative times", "nodes that come later"],
)
def test_odd_streams_are_learnt_and_asked(name, graph):
    model, _ = trained(name, graph)
    model.condition(graph)
    late = TemporalGraph.from_events([0, 1], [graph.num_nodes - 1] * 2, graph.time[-1:].repeat(2) + 5, graph.num_nodes)
    model.observe(TemporalGraph(late.src, late.dst, late.time, late.num_nodes, ids=late.ids + len(graph)))
    assert bool(torch.isfinite(model.score(asked(late))).all())


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("batch_size", [1, 1000])
def test_any_batch_size_will_do(name, batch_size):
    graph = stream(12)
    model, trainer = trained(name, graph, batch_size=batch_size)
    assert trainer.steps == 2 * (12 if batch_size == 1 else 1)
    model.condition(graph)
    assert bool(torch.isfinite(model.score(asked(graph))).all())


@pytest.mark.parametrize("name", MODELS)
def test_events_of_the_same_time_are_not_looked_at(name):
    graph = stream(40)
    model, _ = trained(name, graph)
    model.condition(graph)
    time = graph.time[-1:] + 3
    scores = []
    for pair in ((0, 6), (3, 8)):
        model.condition(graph)
        model.observe(TemporalGraph(*torch.tensor([[0], [6]]), time, 12, ids=torch.tensor([40])))
        both = torch.tensor([pair[0], 1]), torch.tensor([pair[1], 7])
        model.observe(TemporalGraph(*both, time.repeat(2), 12, ids=torch.tensor([41, 42])))
        scores.append(model.score(Queries(*both, time.repeat(2))[1:]))
    assert torch.equal(*scores)
    late = Queries(torch.tensor([1]), torch.tensor([7]), time + 1)
    assert not torch.equal(model.score(late), scores[0]) or name in ("jodie", "dyrep")  # that batch is not written yet


def test_features_that_cannot_be_used_are_refused_by_name():
    features = torch.zeros(90, 3)
    features[17, 1] = float("nan")
    with pytest.raises(DataError, match="edge features of event 17"):
        trained("tgn", stream(edge_features=features))
    nodes = torch.zeros(12, 3)
    nodes[4] = float("inf")
    with pytest.raises(DataError, match="node features of node 4"):
        trained("tgat", stream(node_features=nodes))
    with pytest.raises(ConfigError, match="set model\\.edge_dim=9 or more"):
        trained("tcl", stream(edge_features=torch.ones(90, 9)))


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("tgn", {"batch_size": 0}, "model.batch_size is 0; it must be at least 1"),
        ("tgat", {"dropout": 1.0}, "model.dropout is 1.0"),
        ("dygformer", {"length": 10, "patch": 4}, "multiple of model.patch"),
        ("tgat", {"heads": 5}, "no multiple of model.heads"),
    ],
)
def test_settings_that_cannot_work_are_refused(name, settings, message):
    with pytest.raises(ConfigError, match=re.escape(message)):
        trained(name, stream(), **settings)


def test_the_untrained_network_answers_and_stays_as_it_is():
    graph = stream()
    torch.manual_seed(0)
    model, trainer = UntrainedNetwork(**{**SMALL, "length": 6, "channel": 4}), Trainer()
    model.fit(graph, None, trainer)
    assert trainer.steps == 0
    model.condition(graph)
    assert model.score(asked(graph)).std() > 0

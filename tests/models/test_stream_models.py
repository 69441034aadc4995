"""Every event-stream model beside a slow version of itself, on streams small enough for it."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from reference import stream_slow as slow
from torch import Tensor

from dynbench.contract import Queries
from dynbench.graph import TemporalGraph
from dynbench.models.stream.cawn import CAWN
from dynbench.models.stream.dygformer import DyGFormer
from dynbench.models.stream.dyrep import DyRep
from dynbench.models.stream.graphmixer import GraphMixer
from dynbench.models.stream.jodie import JODIE
from dynbench.models.stream.tcl import TCL
from dynbench.models.stream.tgat import TGAT
from dynbench.models.stream.tgn import TGN

SMALL = {"node_dim": 6, "edge_dim": 8, "time_dim": 4, "batch_size": 8}
NODES = 7


def tiny(features: str = "none", events: int = 40, whole: bool = True) -> TemporalGraph:
    """Events with ties, repeated pairs and self-loops; node 6 has none. Times start far from 0."""
    generator = torch.Generator().manual_seed(3)
    src, dst = (torch.randint(NODES - 1, (events,), generator=generator) for _ in range(2))
    time = 1000 + torch.randint(events, (events,), generator=generator).sort().values
    given = {}
    if features == "both":
        given["node_features"] = torch.randn(NODES, 5, generator=generator)
        given["edge_features"] = torch.randn(events, 3, generator=generator)
    if features == "weights":
        given["weight"] = (torch.arange(events) % 3).float()
    return TemporalGraph.from_events(src, dst, time if whole else time / 7.0, NODES, **given)


def fitted(kind, graph: TemporalGraph, **settings):
    """A model with random parameters that was told nothing yet."""
    torch.manual_seed(0)
    model = kind(**{**SMALL, **settings})
    model.create(**model.sizes_of(graph))
    for parameter in model.parameters():
        if parameter.dim() == 1:  # biases and norms that start at 0 and 1 would hide mistakes
            parameter.data += 0.1 * torch.randn_like(parameter)
    model.seed.fill_(11)
    model.eval()
    return model


def questions(graph: TemporalGraph) -> tuple[Tensor, Tensor, Tensor]:
    """Pairs at times of events, before all of them and after; nodes without events, a pair with itself, repetitions."""
    times = torch.cat([graph.time[::7], graph.time[-1:] + 5, graph.time[:1], graph.time[20:21], graph.time[20:21]])
    src = torch.arange(len(times)) % NODES
    dst = torch.tensor([3, 6, 1, 3, 2, 5, 5, 4, 0, 1])[: len(times)]
    return src, dst, times


def compare(model, asked: Tensor, expected: list[Tensor]) -> None:
    """Equal logits, and equal gradients of every parameter that has any."""
    expected = torch.stack(expected)
    torch.testing.assert_close(asked, expected, rtol=2e-4, atol=2e-5)
    assert asked.std() > 1e-3
    weight = torch.randn(len(asked), generator=torch.Generator().manual_seed(1))
    trained = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    ours, theirs = (
        torch.autograd.grad((logits * weight).sum(), list(trained.values()), allow_unused=True)
        for logits in (asked, expected)
    )
    for name, one, other in zip(trained, ours, theirs, strict=True):
        one, other = (torch.zeros(()) if part is None else part for part in (one, other))
        torch.testing.assert_close(one, other, rtol=2e-3, atol=2e-4, msg=lambda text, name=name: f"{name}: {text}")


WITHOUT_MEMORY = {
    "tgat": (TGAT, slow.tgat, {"neighbors": 3}),
    "tgat one layer": (TGAT, slow.tgat, {"neighbors": 5, "layers": 1}),
    "graphmixer": (GraphMixer, slow.mixer, {"neighbors": 4, "gap": 3}),
    "tcl": (TCL, slow.tcl, {"neighbors": 4}),
    "tcl one layer": (TCL, slow.tcl, {"neighbors": 6, "layers": 1}),
    "dygformer": (DyGFormer, slow.dygformer, {"length": 6, "channel": 3}),
    "dygformer patches": (DyGFormer, slow.dygformer, {"length": 12, "patch": 3, "channel": 3}),
}


@pytest.mark.parametrize("features", ["none", "both"])
@pytest.mark.parametrize("name", WITHOUT_MEMORY)
def test_models_without_memory_do_what_their_equations_say(name, features):
    kind, slow_logit, settings = WITHOUT_MEMORY[name]
    graph = tiny(features)
    model = fitted(kind, graph, **settings)
    model.condition(graph)
    src, dst, time = questions(graph)
    stream = slow.Stream(model, graph)
    compare(
        model, model.logits(src, dst, time),
        [slow_logit(stream, *(part.item() for part in asked)) for asked in zip(src, dst, time, strict=True)],
    )  # fmt: skip


@pytest.mark.parametrize("name", ["tgat", "graphmixer", "tcl", "dygformer"])
def test_rounded_times_are_those_of_earlier_events(name):
    """Beyond 2^24 single precision tells events apart no more: differences are off, second hops cut elsewhere."""
    kind, slow_logit, settings = WITHOUT_MEMORY[name]
    graph = tiny()
    graph = replace(graph, time=100_000_000 + 3 * (graph.time - graph.time[0]))
    src, dst, time = questions(graph)
    answers = []
    for precision in ("single", "exact"):
        model = fitted(kind, graph, event_times=precision, **settings)
        model.condition(graph)
        answers.append(model.logits(src, dst, time))
        stream = slow.Stream(model, graph)
        asked = zip(src.tolist(), dst.tolist(), time.tolist(), strict=True)
        compare(model, answers[-1], [slow_logit(stream, *one) for one in asked])
    assert not torch.allclose(*answers, atol=1e-3)


@pytest.mark.parametrize("features", ["none", "both"])
@pytest.mark.parametrize("sampling", ["time_weighted", "uniform", "recent"])
def test_cawn_does_what_its_equations_say(sampling, features):
    graph = tiny(features)
    model = fitted(CAWN, graph, walks=9, heads=2, position_dim=6, sampling=sampling)
    model.condition(graph)
    src, dst, time = questions(graph)

    def drawn(node, when):
        near = model.known.near(torch.tensor([node]), torch.tensor([when]), 9, sampling)
        entries = zip(near.nodes[0].tolist(), near.rows[0].tolist(), near.times[0].tolist(), strict=True)
        return [(other, row - 1, then) if row else None for other, row, then in entries]

    stream = slow.Stream(model, graph)
    asked = zip(src.tolist(), dst.tolist(), time.tolist(), strict=True)
    expected = [slow.cawn(stream, *one, drawn) for one in asked]
    compare(model, model.logits(src, dst, time), expected)


@pytest.mark.parametrize("pad", ["batch_max", "fixed"])
def test_dygformer_reads_padding_when_told_so(pad):
    graph = tiny()
    model = fitted(DyGFormer, graph, length=12, patch=3, channel=3, pad=pad)
    model.condition(graph)
    src, dst, time = (part[:6] for part in questions(graph))
    stream = slow.Stream(model, graph)
    longest = [
        max(1 + len(stream.history(*asked)[-11:]) for asked in zip(side.tolist(), time.tolist(), strict=True))
        for side in (src, dst)
    ]
    lengths = (12, 12) if pad == "fixed" else tuple(-(-count // 3) * 3 for count in longest)
    asked = zip(src.tolist(), dst.tolist(), time.tolist(), strict=True)
    expected = [slow.dygformer(stream, *one, lengths) for one in asked]
    compare(model, model.logits(src, dst, time), expected)


# ---- memory -----------------------------------------------------------------------------------------------------

WITH_MEMORY = {
    "tgn": (TGN, slow.tgn, slow.plain, {"neighbors": 3}),
    "tgn two layers": (TGN, slow.tgn, slow.plain, {"neighbors": 3, "layers": 2}),
    "dyrep": (DyRep, slow.dyrep, slow.around, {"neighbors": 3}),
    "jodie": (JODIE, slow.jodie, slow.plain, {}),
}


@pytest.mark.parametrize("features", ["none", "both", "weights"])
@pytest.mark.parametrize("name", WITH_MEMORY)
def test_models_with_memory_do_what_their_equations_say(name, features):
    kind, slow_logit, about, settings = WITH_MEMORY[name]
    graph = tiny(features, whole=features != "both")
    model = fitted(kind, graph, **settings)
    if kind is JODIE:
        model.prepare(graph)
        torch.testing.assert_close(model.scales, slow.role_scales(graph))
    model.condition(graph.events(0, 0))
    stream = slow.Remembering(model, graph, upto=0)
    written = 0
    for start in range(0, len(graph), 8):
        batch = graph.events(start, start + 8)
        earlier = int((graph.time < batch.time[0]).sum())
        if earlier > written:
            stream.take_in(written, earlier, about)
            written = earlier
        stream.upto = start + len(batch)
        model.observe(batch)
        asked = (batch.src, batch.dst.flip(0), batch.time)
        logits = model.logits(*asked)
        expected = [slow_logit(stream, *(part.item() for part in one)) for one in zip(*asked, strict=True)]
        if start < 16:
            torch.testing.assert_close(logits, torch.stack(expected), rtol=2e-4, atol=2e-5)
    compare(model, logits, expected)
    for node in range(NODES):
        vector = stream.memory[node]["vector"] if node in stream.memory else torch.zeros(6)
        torch.testing.assert_close(model.memory.vectors[node], vector, rtol=2e-4, atol=2e-5)


def test_the_latest_event_of_a_batch_leaves_the_message():
    """Whatever the role: node 1 is a destination first and a source later."""
    graph = TemporalGraph.from_events([0, 1], [1, 2], [0, 5], 3)
    model = fitted(TGN, graph)
    model.condition(graph.events(0, 0))
    model.observe(graph)
    model._write()
    assert model.memory.sent.tolist() == [0, 5, 5, 0]
    assert model.memory.row.tolist() == [1, 2, 2, 0]
    assert model.memory.waiting.tolist() == [True, True, True, False]


@pytest.mark.parametrize("name", WITH_MEMORY)
def test_events_of_no_weight_are_neighbours_and_are_not_remembered(name):
    """Exams about new nodes reveal all other events so."""
    kind, *_, settings = WITH_MEMORY[name]
    graph, asked = tiny(), torch.arange(16, 40) % 2 == 0
    model = fitted(kind, graph, **settings)

    def told(rest: TemporalGraph) -> None:
        model.condition(graph.events(0, 16))
        batch = len(rest) // 4
        for start in range(0, len(rest), batch):
            model.observe(rest.events(start, start + batch))
        model._write()

    late = graph.events(16, 40)
    told(replace(late, weight=asked.float()))
    seen, degree = model.memory.copy(), model.known.index.degree_before(torch.arange(6), graph.time[-1:].expand(6))
    told(late.subset(asked))
    if name != "dyrep":  # whose messages tell about neighbours, too
        assert all(torch.equal(part, getattr(seen, key)) for key, part in model.memory.parts().items())
    fewer = model.known.index.degree_before(torch.arange(6), graph.time[-1:].expand(6))
    assert int((degree - fewer).sum()) >= 12
    told(late)
    assert not torch.equal(model.memory.vectors, seen.vectors)


@pytest.mark.parametrize("name", WITH_MEMORY)
def test_a_memory_goes_back_exactly(name):
    kind, *_, settings = WITH_MEMORY[name]
    graph = tiny("both")
    model = fitted(kind, graph, **settings)
    model.condition(graph.events(0, 16))
    model.observe(graph.events(16, 24))
    noted = {name: part.clone() for name, part in model.running_state().items()}
    asked = Queries(graph.src[24:32], graph.dst[24:32], graph.time[24:32])

    def rest() -> Tensor:
        model.observe(graph.events(24, 32))
        first = model.score(asked)
        model.observe(graph.events(32, 40))
        return torch.cat([first, model.score(asked)])

    before = rest()
    model.restore(noted)
    assert torch.equal(rest(), before)
    model.restore(noted)
    again = {name: part.clone() for name, part in model.running_state().items()}
    assert noted.keys() == again.keys()
    assert all(torch.equal(part, noted[name]) for name, part in again.items())


def test_another_graph_is_read_from_its_start_and_the_own_one_from_where_training_ended():
    graph = tiny()
    model = fitted(TGN, graph, neighbors=3)
    model.prepare(graph.events(0, 24))
    for name, part in model._blank(NODES, graph.time[:1]).parts().items():
        getattr(model, f"fitted_{name}").copy_(part)
    model.fitted_vectors.fill_(0.5)
    model.condition(graph.events(0, 24))
    assert bool((model.memory.vectors == 0.5).all())
    other = TemporalGraph.from_events(graph.dst, graph.src.roll(1), graph.time, NODES)
    model.condition(other)
    assert not bool((model.memory.vectors == 0.5).any())
    read = model.memory.copy()
    model.condition(other.events(0, 0))
    for start in range(0, 40, 8):
        model.observe(other.events(start, start + 8))
    model._write()
    torch.testing.assert_close(model.memory.vectors, read.vectors)

"""DySAT, DynamicTriad, DynGEM and DynAERNN: losses against slow forms, warm starts, awkward nodes and snapshots."""

import numpy as np
import pytest
import torch

from dynbench.contract import Queries
from dynbench.engine.trainer import Trainer
from dynbench.errors import ConfigError, DataError
from dynbench.graph import TemporalGraph
from dynbench.models.snapshots.dynaernn import DynAERNN
from dynbench.models.snapshots.dynamic_triad import DynamicTriad
from dynbench.models.snapshots.dyngem import DynGEM
from dynbench.models.snapshots.dysat import DySAT, context_loss
from dynbench.sampling.batches import ShuffledBatches
from dynbench.sampling.counts import count_matrices
from dynbench.sampling.triads import TriadSampler
from tests.reference import snapshots_slow as slow

NODES = 12
SMALL = {
    DySAT: {"structural_units": [8], "structural_heads": [2], "temporal_units": [8], "temporal_heads": [4],
            "temporal_dropout": 0.2, "walks": 2, "length": 5, "epochs": 2, "batch_size": 5},
    DynamicTriad: {"dim": 8, "epochs": 3, "batch_size": 10},
    DynGEM: {"dim": 4, "hidden": [8, 6], "first_epochs": 3, "epochs": 2, "batch_size": 5},
    DynAERNN: {"dim": 4, "hidden": [8, 6], "recurrent": [7], "epochs": 2, "batch_size": 5},
}  # fmt: skip
EVERY = pytest.mark.parametrize("kind", SMALL)


def network(steps: int = 4, silent: tuple[int, ...] = (), seed: int = 0) -> TemporalGraph:
    """A few links in each snapshot, with loops and weights; one more node each time, the last two never come."""
    draw, rows = np.random.default_rng(seed), []
    for step in range(steps):
        awake = min(6 + step, NODES - 2)
        src, dst = np.nonzero(np.triu(draw.random((awake, awake)) < 0.4))
        if step not in silent:
            rows.append(np.stack([src, dst, np.full(len(src), step), draw.integers(1, 5, len(src))]))
    src, dst, time, weight = np.concatenate(rows, axis=1)
    return TemporalGraph.from_events(src, dst, time, NODES, directed=False, num_steps=steps, weight=weight)


def fitted(kind, graph: TemporalGraph, seed: int = 0, model=None, **settings):
    torch.manual_seed(seed)
    model = kind(**{**SMALL[kind], **settings}) if model is None else model
    model.fit(graph, None, Trainer())
    model.condition(graph)
    return model


def dense(graph: TemporalGraph) -> list[np.ndarray]:
    return [matrix.toarray() for matrix in count_matrices(graph, loops=False)]


# ---- what all of them bear ------------------------------------------------------------------------------------


@EVERY
def test_late_and_absent_nodes_and_later_times(kind):
    graph = network()
    model = fitted(kind, graph)
    vectors = model.embed(torch.tensor([0, 3, 3, 9]))
    assert vectors.shape[:2] == (4, NODES)
    assert bool(torch.isfinite(vectors).all())
    assert torch.equal(vectors[1], vectors[2])
    assert torch.equal(vectors[1], vectors[3])
    assert not torch.equal(vectors[0], vectors[1])
    # Nodes that never came are all alike.
    torch.testing.assert_close(vectors[1, 10], vectors[1, 11])
    src, dst = torch.tensor([0, 3, 10, 2]), torch.tensor([1, 2, 11, 2])
    scores = model.score(Queries.pairs(src, dst, 4))
    assert bool(torch.isfinite(scores).all())
    torch.testing.assert_close(scores, model.score(Queries.pairs(dst, src, 4)))
    assert len(model.score(Queries.pairs(src[:0], dst[:0], 4))) == 0


@EVERY
@pytest.mark.parametrize("silent", [(1,), (0,), (3,), (1, 2)])
def test_silent_snapshots(kind, silent):
    vectors = fitted(kind, network(silent=silent)).embed(torch.arange(4))
    assert bool(torch.isfinite(vectors).all())
    assert float(vectors[3].std()) > 0


@EVERY
@pytest.mark.parametrize("rows", [([0], [1], [0]), ([2], [2], [0])])
def test_a_single_link_or_loop(kind, rows):
    graph = TemporalGraph.from_events(*rows, 4, directed=False, num_steps=2)
    assert bool(torch.isfinite(fitted(kind, graph).embed(torch.arange(2))).all())


@EVERY
def test_a_single_snapshot(kind):
    assert bool(torch.isfinite(fitted(kind, network(1)).embed(torch.tensor([0]))).all())


@EVERY
@pytest.mark.parametrize("weight", [0.0, -1.0])
def test_weights_that_are_none(kind, weight):
    graph = TemporalGraph.from_events([0, 1], [1, 2], [0, 0], 4, directed=False, num_steps=1, weight=[1.0, weight])
    with pytest.raises(DataError, match=r"link 1-2 of snapshot 0 has the weight .* set model\.weights=binary"):
        fitted(kind, graph)
    fitted(kind, graph, weights="binary")


@EVERY
def test_weights_count_unless_they_should_not(kind):
    graph = network()
    for weights, same in (("counts", False), ("log", False), ("binary", True)):
        other = TemporalGraph.from_events(
            graph.src, graph.dst, graph.time, NODES, directed=False, num_steps=4, weight=graph.weight * 3
        )
        one, two = (fitted(kind, part, weights=weights).embed(torch.tensor([3])) for part in (graph, other))
        assert torch.equal(one, two) == same, weights


@EVERY
def test_node_set_grows(kind):
    """A second fit, on more snapshots with more nodes, in the same object."""
    graph = network()
    model = fitted(kind, graph.before(2))
    known = model.embed(torch.tensor([1]))[0]
    model = fitted(kind, graph, model=model)
    vectors = model.embed(torch.arange(4))
    assert vectors.shape[:2] == (4, NODES)
    assert float(vectors[3, 8].abs().max()) > 0
    if kind is not DynGEM:  # it keeps what it learnt
        assert not torch.equal(vectors[1], known)


# ---- DySAT ----------------------------------------------------------------------------------------------------


def test_dysat_loss_is_that_of_all_pairs():
    torch.manual_seed(0)
    vectors = torch.randn(3, 5, 4)
    met = [[(0, 1), (0, 2), (3, 1), (3, 3)], [], [(4, 0), (4, 0)]]
    drawn = [[1, 4], [0, 0], [2, 2]]
    expected = slow.contexts(vectors, met, drawn, 0.7)
    node = torch.stack([vectors[0, 0], vectors[0, 3], vectors[2, 4]])
    near = torch.stack([vectors[0, [1, 2]], vectors[0, [1, 3]], vectors[2, [0, 0]]])
    far = [vectors[0, [1, 4]], vectors[2, [2, 2]]]
    torch.testing.assert_close(context_loss(node, near, far, [2, 1], 0.7).sum(), expected)


@pytest.mark.parametrize("layers", [1, 2])
def test_dysat_vectors_are_those_of_the_slow_form(layers):
    graph = network(silent=(1,))
    sizes = {"structural_units": [6, 8][-layers:], "structural_heads": [3, 4][-layers:]}
    along = {"temporal_units": [8] * layers, "temporal_heads": [2] * layers}
    model = fitted(DySAT, graph, **sizes, **along)
    nodes = model.node.numpy()
    first = graph.first_seen().numpy()[nodes]
    hidden = []
    for step, matrix in enumerate(count_matrices(graph)):
        inputs = None
        for layer in model.within:
            inputs = slow.structural(matrix.toarray()[nodes][:, nodes], (first <= step).tolist(), layer, inputs)
        hidden.append(inputs)
    rows = torch.stack(hidden) + model.position[:, None]
    expected = torch.zeros(4, NODES, 8)
    for number, node in enumerate(nodes):
        found = rows[:, number]
        for layer in model.along:
            found = slow.temporal(found, layer, 5**-0.5)
        expected[:, node] = found.detach()
    torch.testing.assert_close(model.embed(torch.arange(4)), expected, atol=1e-5, rtol=1e-4)


def test_dysat_training_step_is_the_loss_of_its_draws(monkeypatch):
    """With draws written down: vectors of everything, and a loop over the pairs."""
    graph = network()
    model = fitted(DySAT, graph, temporal_dropout=0.0, structural_dropout=0.0)
    size = len(model.node)

    class Near:
        def draw(self, step, node, count):
            some = (node < 4).nonzero().squeeze(1)
            return some, (node[some][:, None] + torch.arange(1, count + 1)) % 4

    model.contexts, model.negatives = 2, 3
    model._near, model._batches = Near(), ShuffledBatches(size, 5, 1)
    monkeypatch.setattr(
        torch, "multinomial", lambda odds, count, replacement: torch.arange(len(odds) * count).view(-1, count) % size
    )
    model._odds = torch.ones(4, size)
    model.train()
    loss = model.training_step(0, 0)
    batch = [int(n) for n in model._batches.at(0) if n < 4]
    with torch.no_grad():
        vectors = model.embed(torch.arange(4))[:, model.node]
    met = [[(u, (u + more) % 4) for u in batch for more in (1, 2)] for _ in range(4)]
    drawn = [[(3 * t + k) % size for k in range(3)] for t in range(4)]
    penalty = model.structural_penalty / 2 * sum(p.square().sum() for p in model.within.parameters())
    torch.testing.assert_close(loss, slow.contexts(vectors, met, drawn, 1.0) + penalty)


def test_dysat_looks_at_the_last_snapshots_of_a_longer_context():
    graph = network()
    model = fitted(DySAT, graph.before(2))
    model.condition(graph)
    assert model.last_step == 3
    vectors = model.embed(torch.tensor([3]))[0]
    assert bool(torch.isfinite(vectors).all())
    assert not bool(vectors[8].any())  # came after training
    model.condition(graph.before(2))
    assert not torch.equal(model.embed(torch.tensor([1]))[0], vectors)


def test_dysat_is_selected():
    torch.manual_seed(0)
    model, heard = DySAT(**{**SMALL[DySAT], "epochs": 6, "judge_every": 2, "patience": 2}), []

    def selector(module):
        heard.append(module.embed(torch.tensor([3])).clone())
        return {"macro_auc": {1: 0.9}.get(len(heard), 0.1)}

    graph = network()
    model.fit(graph, selector, Trainer())
    model.condition(graph)
    assert len(heard) == 3
    assert torch.equal(model.embed(torch.tensor([3])), heard[0])
    assert not torch.equal(heard[0], heard[1])


def test_dysat_refuses_what_does_not_fit():
    with pytest.raises(ConfigError, match="3 heads do not divide a width of 8"):
        DySAT(structural_units=[8], structural_heads=[3], temporal_units=[8], temporal_heads=[2])
    with pytest.raises(ConfigError, match="an entry for each layer"):
        DySAT(structural_units=[8, 8], structural_heads=[2])
    with pytest.raises(ConfigError, match="as wide as the last one within them, 8"):
        DySAT(structural_units=[8], structural_heads=[2], temporal_units=[6], temporal_heads=[2])


# ---- DynamicTriad ---------------------------------------------------------------------------------------------


def test_triad_loss_is_that_of_the_slow_form():
    torch.manual_seed(0)
    graph = network(3, seed=2)
    model = fitted(DynamicTriad, graph, smoothness=0.3, triads=0.7, epochs=1)
    nodes = model.node.numpy()
    full = [matrix[nodes][:, nodes] for matrix in dense(graph)]
    model._sampler = TriadSampler([m[nodes][:, nodes] for m in count_matrices(graph, loops=False)])
    model._batches = ShuffledBatches(len(model._sampler), 1000, 1)
    torch.manual_seed(5)
    loss = float(model.training_step(0, 0).detach())
    torch.manual_seed(5)
    link = model._batches.at(0)
    stays, new, found = model._sampler.corrupted(link)
    triads = model._sampler.triads(link)
    assert bool(found.all())
    assert bool((triads.closing >= 0).any())
    step = model._sampler.step[link].tolist()
    links = list(zip(step, model._sampler.src[link].tolist(), model._sampler.dst[link].tolist(), strict=True))
    other = list(zip(step, stays.tolist(), new.tolist(), strict=True))
    u, theta, bias = model.vectors.detach(), model.theta.detach(), model.bias.detach()
    rows = list(zip(*(part.tolist() for part in triads[:4]), strict=True))
    expected = slow.near_loss(u, full, links, other) + 0.3 * slow.smooth_loss(u)
    assert loss == pytest.approx(expected + 0.7 * slow.triad_loss(u, full, rows, theta, bias), rel=1e-4)


def test_triad_vectors_stay_in_the_ball():
    model = fitted(DynamicTriad, network())
    assert float(model.vectors.detach().norm(dim=-1).max()) <= 1 + 1e-5
    assert float(torch.cat([model.theta, model.bias[None]]).detach().norm()) == pytest.approx(1, abs=1e-5)
    vectors = model.embed(torch.tensor([3]))[0]
    score = model.score(Queries.pairs(torch.tensor([0]), torch.tensor([1]), 4))
    torch.testing.assert_close(score, -(vectors[0] - vectors[1]).square().sum()[None])


def test_triad_vectors_start_from_those_before():
    graph = network()
    model = fitted(DynamicTriad, graph.before(2), warm_start=True)
    before, nodes = model.vectors.detach().clone(), model.node.clone()
    model.learning_rate = 1e-12
    model = fitted(DynamicTriad, graph, model=model)
    rows = [model.node.tolist().index(node) for node in nodes.tolist()]
    assert len(model.node) > len(nodes)
    for step in range(4):
        torch.testing.assert_close(model.vectors[step, rows].detach(), before[min(step, 1)])


# ---- DynGEM ---------------------------------------------------------------------------------------------------


def test_dyngem_loss_is_that_of_all_links():
    graph = network()
    model = fitted(DynGEM, graph, proximity=0.3)
    matrix = count_matrices(graph, loops=False)[3]
    seen = np.flatnonzero(sum(m.sum(0) for m in dense(graph)))
    losses = []
    model._capture = losses
    original = DynGEM.training_step

    def step(self, batch, batch_idx):
        loss = original(self, batch, batch_idx)
        if not losses:
            full = torch.from_numpy(matrix.toarray())
            codes = self.encoder(full @ self.encoder_in.weight + self.encoder_in.bias)
            rebuilt = self.decoder_out(self.decoder(codes))
            losses.append((loss.detach(), slow.dyngem_loss(full.numpy(), rebuilt, codes, 5.0, 0.3, seen).detach()))
        return loss

    DynGEM.training_step = step
    try:
        model.batch_size, model.first_epochs = 100, 1
        model._learn(matrix, np.isin(np.arange(NODES), seen), Trainer())
    finally:
        DynGEM.training_step = original
    torch.testing.assert_close(*losses[0], rtol=1e-4, atol=1e-5)


def test_dyngem_goes_on_from_what_it_learnt():
    graph = network()
    model = fitted(DynGEM, graph.before(3))
    before = model.embed(torch.arange(3))
    steps = []

    class Counting(Trainer):
        def train(self, module, steps_, *arguments, **more):
            steps.append(steps_)
            super().train(module, steps_, *arguments, **more)

    model.fit(graph, None, Counting())
    assert len(steps) == 1  # only the new snapshot
    model.condition(graph)
    assert torch.equal(model.embed(torch.arange(3)), before)
    model.fit(graph, None, Counting())
    assert len(steps) == 5  # the same once more is learnt anew
    model.fit(network(5, seed=1), None, Counting())
    assert len(steps) == 10  # and so is another network


def test_dyngem_units_may_die_without_a_leak():
    assert 0 <= fitted(DynGEM, network()).describe()["dead_units"] <= 1
    dead = fitted(DynGEM, network(), slope=0.0)
    assert (dead.codes >= 0).all()
    assert DynGEM().describe() == {}


# ---- DynAERNN -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("steps", "silent"), [(4, ()), (4, (1,)), (2, ()), (1, ())])
def test_dynaernn_loss_is_that_of_all_rows(monkeypatch, steps, silent):
    graph, look_back = network(steps, silent), 2
    nodes = sorted(graph.src.unique().tolist() + graph.dst.unique().tolist())
    nodes = sorted(set(nodes))
    full = [torch.from_numpy(matrix) for matrix in dense(graph)]
    lags = min(look_back, steps - 1) or 1
    found = []

    def slow_loss(model):
        total, count = torch.zeros(()), 0
        for start in range(max(steps - lags, 1)):
            target = full[start + lags] if steps > 1 else full[0]
            for node in nodes:
                sequence = []
                for lag in range(lags):
                    encoder = look_back - lags + lag
                    first = model.encoders_in[encoder]
                    sequence.append(model.encoders[encoder](full[start + lag][node] @ first.weight + first.bias))
                state = torch.stack(sequence)[:, None]
                for cell in model.cells:
                    state, _ = cell(state)
                rebuilt = model.decoder_out(model.decoder(state[-1]))[0]
                total, count = total + slow.row_error(rebuilt, target[node].numpy(), 5.0, nodes), count + 1
        return total / count

    original = DynAERNN.training_step

    def step(self, batch, batch_idx):
        loss = original(self, batch, batch_idx)
        if not found:
            found.append((loss.detach(), slow_loss(self).detach()))
        return loss

    monkeypatch.setattr(DynAERNN, "training_step", step)
    fitted(DynAERNN, graph, look_back=look_back, batch_size=1000, epochs=1)
    torch.testing.assert_close(*found[0], rtol=1e-4, atol=1e-5)


def test_dynaernn_goes_on_from_what_it_learnt():
    graph = network()
    model = fitted(DynAERNN, graph.before(3), warm_epochs=1, learning_rate=1e-12)
    before = {name: part.clone() for name, part in model.state_dict().items() if isinstance(part, torch.Tensor)}
    fitted(DynAERNN, graph, model=model)
    assert all(torch.allclose(part, model.state_dict()[name]) for name, part in before.items())
    cold = fitted(DynAERNN, graph.before(3), learning_rate=1e-12)
    fitted(DynAERNN, graph, seed=1, model=cold)
    assert not torch.allclose(before["decoder_out.weight"], cold.decoder_out.weight)


def test_dynaernn_knows_snapshots_that_came_later():
    graph = network()
    model = fitted(DynAERNN, graph.before(3))
    short = model.embed(torch.tensor([3]))
    model.condition(graph)
    assert not torch.equal(model.embed(torch.tensor([3])), short)


@pytest.mark.parametrize("model", [DynGEM, DynAERNN])
def test_an_autoencoder_without_a_layer_is_refused(model):
    with pytest.raises(ConfigError, match=r"model\.hidden names no layer"):
        model(hidden=())

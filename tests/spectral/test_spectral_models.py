"""Dense and sparse solvers agree; awkward networks; saving and loading."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import sparse

from dynbench.contract import Block, Queries
from dynbench.errors import ConfigError, DataError, RunError
from dynbench.graph import TemporalGraph
from dynbench.models.spectral.eigen import dense_eigenpairs, eigenpairs
from dynbench.models.spectral.omni import OMNI, omnibus, stacked
from dynbench.models.spectral.snapshots import adjacencies
from dynbench.models.spectral.static_spectral import StaticSpectral
from dynbench.models.spectral.tempcut import TempCut, snapshot_weights, temporal_cut
from dynbench.models.spectral.uase import UASE, uase
from dynbench.models.spectral.ulse_n1 import ULSEN1, laplacians, ulse_n1
from dynbench.models.spectral.ulse_n2 import ULSEN2, ulse_n2
from dynbench.models.spectral.unfolding import Unfolding, left_singular
from tests.spectral.test_spectral_theory import procrustes

MODELS = {
    "uase": UASE,
    "ulse_n1": ULSEN1,
    "ulse_n2": ULSEN2,
    "omni": OMNI,
    "tempcut": TempCut,
    "static": StaticSpectral,
    "omni_printed": lambda **settings: OMNI(variant="printed", **settings),
    "tempcut_n": lambda **settings: TempCut(weights="normalized", **settings),
    "tempcut_printed": lambda **settings: TempCut(variant="printed", **settings),
}


def graph_of(events, nodes, steps) -> TemporalGraph:
    src, dst, time = np.array(events).T
    return TemporalGraph.from_events(src, dst, time, nodes, directed=False, num_steps=steps)


@pytest.fixture(scope="module")
def planted() -> list[sparse.csr_array]:
    """Four clear communities of 300 nodes, five times, with isolated nodes."""
    draw = np.random.default_rng(1)
    classes = np.repeat(np.arange(4), [60, 70, 80, 90])
    chance = np.where(classes[:, None] == classes[None, :], 0.3, 0.03)
    found = []
    for _ in range(5):
        half = np.triu(draw.random(chance.shape) < chance)
        half[:3] = False
        half[:, :3] = False
        found.append(sparse.csr_array((half | half.T).astype(np.float64)))
    return found


METHODS = {
    "uase": lambda m, **k: uase(m, 4, **k),
    "ulse_n1": lambda m, **k: ulse_n1(m, 3, **k),
    "ulse_n2": lambda m, **k: ulse_n2(m, 4, **k),
    "omni": lambda m, **k: omnibus(m, 4, **k),
    "stacked": lambda m, **k: stacked(m, 4, **k),
    "tempcut": lambda m, **k: temporal_cut(snapshot_weights([x + sparse.eye_array(300) for x in m], "plain"), 3, **k),
}


@pytest.mark.parametrize("name", METHODS)
def test_dense_and_sparse_agree(name, planted):
    dense = METHODS[name](planted, solver="dense")
    if name == "tempcut":
        planted = [matrix[3:, 3:] for matrix in planted]
        dense = temporal_cut(snapshot_weights(planted, "normalized"), 3, solver="dense")
        tight = temporal_cut(snapshot_weights(planted, "normalized"), 3, solver="sparse", tolerance=1e-10)
    else:
        tight = METHODS[name](planted, solver="sparse", tolerance=1e-10)
        loose = METHODS[name](planted, solver="sparse", tolerance=1e-6)
        assert procrustes(loose, dense) < 1e-3
    assert procrustes(tight, dense) < 1e-6


def test_threads_do_not_change_the_result(planted):
    threads = torch.get_num_threads()
    try:
        results = []
        for count in (1, 2):
            torch.set_num_threads(count)
            results.append(uase(planted, 4, solver="sparse", tolerance=1e-10))
    finally:
        torch.set_num_threads(threads)
    assert procrustes(*results) < 1e-9


@pytest.mark.parametrize("which", ["largest", "smallest"])
@pytest.mark.parametrize("rank", [4, 200])
def test_eigenpairs(which, rank):
    draw = np.random.default_rng(0)
    turn = np.linalg.qr(draw.standard_normal((200, 200)))[0]
    matrix = (turn[:, :rank] * np.linspace(1, 3, rank) ** 3) @ turn[:, :rank].T
    exact, found = (
        dense_eigenpairs(matrix, 5, which),
        eigenpairs(lambda x: matrix @ x, 200, 5, which, tolerance=1e-10),
    )
    scale = np.linalg.norm(matrix, 2)
    assert np.abs(exact.values - found.values).max() < 1e-8 * scale
    assert np.linalg.norm(matrix @ found.vectors - found.vectors * found.values, axis=0).max() < 1e-8 * scale
    assert np.abs(found.vectors.T @ found.vectors - np.eye(5)).max() < 1e-10
    largest = np.abs(found.vectors).argmax(axis=0)
    assert (found.vectors[largest, np.arange(5)] > 0).all()


@pytest.mark.parametrize("copies", [2, 3, 5])
@pytest.mark.parametrize("tolerance", [1e-6, 1e-10])
def test_multiple_eigenvalues_are_found_as_often_as_they_occur(copies, tolerance):
    draw = np.random.default_rng(0)
    parts = [sparse.random_array((200, 200), density=0.04, rng=draw, dtype=np.float64) for _ in range(2)]
    twins = [sparse.csr_array(sparse.block_diag([part + part.T] * copies)) for part in parts]
    for unfolding, which in ((adjacency(twins), "largest"), (laplacians(twins, 0.1), "smallest")):
        exact = left_singular(unfolding, 8, which, "dense").values
        found = left_singular(unfolding, 8, which, "sparse", tolerance).values
        assert np.abs(found - exact).max() < 1e-4 * max(exact[0], 1)


def adjacency(matrices) -> Unfolding:
    ones = np.ones((len(matrices), matrices[0].shape[0]))
    return Unfolding(matrices, ones, ones)


def test_no_convergence_is_said():
    matrix = np.diag(np.linspace(0, 1, 2000))
    with pytest.raises(RunError, match=r"did not converge.*raise model\.tolerance"):
        eigenpairs(lambda x: matrix @ x, 2000, 5, "largest", tolerance=1e-14, max_products=40)


# ---- awkward networks ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", [UASE, ULSEN1, ULSEN2])
@pytest.mark.parametrize("solver", ["dense", "sparse"])
def test_isolated_nodes_are_at_the_origin(model, solver, planted):
    fitted = model(dim=3, solver=solver)
    rows = []
    for step, matrix in enumerate(planted):
        part = sparse.triu(matrix).tocoo()
        rows += [(i, j, step) for i, j in zip(part.row, part.col, strict=True) if step != 2 or 50 not in (i, j)]
    fitted.fit(graph_of(rows, 300, 5), None, None)
    embedding = fitted.embed(torch.arange(5))
    assert bool((embedding[:, :3] == 0).all())
    assert bool((embedding[2, 50] == 0).all())
    assert bool((embedding[1, 50] != 0).any())


@pytest.mark.parametrize("name", MODELS)
def test_empty_snapshots_disconnected_parts_and_self_loops(name):
    events = [(i, (i + 1) % 5, 1) for i in range(5)] + [
        (5, 6, 1),
        (6, 7, 1),
        (7, 7, 1),
        (8, 8, 1),
        (0, 9, 3),
        (1, 2, 3),
    ]
    model = MODELS[name](dim=3)
    model.fit(graph_of(events, 12, 5), None, None)
    embedding = model.embed(torch.arange(5))
    assert embedding.shape == (5, 12, 3)
    assert embedding.dtype == torch.float32
    assert bool(torch.isfinite(embedding).all())
    assert torch.equal(embedding[3], embedding[4])  # nothing happens at the last time
    if name in ("uase", "ulse_n1", "ulse_n2"):
        assert not embedding[[0, 2]].any()


@pytest.mark.parametrize("name", MODELS)
def test_fewer_nodes_than_dimensions(name):
    model = MODELS[name](dim=40)
    if name == "tempcut_printed":
        model = MODELS[name](dim=1)
        model.fit(graph_of([(0, 1, 0), (1, 2, 1)], 3, 2), None, None)
        return
    with pytest.raises(
        ConfigError, match=r"model\.dim=40 needs at least 4[01] nodes and the graph has 3; set model\.dim=[123] or less"
    ):
        model.fit(graph_of([(0, 1, 0), (1, 2, 1)], 3, 2), None, None)


def test_no_dimension_and_no_link():
    with pytest.raises(ConfigError, match=r"model\.dim=0"):
        UASE(dim=0)
    empty = TemporalGraph.from_events([], [], np.zeros(0, int), 4, directed=False, num_steps=2)
    with pytest.raises(DataError, match="no link to embed"):
        UASE(dim=2).fit(empty, None, None)


def test_repeated_pairs_and_relations_are_one_link():
    twice = TemporalGraph.from_events(
        [0, 0, 1], [1, 1, 2], [0, 0, 0], 3, directed=False, num_steps=1, relation=[0, 1, 0]
    )
    assert adjacencies(twice)[0].toarray().tolist() == [[0, 1, 0], [1, 0, 1], [0, 1, 0]]


@pytest.mark.parametrize("name", MODELS)
def test_a_saved_model_answers_alike(name, drawn):
    model, other = MODELS[name](dim=3), MODELS[name](dim=3)
    torch.manual_seed(0)
    model.fit(drawn("synthetic_1"), None, None)
    other.load_state_dict(model.state_dict())
    times = torch.tensor([2, 0])
    assert torch.equal(model.embed(times), other.embed(times))
    torch.manual_seed(0)
    again = MODELS[name](dim=3)
    again.fit(drawn("synthetic_1"), None, None)
    assert torch.equal(model.embed(times), again.embed(times))


def test_embeddings_shrink_towards_stability_with_size(drawn):
    """On drawn networks equals are apart by chance only, and less so the more there is to average over."""
    from dynbench.metrics.stability import StabilityMetrics

    found = []
    for nodes in (100, 400):
        graph = drawn("synthetic_1", nodes=nodes, p=0.6, q=0.1)
        model = ULSEN2(dim=3)
        model.fit(graph, None, None)
        metrics = StabilityMetrics()
        times = torch.arange(3)
        block = Block(0, Queries(torch.empty(0, dtype=torch.long), None, times), graph.node_labels)
        metrics.update(block, model.embed(times))
        found.append(metrics.compute())
    for name in ("cross_sectional", "longitudinal"):
        assert found[1][name] < 0.75 * found[0][name]

"""What the paper proves, checked on noise-free networks: stability, spectra, Cheeger bounds."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from dynbench.metrics.clustering import behaviours
from dynbench.metrics.stability import cross_sectional_gaps, longitudinal_gaps, rescaled
from dynbench.models.spectral.uase import uase
from dynbench.models.spectral.ulse_n1 import laplacians, ulse_n1
from dynbench.models.spectral.ulse_n2 import ulse_n2
from dynbench.models.spectral.unfolding import Unfolding, anchor, left_singular, project
from tests.spectral.conftest import expected, merging

SIZES = [[30, 40, 30], [40, 50, 10]]


def gaps(embedding, labels):
    import torch

    groups = behaviours(torch.as_tensor(labels)).numpy()
    points = rescaled(embedding)
    return cross_sectional_gaps(points, groups)[0].max(), longitudinal_gaps(points, groups).max()


@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize("method", [uase, ulse_n2])
def test_uase_and_n2_are_stable_both_ways(method, sizes):
    snapshots, labels = merging(sizes)
    assert max(gaps(method(snapshots, 3), labels)) < 1e-9


@pytest.mark.parametrize("regularizer", [0.0, 0.1])
@pytest.mark.parametrize(("sizes", "across", "uncorrected"), zip(SIZES, (0.125, 0.138), (2.04, 2.75), strict=True))
def test_n1_is_stable_across_nodes_only(sizes, across, uncorrected, regularizer):
    snapshots, labels = merging(sizes)
    cross, longitudinal = gaps(ulse_n1(snapshots, 2, regularizer), labels)
    assert cross < 1e-9
    assert longitudinal == pytest.approx(across, abs=0.002)
    cross, longitudinal = gaps(ulse_n1(snapshots, 2, regularizer, corrected=False), labels)
    assert cross == pytest.approx(uncorrected, abs=0.02)
    assert longitudinal < 0.05


def test_the_correction_does_not_depend_on_time():
    snapshots, _ = merging([30, 40, 30])
    plain, corrected = ulse_n1(snapshots, 2, corrected=False), ulse_n1(snapshots, 2)
    shares = plain - corrected
    assert np.abs(shares - shares[0]).max() < 1e-12


def test_normalising_the_wrong_side_is_not_stable():
    snapshots, labels = merging([40, 50, 10])
    now = np.stack([snapshot.toarray().sum(axis=1) for snapshot in snapshots])
    ever = np.broadcast_to(now.sum(axis=0) ** -0.5, now.shape)
    swapped = Unfolding(snapshots, now**-0.5, ever)
    cross, longitudinal = gaps(project(swapped, anchor(left_singular(swapped, 3, "largest"))), labels)
    assert cross > 0.03
    assert longitudinal > 0.03


def equal_degrees(size: int = 25, a: float = 0.4, b: float = 0.2, e: float = 0.08):
    """Four communities whose mixing changes while every expected degree stays the same."""
    first = np.array([[a, a, b, b], [a, a, b, b], [b, b, a, a], [b, b, a, a]])
    split = np.array([[e, -e], [-e, e]])
    second, third = first.copy(), first.copy()
    second[2:, 2:] += split
    third[:2, :2] += split
    labels = np.array([[0, 0, 1, 1], [0, 0, 1, 2], [0, 1, 2, 2]]).repeat(size, axis=1)
    return expected([size] * 4, [first, second, third]), labels


def test_n1_is_stable_both_ways_where_degrees_are_equal():
    snapshots, labels = equal_degrees()
    assert max(gaps(ulse_n1(snapshots, 3), labels)) < 1e-9
    assert gaps(ulse_n1(snapshots, 3, corrected=False), labels)[0] > 0.1


@pytest.mark.parametrize("sizes", SIZES)
def test_the_bulk_of_the_unfolded_laplacian_is_at_root_t(sizes):
    snapshots, _ = merging(sizes)
    values = left_singular(laplacians(snapshots, 0.0), 100, "smallest").values
    assert np.sum(np.abs(values - np.sqrt(3)) < 1e-9) == 97
    if sizes == [40, 50, 10]:
        assert values[:3] == pytest.approx([0.055, 1.396, 1.592], abs=0.001)


def test_embeddings_by_definition(drawn):
    """Against the singular value decomposition of the matrices that the paper writes down."""
    from dynbench.models.spectral.snapshots import adjacencies

    snapshots = [matrix.astype(np.float64) for matrix in adjacencies(drawn("synthetic_2"))]
    dense = [snapshot.toarray() for snapshot in snapshots]
    degrees = [matrix.sum(axis=1) for matrix in dense]
    ever = sum(degrees) + 0.1

    def decomposed(blocks):
        u, s, v = np.linalg.svd(np.hstack(blocks), full_matrices=False)
        return u, s, v.T.reshape(len(blocks), len(blocks[0]), -1)

    u, s, v = decomposed(dense)
    assert procrustes(uase(snapshots, 3), v[..., :3] * np.sqrt(s[:3])) < 1e-10
    u, s, v = decomposed([-m / np.sqrt(ever[:, None] * (d + 0.1)) for m, d in zip(dense, degrees, strict=True)])
    assert procrustes(ulse_n2(snapshots, 3), v[..., :3] * np.sqrt(s[:3])) < 1e-10
    scales = [(d + 0.1) ** -0.5 for d in degrees]
    u, s, v = decomposed([np.eye(200) - d[:, None] * m * d for m, d in zip(dense, scales, strict=True)])
    u, s, v = u[:, -4:-1], s[-4:-1], v[..., -4:-1]
    assert procrustes(ulse_n1(snapshots, 3), v * np.sqrt(s) - u / np.sqrt(s)) < 1e-10
    assert procrustes(ulse_n1(snapshots, 3, corrected=False), v * np.sqrt(s)) < 1e-10


def procrustes(first: np.ndarray, second: np.ndarray) -> float:
    """Relative distance after the best rotation."""
    a, b = (part.reshape(-1, part.shape[-1]) for part in (first, second))
    u, _, v = np.linalg.svd(a.T @ b)
    return float(np.linalg.norm(a @ u @ v - b) / np.linalg.norm(b))


# ---- Cheeger bounds (Proposition 1) --------------------------------------------------------------------------


def conductance(weights: np.ndarray, members: tuple[int, ...]) -> float:
    inside = np.zeros(len(weights), dtype=bool)
    inside[list(members)] = True
    return weights[inside][:, ~inside].sum() / weights[inside].sum()


def two_way_conductance(weights: np.ndarray) -> float:
    """Smallest over pairs of disjoint sets of the larger conductance, by trying all; the sets may cover all nodes."""
    nodes = range(len(weights))
    subsets = [set(part) for size in nodes for part in itertools.combinations(nodes, size) if part]
    scores = sorted((conductance(weights, tuple(part)), sorted(part)) for part in subsets)
    for second, (score, part) in enumerate(scores):
        if any(not set(part) & set(other) for _, other in scores[:second]):
            return score
    raise AssertionError("there are always two disjoint sets")


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 10_000))
def test_cheeger_bounds(seed):
    draw = np.random.default_rng(seed)
    dense = []
    for _ in range(3):
        half = np.triu(draw.random((7, 7)) < 0.45, 1)
        half[np.arange(6), np.arange(1, 7)] = True  # no isolated nodes
        dense.append((half | half.T).astype(float))
    snapshots = [sparse.csr_array(matrix) for matrix in dense]
    singular = left_singular(laplacians(snapshots, 0.0), 7, "smallest").values
    normal = [np.eye(7) - m / np.sqrt(np.outer(m.sum(0), m.sum(0))) for m in dense]
    conductances = [two_way_conductance(matrix) for matrix in dense]
    for step, laplacian in enumerate(normal):
        own = np.linalg.eigvalsh(laplacian)
        others = np.hstack([part for number, part in enumerate(normal) if number != step])
        bound = np.linalg.norm(others, 2) ** 2
        assert (singular >= own - 1e-7).all()  # (a)
        assert (singular**2 <= own**2 + bound + 1e-7).all()  # (b)
        lower = 0.5 * np.sqrt(max(singular[1] ** 2 - bound, 0.0))
        assert lower <= conductances[step] + 1e-9  # (c), left
        assert conductances[step] <= np.sqrt(2 * own[1]) + 1e-9  # (d)
        assert np.sqrt(2 * own[1]) <= np.sqrt(2 * singular[1]) + 1e-7

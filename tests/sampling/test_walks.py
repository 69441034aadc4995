"""Random walks: along links only, with the transition probabilities of node2vec, the same for the same seed."""

import numpy as np
import pytest
import torch
from scipy import sparse

from dynbench.errors import ConfigError
from dynbench.sampling.walks import random_walks


def graph(nodes: int, links: list[tuple[int, int]]) -> sparse.csr_array:
    full = np.zeros((nodes, nodes))
    for i, j in links:
        full[i, j] = full[j, i] = 1
    return sparse.csr_array(full)


def transitions(matrix: np.ndarray, came: int, here: int, p: float, q: float) -> np.ndarray:
    """By the definition, one node at a time."""
    weight = np.zeros(len(matrix))
    for x in np.flatnonzero(matrix[here]):
        weight[x] = matrix[here, x] * (1 / p if x == came else 1.0 if matrix[came, x] else 1 / q)
    return weight / weight.sum()


# A triangle with a tail, a chord and a self-loop; node 6 has no link.
LINKS = [(0, 1), (1, 2), (0, 2), (2, 3), (3, 4), (2, 4), (4, 5), (5, 5)]


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("p", "q"), [(1, 1), (4, 1), (0.25, 4), (2, 0.5), (0.1, 0.1)])
def test_transition_probabilities(p, q, weighted):
    torch.manual_seed(0)
    matrix = graph(7, LINKS)
    if weighted:
        rows, columns = matrix.nonzero()
        matrix.data *= 0.5 + (rows * columns) % 3
    full = matrix.toarray()
    walks = random_walks(matrix, torch.arange(6).repeat(4000), 12, p, q, weighted).numpy()
    assert full[walks[:-1], walks[1:]].all()
    first = np.bincount(walks[1, walks[0] == 2], minlength=7)
    assert np.abs(first / first.sum() - full[2] / full[2].sum()).max() < 0.03
    for came, here in [(0, 2), (3, 2), (2, 4), (5, 4), (4, 5), (5, 5)]:
        at = (walks[:-2] == came) & (walks[1:-1] == here)
        count = np.bincount(walks[2:][at], minlength=7)
        expected = transitions(full, came, here, p, q)
        assert np.abs(count / count.sum() - expected).max() < 4 / np.sqrt(count.sum()), (came, here)


def test_seeded_and_in_portions():
    matrix, starts = graph(7, LINKS), torch.arange(6).repeat(3000)  # more than go side by side
    results = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        results.append(random_walks(matrix, starts, 5, 0.5, 2.0))
    assert torch.equal(results[0], results[1])
    assert not torch.equal(results[0], results[2])
    assert torch.equal(results[0][0], starts)


def test_a_node_without_links_stays():
    walks = random_walks(graph(7, LINKS), torch.tensor([6, 0]), 9, 0.5, 2.0)
    assert bool((walks[:, 0] == 6).all())
    assert not bool((walks == 6)[:, 1].any())
    for weighted in (False, True):
        walks = random_walks(graph(3, []), torch.arange(3), 4, 0.5, 2.0, weighted)
        assert bool((walks == torch.arange(3)).all())


@pytest.mark.parametrize("wrong", [{"p": 0}, {"q": -1.0}, {"length": 0}])
def test_what_is_refused(wrong):
    with pytest.raises(ConfigError, match="walks need p > 0"):
        random_walks(graph(3, [(0, 1)]), torch.arange(3), **{"length": 3, **wrong})

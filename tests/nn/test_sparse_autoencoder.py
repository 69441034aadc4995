"""Sparse rows of an autoencoder: against dense matrices, all columns and some of them."""

import numpy as np
import pytest
import torch
from scipy import sparse

from dynbench.nn.sparse_autoencoder import (
    RowDecoder,
    RowLayer,
    SparseRows,
    add_penalty_gradient,
    perceptron,
    rebuilt_pairs,
)
from tests.reference import snapshots_slow as slow


def matrices(count: int = 2, nodes: int = 6) -> np.ndarray:
    draw = np.random.default_rng(0)
    upper = np.triu(draw.integers(1, 5, (count, nodes, nodes)) * (draw.random((count, nodes, nodes)) < 0.4), 1)
    return (upper + upper.transpose(0, 2, 1)).astype(np.float32)


def test_a_sparse_first_layer_is_the_dense_one():
    torch.manual_seed(0)
    full = matrices()
    rows, layer = torch.tensor([3, 9, 3, 0]), RowLayer(6, 5)
    torch.nn.init.normal_(layer.bias)
    entries = SparseRows([sparse.csr_array(m) for m in full]).take(rows)
    stacked = torch.from_numpy(full).flatten(0, 1)[rows]
    result, expected = layer(entries), stacked @ layer.weight + layer.bias
    torch.testing.assert_close(result, expected)
    ours, theirs = (torch.autograd.grad(part.square().sum(), list(layer.parameters())) for part in (result, expected))
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("slope", [0.0, 0.3])
def test_the_error_is_the_dense_one(slope):
    torch.manual_seed(0)
    full, decoder, hidden = matrices(1)[0], RowDecoder(4, 6, slope), torch.randn(3, 4, requires_grad=True)
    columns, rows = torch.tensor([0, 1, 2, 3, 5]), torch.tensor([0, 2, 5])
    full[4], full[:, 4] = 0, 0  # a column that does not count holds nothing
    target = SparseRows([sparse.csr_array(full)]).take(rows)
    result = decoder.error(hidden, target, 5.0, columns)
    rebuilt = decoder(hidden)
    expected = torch.stack([slow.row_error(rebuilt[k], full[r], 5.0, columns) for k, r in enumerate(rows.tolist())])
    torch.testing.assert_close(result, expected)
    wanted = [hidden, *decoder.parameters()]
    ours, theirs = (torch.autograd.grad(part.sum(), wanted) for part in (result, expected))
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)


def test_some_columns_stand_for_all():
    torch.manual_seed(0)
    full, decoder, hidden = matrices(1)[0], RowDecoder(4, 6, 0.3), torch.randn(3, 4)
    target = SparseRows([sparse.csr_array(full)]).take(torch.arange(3))
    columns = torch.arange(6)
    whole = decoder.error(hidden, target, 5.0, columns)
    wanted = [decoder.weight, decoder.bias]
    gradient = torch.autograd.grad(whole.sum(), wanted)
    draws, sums = [], [torch.zeros_like(part) for part in wanted]
    for _ in range(3000):
        error = decoder.error(hidden, target, 5.0, columns, sampled=2)
        draws.append(error.detach())
        for total, part in zip(sums, torch.autograd.grad(error.sum(), wanted), strict=True):
            total += part / 3000
    draws = torch.stack(draws)
    spread = draws.std(0) / 3000**0.5
    assert float(spread.min()) > 0
    assert bool(((draws.mean(0) - whole).abs() < 4 * spread).all())
    for mean, exact in zip(sums, gradient, strict=True):
        assert float((mean - exact).norm() / exact.norm()) < 0.05


def test_pairs_are_rebuilt_from_both_ends():
    torch.manual_seed(0)
    decoder, hidden = RowDecoder(4, 6, 0.3), torch.randn(6, 4)
    src, dst = torch.tensor([0, 3, 5]), torch.tensor([1, 3, 2])
    rebuilt = decoder(hidden)
    torch.testing.assert_close(rebuilt_pairs(decoder, hidden, src, dst), (rebuilt[src, dst] + rebuilt[dst, src]) / 2)
    assert len(rebuilt_pairs(decoder, hidden, src[:0], dst[:0])) == 0


def test_the_penalty_is_that_of_autograd():
    torch.manual_seed(0)
    layers = perceptron([3, 4, 2], 0.1)
    weights = [part for part in layers.parameters() if part.dim() > 1]
    layers(torch.randn(5, 3)).sum().backward()
    before = [part.grad.clone() for part in weights]
    expected = torch.autograd.grad(sum(0.1 * w.abs().sum() + 0.2 * w.square().sum() for w in weights), weights)
    add_penalty_gradient(weights, 0.1, 0.2)
    for weight, old, more in zip(weights, before, expected, strict=True):
        torch.testing.assert_close(weight.grad, old + more)

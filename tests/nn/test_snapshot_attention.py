"""Attention of DySAT: against a dense form for every node and head, in values and gradients."""

import math

import numpy as np
import pytest
import torch
from scipy import sparse

from dynbench.nn.snapshot_attention import SnapshotLinks, StructuralAttention, TemporalAttention, softmax_heads
from tests.reference import snapshots_slow as slow


def snapshots(steps: int = 3, nodes: int = 7, seed: int = 0) -> tuple[list[np.ndarray], np.ndarray]:
    draw, appeared = np.random.default_rng(seed), np.array([0, 0, 0, 0, 1, 2, 9])[:nodes]
    matrices = []
    for step in range(steps):
        weight = np.triu(draw.integers(1, 4, (nodes, nodes)) * (draw.random((nodes, nodes)) < 0.4))
        here = appeared <= step
        weight = weight * here[:, None] * here[None, :]
        matrices.append(np.triu(weight) + np.triu(weight, 1).T)
    matrices[1][:] = 0  # a silent snapshot
    return matrices, appeared


def links(matrices, appeared):
    return SnapshotLinks.of([sparse.csr_array(m.astype(np.float32)) for m in matrices], appeared)


@pytest.mark.parametrize(("block", "residual"), [(2, False), (2048, False), (2048, True)])
def test_within_snapshots(monkeypatch, block, residual):
    monkeypatch.setattr("dynbench.nn.snapshot_attention._BLOCK", block)
    torch.manual_seed(0)
    matrices, appeared = snapshots()
    first = StructuralAttention(7, 6, 2, 0.0, one_hot=True, residual=residual)
    second = StructuralAttention(6, 8, 4, 0.0, one_hot=False, residual=residual)
    for layer in (first, second):
        torch.nn.init.normal_(layer.bias)
    prepared = links(matrices, appeared)
    hidden = first(prepared)
    result = second(prepared, hidden)
    expected = []
    for step, matrix in enumerate(matrices):
        present = (appeared <= step).tolist()
        expected.append(slow.structural(matrix, present, second, slow.structural(matrix, present, first)))
    expected = torch.cat(expected)
    torch.testing.assert_close(result, expected)
    mixed = torch.randn_like(result)
    parameters = [*first.parameters(), *second.parameters()]
    ours = torch.autograd.grad((result * mixed).sum(), parameters)
    theirs = torch.autograd.grad((expected * mixed).sum(), parameters)
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-4)


def test_nodes_still_to_come_are_zeros_and_silent_ones_look_at_themselves():
    torch.manual_seed(0)
    matrices, appeared = snapshots()
    layer = StructuralAttention(7, 6, 2, 0.0, one_hot=True)
    result = layer(links(matrices, appeared)).view(3, 7, 6)
    assert not bool(result[:, 6].any())
    assert not bool(result[0, 4].any())
    torch.testing.assert_close(result[1, :5], torch.nn.functional.elu(layer.weight[:5]))


def test_dropout_changes_training_only_and_keeps_the_mean():
    torch.manual_seed(0)
    layer, prepared = StructuralAttention(7, 6, 2, 0.3, one_hot=True), links(*snapshots())
    with torch.no_grad():
        layer.weight.abs_()  # so that ELU is the identity, and means are kept
        layer.train()
        mean = torch.stack([layer(prepared) for _ in range(1500)]).mean(0)
        layer.eval()
        torch.testing.assert_close(mean, layer(prepared), atol=0.05, rtol=0.1)
        assert torch.equal(layer(prepared), layer(prepared))


@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize("asked", [[(2, 0), (2, 3), (1, 3), (0, 2)], [(2, 1)], [(1, 0), (0, 0)]])
def test_along_snapshots(asked, residual):
    torch.manual_seed(0)
    layer, inputs = TemporalAttention(8, 4, 0.0, residual), torch.randn(3, 4, 8, requires_grad=True)
    step, row = torch.tensor(asked).unbind(1)
    result = layer(inputs, step, row, 1 / math.sqrt(3))
    expected = torch.stack([slow.temporal(inputs[:, r], layer, 1 / math.sqrt(3))[t] for t, r in asked])
    torch.testing.assert_close(result, expected)
    wanted = [inputs, *layer.parameters()]
    ours, theirs = (torch.autograd.grad(part.square().sum(), wanted) for part in (result, expected))
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-4)


def test_later_snapshots_are_not_looked_at():
    torch.manual_seed(0)
    layer, inputs = TemporalAttention(8, 4, 0.0), torch.randn(3, 4, 8)
    other = inputs.clone()
    other[2] += 1
    at = torch.tensor([1, 0]), torch.tensor([2, 2])
    assert torch.equal(layer(inputs, *at, 1.0), layer(other, *at, 1.0))


def test_softmax_of_large_logits():
    logits = torch.tensor([[1000.0], [999.0], [-1000.0]])
    result = softmax_heads(logits, torch.tensor([0, 0, 2]), 3)
    torch.testing.assert_close(result, torch.tensor([[0.7310586], [0.2689414], [1.0]]))

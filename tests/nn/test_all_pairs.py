"""Sums over all pairs in blocks: values and gradients of the dense matrix, whatever the block."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from dynbench.nn import all_pairs
from dynbench.nn.all_pairs import softplus_sum


@pytest.fixture(params=[1, 7, 60, 10_000], ids=lambda size: f"block{size}")
def _block(request, monkeypatch):
    monkeypatch.setattr(all_pairs, "_BLOCK", request.param)


def codes(rows: int, width: int, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(rows, width, generator=generator, dtype=torch.double).requires_grad_()


@pytest.mark.usefixtures("_block")
def test_rectangle():
    p, q = codes(13, 4, 0), codes(9, 4, 1)
    (3 * F.softplus(p @ q.T).sum()).backward()
    expected = [p.grad.clone(), q.grad.clone()]
    p.grad = q.grad = None
    value = softplus_sum(p, q)
    (3 * value).backward()
    assert float(value) == pytest.approx(float(F.softplus(p @ q.T).sum()))
    assert torch.allclose(p.grad, expected[0])
    assert torch.allclose(q.grad, expected[1])


@pytest.mark.usefixtures("_block")
@pytest.mark.parametrize("bilinear", [False, True])
def test_symmetric(bilinear):
    z, matrix = codes(23, 4, 0), codes(4, 4, 1)

    def ends():
        return (z @ (matrix + matrix.T), z) if bilinear else (z, z)

    p, q = ends()
    F.softplus(p @ q.T).sum().backward()
    expected, z.grad = z.grad.clone(), None
    value = softplus_sum(*ends(), symmetric=True)
    value.backward()
    assert float(value) == pytest.approx(float(F.softplus(p @ q.T).sum()))
    assert torch.allclose(z.grad, expected)


@pytest.mark.usefixtures("_block")
def test_shares_add_up():
    p = codes(23, 4, 0)
    whole = softplus_sum(p, p, symmetric=True)
    whole.backward()
    expected, p.grad = p.grad.clone(), None
    parts = [softplus_sum(p, p, symmetric=True, part=(rank, 3)) for rank in range(3)]
    sum(parts).backward()
    assert float(sum(parts)) == pytest.approx(float(whole))
    assert torch.allclose(p.grad, expected)


def test_without_gradient():
    p = codes(5, 2, 0).detach()
    assert not softplus_sum(p, p).requires_grad

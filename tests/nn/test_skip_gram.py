"""Skip-gram: one update against autograd, pairs against loops, and clusters of a graph that it must find."""

import numpy as np
import pytest
import torch

from dynbench.nn import skip_gram as module
from dynbench.nn.skip_gram import skip_gram


def test_a_small_update_is_the_gradient():
    torch.manual_seed(0)
    center, context = torch.randn(6, 3), torch.randn(6, 3)
    src, dst = torch.tensor([0, 1, 1, 4], dtype=torch.int32), torch.tensor([1, 2, 0, 4], dtype=torch.int32)
    noise = torch.tensor([3, 5, 2], dtype=torch.int32)
    torch.manual_seed(1)
    drawn = noise[torch.randint(3, (8,))].view(4, 2)
    u, v = center.clone().requires_grad_(), context.clone().requires_grad_()
    gain = torch.zeros(())
    for i, j, negatives in zip(src.tolist(), dst.tolist(), drawn.tolist(), strict=True):
        gain = gain + torch.nn.functional.logsigmoid(u[i] @ v[j])
        for k in negatives:
            gain = gain + (torch.nn.functional.logsigmoid(-u[i] @ v[k]) if k != j else 0)
    gain.backward()
    after = center.clone(), context.clone()
    torch.manual_seed(1)
    module._update(*after, src, dst, noise, 2, 1e-4)
    torch.testing.assert_close(after[0] - center, 1e-4 * u.grad, rtol=0.01, atol=1e-6)
    torch.testing.assert_close(after[1] - context, 1e-4 * v.grad, rtol=0.01, atol=1e-6)


def test_an_update_is_held_back_by_what_it_would_move():
    torch.manual_seed(0)
    center, context = torch.randn(6, 3), torch.randn(6, 3)
    src, dst = torch.tensor([0, 1, 1, 4], dtype=torch.int32), torch.tensor([1, 2, 0, 4], dtype=torch.int32)
    noise, rate = torch.tensor([3, 5, 2], dtype=torch.int32), 0.5
    torch.manual_seed(1)
    drawn = noise[torch.randint(3, (8,))].view(4, 2)
    moves = [torch.zeros(6, 3), torch.zeros(6, 3)]
    held = [torch.ones(6), torch.ones(6)]
    for i, j, negatives in zip(src.tolist(), dst.tolist(), drawn.tolist(), strict=True):
        for k, label in ((j, 1.0), *((k, 0.0) for k in negatives if k != j)):
            error = rate * (label - torch.sigmoid(center[i] @ context[k]))
            for part, at, other in ((0, i, context[k]), (1, k, center[i])):
                moves[part][at] += error * other
                held[part][at] += error.abs() * other.square().sum()
    after = center.clone(), context.clone()
    torch.manual_seed(1)
    module._update(*after, src, dst, noise, 2, rate)
    for new, old, move, hold in zip(after, (center, context), moves, held, strict=True):
        torch.testing.assert_close(new - old, move / hold[:, None])


@pytest.mark.parametrize("rate", [0.025, 1.0, 20.0])
def test_no_rate_makes_a_hub_diverge(rate):
    torch.manual_seed(0)
    walks = torch.zeros(20, 60, dtype=torch.long)
    walks[::2] = torch.randint(1, 100, (10, 60))  # a star: every other place is its centre
    for part in skip_gram(walks, 100, 8, subsample=0, learning_rate=rate):
        assert bool(torch.isfinite(part).all())
        assert float(part.abs().max()) < 30


def test_vectors_start_where_they_are_told():
    torch.manual_seed(0)
    walks, start = torch.randint(5, (6, 10)), (torch.randn(7, 4), torch.randn(7, 4))
    before = [part.clone() for part in start]
    ends = skip_gram(walks, 7, 4, subsample=0, start=start)
    for part, begin, end in zip(start, before, ends, strict=True):
        assert torch.equal(part, begin)
        assert torch.equal(end[5:], begin[5:])  # nodes that no walk passes
        assert not torch.equal(end[:5], begin[:5])


def test_pairs_lie_within_the_window():
    torch.manual_seed(0)
    walks = torch.arange(12).view(6, 2)  # even numbers on one walk, odd ones on the other
    met = set()
    for _ in range(200):
        src, dst = module._pairs(walks, torch.ones(12), 3)
        found = list(zip(src.tolist(), dst.tolist(), strict=True))
        assert len(set(found)) == len(found)
        assert all(i % 2 == j % 2 and 2 <= abs(i - j) <= 6 for i, j in found)
        # A place that reaches farther has also those that are nearer on its side.
        assert all((i, i + (2 if j > i else -2)) in found for i, j in found)
        met |= set(found)
    assert met == {(i, j) for i in range(12) for j in range(12) if i % 2 == j % 2 and 0 < abs(i - j) <= 6}


def test_frequent_nodes_are_left_out_and_walks_close_up():
    torch.manual_seed(0)
    kept = torch.ones(4).double()
    kept[3] = 0.0
    src, dst = module._pairs(torch.tensor([[0], [3], [1], [3], [2]]), kept, 1)
    assert sorted(zip(src.tolist(), dst.tolist(), strict=True)) == [(0, 1), (1, 0), (1, 2), (2, 1)]
    count = torch.tensor([1000.0, 10.0]).double()
    share = 1000 / 1010
    assert module._kept(count, 1e-3)[0] == pytest.approx((1e-3 / share) ** 0.5 + 1e-3 / share)
    assert module._kept(count, 0).tolist() == [1, 1]


def test_noise_is_drawn_in_proportion():
    table = module._table(torch.tensor([1.0, 0.0, 3.0]).double())
    assert (torch.bincount(table) / len(table)).tolist() == pytest.approx([0.25, 0, 0.75], abs=1e-4)


def test_neighbours_on_walks_get_similar_vectors():
    torch.manual_seed(0)
    side = torch.randint(2, (400,))
    walks = torch.randint(15, (30, 400)) + 15 * side  # two sets of nodes that never meet
    vectors = skip_gram(walks, 31, 4, window=3, epochs=3, subsample=0)[0].numpy()
    unit = vectors[:30] / np.linalg.norm(vectors[:30], axis=1, keepdims=True)
    alike = unit @ unit.T
    assert alike[:15, :15].mean() > 0.9
    assert alike[15:, 15:].mean() > 0.9
    assert alike[:15, 15:].mean() < 0.4
    assert np.abs(vectors[30]).max() <= 0.5 / 4  # never met

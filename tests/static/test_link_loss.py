"""The loss over all known pairs, against the dense matrix written out."""

from __future__ import annotations

import dataclasses

import pytest
import torch
import torch.nn.functional as F

from dynbench.errors import ConfigError, DataError
from dynbench.graph import TemporalGraph
from dynbench.models.static.graph import StaticGraph
from dynbench.models.static.link_loss import AttributeLoss, LinkLoss

NODES = 12


def graph(unknown=True) -> TemporalGraph:
    generator = torch.Generator().manual_seed(3)
    upper = torch.triu(torch.rand(NODES, NODES, generator=generator) < 0.3, 1)
    src, dst = upper.nonzero().unbind(1)
    made = TemporalGraph.from_events(src, dst, torch.zeros_like(src), NODES, directed=False, num_steps=1)
    if not unknown:
        return made
    apart = (~upper).triu(1).nonzero().T[:, ::5]
    # One of them is written the other way round, and once more.
    return dataclasses.replace(made, unknown=torch.cat([apart, apart[:, :1].flip(0)], dim=1))


def dense_loss(known: StaticGraph, logits: torch.Tensor, masked: str, weighted: bool) -> torch.Tensor:
    """As the authors' code has it: all pairs at once, with a mask."""
    target = torch.eye(NODES)
    target[known.src, known.dst] = target[known.dst, known.src] = 1
    links = 2 * len(known.src)
    mask = torch.ones(NODES, NODES)
    if masked != "none":
        mask[known.unknown[0], known.unknown[1]] = 0
    if masked == "both":
        mask[known.unknown[1], known.unknown[0]] = 0
    weight = torch.tensor((NODES**2 - links) / links if weighted else 1.0)
    norm = NODES**2 / (2 * (NODES**2 - links)) if weighted else 1.0
    each = F.binary_cross_entropy_with_logits(logits, target, reduction="none", pos_weight=weight)
    return norm * (each * mask).sum() / mask.sum()


@pytest.mark.parametrize("masked", ["both", "one_direction", "none"])
@pytest.mark.parametrize("weighted", [True, False])
def test_loss_is_that_of_the_dense_matrix(masked, weighted):
    known = StaticGraph.of(graph())
    z = torch.randn(NODES, 3, generator=torch.Generator().manual_seed(0)).requires_grad_()
    expected = dense_loss(known, z @ z.T, masked, weighted)
    expected.backward()
    slope, z.grad = z.grad.clone(), None
    loss = LinkLoss(known, masked, weighted)(z, z)
    loss.backward()
    assert float(loss) == pytest.approx(float(expected), rel=1e-5)
    assert torch.allclose(z.grad, slope, rtol=1e-4, atol=1e-6)


def test_unknown_pairs_take_no_part():
    """With orthogonal codes, only pairs that share a coordinate have a slope; a node of unknown pairs only has none."""
    known = StaticGraph.of(graph())
    one, other = known.unknown[:, 2].tolist()
    z = torch.zeros(NODES, NODES)
    z[one, 0] = z[other, 0] = 1
    z.requires_grad_()
    slopes = {}
    for masked in ("both", "one_direction", "none"):
        z.grad = None
        LinkLoss(known, masked)(z, z).backward()
        # What pulls `one` along the direction that it shares with `other`, beyond its own diagonal.
        slopes[masked] = float(z.grad[one, 0])
    lone = z.detach().clone()
    lone[other] = 0
    lone.requires_grad_()
    LinkLoss(known, "both")(lone, lone).backward()
    assert slopes["both"] == pytest.approx(float(lone.grad[one, 0]), rel=1e-5)
    assert slopes["both"] < slopes["one_direction"] < slopes["none"]


def test_devices_share_the_loss():
    known = StaticGraph.of(graph())
    z = torch.randn(NODES, 3, generator=torch.Generator().manual_seed(0))
    loss = LinkLoss(known)
    shares = [loss(z, z, (rank, 2)) for rank in range(2)]
    assert float(sum(shares) / 2) == pytest.approx(float(loss(z, z)), rel=1e-5)


def test_attribute_loss():
    generator = torch.Generator().manual_seed(0)
    x = (torch.rand(NODES, 7, generator=generator) < 0.3).float()
    p, q = torch.randn(NODES, 3, generator=generator), torch.randn(7, 3, generator=generator)
    weight = (x == 0).sum() / x.sum()
    expected = F.binary_cross_entropy_with_logits(p @ q.T, x, pos_weight=weight)
    row, column = x.nonzero().unbind(1)
    assert float(AttributeLoss(row, column, (NODES, 7))(p, q)) == pytest.approx(float(expected), rel=1e-5)


def test_links_are_merged_and_loops_dropped():
    made = TemporalGraph.from_events([0, 1, 2, 2], [1, 0, 2, 1], [0, 0, 0, 1], 4, directed=False, num_steps=2)
    known = StaticGraph.of(made)
    assert [known.src.tolist(), known.dst.tolist()] == [[0, 1], [1, 2]]
    assert StaticGraph.of(made, "last").src.tolist() == [1]
    assert known.unknown.shape == (2, 0)


def test_bad_graphs_are_named():
    made = graph()
    with pytest.raises(DataError, match="no edge is left"):
        StaticGraph.of(made.before(0))
    loops = TemporalGraph.from_events([1], [1], [0], 4, directed=False, num_steps=1)
    with pytest.raises(DataError, match="no edge is left"):
        StaticGraph.of(loops)
    with pytest.raises(ConfigError, match="undirected"):
        StaticGraph.of(dataclasses.replace(made, directed=True))
    with pytest.raises(DataError, match="features of 3 nodes"):
        StaticGraph.of(dataclasses.replace(made, node_features=torch.ones(3, 2)))

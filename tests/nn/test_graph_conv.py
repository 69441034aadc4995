"""Graph layers against dense algebra and, where it is installed, torch_geometric."""

import pytest
import torch

from dynbench.nn.graph_conv import GCNConv, PlainLayer, SAGEConv, aggregate, both_ways, gcn_edges, mean_edges

NODES = 12


@pytest.fixture(params=[0, 1, 2])
def links(request):
    generator = torch.Generator().manual_seed(request.param)
    src, dst = torch.randint(NODES - 2, (2, 30), generator=generator)  # two nodes stay isolated
    key = (src * NODES + dst)[src != dst].unique()
    return key // NODES, key % NODES


def dense(edges):
    matrix = torch.zeros(NODES, NODES)
    return matrix.index_put((edges.dst, edges.src), edges.weight, accumulate=True)


def test_both_ways(links):
    src, dst = both_ways(*links, NODES)
    matrix = torch.zeros(NODES, NODES, dtype=torch.long)
    matrix[links] = 1
    expected = ((matrix + matrix.T) > 0).long()
    found = torch.zeros_like(expected).index_put((src, dst), torch.ones_like(src), accumulate=True)
    assert torch.equal(found, expected)


@pytest.mark.parametrize("undirected", [True, False])
def test_gcn_is_the_dense_formula(links, undirected):
    src, dst = both_ways(*links, NODES) if undirected else links
    adjacency = torch.eye(NODES).index_put((dst, src), torch.ones(len(src)), accumulate=True)
    scale = adjacency.sum(1).rsqrt()
    expected = scale[:, None] * adjacency * scale
    edges = gcn_edges(src, dst, NODES)
    torch.testing.assert_close(dense(edges), expected)
    layer, x = GCNConv(5, 3), torch.randn(NODES, 5)
    torch.testing.assert_close(layer(x, edges), expected @ x @ layer.weight + layer.bias)


def test_sage_averages(links):
    edges, x = mean_edges(*links, NODES), torch.randn(NODES, 5)
    sums = dense(edges)
    reached = torch.isin(torch.arange(NODES), links[1])
    torch.testing.assert_close(sums.sum(1), reached.float())
    torch.testing.assert_close(aggregate(x, edges), sums @ x)


def test_a_plain_layer_looks_at_no_edge(links):
    layer, x = PlainLayer(5, 3), torch.randn(NODES, 5)
    torch.testing.assert_close(layer(x, mean_edges(*links, NODES)), layer(x, mean_edges(links[1], links[0], NODES)))


@pytest.mark.parametrize("undirected", [True, False])
def test_against_torch_geometric(links, undirected):
    reference = pytest.importorskip("torch_geometric.nn", reason="torch_geometric is not installed")
    ends = both_ways(*links, NODES) if undirected else links
    x = torch.randn(NODES, 5)
    theirs, ours = reference.GCNConv(5, 3), GCNConv(5, 3)
    ours.load_state_dict({"weight": theirs.lin.weight.T, "bias": torch.randn(3)})
    theirs.bias.data = ours.bias.data
    torch.testing.assert_close(ours(x, gcn_edges(*ends, NODES)), theirs(x, torch.stack(ends)))
    theirs, ours = reference.SAGEConv(5, 3), SAGEConv(5, 3)
    ours.load_state_dict(
        {
            "neighbours.weight": theirs.lin_l.weight,
            "neighbours.bias": theirs.lin_l.bias,
            "root.weight": theirs.lin_r.weight,
        }
    )
    torch.testing.assert_close(ours(x, mean_edges(*ends, NODES)), theirs(x, torch.stack(ends)))

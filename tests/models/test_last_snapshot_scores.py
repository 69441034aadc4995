"""Neighbourhood scores of the last snapshot's undirected projection, against networkx."""

import math

import networkx as nx
import pytest
import torch

from dynbench.contract import Queries
from dynbench.graph import TemporalGraph
from dynbench.models.counting.neighborhood import (
    AdamicAdar,
    CommonNeighbors,
    PreferentialAttachment,
    ResourceAllocation,
)

NODES, STEPS = 20, 4


@pytest.fixture(scope="module")
def graph():
    generator = torch.Generator().manual_seed(3)
    time = torch.arange(STEPS).repeat_interleave(45)
    src, dst = torch.randint(NODES, (2, len(time)), generator=generator)
    proper = src != dst
    events = TemporalGraph.from_events(src[proper], dst[proper], time[proper], NODES)
    return events.snapshots(events.time, STEPS)


def expected(kind, snapshot):
    toy = nx.Graph()
    toy.add_nodes_from(range(NODES))
    toy.add_edges_from(zip(snapshot.src.tolist(), snapshot.dst.tolist(), strict=True))
    pairs = [(u, v) for u in range(NODES) for v in range(NODES) if u != v]
    if kind is CommonNeighbors:
        return [len(list(nx.common_neighbors(toy, u, v))) for u, v in pairs]
    score = {
        AdamicAdar: nx.adamic_adar_index,
        ResourceAllocation: nx.resource_allocation_index,
        PreferentialAttachment: nx.preferential_attachment,
    }[kind]
    return [value for _, _, value in score(toy, pairs)]


@pytest.mark.parametrize("kind", [CommonNeighbors, AdamicAdar, ResourceAllocation, PreferentialAttachment])
def test_against_networkx(graph, kind):
    src, dst = torch.cartesian_prod(torch.arange(NODES), torch.arange(NODES)).unbind(1)
    src, dst = src[src != dst], dst[src != dst]
    more = {"count": "neighbors"} if kind is PreferentialAttachment else {}
    model = kind(snapshots="last", **more)
    model.condition(graph.before(STEPS - 1))
    for step in (STEPS - 2, STEPS - 1):
        scores = model.score(Queries.pairs(src, dst, step + 1))
        torch.testing.assert_close(scores, torch.tensor(expected(kind, graph.step(step))).float())
        model.observe(graph.step(STEPS - 1))
    model.observe(graph.between(STEPS, STEPS))  # nothing happened: the last snapshot stands
    assert torch.equal(scores, model.score(Queries.pairs(src, dst, STEPS)))
    assert math.isfinite(float(scores.sum()))


def test_all_snapshots_stay_the_default(graph):
    model, last = PreferentialAttachment(), PreferentialAttachment(snapshots="last")
    for each in (model, last):
        each.condition(graph)
    assert float(model.degree.sum()) == 2 * len(graph)
    assert float(last.degree.sum()) == 2 * len(graph.step(STEPS - 1))

"""Event-stream models that embed the nodes of snapshots."""

import pytest
import torch

from dynbench.config.check import check
from dynbench.config.compose import compose
from dynbench.engine.trainer import Trainer
from dynbench.errors import ConfigError, DataError
from dynbench.graph import TemporalGraph
from dynbench.models.stream.event_embedding import EventEmbedding
from dynbench.testing.stage import tiny_graph

SYSTEMS = ("jodie", "dyrep", "tgn", "dygformer")


def fitted(system: str, graph: TemporalGraph, **settings) -> EventEmbedding:
    torch.manual_seed(0)
    model = EventEmbedding(system=system, **{"epochs": 1, "dim": 2, "time_dim": 6, "channel": 4, **settings})
    model.fit(graph, None, Trainer())
    model.condition(graph)
    return model


def test_every_link_is_an_event_in_both_directions():
    graph = TemporalGraph.from_events([0, 1, 0, 2, 3], [1, 0, 1, 2, 0], [0, 0, 1, 1, 1], 5).snapshots(
        torch.tensor([0, 0, 1, 1, 1]), 2
    )
    events = fitted("jodie", graph).as_events(graph)
    found = list(zip(events.time.tolist(), events.src.tolist(), events.dst.tolist(), strict=True))
    assert found == [(0, 0, 1), (0.5, 1, 0), (1, 0, 1), (1.2, 1, 0), (1.4, 2, 2), (1.6, 3, 0), (1.8, 0, 3)]


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_node_is_the_mean_over_its_events(system):
    graph = tiny_graph()
    model = fitted(system, graph)
    found = model.embed(torch.arange(10))
    events = model.as_events(graph)
    inner = model.model
    inner.condition(events.events(0, 0))
    for step in range(10):
        now = events.subset(events.time.floor() == step)  # of fewer than 128 events, which is one batch
        inner.observe(now)
        vectors = {node: [] for node in range(graph.num_nodes)}
        with torch.no_grad():
            for src, dst, time in zip(now.src, now.dst, now.time, strict=True):
                ends = inner.ends(src[None], dst[None], time[None])
                for node, end in zip((src, dst), ends, strict=True):
                    vectors[int(node)].append(end[0])
        for node, own in vectors.items():
            expected = torch.stack(own).mean(0) if own else torch.zeros(2)
            assert torch.allclose(found[step, node], expected, atol=1e-5), (step, node)
    assert not found[:, -1].any()  # it never has a link
    assert torch.equal(found[torch.tensor([7, 2])], model.embed(torch.tensor([7, 2])))


@pytest.mark.parametrize("system", SYSTEMS)
def test_later_snapshots_do_not_move_earlier_vectors(system):
    graph = tiny_graph()
    model = fitted(system, graph)
    whole = model.embed(torch.arange(10))
    model.condition(graph.subset(graph.time < 6))
    assert torch.allclose(model.embed(torch.arange(6)), whole[:6], atol=1e-6)
    assert len({round(float(x), 4) for x in whole[5, :, 0]}) > 3  # and they tell nodes apart


def test_the_published_sizes_and_what_is_refused():
    graph = tiny_graph()
    assert fitted("tgn", graph, dim=1, time_dim=31).embed(torch.arange(2)).shape == (2, 20, 1)
    with pytest.raises(ConfigError, match=r"model.heads=4 must divide model.dim \+ model.time_dim = 33"):
        EventEmbedding(system="tgn", dim=1, time_dim=32)
    with pytest.raises(DataError, match="there is no link to embed"):
        EventEmbedding(system="jodie").fit(graph.subset(graph.time < 0), None, Trainer())


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_model_of_events_is_meant_by_its_name_where_nodes_are_embedded(system):
    for protocol in ("node_clustering", "node_clustering_first"):
        values = check(compose([f"model={system}", f"protocol={protocol}", "data=synthetic_1"]))
        assert (values["model"]["name"], values["model"]["system"]) == (f"{system}_nodes", system)

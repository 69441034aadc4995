"""The generated e-mail network has the size and the persistence that its card promises."""

import pytest
import torch

from dynbench.config.compose import CONF
from dynbench.data import Locations, cards
from dynbench.data.bursty import BurstyMail
from dynbench.errors import DataError
from dynbench.sampling.pairs import PairIndex

SMALL = {"nodes": 60, "days": 40, "links": 500, "life": 15.0}


def persistence(graph):
    """Mean share of a snapshot's links that the next one has."""
    index, shares = PairIndex(graph), []
    for step in range(graph.num_steps - 1):
        now = graph.step(step)
        shares.append(float(index.contains(step + 1, now.src, now.dst).float().mean()))
    return sum(shares) / len(shares)


@pytest.mark.parametrize(("window", "share"), [("1d", 0.42), ("7d", 0.53)])
def test_the_card(window, share, tmp_path):
    card = cards.read_card(CONF / "data" / "bursty_mail.yaml")
    graph = cards.build(card, Locations.from_settings(None, str(tmp_path), True), window=window).load()
    assert (graph.num_nodes, graph.directed) == (5834, True)
    assert len(torch.unique(graph.src * graph.num_nodes + graph.dst)) == 136_830
    assert persistence(graph) == pytest.approx(share, abs=0.02)


def test_bursts():
    events = BurstyMail("small", **SMALL).load("events")
    assert bool((events.src != events.dst).all())
    assert 0 <= int(events.time[0]) <= int(events.time[-1]) < 40 * 86_400
    pair = events.src * 60 + events.dst
    assert len(torch.unique(pair)) == 500
    order = torch.argsort(pair * 40 * 86_400 + events.time)
    gap, same = events.time[order].diff(), pair[order].diff() == 0
    assert float((gap[same] <= 1800).float().mean()) > 0.3  # messages of a link come in bursts


def test_seeds():
    one, same, other = (BurstyMail("small", **SMALL, seed=seed).load() for seed in (1, 1, 2))
    assert one.checksum() == same.checksum() != other.checksum()
    assert one.num_steps == 40


@pytest.mark.parametrize(("key", "value"), [("daily", 1.5), ("links", 10_000), ("life", 0.5), ("days", 1)])
def test_parameters_out_of_range(key, value):
    with pytest.raises(DataError, match=rf"data\.{key}={value} must be"):
        BurstyMail("small", **{**SMALL, key: value}).load()


def test_wust_says_why_it_is_not_there(tmp_path, monkeypatch):
    monkeypatch.delenv("DYNBENCH_DATA", raising=False)
    with pytest.raises(DataError, match="cannot be downloaded: the NGLP paper keeps the network private"):
        cards.build(
            cards.read_card(CONF / "data" / "wust.yaml"), Locations.from_settings(None, str(tmp_path), True)
        ).load()

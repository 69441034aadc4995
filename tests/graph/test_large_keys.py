"""Keys that would not fit in 64 bits: many nodes, and times in seconds."""

import dataclasses

import pytest
import torch

from dynbench.errors import DataError
from dynbench.graph import TemporalGraph
from dynbench.graph.facts import FactIndex
from dynbench.sampling.pairs import PairIndex

EARLY, LATE = 1_700_000_000, 1_700_086_400
NODES = 2_000_000_000


def facts(num_nodes: int, far: int, times: tuple[int, int]) -> TemporalGraph:
    """Four facts; one node of them has the number ``far``."""
    return TemporalGraph(
        src=torch.tensor([0, far, 0, 1]),
        dst=torch.tensor([far, 1, far, 2]),
        time=torch.tensor([times[0], times[0], times[1], times[1]]),
        relation=torch.tensor([0, 1, 0, 1]),
        num_nodes=num_nodes,
        num_relations=2,
        directed=True,
    )


@pytest.mark.parametrize("timed", [True, False])
def test_completions_of_facts_at_times_in_seconds(timed):
    wide, small = facts(NODES, NODES - 1, (EARLY, LATE)), facts(4, 3, (0, 1))
    head, relation = torch.tensor([0, 0, 1, 0]), torch.tensor([0, 0, 1, 1])
    found = FactIndex(wide, timed).answers(head, relation, torch.tensor([EARLY, LATE, LATE, EARLY]))
    plain = FactIndex(small, timed).answers(head, relation, torch.tensor([0, 1, 1, 0]))
    assert torch.equal(found[0], plain[0])
    assert torch.equal(torch.where(found[1] == NODES - 1, 3, found[1]), plain[1])


def test_nothing_completes_a_fact_at_a_time_without_facts():
    index = FactIndex(facts(4, 3, (5, 7)), timed=True)
    for time in (0, 4, 6, 8, EARLY):
        rows, _ = index.answers(torch.tensor([0]), torch.tensor([0]), torch.tensor([time]))
        assert not len(rows)


def test_snapshots_of_very_many_nodes():
    step = torch.tensor([3, 3, 900, 900])
    wide, small = (
        facts(nodes, far, (0, 1)).snapshots(step, 1000, directed=False) for nodes, far in ((NODES, NODES - 1), (4, 3))
    )
    for name in ("time", "relation", "weight", "src"):
        assert torch.equal(getattr(wide, name), getattr(small, name))
    assert torch.equal(torch.where(wide.dst == NODES - 1, 3, wide.dst), small.dst)


def test_pairs_that_cannot_be_numbered_are_refused():
    graph = dataclasses.replace(facts(NODES, NODES - 1, (0, 1)), relation=None, num_relations=1)
    assert PairIndex(graph).contains(1, torch.tensor([0]), torch.tensor([NODES - 1]))
    with pytest.raises(DataError, match=r"wider data\.window"):
        PairIndex(dataclasses.replace(graph, time=torch.tensor([0, 0, 1, EARLY])))

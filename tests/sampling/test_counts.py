"""Snapshots as matrices of counts: silent ones, loops, directions, and weights that count nothing."""

import numpy as np
import pytest
import torch

from dynbench.errors import DataError
from dynbench.graph import TemporalGraph
from dynbench.sampling.counts import count_matrices, digests, seen_nodes


def graph(weight=(2.0, 3.0, 1.0, 4.0), directed=False, **more) -> TemporalGraph:
    fields = {"num_nodes": 5, "num_steps": 4, "directed": directed, "weight": list(weight), **more}
    return TemporalGraph.from_events([0, 1, 3, 3], [1, 2, 3, 4], [0, 0, 2, 2], **fields)


def test_every_snapshot_is_a_symmetric_matrix():
    full = [matrix.toarray() for matrix in count_matrices(graph())]
    assert len(full) == 4
    assert [matrix.sum() for matrix in full] == [10, 0, 9, 0]
    assert full[0][0, 1] == full[0][1, 0] == 2
    assert full[2][3, 3] == 1
    assert [matrix.sum() for matrix in count_matrices(graph(), loops=False)] == [10, 0, 8, 0]
    assert count_matrices(graph(), "log")[0].toarray()[0, 1] == pytest.approx(np.log(3))
    assert count_matrices(graph(weight=(0, -1, 1, 1)), "binary")[0].toarray()[1, 2] == 1
    assert all(matrix.dtype == np.float32 for matrix in count_matrices(graph(), "log"))


def test_both_directions_of_a_pair_add_up():
    both = TemporalGraph.from_events([0, 1], [1, 0], [0, 0], 2, num_steps=1, weight=[2.0, 3.0])
    assert count_matrices(both)[0].toarray().tolist() == [[0, 5], [5, 0]]
    assert count_matrices(both, "binary")[0].toarray().tolist() == [[0, 1], [1, 0]]


@pytest.mark.parametrize("bad", [0.0, -2.0, float("nan"), float("inf")])
def test_weights_that_count_nothing_are_refused(bad):
    with pytest.raises(DataError, match=r"link 3-3 of snapshot 2 has the weight .*1 of 4.*model.weights=binary"):
        count_matrices(graph(weight=(1, 1, bad, 1)))


def test_nodes_in_order_of_appearance():
    nodes, first = seen_nodes(graph().before(1))
    assert (nodes.tolist(), first.tolist()) == ([0, 1, 2], [0, 0, 0])
    nodes, first = seen_nodes(graph())
    assert (nodes.tolist(), first.tolist()) == ([0, 1, 2, 3, 4], [0, 0, 0, 2, 2])


def test_digests_tell_snapshots_apart():
    one, other = digests(count_matrices(graph())), digests(count_matrices(graph(weight=(2, 3, 1, 5))))
    assert torch.equal(one[:2], other[:2])
    assert one[2] != other[2]
    assert one[1] == one[3]
    assert torch.equal(one[:3], digests(count_matrices(graph().before(3))))

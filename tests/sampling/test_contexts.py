"""Near nodes on walks: counted as a loop counts them, drawn in proportion, absent for nodes without a link."""

import numpy as np
import torch
from scipy import sparse

from dynbench.sampling import contexts as module
from dynbench.sampling.contexts import ContextPairs


def ring(nodes: int, linked: int) -> sparse.csr_array:
    full = np.zeros((nodes, nodes), dtype=np.float32)
    for node in range(linked):
        full[node, (node + 1) % linked] = full[(node + 1) % linked, node] = 1 + node
    return sparse.csr_array(full)


def test_counts_are_those_of_a_loop(monkeypatch):
    walks = torch.randint(6, (5, 7), generator=torch.Generator().manual_seed(0))
    monkeypatch.setattr(module, "random_walks", lambda *arguments, **more: walks)
    nodes, near, count = module._near(ring(6, 6), 1, 5, 3)
    expected = np.zeros((6, 6))
    for walk in walks.t().tolist():
        for i, one in enumerate(walk):
            for j, other in enumerate(walk):
                if i != j and abs(i - j) <= 3 and one != other:
                    expected[one, other] += 1
    found = np.zeros((6, 6))
    found[nodes, near] = count
    assert (found == expected).all()


def test_draws_follow_the_counts():
    torch.manual_seed(0)
    pairs = ContextPairs([ring(5, 4), sparse.csr_array((5, 5), dtype=np.float32), ring(5, 3)], 4, 6, 2)
    step, node = torch.tensor([0, 0, 1, 2, 2]), torch.tensor([2, 4, 0, 0, 3])
    asked, near = pairs.draw(step.repeat(3000), node.repeat(3000), 4)
    assert near.shape == (len(asked), 4)
    assert set((asked % 5).tolist()) == {0, 3}  # node 4 has no link, snapshot 1 none at all, node 3 not in the last
    met = near[asked % 5 == 0].flatten()
    counts = np.zeros(5)
    start = int(pairs._stop[2] - pairs._total[2])
    ends = pairs._ends.numpy()
    inside = (ends > start) & (ends <= int(pairs._stop[2]))
    counts[pairs._near.numpy()[inside]] = np.diff(np.concatenate([[start], ends[inside]]))
    share = np.bincount(met, minlength=5) / len(met)
    assert counts[2] == counts[4] == 0
    assert np.abs(share - counts / counts.sum()).max() < 0.01
    assert not bool((near[asked % 5 == 3] == 0).any())


def test_nothing_near():
    pairs = ContextPairs([sparse.csr_array((3, 3), dtype=np.float32)], 2, 4, 2)
    asked, near = pairs.draw(torch.zeros(3, dtype=torch.long), torch.arange(3), 2)
    assert len(asked) == 0
    assert near.shape == (0, 2)

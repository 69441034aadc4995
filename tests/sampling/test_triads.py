"""Triads: open ones only, uniform among them, with the right weights and common neighbours; corruption never links."""

import numpy as np
import torch
from scipy import sparse

from dynbench.sampling.triads import TriadSampler


def matrices(steps: int = 3, nodes: int = 9, seed: int = 0, share: float = 0.35) -> list[np.ndarray]:
    draw = np.random.default_rng(seed)
    upper = np.triu(draw.integers(1, 5, (steps, nodes, nodes)) * (draw.random((steps, nodes, nodes)) < share), 1)
    upper[:, :, -1] = 0  # a node without a link
    return list((upper + upper.transpose(0, 2, 1)).astype(np.float32))


def sampler(full) -> TriadSampler:
    return TriadSampler([sparse.csr_array(matrix) for matrix in full])


def test_links_are_there_once():
    full = matrices()
    found = sampler(full)
    rows = set(zip(*(part.tolist() for part in (found.step, found.src, found.dst, found.weight)), strict=True))
    expected = {
        (t, i, j, float(m[i, j])) for t, m in enumerate(full) for i in range(9) for j in range(i + 1, 9) if m[i, j]
    }
    assert rows == expected
    assert len(found) == len(expected)


def test_triads_are_open_and_uniform():
    torch.manual_seed(0)
    full = matrices()
    found = sampler(full)
    link = torch.arange(len(found)).repeat_interleave(2000)
    triads = found.triads(link)
    wanted = {}  # of each link, its open triads, half of them around either end
    for step, src, dst in zip(found.step.tolist(), found.src.tolist(), found.dst.tolist(), strict=True):
        if step == 2:
            continue
        for centre, one in ((src, dst), (dst, src)):
            others = [j for j in range(9) if full[step][centre, j] and j != one and not full[step][one, j]]
            for other in others:
                wanted[step, centre, one, other] = 1000 / len(others)
    drawn = {}
    rows = zip(*(part.tolist() for part in triads[:4]), strict=True)
    for row in rows:
        drawn[row] = drawn.get(row, 0) + 1
    assert set(drawn) == set(wanted)
    assert all(abs(drawn[row] - count) < 5 * count**0.5 + 60 for row, count in wanted.items())
    rows = zip(*(part.tolist() for part in (*triads[:4], triads.weight)), strict=True)
    for t, k, i, j, weight in rows:
        assert weight == [full[t][k, i], full[t][k, j]]


def test_what_closes_is_known_with_all_that_could_have_closed_it():
    torch.manual_seed(0)
    full = matrices()
    found = sampler(full)
    triads = found.triads(torch.arange(len(found)).repeat(50))
    ends = zip(*(part.tolist() for part in (triads.step, triads.one, triads.other)), strict=True)
    closes = torch.tensor([bool(full[t + 1][i, j]) for t, i, j in ends])
    assert torch.equal(triads.closing >= 0, closes)
    assert bool(closes.any())
    assert not bool(closes.all())
    closed = closes.nonzero().squeeze(1)
    owner, shared, weight = found.around(triads.closing[closed])
    for position, row in enumerate(closed.tolist()):
        t, i, j = (int(part[row]) for part in (triads.step, triads.one, triads.other))
        low, high = min(i, j), max(i, j)
        mine = owner == position
        expected = [(v, full[t][v, low], full[t][v, high]) for v in range(9) if full[t][v, i] and full[t][v, j]]
        assert list(zip(shared[mine].tolist(), *weight[mine].unbind(1), strict=True)) == expected


def test_corruption_keeps_an_end_and_avoids_links():
    torch.manual_seed(0)
    full = matrices()
    full[0][0, :], full[0][:, 0] = 1, 1  # node 0 knows everyone at first
    full[0][0, 0] = 0
    found = sampler(full)
    link = torch.arange(len(found)).repeat(300)
    stays, new, good = found.corrupted(link)
    step = found.step[link]
    assert bool(((stays == found.src[link]) | (stays == found.dst[link])).all())
    for t, i, j, fine in set(zip(step.tolist(), stays.tolist(), new.tolist(), good.tolist(), strict=True)):
        assert fine == (not (t == 0 and i == 0))
        if fine:
            assert full[t][i, j] == 0
            assert i != j
    assert bool((new[good] == 8).any())  # also a node without a link


def test_nothing_to_draw_from():
    empty = sampler([np.zeros((4, 4), dtype=np.float32)] * 2)
    assert len(empty) == 0
    path = np.zeros((4, 4), dtype=np.float32)
    path[0, 1] = path[1, 0] = 2
    alone = sampler([path, path])
    assert len(alone.triads(torch.arange(len(alone))).step) == 0
    last = sampler([np.zeros((4, 4), dtype=np.float32), path])
    assert len(last.triads(torch.arange(len(last))).step) == 0

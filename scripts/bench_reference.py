"""Plain references for ``scripts/bench.py``: the same numbers as the package, by the most straightforward code.

Loops over snapshots, library cells and one pair at a time, as one would write it from the paper. Nothing here is made
slow on purpose, and nothing is shared with the package but its graphs.
"""

from __future__ import annotations

import itertools
import math
import random

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dynbench.graph import TemporalGraph

Pairs = list[tuple[Tensor, Tensor]]


class PlainNLSM(nn.Module):
    """NLSM with ``torch.nn.GRUCell`` and a loop over snapshots; every edge, as many non-edges, balanced weights.

    Args:
        graph: A snapshot graph, self-loops ignored.
        dim: Attributes per node.
        wide: Prior standard deviation of the first snapshot.
        drift: Prior standard deviation of a move.
        learning_rate: Of Adam.
    """

    def __init__(
        self, graph: TemporalGraph, dim: int = 64, wide: float = 10.0, drift: float = 0.1, learning_rate: float = 0.01
    ):
        super().__init__()
        self.steps, self.directed, self.wide, self.drift = graph.require_steps(), graph.directed, wide, drift
        first_seen = graph.first_seen()
        order = torch.argsort(first_seen, stable=True)
        self.rows = order[: int((first_seen < self.steps).sum())]
        self.known = [order[: int((first_seen <= step).sum())] for step in range(self.steps)]
        self.position = torch.full((graph.num_nodes,), -1)
        self.position[self.rows] = torch.arange(len(self.rows))
        self.edges: Pairs = []
        self.linked = torch.zeros(self.steps, graph.num_nodes, graph.num_nodes, dtype=torch.bool)
        for step, snapshot in enumerate(graph.steps()):
            proper = snapshot.src != snapshot.dst
            self.edges.append((snapshot.src[proper], snapshot.dst[proper]))
            self.linked[step, snapshot.src, snapshot.dst] = True
            if not graph.directed:
                self.linked[step, snapshot.dst, snapshot.src] = True
        entries = 4 if graph.directed else 3
        self.node_start = nn.Parameter(torch.randn(2, graph.num_nodes, dim))
        self.matrix_start = nn.Parameter(torch.randn(2, dim, entries))
        self.node_cells = nn.ModuleList([nn.GRUCell(1, dim) for _ in range(2)])
        self.matrix_cells = nn.ModuleList([nn.GRUCell(1, entries) for _ in range(2)])
        self.optimizer = torch.optim.Adam(self.parameters(), lr=learning_rate)

    @torch.no_grad()
    def copy_from(self, model: nn.Module) -> None:
        """Take over the parameters of the package's NLSM."""
        for start, cells, theirs in (
            (self.node_start, self.node_cells, model.nodes),
            (self.matrix_start, self.matrix_cells, model.matrices),
        ):
            start.copy_(theirs.start)
            for index, cell in enumerate(cells):
                cell.weight_hh.copy_(theirs.weight[index].T)
                cell.bias_hh.copy_(theirs.bias[index, 0])
                cell.bias_ih.zero_()
                cell.bias_ih[2 * cell.hidden_size :] = theirs.candidate_bias[index, 0]

    def step(self) -> float:
        """One gradient step; returns the loss."""
        non_edges = [self.draw_non_edges(step) for step in range(self.steps)]
        node_noise = torch.randn(self.steps, len(self.rows), self.node_start.shape[2])
        matrix_noise = torch.randn(self.steps, *self.matrix_start.shape[1:])
        self.optimizer.zero_grad()
        loss = self.loss(non_edges, node_noise, matrix_noise)
        loss.backward()
        self.optimizer.step()
        return float(loss.detach())

    def draw_non_edges(self, step: int) -> tuple[Tensor, Tensor]:
        """A uniform pair of known nodes for every edge of a snapshot; linked ones are dropped."""
        known, count = self.known[step], len(self.edges[step][0])
        if not count:
            return self.edges[step]
        first = torch.randint(len(known), (count,))
        second = torch.randint(len(known) - 1, (count,))
        second = second + (second >= first).long()
        src, dst = known[first], known[second]
        kept = ~self.linked[step, src, dst]
        return src[kept], dst[kept]

    def loss(self, non_edges: Pairs, node_noise: Tensor, matrix_noise: Tensor) -> Tensor:
        """The negative evidence lower bound for given draws.

        Args:
            non_edges: Per snapshot, sources and destinations.
            node_noise: ``(T, n, K)`` standard normal draws, for the nodes in order of first appearance.
            matrix_noise: ``(T, K, P)`` standard normal draws.
        """
        nodes = self.unroll(self.node_cells, self.node_start[:, self.rows])
        matrices = self.unroll(self.matrix_cells, self.matrix_start)
        total = self.divergence(nodes) + self.divergence(matrices)
        for step in range(self.steps):
            z = torch.sigmoid(_sample(nodes[step], node_noise[step], step))
            theta = _sample(matrices[step], matrix_noise[step], step)
            edges, others = self.edges[step], non_edges[step]
            linked, unlinked = self.logits(z, theta, edges), self.logits(z, theta, others)
            total = total + F.binary_cross_entropy_with_logits(linked, torch.ones_like(linked), reduction="sum")
            unlikely = F.binary_cross_entropy_with_logits(unlinked, torch.zeros_like(unlinked), reduction="sum")
            total = total + unlikely * len(linked) / max(1, len(unlinked))
        return total

    def unroll(self, cells: nn.ModuleList, start: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Means and log-variances per snapshot; the cells get no input."""
        mean, log_variance = start[0], start[1]
        nothing = torch.zeros(len(mean), 1)
        states = [(mean, log_variance)]
        for _ in range(self.steps - 1):
            mean, log_variance = cells[0](nothing, mean), cells[1](nothing, log_variance)
            states.append((mean, log_variance))
        return states

    def divergence(self, states: list[tuple[Tensor, Tensor]]) -> Tensor:
        """KL divergence from the random-walk prior."""
        mean, log_variance = states[0]
        squares = (log_variance.exp() + mean**2) / self.wide**2
        total = 0.5 * (squares - log_variance + 2 * math.log(self.wide) - 1).sum()
        for (before, before_log_variance), (mean, log_variance) in itertools.pairwise(states):
            squares = (log_variance.exp() + before_log_variance.exp() + (mean - before) ** 2) / self.drift**2
            total = total + 0.5 * (squares - log_variance + 2 * math.log(self.drift) - 1).sum()
        return total

    def logits(self, z: Tensor, theta: Tensor, pairs: tuple[Tensor, Tensor]) -> Tensor:
        """Expected interaction of pairs, term by term."""
        source, target = (z[self.position[ends]] for ends in pairs)
        neither, target_only, source_only, both = theta.unbind(1) if self.directed else theta[:, [0, 1, 1, 2]].unbind(1)
        score = (1 - source) * (1 - target) * neither + (1 - source) * target * target_only
        return (score + source * (1 - target) * source_only + source * target * both).sum(1)


def _sample(state: tuple[Tensor, Tensor], noise: Tensor, step: int) -> Tensor:
    """A draw from the posterior of one snapshot; the first one is its mean."""
    mean, log_variance = state
    return mean + noise * torch.exp(0.5 * log_variance) if step else mean


# ---- pairs, one at a time ----------------------------------------------------------------------------------


def link_sets(graph: TemporalGraph) -> list[set[tuple[int, int]]]:
    """The links of each snapshot, both ways round in an undirected graph."""
    sets = []
    for snapshot in graph.steps():
        links = set(zip(snapshot.src.tolist(), snapshot.dst.tolist(), strict=True))
        sets.append(links if graph.directed else links | {(j, i) for i, j in links})
    return sets


def non_edges(links: set[tuple[int, int]], known: list[int], count: int) -> list[tuple[int, int]]:
    """``count`` draws of a uniform pair of two different known nodes; linked ones are dropped."""
    pairs = []
    for _ in range(count):
        pair = tuple(random.sample(known, 2))
        if pair not in links:
            pairs.append(pair)
    return pairs


def split(links: list[tuple[int, int]], linked: set[tuple[int, int]], known: list[int]) -> dict[str, list]:
    """Links split 20/20/60 with as many distinct non-links each, as ``(pairs, labels)``."""
    links = random.sample(links, len(links))
    validation, test = len(links) // 5, 3 * len(links) // 5
    bounds = {"validation": (0, validation), "test": (validation, validation + test)}
    parts = {}
    for name, (start, stop) in {**bounds, "train": (validation + test, len(links))}.items():
        part, negatives = links[start:stop], set()
        while len(negatives) < len(part):
            pair = tuple(sorted(random.sample(known, 2)))
            if pair not in linked:
                negatives.add(pair)
        parts[name] = (part + list(negatives), [1] * len(part) + [0] * len(part))
    return parts


def neighborhoods(graph: TemporalGraph) -> list[set[int]]:
    """The neighbours of every node over all snapshots, without itself."""
    neighbors: list[set[int]] = [set() for _ in range(graph.num_nodes)]
    for i, j in zip(graph.src.tolist(), graph.dst.tolist(), strict=True):
        if i != j:
            neighbors[i].add(j)
            neighbors[j].add(i)
    return neighbors


def adamic_adar(neighbors: list[set[int]], pairs: list[tuple[int, int]]) -> list[float]:
    """Sum of ``1 / ln degree`` over the common neighbours of each pair."""
    return [sum(1 / math.log(max(2, len(neighbors[w]))) for w in neighbors[i] & neighbors[j]) for i, j in pairs]

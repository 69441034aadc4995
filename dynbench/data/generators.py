"""Datasets that are drawn instead of read: a dynamic block model and NLSM's own process."""

from __future__ import annotations

import dataclasses
from abc import abstractmethod
from typing import Annotated

import numpy as np
import torch

from dynbench.data.base import Dataset, View, check_expected, check_view, plain
from dynbench.data.locations import Locations
from dynbench.errors import DataError
from dynbench.graph import TemporalGraph
from dynbench.ranges import Count, CountOrZero, Name, NonNegative, Range, Seed, Several, Share

# All draws come from NumPy's legacy generator: its stream is frozen, so a graph is the same under every version.


class _Generator(Dataset):
    """What generators share: two views of one drawn graph, checked against the card."""

    _parameters: tuple[str, ...] = ()

    def load(self, view: View = "snapshots") -> TemporalGraph:
        """Draw the graph.

        Args:
            view: ``snapshots``, or ``events`` with the step as time.

        Raises:
            DataError: If a parameter is out of range, or the draw is not what the card says.
        """
        check_view(view)
        graph = self._draw()
        native = all(plain(getattr(self, key)) == value for key, value in self.native.items())
        if native:
            cure = "this NumPy draws another random stream, or `native` in the card is out of date"
            check_expected(graph, self.name, self.expected, "snapshots", True, cure=cure)
        arguments = {key: getattr(self, key) for key in self._parameters}
        self._origin = {"source": "generated", "files": {}, "arguments": {"view": view, **arguments}}
        return graph if view == "snapshots" else dataclasses.replace(graph, num_steps=None)

    @abstractmethod
    def bytes_needed(self) -> tuple[int, str]:
        """What is held for all pairs of nodes while links are drawn."""

    @abstractmethod
    def _draw(self) -> TemporalGraph:
        """The graph as snapshots."""

    def _require(self, holds: bool, key: str, rule: str) -> None:
        if not holds:
            raise DataError(f"dataset '{self.name}': data.{key}={getattr(self, key)} must be {rule}")


class DynamicSBM(_Generator):
    """Communities that merge over time, as in the ULSE paper.

    Each node draws a static class once. At step ``t`` its class is ``merges[t][static class]``; a pair is linked with
    probability ``p`` inside a class and ``q`` between classes, independently over steps. Every node is also paired
    with itself, with probability ``p``, and such self-loops are kept.

    Args:
        name: Name of the dataset.
        nodes: Number of nodes.
        proportions: Probability of each static class.
        merges: Per step, the class at that step of each static class.
        p: Link probability inside a class.
        q: Link probability between classes.
        run_id: Which graph: links are drawn with seed ``graph_seed + run_id``.
        label_seed: Seed of the static classes.
        graph_seed: Seed of the links of run 0.
        expected: Statistics at the card's own parameters.
        native: Parameters under which ``expected`` holds.
        card: Title, origin, licence and citation; for people.
        where: Not used; every dataset takes it.
    """

    _parameters = ("nodes", "proportions", "merges", "p", "q", "run_id", "label_seed", "graph_seed")

    def __init__(
        self,
        name: Name,
        nodes: Count = 200,
        proportions: list[Share] | None = None,
        merges: list[list[CountOrZero]] | None = None,
        p: Share = 0.4,
        q: Share = 0.2,
        run_id: CountOrZero = 5,
        label_seed: Seed = 42,
        graph_seed: Seed = 42,
        expected: dict | None = None,
        native: dict | None = None,
        card: dict | None = None,
        where: Locations | None = None,
    ) -> None:
        self.name, self.nodes, self.p, self.q = name, nodes, p, q
        self.proportions = plain(proportions or [0.3, 0.4, 0.3])
        self.merges = plain(merges or [[0, 1, 2], [0, 0, 1], [0, 1, 1]])
        self.run_id, self.label_seed, self.graph_seed = run_id, label_seed, graph_seed
        self.expected, self.native, self.card = plain(expected or {}), plain(native or {}), plain(card or {})

    def labels(self) -> np.ndarray:
        """``(T, N) int64`` class of each node at each step."""
        self._check()
        draw = np.random.RandomState(self.label_seed)
        static = draw.choice(len(self.proportions), size=self.nodes, p=self.proportions)
        return np.array(self.merges, dtype=np.int64)[:, static]

    def probabilities(self) -> np.ndarray:
        """``(T, N, N)`` link probabilities, the graph without its noise."""
        labels = self.labels()
        return np.where(labels[:, :, None] == labels[:, None, :], self.p, self.q)

    def bytes_needed(self) -> tuple[int, str]:
        """For each pair below the diagonal two numbers, a chance and a draw."""
        return 16 * self.nodes**2, f"it draws {self.nodes:,} x {self.nodes:,} / 2 pairs; lower data.nodes"

    def _draw(self) -> TemporalGraph:
        return self._run(self.run_id)

    def _run(self, run_id: int) -> TemporalGraph:
        labels = self.labels()
        draw = np.random.RandomState(self.graph_seed + run_id)
        # Row by row below the diagonal, diagonal included: the order of the draws is part of the published recipe.
        high, low = np.tril_indices(self.nodes)
        parts = []
        for step, now in enumerate(labels):
            chance = np.where(now[high] == now[low], self.p, self.q)
            linked = draw.random_sample(len(high)) < chance
            parts.append((low[linked], high[linked], np.full(int(linked.sum()), step)))
        src, dst, time = (np.concatenate(columns) for columns in zip(*parts, strict=True))
        return TemporalGraph.from_events(
            src, dst, time, self.nodes, directed=False, num_steps=len(labels), node_labels=torch.from_numpy(labels)
        )

    def _check(self) -> None:
        self._require(self.nodes >= 1, "nodes", "at least 1")
        for key in ("p", "q"):
            self._require(0 <= getattr(self, key) <= 1, key, "between 0 and 1")
        self._require(abs(sum(self.proportions) - 1) < 1e-9, "proportions", "positive and sum to 1")
        same = all(len(step) == len(self.proportions) for step in self.merges)
        self._require(bool(self.merges) and same, "merges", "one list per step with one entry per static class")


class RepeatedSBM(DynamicSBM):
    """Several graphs of :class:`DynamicSBM`, which differ in their links only, one after the other as snapshots.

    Args:
        name: Name of the dataset.
        nodes, proportions, merges, p, q: See :class:`DynamicSBM`.
        run_id: The first graph.
        runs: Number of graphs.
        label_seed, graph_seed, expected, native, card, where: See :class:`DynamicSBM`.
    """

    _parameters = (*DynamicSBM._parameters, "runs")

    def __init__(
        self,
        name: Name,
        nodes: Count = 200,
        proportions: list[Share] | None = None,
        merges: list[list[CountOrZero]] | None = None,
        p: Share = 0.4,
        q: Share = 0.2,
        run_id: CountOrZero = 0,
        runs: Count = 20,
        label_seed: Seed = 42,
        graph_seed: Seed = 42,
        expected: dict | None = None,
        native: dict | None = None,
        card: dict | None = None,
        where: Locations | None = None,
    ) -> None:
        super().__init__(
            name, nodes, proportions, merges, p, q, run_id, label_seed, graph_seed, expected, native, card, where
        )
        self.runs = runs

    def _draw(self) -> TemporalGraph:
        self._require(self.runs >= 1, "runs", "at least 1")
        graphs = [self._run(self.run_id + number) for number in range(self.runs)]
        steps = graphs[0].require_steps()
        time = torch.cat([graph.time + number * steps for number, graph in enumerate(graphs)])
        src, dst = (torch.cat([getattr(graph, end) for graph in graphs]) for end in ("src", "dst"))
        labels = torch.cat([graph.node_labels for graph in graphs])
        return TemporalGraph.from_events(
            src, dst, time, self.nodes, directed=False, num_steps=self.runs * steps, node_labels=labels
        )


class NLSMProcess(_Generator):
    """A graph drawn from NLSM's generative model.

    Node latents and interaction matrices walk at random, starting wide; a pair is linked with probability
    ``sigmoid(η)``, where ``η = c + a·z_i + b·z_j + Σ_k d_k z_ik z_jk`` and ``z = sigmoid(ψ)``. A constant is added to
    all entries of the interaction matrices so that the mean probability is ``density``; the model contains such
    shifts, so the graph is still one of its draws.

    Args:
        name: Name of the dataset.
        nodes: Number of nodes ``N``.
        steps: Number of snapshots ``T``.
        attributes: Number of binary attributes ``K``.
        directed: Whether the interaction matrices may be asymmetric.
        density: Mean link probability over all pairs and steps.
        sigma_psi: Standard deviation of the node latents at the first step.
        s_psi: Standard deviation of their move per step.
        sigma_theta: Standard deviation of the interaction matrices at the first step.
        s_theta: Standard deviation of their move per step.
        seed: Seed of all draws.
        expected: Statistics at the card's own parameters.
        native: Parameters under which ``expected`` holds.
        card: Title, origin, licence and citation; for people.
        where: Not used; every dataset takes it.
    """

    _parameters = (
        *("nodes", "steps", "attributes", "directed", "density"),
        *("sigma_psi", "s_psi", "sigma_theta", "s_theta", "seed"),
    )

    def __init__(
        self,
        name: Name,
        nodes: Several = 100,
        steps: Count = 10,
        attributes: Count = 8,
        directed: bool = False,
        density: Annotated[float, Range(0, 1, "()")] = 0.05,
        sigma_psi: NonNegative = 3.0,
        s_psi: NonNegative = 0.3,
        sigma_theta: NonNegative = 2.0,
        s_theta: NonNegative = 0.1,
        seed: Seed = 0,
        expected: dict | None = None,
        native: dict | None = None,
        card: dict | None = None,
        where: Locations | None = None,
    ) -> None:
        self.name, self.nodes, self.steps, self.attributes = name, nodes, steps, attributes
        self.directed, self.density, self.seed = directed, density, seed
        self.sigma_psi, self.s_psi, self.sigma_theta, self.s_theta = sigma_psi, s_psi, sigma_theta, s_theta
        self.expected, self.native, self.card = plain(expected or {}), plain(native or {}), plain(card or {})

    def probabilities(self) -> np.ndarray:
        """``(T, N, N)`` link probabilities; the diagonal is 0."""
        self._check()
        return self._probabilities(np.random.RandomState(self.seed))

    def bytes_needed(self) -> tuple[int, str]:
        """The chances of all pairs at all steps."""
        pairs = f"{self.steps:,} x {self.nodes:,} x {self.nodes:,} chances"
        return 8 * self.steps * self.nodes**2, f"it holds {pairs}; lower data.nodes or data.steps"

    def _draw(self) -> TemporalGraph:
        self._check()
        draw = np.random.RandomState(self.seed)
        chance = self._probabilities(draw)
        parts = []
        for step in range(self.steps):
            linked = draw.random_sample((self.nodes, self.nodes)) < chance[step]
            src, dst = np.nonzero(linked if self.directed else np.triu(linked, 1))
            parts.append((src, dst, np.full(len(src), step)))
        src, dst, time = (np.concatenate(columns) for columns in zip(*parts, strict=True))
        return TemporalGraph.from_events(src, dst, time, self.nodes, directed=self.directed, num_steps=self.steps)

    def _probabilities(self, draw: np.random.RandomState) -> np.ndarray:
        psi = self._walk(draw, (self.nodes, self.attributes), self.sigma_psi, self.s_psi)
        theta = self._walk(draw, (self.attributes, 2, 2), self.sigma_theta, self.s_theta)
        if not self.directed:
            # Only Θ00, Θ01 and Θ11 are free in an undirected graph.
            theta[..., 1, 0] = theta[..., 0, 1]
        scores = interaction_scores(1 / (1 + np.exp(-psi)), theta)
        off_diagonal = ~np.eye(self.nodes, dtype=bool)
        shift = _shift_to_density(scores[:, off_diagonal], self.density)
        return np.where(off_diagonal, _sigmoid(scores + shift), 0.0)

    def _walk(self, draw: np.random.RandomState, shape: tuple[int, ...], start: float, move: float) -> np.ndarray:
        """``(T, *shape)`` Gaussian random walk."""
        steps = draw.standard_normal((self.steps, *shape))
        steps[0] *= start
        steps[1:] *= move
        return np.cumsum(steps, axis=0)

    def _check(self) -> None:
        self._require(self.nodes >= 2, "nodes", "at least 2")
        for key in ("steps", "attributes"):
            self._require(getattr(self, key) >= 1, key, "at least 1")
        self._require(0 < self.density < 1, "density", "strictly between 0 and 1")
        for key in ("sigma_psi", "s_psi", "sigma_theta", "s_theta"):
            self._require(getattr(self, key) >= 0, key, "0 or more")


def interaction_scores(z: np.ndarray, theta: np.ndarray) -> np.ndarray:
    """Expected interaction of every ordered pair of nodes.

    Args:
        z: ``(T, N, K)`` attribute probabilities.
        theta: ``(T, K, 2, 2)`` interaction matrices, indexed by the source's and the target's attribute.

    Returns:
        ``(T, N, N)`` scores ``η``.
    """
    constant = theta[..., 0, 0].sum(-1)
    source = theta[..., 1, 0] - theta[..., 0, 0]
    target = theta[..., 0, 1] - theta[..., 0, 0]
    both = theta[..., 0, 0] - theta[..., 0, 1] - theta[..., 1, 0] + theta[..., 1, 1]
    row = np.einsum("tnk,tk->tn", z, source)
    column = np.einsum("tnk,tk->tn", z, target)
    product = (z * both[:, None, :]) @ z.transpose(0, 2, 1)
    return constant[:, None, None] + row[:, :, None] + column[:, None, :] + product


def _shift_to_density(scores: np.ndarray, density: float) -> float:
    """The constant that brings the mean of ``sigmoid(scores + constant)`` to ``density``, by bisection."""
    low, high = -50.0 - scores.max(), 50.0 - scores.min()
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (low, middle) if _sigmoid(scores + middle).mean() > density else (middle, high)
    return (low + high) / 2


def _sigmoid(values: np.ndarray) -> np.ndarray:
    return 0.5 * (1 + np.tanh(0.5 * values))

"""OSBM: the overlapping stochastic block model.

Paper:
    Latouche, Birmelé, Ambroise: Overlapping stochastic block models with application to the French political
    blogosphere. Annals of Applied Statistics 5(1), 2011 (first as a report in 2009).

Idea:
    A node belongs to any number of K communities, also to none. Every pair of communities has a weight, every community
    a propensity, and all of those that two nodes have between them add up to the logit of their link.

Equations:
    With ``z' = (z, 1)`` and a symmetric matrix W', which holds weights, propensities and a constant::

        z_nk ~ Bern(alpha_k)      alpha_k ~ Beta(1, 1)      W'_kl ~ N(0, s^2)      P(a_nm = 1) = sigmoid(z'_n W' z'_m)

    Variational inference with ``q(z_nk) = Bern(tau_nk)``, a point estimate of W', and Jaakkola and Jordan's bound::

        log sigmoid((2a - 1) eta) >= (a - 1/2) eta + log sigmoid(xi) - xi / 2 - l(xi) (eta^2 - xi^2)

    with ``l(xi) = tanh(xi / 2) / (4 xi)``. Every step is a closed form: ``xi^2 = E eta^2`` for all pairs, W' from
    linear equations, tau one community after the other, a part of the nodes at a time. Scores are ``tau'_i W' tau'_j``.

Deviations:
    * The paper treats directed graphs; here W' is symmetric.
    * W' is estimated, not integrated out, and the number of communities is given, not chosen.
    * It starts from a spectral clustering, with nine tenths of a membership in a node's own group and the weights that
      the groups have.
    * Pairs whose state is not known are left out.

Reproduction:
    DGLFRM's paper compares with it in tables that could not be had. What is measured stands in
    results/tables/dglfrm_auc.md and dglfrm_ap.md.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from dynbench.contract import Queries, Selector
from dynbench.engine.trainer import Trainer
from dynbench.errors import RunError
from dynbench.graph import TemporalGraph
from dynbench.models.base import Model
from dynbench.models.static.graph import StaticGraph, require_fewer
from dynbench.models.static.groups import spectral_groups
from dynbench.models.static.known import Known
from dynbench.ranges import Count, Positive, Width

# Pairs whose numbers are held at once.
_BLOCK = 4_000_000


class OSBM(Model):
    """Overlapping stochastic block model by variational inference.

    Args:
        communities: Number of communities, K.
        scale: Prior standard deviation of a weight.
        sweeps: Rounds of updates.
        weight_steps: Updates of the weights per round.
        parts: Parts of the nodes that are updated one after the other; nodes of one part do not see each other's move.
        snapshots: Of a graph with several: ``all`` of them merged, or the ``last`` one.
    """

    answers = frozenset({"score", "embed"})
    scale = "logit"
    needs = frozenset({"snapshots", "undirected"})
    work = frozenset({"sweeps"})

    def __init__(
        self,
        *,
        communities: Width = 10,
        scale: Positive = 3.0,
        sweeps: Count = 60,
        parts: Count = 10,
        weight_steps: Count = 2,
        snapshots: Literal["all", "last"] = "all",
    ):
        self.communities, self.weight_scale, self.sweeps, self.parts = communities, scale, sweeps, parts
        self.weight_steps, self.snapshots = weight_steps, snapshots
        self.tau = self.weights = torch.zeros(0, 0)

    # ---- learning -----------------------------------------------------------------------------------------

    def fit(self, train: TemporalGraph, selector: Selector | None, trainer: Trainer) -> None:
        """Update everything in turn, from a spectral clustering on."""
        graph = StaticGraph.of(train.to("cpu"), self.snapshots)
        require_fewer("communities", self.communities, graph.num_nodes)
        known = Known.of(graph)
        rng = np.random.default_rng(int(torch.randint(2**62, ())))
        groups = torch.from_numpy(spectral_groups(known.links, self.communities, rng)).long()
        own = F.one_hot(groups, self.communities).double()
        self.tau = 0.01 + 0.89 * own
        self.weights = block_weights(own, known)
        self.pairs = Pairs(known)
        for sweep in trainer.sweeps(self, self.sweeps):
            for _ in range(self.weight_steps):
                self.solve_weights()
            for rows in torch.randperm(graph.num_nodes).tensor_split(min(self.parts, graph.num_nodes)):
                self.update(rows)
            if not bool(self.weights.isfinite().all() and self.tau.isfinite().all()):
                raise RunError(f"OSBM: a weight or a membership is NaN in sweep {sweep}; lower model.scale")
        del self.pairs

    def solve_weights(self) -> None:
        """The weights that are best for the memberships as they are, with xi as the weights before have it."""
        size = self.communities + 1
        mean, second = moments(self.tau)
        quadratic = torch.zeros(size * size, size * size, dtype=torch.double)
        linear = torch.zeros(size, size, dtype=torch.double)
        for rows in torch.arange(len(mean)).split(max(1, _BLOCK // len(mean))):
            curvature = self.pairs.curvature(rows, self.tau, self.weights)
            quadratic += second[rows].flatten(1).T @ (curvature @ second.flatten(1))
            linear += mean[rows].T @ self.pairs.slopes(rows, mean)
        # quadratic[(a, c), (b, d)] = sum of l E_n[a, c] E_m[b, d], and W_ab W_cd has to be its partner.
        quadratic = quadratic.reshape(size, size, size, size).transpose(1, 2).reshape(size * size, size * size)
        matrix = 2 * quadratic + torch.eye(size * size, dtype=torch.double) / self.weight_scale**2
        weights = torch.linalg.solve(matrix, linear.flatten()).reshape(size, size)
        self.weights = (weights + weights.T) / 2

    def update(self, rows: Tensor) -> None:
        """Memberships of some nodes, community by community, given those of all others."""
        mean, second = moments(self.tau)
        curvature = self.pairs.curvature(rows, self.tau, self.weights)
        around = (curvature @ second.flatten(1)).reshape(len(rows), *second.shape[1:])
        pull = self.pairs.slopes(rows, mean) @ self.weights  # what a linear term gives to each community
        cost = self.weights @ around @ self.weights
        total = self.tau.sum(0)
        prior = torch.special.digamma(1 + total) - torch.special.digamma(1 + len(self.tau) - total)
        own = mean[rows]
        for k in range(self.communities):
            others = (cost[:, k] * own).sum(1) - cost[:, k, k] * own[:, k]
            own[:, k] = torch.sigmoid(prior[k] + pull[:, k] - cost[:, k, k] - 2 * others)
        self.tau[rows] = own[:, :-1]

    def bound(self) -> float:
        """What the updates raise, with xi at its best."""
        mean, _ = moments(self.tau)
        value, total = 0.0, self.tau.sum(0)
        for rows in torch.arange(len(mean)).split(max(1, _BLOCK // len(mean))):
            value += 0.5 * self.pairs.bound(rows, self.tau, self.weights)
        beta = torch.lgamma(1 + total) + torch.lgamma(1 + len(mean) - total)
        entropy = -(torch.special.xlogy(self.tau, self.tau) + torch.special.xlogy(1 - self.tau, 1 - self.tau)).sum()
        beta -= torch.lgamma(total.new_tensor(2.0 + len(mean)))
        return float(value + beta.sum() + entropy - self.weights.square().sum() / (4 * self.weight_scale**2))

    # ---- answering ----------------------------------------------------------------------------------------

    def score(self, queries: Queries) -> Tensor:
        """Logits of a link between nodes with the mean memberships."""
        mean, _ = moments(self.tau)
        src, dst = queries.src.cpu(), queries.dst.cpu()
        return ((mean @ self.weights)[src] * mean[dst]).sum(1).float()

    def embed(self, times: Tensor) -> Tensor:
        """``(T, N, K)`` memberships, the same at every time."""
        return self.tau.float().expand(len(times), -1, -1)

    def arrays(self) -> dict[str, Tensor]:
        """``z (N, K)`` memberships, and weights with the constant's row and column last."""
        return {"z": self.tau.float(), "weights": self.weights.float()}

    def describe(self) -> dict[str, float]:
        """Communities of a node on average, and those with a likely member."""
        return {
            "active_communities": float(self.tau.sum(1).mean()),
            "nonempty_communities": float((self.tau > 0.5).any(0).sum()),
        }

    # ---- keeping ------------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Tensor]:
        """Memberships and weights."""
        return {"tau": self.tau, "weights": self.weights}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Restore them."""
        self.tau, self.weights = state["tau"].clone(), state["weights"].clone()


class Pairs:
    """What all pairs of a graph contribute, some rows of the matrix of pairs at a time.

    Args:
        known: Links and pairs whose state is unknown.
    """

    def __init__(self, known: Known):
        self.known = known

    def slopes(self, rows: Tensor, values: Tensor) -> Tensor:
        """``sum over m of (a_nm - 1/2) v_m`` over the known pairs of each row."""
        links, unknown = (self._product(matrix, rows, values) for matrix in self.known)
        return links - 0.5 * (values.sum(0) - values[rows] - unknown)

    def curvature(self, rows: Tensor, tau: Tensor, weights: Tensor) -> Tensor:
        """``(rows, N)`` l(xi) at its best xi; 0 for pairs that are not known."""
        xi = self._second_moment(rows, tau, weights).clamp(min=1e-12).sqrt()
        value = torch.tanh(xi / 2) / (4 * xi)
        return self._without_unknown(rows, value)

    def bound(self, rows: Tensor, tau: Tensor, weights: Tensor) -> Tensor:
        """Sum of the bounds of the known pairs of some rows."""
        mean, _ = moments(tau)
        xi = self._second_moment(rows, tau, weights).clamp(min=0).sqrt()
        constant = self._without_unknown(rows, F.logsigmoid(xi) - xi / 2)
        return constant.sum() + ((mean[rows] @ weights) * self.slopes(rows, mean)).sum()

    def _second_moment(self, rows: Tensor, tau: Tensor, weights: Tensor) -> Tensor:
        """``E eta^2`` of pairs of different nodes."""
        mean, _ = moments(tau)
        spread = tau * (1 - tau)
        effect = mean @ weights  # what a node's mean memberships give to each community of the other
        square = weights[:-1, :-1].square()
        value = (effect[rows] @ mean.T).square_()
        value += spread[rows] @ effect[:, :-1].square().T
        value += effect[rows, :-1].square() @ spread.T
        value += (spread[rows] @ square) @ spread.T
        return value

    def _without_unknown(self, rows: Tensor, value: Tensor) -> Tensor:
        value[torch.arange(len(rows)), rows] = 0
        hidden = self.known.unknown[rows.numpy()].tocoo()
        value[torch.from_numpy(hidden.row.astype(np.int64)), torch.from_numpy(hidden.col.astype(np.int64))] = 0
        return value

    def _product(self, matrix, rows: Tensor, values: Tensor) -> Tensor:
        return torch.from_numpy(matrix[rows.numpy()] @ values.numpy())


def block_weights(own: Tensor, known: Known) -> Tensor:
    """Weights under which hard groups have the log-odds that they are seen to have, smoothed by one link each.

    Args:
        own: ``(N, K)`` zeros and ones.
        known: Links and pairs whose state is unknown.
    """
    sizes, groups = own.sum(0), own.numpy()
    pairs = sizes[:, None] * sizes - torch.diag(sizes) - torch.from_numpy(groups.T @ (known.unknown @ groups))
    links = torch.from_numpy(groups.T @ (known.links @ groups))
    density = (links.sum() / pairs.sum()).clamp(1e-6, 1 - 1e-6)
    weights = torch.zeros(len(sizes) + 1, len(sizes) + 1, dtype=torch.double)
    weights[-1, -1] = torch.logit(density)
    weights[:-1, :-1] = torch.logit((links + 1) / (pairs + 1 / density), 1e-6) - weights[-1, -1]
    return weights


def moments(tau: Tensor) -> tuple[Tensor, Tensor]:
    """``(N, K + 1)`` means of z' and ``(N, K + 1, K + 1)`` means of its products with itself."""
    mean = torch.cat([tau, tau.new_ones(len(tau), 1)], dim=1)
    second = mean[:, :, None] * mean[:, None, :]
    diagonal = torch.arange(tau.shape[1])
    second[:, diagonal, diagonal] = tau
    return mean, second

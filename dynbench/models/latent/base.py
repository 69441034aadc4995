"""What the latent space models share: Gaussian posteriors over drifting attributes and interaction matrices."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from dynbench.errors import require_positive
from dynbench.models.gradient import GradientModel
from dynbench.nn.random_walk import random_walk_kl
from dynbench.nn.trajectory import EvolvedTrajectory
from dynbench.ranges import NonNegative, Positive, Width

# Nodes up to which trajectories are kept whole, and nodes in a part beyond.
_WHOLE, _PART = 4096, 1024


class LatentSpace(GradientModel):
    """Posteriors over the trajectories of nodes (psi) and of interaction matrices (theta), and their KL terms.

    A subclass creates ``nodes`` and ``matrices`` in ``build``.

    Args:
        dim: Attributes per node, K.
        kl_weight: Factor of the KL divergence; 1 is the evidence lower bound.
        learning_rate: Of Adam.
        node_wide, node_drift: Prior standard deviations of psi: first step and random walk.
        matrix_wide, matrix_drift: The same for theta.
        start_scale: Standard deviation of the starting means before training.
        first_step_noise: Whether the first snapshot is sampled as the others are; the paper takes its mean.
        update_bias: Added to the update gates' biases before training.
    """

    def __init__(
        self,
        *,
        dim: Width = 64,
        kl_weight: NonNegative = 1.0,
        learning_rate: Positive = 0.01,
        node_wide: Positive = 10.0,
        node_drift: Positive = 0.1,
        matrix_wide: Positive = 10.0,
        matrix_drift: Positive = 0.1,
        start_scale: NonNegative = 0.1,
        first_step_noise: bool = False,
        update_bias: float = 4.0,
    ):
        super().__init__()
        require_positive(dim=dim, learning_rate=learning_rate, node_wide=node_wide, node_drift=node_drift)
        require_positive(matrix_wide=matrix_wide, matrix_drift=matrix_drift)
        self.dim, self.kl_weight, self.learning_rate = dim, kl_weight, learning_rate
        self.node_prior, self.matrix_prior = (node_wide, node_drift), (matrix_wide, matrix_drift)
        self.start_scale, self.first_step_noise, self.update_bias = start_scale, first_step_noise, update_bias
        self.sampler = None

    def trajectory(
        self, num_steps: int, rows: int, dim: int, prior: tuple[float, float], start_scale: float
    ) -> torch.nn.Module:
        """A posterior over trajectories; log-variances start at that of the prior's walk."""
        return EvolvedTrajectory(rows, dim, 2 * math.log(prior[1]), start_scale, self.update_bias)

    def sample(self, mean: Tensor, log_variance: Tensor) -> Tensor:
        """One reparametrised sample; the first step is its mean unless ``first_step_noise``."""
        return _shifted(mean, log_variance, self.noise(mean.shape))

    def noise(self, shape: Sequence[int]) -> Tensor:
        """Standard normal draws for a sample; zeros at the first step unless ``first_step_noise``."""
        noise = torch.randn(shape, device=self.device)
        if not self.first_step_noise:
            noise[0] = 0
        return noise

    def sampled_attributes(self, steps: int, rows: Tensor) -> tuple[Tensor, Tensor]:
        """A sample of the attribute vectors of some nodes, and the divergence of their posterior from the prior.

        Many nodes are unrolled a part at a time, and once more when gradients are taken: kept whole, all that lies
        between a start and a sample costs more time in memory than its arithmetic, and gigabytes.

        Args:
            steps: Snapshots.
            rows: ``(n,) long`` nodes.

        Returns:
            ``(steps, n, K)`` vectors z, and a scalar.
        """
        start, noise = self.nodes.rows(steps, rows), self.noise((steps, len(rows), self.dim))
        if len(rows) <= _WHOLE:
            return self._attributes(start, noise, steps)
        parts = [
            checkpoint(self._attributes, part, draws, steps, use_reentrant=False, preserve_rng_state=False)
            for part, draws in zip(start.split(_PART, dim=-2), noise.split(_PART, dim=1), strict=True)
        ]
        vectors, divergences = zip(*parts, strict=True)
        return torch.cat(vectors, dim=1), torch.stack(divergences).sum()

    def _attributes(self, start: Tensor, noise: Tensor, steps: int) -> tuple[Tensor, Tensor]:
        posterior = self.nodes.unroll(start, steps)
        return self.attributes(_shifted(*posterior, noise)), self.kl(*posterior, *self.node_prior).sum()

    def attributes(self, psi: Tensor) -> Tensor:
        """Attribute vectors from their latent values."""
        return torch.sigmoid(psi)

    def kl(self, mean: Tensor, log_variance: Tensor, wide: float, drift: float) -> Tensor:
        """Divergence of a posterior from a random-walk prior, per row."""
        return random_walk_kl(mean, log_variance, wide, drift)


def _shifted(mean: Tensor, log_variance: Tensor, noise: Tensor) -> Tensor:
    return torch.addcmul(mean, noise, torch.exp(0.5 * log_variance))

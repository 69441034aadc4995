"""What the latent space models share: Gaussian posteriors over drifting attributes and interaction matrices."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from dynbench.errors import require_positive
from dynbench.models.gradient import GradientModel
from dynbench.nn.random_walk import random_walk_kl
from dynbench.nn.trajectory import EvolvedTrajectory
from dynbench.ranges import NonNegative, Positive, Width


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
        noise = torch.randn_like(mean)
        if not self.first_step_noise:
            noise[0] = 0
        return torch.addcmul(mean, noise, torch.exp(0.5 * log_variance))

    def kl(self, mean: Tensor, log_variance: Tensor, wide: float, drift: float) -> Tensor:
        """Divergence of a posterior from a random-walk prior, per row."""
        return random_walk_kl(mean, log_variance, wide, drift)

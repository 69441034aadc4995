"""Births and deaths of groups in DMMG: Metropolis moves of when a group lives, and of one-step groups as a whole.

Groups are born at a rate of ``lambda`` at the first step and ``gamma lambda`` at each later one, and die after any step
with probability ``gamma``. A chain holds ``features (T, N, K)``, ``alive (T, K)``, which is one interval for every
group in use, ``theta (K, 2, 2)``, ``on (K)`` and ``stay (K)``.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from dynbench.models.latent_features.arrays import add_of_states
from dynbench.models.latent_features.kernels import likelihood_at

Chain = dict[str, np.ndarray]


class Lives:
    """Moves of one chain, whose logits they keep up to date.

    Args:
        chain: What is moved.
        links, logits: See :mod:`dynbench.models.latent_features.kernels`.
        mean_groups: Expected number of living groups, lambda.
        death: Probability of dying after a step, gamma.
        draw: Draws ``theta``, ``on`` and ``stay`` of a new group from their priors.
    """

    def __init__(
        self, chain: Chain, links: np.ndarray, logits: np.ndarray, mean_groups: float, death: float,
        draw: Callable[[np.random.Generator], tuple[np.ndarray, float, float]],
    ):  # fmt: skip
        self.chain, self.links, self.logits = chain, links, logits
        self.mean_groups, self.death, self.draw = mean_groups, death, draw
        self.steps = links.shape[1]

    def move(self, rng: np.random.Generator, attempts: int) -> None:
        """Try to lengthen or shorten the life of every group, and to add or remove one-step groups."""
        for k in range(self.chain["alive"].shape[1]):
            if self.chain["alive"][:, k].any():
                move = (self._later_end, self._earlier_end, self._earlier_start, self._later_start)[rng.integers(4)]
                move(rng, k)
        for _ in range(attempts):
            (self._create if rng.random() < 0.5 else self._remove)(rng)

    # ---- ends -----------------------------------------------------------------------------------------------

    def _later_end(self, rng: np.random.Generator, k: int) -> None:
        _, end = self._life(k)
        if end == self.steps:
            return
        chance = np.where(self.chain["features"][end - 1, :, k] == 1, self.chain["stay"][k], self.chain["on"][k])
        states = (rng.random(len(chance)) < chance).astype(np.uint8)
        self._add(rng, k, end, states, self._log_survival(end + 1))

    def _earlier_end(self, rng: np.random.Generator, k: int) -> None:
        start, end = self._life(k)
        if end - start > 1:
            self._take(rng, k, end - 1, -self._log_survival(end))

    def _log_survival(self, end: int) -> float:
        """Log-ratio of living to ``end`` and of dying one step earlier; who lives to the last step need not die."""
        return math.log(1 - self.death) - (math.log(self.death) if end == self.steps else 0.0)

    # ---- starts ---------------------------------------------------------------------------------------------

    def _earlier_start(self, rng: np.random.Generator, k: int) -> None:
        start, _ = self._life(k)
        if start == 0:
            return
        log_ratio, chance = self._before(k, start)
        states = (rng.random(len(chance)) < chance).astype(np.uint8)
        self._add(rng, k, start - 1, states, log_ratio)

    def _later_start(self, rng: np.random.Generator, k: int) -> None:
        start, end = self._life(k)
        if end - start > 1:
            self._take(rng, k, start, -self._before(k, start + 1)[0])

    def _before(self, k: int, start: int) -> tuple[float, np.ndarray]:
        """A start one step earlier: log-ratio of the priors, and each node's chance of a 1 at the step gained."""
        on, stay = self.chain["on"][k], self.chain["stay"][k]
        now = self.chain["features"][start, :, k] == 1
        one = (1 - on) * on + on * stay  # probability of a 1 after two steps from 0
        steps = np.where(now, math.log(one / on), math.log((1 - one) / (1 - on))).sum()
        rates = math.log(self._rate(start - 1) / self._rate(start)) + math.log(1 - self.death)
        return float(steps) + rates, np.where(now, on * stay / one, on * (1 - stay) / (1 - one))

    def _rate(self, start: int) -> float:
        return self.mean_groups * (self.death if start else 1.0)

    # ---- whole groups ---------------------------------------------------------------------------------------

    def _create(self, rng: np.random.Generator) -> None:
        free = np.flatnonzero(~self.chain["alive"].any(0))
        if not len(free):
            return
        k, t = free[0], int(rng.integers(self.steps))
        self.chain["theta"][k], self.chain["on"][k], self.chain["stay"][k] = self.draw(rng)
        states = (rng.random(self.links.shape[2]) < self.chain["on"][k]).astype(np.uint8)
        self._add(rng, k, t, states, self._log_new(t, self._short().size))

    def _remove(self, rng: np.random.Generator) -> None:
        short = self._short()
        if short.size:
            k = int(rng.choice(short))
            t, _ = self._life(k)
            self._take(rng, k, t, -self._log_new(t, short.size - 1))

    def _log_new(self, t: int, others: int) -> float:
        """Log-ratio of priors and proposals of one more group that lives at step ``t`` only."""
        lasts = 1.0 if t == self.steps - 1 else self.death
        return math.log(self._rate(t) * lasts * self.steps / (others + 1))

    def _short(self) -> np.ndarray:
        return np.flatnonzero(self.chain["alive"].sum(0) == 1)

    # ---- one step of one group ------------------------------------------------------------------------------

    def _life(self, k: int) -> tuple[int, int]:
        lived = np.flatnonzero(self.chain["alive"][:, k])
        return int(lived[0]), int(lived[-1]) + 1

    def _add(self, rng: np.random.Generator, k: int, t: int, states: np.ndarray, log_prior: float) -> None:
        if self._accept(rng, k, t, states, 1.0, log_prior):
            self.chain["features"][t, :, k], self.chain["alive"][t, k] = states, 1

    def _take(self, rng: np.random.Generator, k: int, t: int, log_prior: float) -> None:
        if self._accept(rng, k, t, self.chain["features"][t, :, k], -1.0, log_prior):
            self.chain["features"][t, :, k], self.chain["alive"][t, k] = 0, 0

    def _accept(
        self, rng: np.random.Generator, k: int, t: int, states: np.ndarray, sign: float, log_prior: float
    ) -> bool:
        """Decide about a group's contribution to one step, and add it to the logits if it is accepted."""
        links, old = self.links[:, t : t + 1], self.logits[:, t : t + 1]
        new = old.copy()
        add_of_states(new[:, 0], sign * self.chain["theta"][k], states)
        gain = likelihood_at(links, new, 0.0) - likelihood_at(links, old, 0.0)
        if not math.log(rng.random()) < gain + log_prior:
            return False
        self.logits[:, t : t + 1] = new
        return True

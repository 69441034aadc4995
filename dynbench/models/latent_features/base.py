"""What the samplers of binary features share: sweeps, kept samples, and the mean of their link probabilities."""

from __future__ import annotations

from abc import abstractmethod

import numpy as np
import torch
from torch import Tensor

from dynbench.contract import Queries, Selector
from dynbench.engine.trainer import Trainer
from dynbench.errors import ConfigError, RunError
from dynbench.graph import TemporalGraph
from dynbench.models.base import Model
from dynbench.ranges import Count, CountOrZero, Positive

# Links, logits and effects of all pairs are held at once.
_MOST_NODES = 5000

Chain = dict[str, np.ndarray]


class FeatureSampler(Model):
    """Infers features by Markov chain Monte Carlo, and scores a pair by the mean probability over kept samples.

    The chain is a dictionary of arrays; a subclass says how it starts (:meth:`start`), how it moves (:meth:`sweep`),
    what of it is kept (:meth:`sample`) and what a sample says about the features at a time to come (:meth:`ahead`).

    Args:
        burn_in: Sweeps before samples are kept.
        sweeps: Sweeps during which samples are kept.
        keep_every: Sweeps between two kept samples.
        weight_scale: Prior standard deviation of a weight.
        constant_scale: Prior standard deviation of the constant.
        draws: Draws of the features to come, per kept sample.
    """

    answers = frozenset({"score", "embed"})
    scale = "logit"
    needs = frozenset({"snapshots"})

    def __init__(
        self,
        *,
        burn_in: CountOrZero,
        sweeps: Count,
        keep_every: Count = 1,
        weight_scale: Positive = 1.0,
        constant_scale: Positive = 3.0,
        draws: Count = 1,
    ):
        self.burn_in, self.sweeps, self.keep_every = burn_in, sweeps, keep_every
        self.weight_scale, self.constant_scale, self.draws = weight_scale, constant_scale, draws
        self.chain: Chain = {}
        self.samples: list[Chain] = []
        self.last_step, self.draw_seed = 0, 0
        self._means: dict[float, Tensor] = {}

    # ---- learning -----------------------------------------------------------------------------------------

    def fit(self, train: TemporalGraph, selector: Selector | None, trainer: Trainer) -> None:
        """Run the chain, from the state of the previous fit where there was one that suits the graph."""
        if train.num_nodes > _MOST_NODES:
            raise ConfigError(
                f"this sampler holds all pairs of at most {_MOST_NODES} nodes; the graph has {train.num_nodes}"
            )
        train = train.to("cpu")
        self.read(train)
        burn_in = self.begin(train.num_nodes)
        self.samples, self._means = [], {}
        for sweep in trainer.sweeps(self, burn_in + self.sweeps):
            self.sweep(new_generator())
            self._check(sweep)
            if sweep >= burn_in and (sweep - burn_in) % self.keep_every == 0:
                self.samples.append(self.sample())
        self.draw_seed = int(torch.randint(2**31, ()))
        self.forget()

    def begin(self, num_nodes: int) -> int:
        """Start the chain; returns the sweeps to run before samples are kept."""
        self.chain = self.start(num_nodes)
        return self.burn_in

    @abstractmethod
    def read(self, train: TemporalGraph) -> None:
        """Hold the links of a graph."""

    @abstractmethod
    def start(self, num_nodes: int) -> Chain:
        """The first state of a chain."""

    @abstractmethod
    def sweep(self, rng: np.random.Generator) -> None:
        """Move every part of the chain once."""

    @abstractmethod
    def sample(self) -> Chain:
        """What is kept of the chain as it stands."""

    def forget(self) -> None:
        """Let go of the graph."""

    def _check(self, sweep: int) -> None:
        for name, value in self.chain.items():
            if not np.isfinite(value).all():
                raise RunError(
                    f"{type(self).__name__}: {name} is NaN or infinite in sweep {sweep}; lower model.weight_scale"
                )

    # ---- answering ----------------------------------------------------------------------------------------

    @abstractmethod
    def ahead(self, sample: Chain, steps: int, rng: np.random.Generator) -> np.ndarray:
        """``(N, N)`` logits of all links a number of steps after the last one known, from one sample."""

    def mean_probability(self, time: float) -> Tensor:
        """``(N, N)`` link probabilities, averaged over samples and draws."""
        steps = max(int(time) - self.last_step, 1)
        if steps not in self._means:
            rng = np.random.default_rng([self.draw_seed, steps])
            total = 0.0
            for sample in self.samples:
                for _ in range(self.draws):
                    total = total + torch.sigmoid(torch.from_numpy(self.ahead(sample, steps, rng)).float())
            self._means = {steps: total / (len(self.samples) * self.draws)}
        return self._means[steps]

    def score(self, queries: Queries) -> Tensor:
        """Logits of the mean probability of a link."""
        scores = torch.empty(len(queries))
        src, dst, times = queries.src.cpu(), queries.dst.cpu(), queries.time.cpu()
        for time in times.unique().tolist():
            asked = times == time
            scores[asked] = torch.logit(self.mean_probability(time)[src[asked], dst[asked]].double(), 1e-12).float()
        return scores

    def embed(self, times: Tensor) -> Tensor:
        """``(T, N, K)`` features in the last sample, the same at every time."""
        last = torch.from_numpy(self.samples[-1]["features"]).float()
        return last.expand(len(times), -1, -1)

    def arrays(self) -> dict[str, Tensor]:
        """``z (N, K)`` features in the last sample, and what else it holds."""
        last = {name: torch.from_numpy(np.array(value)) for name, value in self.samples[-1].items()}
        return {"z": last.pop("features").float(), **last}

    # ---- keeping ------------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Tensor]:
        """The chain as it stands, and the samples kept so far."""
        state = {f"chain.{name}": torch.from_numpy(np.array(value)) for name, value in self.chain.items()}
        for number, sample in enumerate(self.samples):
            state |= {f"samples.{number}.{name}": torch.from_numpy(np.array(value)) for name, value in sample.items()}
        return state | {"counters": torch.tensor([self.last_step, self.draw_seed, len(self.samples)])}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Restore the chain and the samples."""
        self.last_step, self.draw_seed, kept = state["counters"].tolist()
        self.chain, self.samples, self._means = {}, [{} for _ in range(kept)], {}
        for key, value in state.items():
            kind, _, name = key.partition(".")
            if kind == "chain":
                self.chain[name] = value.numpy().copy()
            elif kind == "samples":
                number, _, name = name.partition(".")
                self.samples[int(number)][name] = value.numpy().copy()


def new_generator() -> np.random.Generator:
    """A generator for compiled code, seeded by torch's; so a chain that is taken up again draws as an unbroken one."""
    return np.random.default_rng(int(torch.randint(2**62, ())))

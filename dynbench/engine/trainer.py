"""The one Trainer: Lightning's, with what every gradient model of dynbench needs and nothing it does not.

A model's ``fit`` calls :meth:`Trainer.train` once or many times. Each call is one Lightning fit with a progress bar
that names what is being forecast, logging, a guard against NaN, and checkpoints from which an interrupted run
continues with the same numbers.
"""

from __future__ import annotations

import logging
import time
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback, ModelCheckpoint, ModelSummary, ProgressBar
from pytorch_lightning.utilities.exceptions import MisconfigurationException
from torch import Tensor

from dynbench.contract import Selector
from dynbench.engine import ranks
from dynbench.engine.callbacks import RandomState, log, made, profiler
from dynbench.engine.clock import Clock
from dynbench.engine.heap import keep_freed_memory
from dynbench.engine.kept import SealedCheckpoints, is_whole, load_tensors, save_tensors
from dynbench.engine.optimizers import Kind, Schedule, configure
from dynbench.engine.progress import Watch
from dynbench.engine.sweeps import Resumable, Sweeps, random_state, set_random_state
from dynbench.errors import ConfigError, RunError
from dynbench.ranges import Count, NonNegative, Positive, Share

# Lightning announces every fit on several lines; a run has dozens of fits.
logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
warnings.filterwarnings("ignore", module="pytorch_lightning")


@dataclass(frozen=True)
class Selection:
    """Early stopping: judge a model at intervals, and keep the state that was best.

    A state is better than the best so far when none of its values is lower and one is higher.

    Attributes:
        selector: How good the model is now. Called in evaluation mode and without gradients; draws no random numbers.
        every: Steps between two judgements, an epoch.
        patience: Judgements without a better one after which to stop.
    """

    selector: Selector
    every: int
    patience: int


class Trainer(Sweeps):
    """Runs gradient training on the devices that the trainer group names.

    Args:
        accelerator: ``cpu``, ``gpu`` or ``auto``.
        devices: Devices of each node.
        num_nodes: Machines that train together; each runs the command, as Slurm and torchrun see to.
        strategy: Lightning strategy by name; ``auto`` for one device.
        precision: Lightning precision: ``32-true``, ``bf16-mixed``, ``16-mixed``.
        gradient_clip: Largest norm of a gradient; ``None`` for no clipping.
        deterministic: Refuse operations whose result may differ from run to run.
        threads: Threads of numerical libraries in each process; set by whoever runs the Trainer.
        optimizer: Replaces the model's own; the rate and the groups of parameters stay the model's.
        weight_decay, momentum: Of an optimiser that replaces the model's own.
        scheduler, warmup: How the rate goes on over a fit, and the share of its steps over which it rises from zero.
        most_steps: Gradient steps of each fit at most, to see whether it works at all; ``None`` for all.
        callbacks: Makers of Lightning callbacks, by name; each fit gets new ones.
        detect_anomaly, profiler: Whether torch says which operation made a NaN, and Lightning where time goes.

    Attributes:
        is_main: Whether this is the process that evaluates and writes: the only one, or rank 0.
        steps, seconds: Spent on all fits so far, by interrupted processes as well.
        earlier: Seconds of these that others than this process spent.
    """

    def __init__(
        self,
        *,
        accelerator: Literal["cpu", "gpu", "auto"] = "cpu",
        devices: Count = 1,
        num_nodes: Count = 1,
        strategy: str = "auto",
        precision: Literal["32-true", "bf16-mixed", "16-mixed"] = "32-true",
        gradient_clip: Positive | None = None,
        deterministic: bool = False,
        threads: Count = 1,
        optimizer: Kind = "own",
        weight_decay: NonNegative = 0.0,
        momentum: Share = 0.0,
        scheduler: Schedule = "constant",
        warmup: Share = 0.0,
        most_steps: Count | None = None,
        detect_anomaly: bool = False,
        profiler: Literal["simple", "advanced"] | None = None,
        callbacks: dict[str, Callable[[], Callback]] | None = None,
    ):
        gpus = torch.cuda.device_count()
        if accelerator == "gpu" and gpus < devices:
            raise RunError(
                f"the trainer asks for {devices} GPU(s) and torch sees {gpus}; use trainer=cpu, lower trainer.devices, "
                "or install a torch built for your CUDA version (see the README)"
            )
        self.on_gpu = accelerator != "cpu" and gpus > 0
        self._options = {
            "accelerator": accelerator,
            "devices": devices,
            "num_nodes": num_nodes,
            "strategy": strategy,
            "precision": precision,
            "gradient_clip_val": gradient_clip,
            "deterministic": deterministic,
            "detect_anomaly": detect_anomaly,
        }
        self._descent, self._most_steps = (optimizer, weight_decay, momentum, scheduler, warmup), most_steps
        self._profiler, self._more = profiler, dict(callbacks or {})
        # Lightning knows the rank that its own launcher, torchrun or Slurm gave to this process.
        self._ranked = _lightning(**self._options, logger=False, enable_checkpointing=False, enable_progress_bar=False)
        self.is_main = self._ranked.global_rank == 0
        self.device = torch.device("cuda", self._ranked.local_rank) if self.on_gpu else torch.device("cpu")
        self.threads = threads
        self.steps = 0
        self.seconds = self.earlier = 0.0
        self.prepare()

    def agreed(self, said: bool) -> bool:
        """What the main process says, in all that train together."""
        return ranks.agreed(self._ranked, said)

    def prepare(
        self, folder: Path | None = None, logger: Any = False, log_every: int = 50, checkpoint_seconds: float = 60.0,
        progress: bool = False, owner: str = "",
    ) -> None:  # fmt: skip
        """Say where to log and to keep checkpoints, before a run.

        Args:
            folder: For checkpoints; ``None`` for none.
            logger: A Lightning logger, several, or ``False``.
            log_every: Steps between two logged values.
            checkpoint_seconds: Seconds between two checkpoints.
            progress: Whether to show a progress bar.
            owner: What checkpoints belong to, beside their names; those of another owner are not taken up.
        """
        self._folder, self._logger, self._log_every = folder, logger, log_every
        self._checkpoint_seconds, self._progress, self._owner = checkpoint_seconds, progress, owner
        self.stage("fit")

    def stage(self, name: str, key: str = "fit") -> None:
        """Name what the following :meth:`train` calls are for.

        Args:
            name: Shown by the progress bar.
            key: File-name-safe name under which their checkpoints are kept.
        """
        self._name, self._key, self._call, self._staged_at = name, key, 0, self.steps
        self._saved_at = time.monotonic()

    def train(
        self, module: pl.LightningModule, steps: int, batches: Iterable | None = None,
        selection: Selection | None = None,
    ) -> None:  # fmt: skip
        """Train a module for a number of gradient steps, or until it stops getting better.

        A call that an earlier, interrupted process has completed is not repeated, and one that it left half-way is
        taken up where its last checkpoint stands.

        Args:
            module: What to train.
            steps: Gradient steps.
            batches: What ``training_step`` receives as ``batch``. When omitted it receives numbers, of which only
                ``batch_idx`` goes on counting in a fit that was taken up again.
            selection: When to judge the module and when to stop early; its best state is restored at the end.

        Raises:
            RunError: If a loss is NaN or infinite.
        """
        call, self._call = self._call, self._call + 1
        if self._skip(module, call):
            return
        resume = self._path(f"{call}.ckpt")
        steps = steps if self._most_steps is None else min(steps, self._most_steps)
        clock = Clock()
        callbacks = [clock, *self._callbacks(steps, resume, selection)]
        lightning = _lightning(
            **self._options,
            max_epochs=-1 if batches is not None else 1,
            max_steps=steps,
            logger=self._logger,
            callbacks=callbacks,
            log_every_n_steps=self._log_every,
            enable_checkpointing=resume is not None,
            enable_progress_bar=any(isinstance(one, ProgressBar) for one in callbacks),
            enable_model_summary=any(isinstance(one, ModelSummary) for one in callbacks),
            default_root_dir=self._folder,
            use_distributed_sampler=False,
            plugins=[SealedCheckpoints(self._owner)],
            inference_mode=False,
            profiler=profiler(self._profiler, self._folder, f"{self._key}-{call}"),
        )
        found = is_whole(resume, self._owner)
        module.train()
        batches = range(steps) if batches is None else batches  # a loader of nothing costs nothing
        if not self.on_gpu:
            keep_freed_memory()
        # Weight decay drives unused parameters into denormal numbers, which make a CPU ten times slower.
        torch.set_flush_denormal(True)
        if (chosen := configure(module, steps, *self._descent)) is not None:
            module.configure_optimizers = chosen
        try:
            lightning.fit(module, batches, ckpt_path=resume if found else None, weights_only=True)
        except SystemExit as stopped:
            # Lightning turns Ctrl-C into an exit of its own; let the command line say how to go on.
            raise KeyboardInterrupt if lightning.interrupted else stopped from None
        except MisconfigurationException as error:
            raise ConfigError(f"Lightning refuses what is chosen: {str(error).splitlines()[0]}") from error
        finally:
            torch.set_flush_denormal(False)
            vars(module).pop("configure_optimizers", None)
        module.eval()
        for keeper in callbacks:
            if isinstance(keeper, _Best):
                keeper.restore(module)
        self._count(lightning.global_step, clock)
        self._keep(module, call, resume)

    # ---- taking up an interrupted run -----------------------------------------------------------------------

    def _path(self, name: str) -> Path | None:
        return None if self._folder is None else self._folder / f"{self._key}-{name}"

    def _keep(self, module: Resumable, call: int, checkpoint: Path | None) -> None:
        """Remember that this call is complete, unless that was done a moment ago."""
        done = self._path("done.pt")
        if done is None or not self.is_main:
            return
        if time.monotonic() - self._saved_at > self._checkpoint_seconds:
            trained = [self.steps, self.seconds]
            save_tensors(
                {"call": call, "state": module.state_dict(), "random": random_state(), "trained": trained},
                done,
                self._owner,
            )
            self._saved_at = time.monotonic()
        if checkpoint.is_file():
            checkpoint.unlink()

    def _skip(self, module: Resumable, call: int) -> bool:
        """Whether an earlier process completed this call; the last such call brings back its outcome."""
        kept = load_tensors(self._path("done.pt"), self._owner)
        if kept is None:
            return False
        if call == kept["call"]:
            module.load_state_dict(kept["state"])
            set_random_state(kept["random"])
            self.earlier += kept["trained"][1] - self.seconds
            self.steps, self.seconds = kept["trained"]
        return call <= kept["call"]

    def _callbacks(self, steps: int, checkpoint: Path | None, selection: Selection | None) -> list[Callback]:
        offset = self.steps - self._staged_at
        chosen = made(self._more, self._name, offset, self._log_every)
        progress = self._progress and not any(isinstance(one, ProgressBar) for one in chosen)
        epoch = 0 if selection is None else selection.every
        watch = Watch(self._name, steps, self._log_every, progress, offset, epoch)
        callbacks: list[Callback] = [RandomState(), watch, *chosen]
        if selection is not None:
            callbacks.append(_Best(self._name, selection, offset, watch.judged))
        if checkpoint is not None:
            callbacks.append(
                ModelCheckpoint(
                    dirpath=checkpoint.parent,
                    filename=checkpoint.stem,
                    train_time_interval=timedelta(seconds=self._checkpoint_seconds),
                    enable_version_counter=False,
                )
            )
        return callbacks


def _lightning(**options: Any) -> pl.Trainer:
    """Lightning's Trainer; what it refuses is a setting of the trainer group."""
    try:
        return pl.Trainer(**options)
    except (ValueError, MisconfigurationException) as error:
        raise ConfigError(f"Lightning refuses the trainer's settings: {str(error).splitlines()[0]}") from error


class _Best(Callback):
    """Judges the model as a :class:`Selection` says, and tells it; its state is part of checkpoints."""

    def __init__(self, name: str, selection: Selection, offset: int, tell: Callable[[dict[str, float]], None]):
        self._name, self._selection, self._offset, self._tell = name, selection, offset, tell
        self._values: dict[str, float] = {}
        self._waited, self._state = 0, {}

    def on_train_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        # The checkpoint of a resumed fit may be that of its last step.
        trainer.should_stop = self._waited >= self._selection.patience

    def on_train_batch_end(self, trainer: pl.Trainer, module: pl.LightningModule, outputs, batch, batch_idx) -> None:
        step = batch_idx + 1
        if step % self._selection.every:
            return
        module.eval()
        with torch.no_grad():
            values = {name: float(value) for name, value in self._selection.selector(module).items()}
        module.train()
        if any(value != value for value in values.values()):
            raise RunError(f"the model is judged as NaN at step {step}; lower model.learning_rate")
        log(trainer, {f"val/{name}/{self._name}": value for name, value in values.items()}, self._offset + step)
        self._tell(values)
        if self._better(values):
            self._values, self._waited = values, 0
            self._state = {
                name: part.detach().clone() if isinstance(part, Tensor) else part
                for name, part in module.state_dict().items()
            }
        else:
            self._waited += 1
            trainer.should_stop = trainer.should_stop or self._waited >= self._selection.patience

    def _better(self, values: dict[str, float]) -> bool:
        best = [self._values.get(name, float("-inf")) for name in values]
        pairs = list(zip(values.values(), best, strict=True))
        return all(value >= before for value, before in pairs) and any(value > before for value, before in pairs)

    def restore(self, module: pl.LightningModule) -> None:
        """Bring the best state back, if the model was ever judged: parameters, and the memory that belongs to them."""
        if self._state:
            module.load_state_dict(self._state)

    def state_dict(self) -> dict[str, Any]:
        return {"values": self._values, "waited": self._waited, "state": self._state}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._values, self._waited, self._state = state["values"], state["waited"], state["state"]

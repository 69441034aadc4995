"""What must hold of models that are trained by gradient."""

from __future__ import annotations

from typing import Any

import pytorch_lightning as pl
import torch
from hydra.utils import get_class
from torch import Tensor

from dynbench.config.compose import read_choice
from dynbench.engine.trainer import Trainer
from dynbench.testing.stage import (
    Interruption,
    NotApplicable,
    Overheard,
    first_episodes,
    graph_for,
    make,
    require,
    tell,
)
from dynbench.testing.stories import resume

# ---- training by gradient -------------------------------------------------------------------------------------


def check_gradients(model: str, protocol: str, directed: bool = False) -> None:
    """Every trainable parameter receives a gradient in the last fit of a story, on at least three snapshots."""
    _require_training(model)
    graph, episodes = first_episodes(make("protocol", protocol), directed)
    shown = max(len(graph.time.unique()) for graph in episodes[-1].train.values())
    enough = graph.num_steps is None or episodes[-1].context.num_steps == 1 or shown >= 3
    require(enough, f"{protocol} shows {shown} snapshots of {graph.num_steps} only")
    torch.manual_seed(0)
    learner = make("model", model)
    for episode in episodes:
        trainer = _Watching()
        graphs = {"": episode.context} if learner.learns == "context" else episode.train
        learner.fit(dict(graphs) if learner.several else next(iter(graphs.values())), None, trainer)
    if shown == 1 and not trainer.trainable:
        raise NotApplicable(f"{model} learns from one snapshot to the next, and {protocol} shows one only")
    silent = sorted(trainer.trainable - trainer.reached)
    if episodes[-1].context.num_steps == 1 and learner.learns == "context" and trainer.reached:
        # What leads from one snapshot to the next has nothing to do in one, and is held to it by other protocols.
        return
    require(not silent, f"no gradient reaches {', '.join(silent)} of {model}")
    trains = any(parameter.requires_grad for parameter in learner.parameters())
    require(bool(trainer.trainable) or not trains, f"{model} is a Lightning module and trains nothing")


def check_mixed_precision(model: str, protocol: str, directed: bool = False) -> None:
    """Trained in bfloat16 where torch thinks fit, parameters stay finite and in single precision, and it answers."""
    _require_training(model)
    learner, overheard = make("model", model), Overheard(make("protocol", protocol))
    tell(learner, overheard, graph_for(overheard, directed), precision="bf16-mixed")
    odd = [
        name
        for name, value in learner.named_parameters()
        if value.dtype != torch.float or not bool(value.isfinite().all())
    ]
    require(not odd, f"mixed precision leaves {', '.join(odd)} of {model} unfit for single precision")
    finite = all(bool(torch.isfinite(item.answer).all()) for item in overheard.heard)
    require(finite, f"{model} answers NaN or infinity after training in mixed precision")


def check_resume_in_fit(model: str, protocol: str, directed: bool = False) -> None:
    """A run that broke off within a fit, and was taken up again, gives what an unbroken one gives."""
    _require_training(model)
    watched, victim = make("model", model), make("model", model)
    steps: list[int] = []
    counting = Overheard(make("protocol", protocol))
    _before_steps(watched, lambda: steps.append(counting.number))
    tell(watched, counting, graph_for(counting, directed))
    episode = min(1, counting.number)
    if steps.count(episode) < 2:
        raise NotApplicable(f"{model} has no fit of several gradient steps to break off in")
    # The last step of that fit: its checkpoints stand at the steps before.
    left = iter([None] * (steps.index(episode) + steps.count(episode) - 1))

    def break_off() -> None:
        try:
            next(left)
        except StopIteration:
            raise Interruption from None

    _before_steps(victim, break_off)
    resume(model, protocol, directed, victim)


def _require_training(model: str) -> None:
    if not issubclass(get_class(read_choice("model", model)["_target_"]), pl.LightningModule):
        raise NotApplicable(f"{model} is not trained by gradient")


class _Watching(Trainer):
    """A Trainer that notes which parameters are reached by a gradient other than zero."""

    def __init__(self) -> None:
        super().__init__()
        self.trainable: set[str] = set()
        self.reached: set[str] = set()

    def train(self, module: pl.LightningModule, steps: int, batches: Any = None, **more: Any) -> None:
        named = {name: parameter for name, parameter in module.named_parameters() if parameter.requires_grad}
        self.trainable |= set(named)
        hooks = [parameter.register_hook(self._note(name)) for name, parameter in named.items()]
        super().train(module, steps, batches, **more)
        for hook in hooks:
            hook.remove()

    def _note(self, name: str) -> Any:
        def hook(gradient: Tensor) -> None:
            if bool(gradient.any()):
                self.reached.add(name)

        return hook


def _before_steps(module: pl.LightningModule, act: Any) -> None:
    step = module.training_step

    def training_step(*arguments: Any, **named: Any) -> Any:
        act()
        return step(*arguments, **named)

    module.training_step = training_step

"""What every model must hold to, under each protocol that can ask it."""

from __future__ import annotations

import dataclasses
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from hydra.utils import get_class
from torch import Tensor

from dynbench.config.check import answers
from dynbench.config.compose import read_choice
from dynbench.contract import Block, Episode
from dynbench.engine.trainer import Trainer, save_tensors
from dynbench.graph import TemporalGraph
from dynbench.models.base import Model
from dynbench.testing.stage import (
    Edit,
    Interruption,
    Overheard,
    altered,
    check_settings,
    directions,
    first_episodes,
    make,
    possible_pairs,
    require,
    source,
    tell,
    tiny_graph,
)

ANSWERS = ("score", "rank", "embed")
CARD_SECTIONS = (("Paper:",), ("Idea:", "Equations:"), ("Deviations:",))


def check_model(name: str) -> None:
    """All checks of a model, under every protocol that can ask it and in every direction that it can take."""
    check_settings("model", name)
    check_card(name)
    check_declarations(name)
    for protocol in [protocol for model, protocol in possible_pairs() if model == name]:
        for directed in directions(name):
            for check in PAIR_CHECKS:
                check(name, protocol, directed)


# ---- the model alone ------------------------------------------------------------------------------------------


def check_card(model: str) -> None:
    """The module says which paper the model is from, how it works, and where it deviates."""
    stated = source("model", model)
    lines = [line.strip() for line in stated.module_docstring.splitlines()]
    for names in CARD_SECTIONS if answers(stated) else ():
        require(any(name in lines for name in names), f"the card of {model} has no section '{' or '.join(names)}'")


def check_declarations(model: str) -> None:
    """The model answers what it declares and nothing else, and its source text says what the class says."""
    stated, kind = source("model", model), get_class(read_choice("model", model)["_target_"])
    require(issubclass(kind, Model), f"{model} is no dynbench.models.base.Model")
    for name in ("answers", "needs"):
        read = stated.attributes.get(name, frozenset())
        require(
            read == getattr(kind, name), f"'{name}' of {model} is not written as a literal; it reads as {set(read)}"
        )
    require(kind.answers <= set(ANSWERS), f"{model} declares {set(kind.answers)}; protocols ask for {ANSWERS}")
    for name in ANSWERS:
        written, declared = getattr(kind, name) is not getattr(Model, name), name in kind.answers
        require(declared or not written, f"{model} implements '{name}' and does not declare it")
        require(written or not declared, f"{model} declares '{name}' and does not implement it")


# ---- what it must not know ------------------------------------------------------------------------------------


def check_causality(model: str, protocol: str, directed: bool = False) -> None:
    """No answer changes when everything from the time asked about on is other: links, nodes, weights, the truth.

    What the protocol hands out on purpose, validation blocks, stays as it is. Holds of forecasts only.
    """
    if not make("protocol", protocol).forecasts:
        return
    graph, episodes = first_episodes(make("protocol", protocol), directed)
    last, final = episodes[-1], len(episodes) - 1
    block = next(iter(last.test))
    other = altered(graph, float(block.queries.time.min()))
    require(other.checksum() != graph.checksum(), f"{protocol} asks about no time of the graph")

    def asking(asked: Block) -> Edit:
        def edit(number: int, episode: Episode) -> Episode:
            return (
                dataclasses.replace(episode, test=[asked], validation=last.validation) if number == final else episode
            )

        return edit

    (_, before), (_, after) = (
        _told(model, protocol, directed, edit=asking(asked), graph=known)
        for asked, known in ((block, graph), (_relabelled(block, _others(block, graph)), other))
    )
    require(
        _same(before.heard, after.heard),
        f"{model} answers {protocol} otherwise when events at or after the time asked about are other ones",
    )


def check_answers_unseen(model: str, protocol: str, directed: bool = False) -> None:
    """No answer changes when the true answers of a block are shuffled."""

    def shuffled(number: int, episode: Episode) -> Episode:
        test = [_relabelled(block, block.answers.flip(0)) for block in episode.test]
        return dataclasses.replace(episode, test=test)

    _, plain, _ = _plain(model, protocol, directed)
    _, other = _told(model, protocol, directed, edit=shuffled)
    require(_same(plain.heard, other.heard), f"{model} answers {protocol} otherwise when the truth is shuffled")


def check_order(model: str, protocol: str, directed: bool = False) -> None:
    """Queries in another order, or fewer of them, get the answers that they got before."""
    learner, overheard, _ = _plain(model, protocol, directed)
    queries, heard = overheard.last.queries, _answers_now(learner, overheard)
    if overheard.last.reveal is None:
        require(_same([heard], overheard.heard[-1:]), f"{model} answers otherwise when it is asked again")
    if overheard.asks == "embed":
        times = queries.time.unique()
        again = learner.embed(torch.cat([times, times.flip(0)])).cpu()
        twice = torch.cat([heard, heard.flip(0)])
        require(_close(again, twice), f"{model} embeds a time otherwise beside others")
        return
    order = torch.randperm(len(queries), generator=torch.Generator().manual_seed(0))
    for index, how in ((order, "in another order"), (order[::2], "when fewer are asked")):
        again = getattr(learner, overheard.asks)(queries[index]).cpu()
        require(_close(again, heard[index]), f"{model} scores the same queries otherwise {how}")


def _answers_now(learner: Model, overheard: Overheard) -> Tensor:
    """What a model answers to the last block as it stands, after all that was revealed to it."""
    queries = overheard.last.queries
    return getattr(learner, overheard.asks)(queries.time.unique() if overheard.asks == "embed" else queries).cpu()


# ---- what must not depend on chance ---------------------------------------------------------------------------


def check_seeds(model: str, protocol: str, directed: bool = False) -> None:
    """Same seed, same answers; another seed, other answers where anything is trained. The graph stays as it is."""
    graph = tiny_graph(make("protocol", protocol).view, directed)
    untouched = graph.checksum()
    learner, first, _ = _plain(model, protocol, directed)
    _, again = _told(model, protocol, directed)
    require(graph.checksum() == untouched, f"{model} writes into the graph that it was given")
    require(_same(first.heard, again.heard), f"{model} answers {protocol} otherwise in a second run of one seed")
    require(all(bool(torch.isfinite(part).all()) for part in first.heard), f"{model} answers NaN or infinity")
    if learner.num_parameters():
        _, other = _told(model, protocol, directed, seed=1)
        require(not _same(first.heard, other.heard), f"{model} answers {protocol} alike whatever the seed")


def check_saving(model: str, protocol: str, directed: bool = False) -> None:
    """A fresh model that loads the state of a fitted one gives its answers."""
    learner, overheard, _ = _plain(model, protocol, directed)
    with tempfile.TemporaryDirectory() as folder:
        save_tensors(dict(learner.state_dict()), Path(folder) / "state.pt")
        state = torch.load(Path(folder) / "state.pt", weights_only=True)
    torch.manual_seed(12345)
    fresh = make("model", model)
    fresh.load_state_dict(state)
    known = _answers_now(learner, overheard)
    require(_same([_answers_now(fresh, overheard)], [known]), f"{model} answers otherwise after saving and loading")
    require(fresh.num_parameters() == learner.num_parameters(), f"{model} has another size after saving and loading")


def check_resume(model: str, protocol: str, directed: bool = False) -> None:
    """A run that broke off, between two episodes or between a fit and the answers, goes on as an unbroken one does."""
    _, whole, _ = _plain(model, protocol, directed)
    _resume(model, protocol, directed, make("model", model), interrupt=min(1, whole.number))
    if whole.number > 0:
        _resume(model, protocol, directed, make("model", model), stop=2)


# ---- training by gradient -------------------------------------------------------------------------------------


def check_gradients(model: str, protocol: str, directed: bool = False) -> bool:
    """Every trainable parameter receives a gradient in the last fit of a story, on at least three snapshots.

    Returns:
        Whether the model trains by gradient at all.
    """
    graph, episodes = first_episodes(make("protocol", protocol), directed)
    shown = len(episodes[-1].history.time.unique())
    require(graph.num_steps is None or shown >= 3, f"{protocol} shows {shown} snapshots of {graph.num_steps} only")
    torch.manual_seed(0)
    learner = make("model", model)
    for episode in episodes:
        trainer = _Watching()
        learner.fit(episode.history, episode.validation, trainer)
    silent = sorted(trainer.trainable - trainer.reached)
    require(not silent, f"no gradient reaches {', '.join(silent)} of {model}")
    return bool(trainer.trainable)


def check_resume_in_fit(model: str, protocol: str, directed: bool = False) -> bool:
    """A run that broke off within a fit, and was taken up again, gives what an unbroken one gives.

    Returns:
        Whether the model has fits of several gradient steps to break off in.
    """
    watched, victim = make("model", model), make("model", model)
    if not isinstance(watched, pl.LightningModule):
        return False
    steps: list[int] = []
    counting = Overheard(make("protocol", protocol))
    _before_steps(watched, lambda: steps.append(counting.number))
    tell(watched, counting, tiny_graph(counting.view, directed))
    episode = min(1, counting.number)
    if steps.count(episode) < 2:
        return False
    # The last step of that fit: its checkpoints stand at the steps before.
    left = iter([None] * (steps.index(episode) + steps.count(episode) - 1))

    def break_off() -> None:
        try:
            next(left)
        except StopIteration:
            raise Interruption from None

    _before_steps(victim, break_off)
    _resume(model, protocol, directed, victim)
    return True


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


# ---- helpers --------------------------------------------------------------------------------------------------


def _told(
    model: str, protocol: str, directed: bool, seed: int = 0, edit: Edit | None = None,
    graph: TemporalGraph | None = None,
) -> tuple[Model, Overheard]:  # fmt: skip
    """A fresh model and what was heard of it."""
    learner, overheard = make("model", model), Overheard(make("protocol", protocol), edit)
    tell(learner, overheard, tiny_graph(overheard.view, directed) if graph is None else graph, seed)
    return learner, overheard


@cache
def _plain(model: str, protocol: str, directed: bool) -> tuple[Model, Overheard, list[Any]]:
    """The unbroken story that other ones are compared with: the model, what was heard of it, and the results."""
    learner, overheard = make("model", model), Overheard(make("protocol", protocol))
    story = tell(learner, overheard, tiny_graph(overheard.view, directed))
    require(all(len(part) for part in overheard.heard), f"{protocol} asks nothing in one of its blocks")
    return learner, overheard, _results(story)


def _resume(model: str, protocol: str, directed: bool, victim: Model, **breaks: int) -> None:
    """Let a run break off, take it up with a fresh model, and compare with the unbroken run."""
    _, whole, expected = _plain(model, protocol, directed)
    graph, broken = tiny_graph(whole.view, directed), Overheard(make("protocol", protocol), **breaks)
    with tempfile.TemporaryDirectory() as folder:
        try:
            tell(victim, broken, graph, folder=Path(folder))
        except Interruption:
            pass
        else:
            raise AssertionError(f"the run of {model} under {protocol} was to break off and did not")
        rest = Overheard(make("protocol", protocol))
        resumed = _results(tell(make("model", model), rest, graph, folder=Path(folder)))
    require(bool(broken.heard) or whole.number == 0, f"the run of {model} under {protocol} broke off too early")
    heard = [*broken.heard, *rest.heard]
    require(_same(heard, whole.heard), f"{model} answers {protocol} otherwise after an interruption")
    require(
        resumed == expected, f"an interruption moves results of {model} under {protocol}: {resumed}, not {expected}"
    )


def _results(story: Any) -> list[Any]:
    return [story.metrics.compute(), story.metrics.per_step(), story.fingerprint, story.queries, story.trainer.steps]


def _others(block: Block, graph: TemporalGraph) -> Tensor:
    """Another truth for every query: the other label, or the next node."""
    return 1 - block.answers if block.queries.dst is not None else (block.answers + 1) % graph.num_nodes


def _relabelled(block: Block, answers: Tensor) -> Block:
    return dataclasses.replace(block, answers=answers)


def _same(ones: list[Tensor], others: list[Tensor]) -> bool:
    return len(ones) == len(others) and all(torch.equal(a, b) for a, b in zip(ones, others, strict=True))


def _close(one: Tensor, other: Tensor) -> bool:
    """Equal up to what another batch size may do to the last digits."""
    return one.shape == other.shape and torch.allclose(one.double(), other.double(), rtol=1e-5, atol=1e-6)


PAIR_CHECKS = (
    *(check_causality, check_answers_unseen, check_order, check_seeds, check_saving),
    *(check_resume, check_gradients, check_resume_in_fit),
)

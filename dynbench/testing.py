"""The contract of models and protocols as plain functions, for this package's tests and for those of plug-ins.

Every check takes the name of a choice, plays the first episodes of a story on a tiny graph at ``budget=smoke``, and
raises ``AssertionError`` with a sentence that says what is wrong. A plug-in's whole test may be::

    from dynbench.testing import check_model, check_protocol

    def test_my_model():
        check_model("my_model")
"""

from __future__ import annotations

import dataclasses
import itertools
import tempfile
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
import yaml
from hydra.utils import get_class
from torch import Tensor

from dynbench.config.check import answers, asked, check
from dynbench.config.compose import choice_path, choices, compose, read_choice
from dynbench.config.source import read_class
from dynbench.contract import Block, Episode, Queries
from dynbench.graph import TemporalGraph
from dynbench.models.base import Model
from dynbench.play import Story, build
from dynbench.protocols.base import Protocol
from dynbench.sampling.pairs import PairIndex
from dynbench.training import Trainer, save_tensors

ANSWERS = ("score", "rank", "embed")
CARD_SECTIONS = (("Paper:",), ("Idea:", "Equations:"), ("Deviations:",))
STEPS = 10
EPISODES = 4  # of a story; enough for warm starts and for a fit on three snapshots

Edit = Callable[[int, Episode], Episode]


def possible_pairs() -> list[tuple[str, str]]:
    """All (model, protocol) choices that fit each other, of protocols that ask something."""
    return [
        (model, protocol)
        for protocol, model in itertools.product(choices("protocol"), choices("model"))
        if asked(_source("protocol", protocol)) in answers(_source("model", model))
    ]


# ---- material ---------------------------------------------------------------------------------------------------


@cache
def tiny_graph(view: str = "snapshots", directed: bool = False, seed: int = 0) -> TemporalGraph:
    """Twenty nodes and ten snapshots with lasting links, latecomers, a silent node and self-loops.

    Args:
        view: ``snapshots``, or ``events`` for the same events at integer times of their own.
        directed: Whether ``(i, j)`` and ``(j, i)`` differ.
        seed: Seed of the draws.
    """
    draw = np.random.default_rng(seed)
    nodes, per_step = 20, 24
    step = np.repeat(np.arange(STEPS), per_step)
    awake = np.minimum(10 + step, nodes - 1)  # one more node per step; the last one never comes
    src = draw.integers(0, awake)
    offset = draw.integers(0, 4, len(step))  # neighbours on a ring, so that links come back; 0 is a self-loop
    dst = (src + offset) % awake
    if view == "events":
        time = step * 100 + np.sort(draw.integers(0, 100, (STEPS, per_step)), axis=1).ravel()
        return TemporalGraph.from_events(src, dst, time, nodes, directed=directed, seconds=1.0)
    graph = TemporalGraph.from_events(src, dst, step, nodes, directed=directed)
    return graph.snapshots(graph.time, STEPS)


def altered(graph: TemporalGraph, cut: float) -> TemporalGraph:
    """The same graph with other links, other weights and other newcomers from time ``cut`` on."""
    late = graph.time >= cut
    src = torch.where(late, (graph.src * 7 + 3) % graph.num_nodes, graph.src)
    dst = torch.where(late, (graph.dst * 3 + 5) % graph.num_nodes, graph.dst)
    other = TemporalGraph.from_events(
        src, dst, graph.time, graph.num_nodes, directed=graph.directed, seconds=graph.seconds
    )
    return other if graph.num_steps is None else other.snapshots(other.time, graph.num_steps)


def make(group: str, name: str, *overrides: str) -> Any:
    """The model or protocol of that name, as a run at ``budget=smoke`` would build it."""
    return build(_composed(group, name, *overrides)[group])


def directions(model: str | None = None) -> list[bool]:
    """The values of ``directed`` that a model can work with."""
    needs = _source("model", model).attributes.get("needs", frozenset()) if model else frozenset()
    return [False] if "undirected" in needs else [False, True]


@cache
def _composed(group: str, name: str, *overrides: str):
    return compose([f"{group}={name}", "budget=smoke", "trainer=cpu", "logger=none", *overrides])


def _source(group: str, name: str):
    return read_class(read_choice(group, name)["_target_"])


class Overheard(Protocol):
    """A protocol of which only the first episodes are played, and that writes down what the model answers.

    Args:
        inner: The protocol that asks.
        seed: Seed of its pairs, whatever the seed of the run.
        edit: Changes episodes before the model meets them.
        interrupt: Number of the episode during whose answers the run breaks off.
    """

    def __init__(self, inner: Protocol, seed: int = 0, edit: Edit | None = None, interrupt: int | None = None):
        self.inner, self.seed, self.edit, self.interrupt = inner, seed, edit, interrupt
        self.asks, self.view = inner.asks, inner.view
        self.metrics = inner.metrics
        self.heard: list[Tensor] = []
        self.last: Block | None = None
        self._number = -1

    def num_episodes(self, graph: TemporalGraph) -> int:
        """At most ``EPISODES``."""
        return min(EPISODES, self.inner.num_episodes(graph))

    def episodes(self, graph: TemporalGraph, seed: int) -> Iterator[Episode]:
        """The first episodes, edited."""
        for number, episode in enumerate(itertools.islice(self.inner.episodes(graph, self.seed), EPISODES)):
            self._number = number
            yield self.edit(number, episode) if self.edit else episode

    def read(self, block: Block, answer: Tensor) -> Tensor:
        """Write the answer down, or break off."""
        if self._number == self.interrupt:
            raise Interruption
        self.last = block
        self.heard.append(answer.clone())
        return self.inner.read(block, answer)


class Interruption(Exception):
    """Stands for the end of a process."""


def tell(
    model: Model, protocol: Overheard, graph: TemporalGraph, seed: int = 0, folder: Path | None = None,
    trainer: Trainer | None = None,
) -> Story:  # fmt: skip
    """Play the first episodes of a story as a run does; with a ``folder``, go on from what is kept there."""
    trainer = trainer or Trainer()
    if folder is not None:
        trainer.prepare(folder=folder, checkpoint_seconds=1e-6)
        story = Story(model, protocol, trainer, folder)
        story.tell(graph, seed)
        return story
    with tempfile.TemporaryDirectory() as place:
        story = Story(model, protocol, trainer, Path(place))
        story.tell(graph, seed)
        return story


def _told(model: str, protocol: str, directed: bool, seed: int = 0, edit: Edit | None = None, graph=None):
    """A fresh model's story: the model and what was heard."""
    overheard = Overheard(make("protocol", protocol), edit=edit)
    learner = make("model", model)
    tell(learner, overheard, tiny_graph(overheard.view, directed) if graph is None else graph, seed)
    return learner, overheard


# ---- checks of a model under a protocol ----------------------------------------------------------------------------


def check_causality(model: str, protocol: str, directed: bool = False) -> None:
    """No answer changes when everything from the time asked about on is another: links, nodes, weights, labels.

    What the protocol hands out on purpose, validation blocks, stays as it is.
    """
    inner = make("protocol", protocol)
    graph = tiny_graph(inner.view, directed)
    episodes = list(itertools.islice(inner.episodes(graph, 0), EPISODES))
    last = episodes[-1]
    block = next(iter(last.test))
    other = altered(graph, float(block.queries.time.min()))

    def same_question(number: int, episode: Episode) -> Episode:
        if number < len(episodes) - 1:
            return episode
        return dataclasses.replace(episode, test=[block], validation=last.validation)

    def same_question_other_truth(number: int, episode: Episode) -> Episode:
        episode = same_question(number, episode)
        if number == len(episodes) - 1:
            episode = dataclasses.replace(episode, test=[_relabelled(block, 1 - block.answers)])
        return episode

    _, before = _told(model, protocol, directed, edit=same_question, graph=graph)
    _, after = _told(model, protocol, directed, edit=same_question_other_truth, graph=other)
    _require(
        _same(before.heard, after.heard),
        f"{model} answers {protocol} otherwise when events at or after the time asked about are other ones",
    )


def check_answers_unseen(model: str, protocol: str, directed: bool = False) -> None:
    """No answer changes when the true answers of a block are shuffled."""

    def shuffled(number: int, episode: Episode) -> Episode:
        test = [_relabelled(b, b.answers[torch.randperm(len(b.answers))]) for b in episode.test]
        return dataclasses.replace(episode, test=test)

    (_, plain), (_, other) = _told(model, protocol, directed), _told(model, protocol, directed, edit=shuffled)
    _require(_same(plain.heard, other.heard), f"{model} answers {protocol} otherwise when the truth is shuffled")


def check_order(model: str, protocol: str, directed: bool = False) -> None:
    """Queries in another order, or fewer of them, get the answers they got before."""
    learner, overheard = _told(model, protocol, directed)
    queries, heard = overheard.last.queries, overheard.heard[-1]
    if overheard.asks == "embed":
        time = queries.time[:1]
        again = learner.embed(torch.cat([time, time - 1, time])).cpu()
        _require(_close(again[::2], heard.expand(2, -1, -1)), f"{model} embeds one time otherwise beside other times")
        return
    ask = getattr(learner, overheard.asks)
    order = torch.randperm(len(queries))
    for index, what in ((order, "in another order"), (slice(None, None, 2), "when fewer of them are asked")):
        again = ask(queries[index]).cpu()
        _require(_close(again, heard[index]), f"{model} scores the same queries otherwise {what}")


def check_seeds(model: str, protocol: str, directed: bool = False) -> None:
    """Same seed, same answers; another seed, other answers where anything is trained."""
    (learner, first), (_, again) = (_told(model, protocol, directed) for _ in range(2))
    _require(_same(first.heard, again.heard), f"{model} answers {protocol} otherwise at a second run of one seed")
    _require(all(len(answer) for answer in first.heard), f"{protocol} asked nothing in one of its blocks")
    if learner.num_parameters():
        _, other = _told(model, protocol, directed, seed=1)
        _require(not _same(first.heard, other.heard), f"{model} gives the same answers whatever the seed")


def check_saving(model: str, protocol: str, directed: bool = False) -> None:
    """A fresh model that loads the state of a fitted one gives its answers."""
    learner, overheard = _told(model, protocol, directed)
    with tempfile.TemporaryDirectory() as folder:
        save_tensors(dict(learner.state_dict()), Path(folder) / "state.pt")
        state = torch.load(Path(folder) / "state.pt", weights_only=True)
    torch.manual_seed(12345)
    fresh = make("model", model)
    fresh.load_state_dict(state)
    queries = overheard.last.queries
    argument = queries.time[:1] if overheard.asks == "embed" else queries
    again = getattr(fresh, overheard.asks)(argument)
    _require(_same([again.cpu()], overheard.heard[-1:]), f"{model} answers otherwise after saving and loading")
    _require(fresh.num_parameters() == learner.num_parameters(), f"{model} has another size after loading")


def check_gradients(model: str, protocol: str, directed: bool = False) -> bool:
    """Every trainable parameter receives a gradient in a fit on at least three snapshots.

    Returns:
        Whether the model trains by gradient at all.
    """
    trainer = _Watching()
    inner = make("protocol", protocol)
    graph = tiny_graph(inner.view, directed)
    episode = list(itertools.islice(inner.episodes(graph, 0), EPISODES))[-1]
    _require(
        graph.num_steps is None or len(episode.history.time.unique()) >= 3,
        f"{protocol} shows fewer than three snapshots of a graph with {STEPS}; this check needs more",
    )
    torch.manual_seed(0)
    make("model", model).fit(episode.history, episode.validation, trainer)
    silent = sorted(trainer.trainable - trainer.reached)
    _require(not silent, f"no gradient reaches {', '.join(silent)} of {model}")
    return bool(trainer.trainable)


def check_resume(model: str, protocol: str, directed: bool = False) -> None:
    """A run that broke off between two episodes and was taken up again gives what an unbroken one gives."""
    _check_resume(model, protocol, directed, interrupt=1)


def check_resume_in_fit(model: str, protocol: str, directed: bool = False) -> bool:
    """A run that broke off within a fit and was taken up again gives what an unbroken one gives.

    Returns:
        Whether the model trains by gradient, so that there is such a run.
    """
    if not isinstance(make("model", model), pl.LightningModule):
        return False
    _check_resume(model, protocol, directed, interrupt=None)
    return True


def _check_resume(model: str, protocol: str, directed: bool, interrupt: int | None) -> None:
    whole = Overheard(make("protocol", protocol))
    graph = tiny_graph(whole.view, directed)
    expected = tell(make("model", model), whole, graph)
    with tempfile.TemporaryDirectory() as folder:
        broken, victim = Overheard(make("protocol", protocol), interrupt=interrupt), make("model", model)
        # One episode only: nothing was kept before it broke off, so the run starts over.
        broken.interrupt = min(interrupt, whole.num_episodes(graph) - 1) if interrupt is not None else None
        if interrupt is None:
            _break_in_fit(victim, 2 if whole.num_episodes(graph) == 1 else 5)
        try:
            tell(victim, broken, graph, folder=Path(folder))
        except Interruption:
            pass
        else:
            raise AssertionError(f"the run of {model} under {protocol} was to be interrupted and was not")
        if interrupt is None:
            _require(any(Path(folder).glob("*.ckpt")), f"{model} left no checkpoint within its fit")
        rest = Overheard(make("protocol", protocol))
        resumed = tell(make("model", model), rest, graph, folder=Path(folder))
    heard = [*broken.heard[: len(whole.heard) - len(rest.heard)], *rest.heard]
    _require(_same(heard, whole.heard), f"{model} answers {protocol} otherwise after an interruption")
    results = [(s.metrics.compute(), s.metrics.per_step(), s.fingerprint, s.queries) for s in (expected, resumed)]
    _require(results[0] == results[1], f"an interruption of {model} under {protocol} moves the metrics: {results}")


def _break_in_fit(victim: pl.LightningModule, at: int) -> None:
    """Let the ``at``-th training step of a story fail."""
    step, calls = victim.training_step, itertools.count()

    def training_step(*arguments: Any) -> Any:
        if next(calls) == at:
            raise Interruption
        return step(*arguments)

    victim.training_step = training_step


class _Watching(Trainer):
    """A Trainer that notes which parameters a gradient other than zero reaches."""

    def __init__(self) -> None:
        super().__init__()
        self.trainable: set[str] = set()
        self.reached: set[str] = set()

    def train(self, module: pl.LightningModule, steps: int, batches=None) -> None:
        hooks = []
        for name, parameter in module.named_parameters():
            if parameter.requires_grad:
                self.trainable.add(name)
                hooks.append(parameter.register_hook(lambda gradient, name=name: self._note(name, gradient)))
        super().train(module, steps, batches)
        for hook in hooks:
            hook.remove()

    def _note(self, name: str, gradient: Tensor) -> None:
        if bool(gradient.any()):
            self.reached.add(name)


# ---- checks of a model alone -----------------------------------------------------------------------------------------


def check_card(model: str) -> None:
    """The module says which paper the model is from, how it works, and where it deviates."""
    source = _source("model", model)
    if not answers(source):
        return
    lines = [line.strip() for line in source.module_docstring.splitlines()]
    for names in CARD_SECTIONS:
        _require(any(name in lines for name in names), f"the card of {model} lacks a section '{' or '.join(names)}'")


def check_declarations(model: str) -> None:
    """The model answers what it declares and nothing else, and its source text says what the class says."""
    target = read_choice("model", model)["_target_"]
    kind, source = get_class(target), read_class(target)
    _require(issubclass(kind, Model), f"{target} is no {Model.__module__}.Model")
    for name in ("answers", "needs"):
        stated = source.attributes.get(name, frozenset())
        _require(stated == getattr(kind, name), f"{name} of {target} is not a literal: read {stated}")
    _require(kind.answers <= set(ANSWERS), f"{target} declares answers that no protocol asks for: {set(kind.answers)}")
    for name in ANSWERS:
        written = getattr(kind, name) is not getattr(Model, name)
        _require(written == (name in kind.answers), f"{target} {'declares no' if written else 'lacks its'} '{name}'")


def check_settings(group: str, name: str) -> None:
    """The YAML file opens with a comment line, explains every key, is named as the choice is, and composes."""
    text = choice_path(group, name).read_text(encoding="utf-8")
    first = text.partition("\n")[0]
    _require(len(first.lstrip("# ")) > 10 and first.startswith("# "), f"conf/{group}/{name}.yaml opens with no title")
    for line in text.splitlines():
        key = line.split(":")[0]
        if line[:1] in ("#", "", " ", "-") or key in ("name", "_target_", "defaults"):
            continue
        _require(" # " in line and len(line.split(" # ", 1)[1]) > 5, f"conf/{group}/{name}.yaml does not explain {key}")
    _require(yaml.safe_load(text)["name"] == name, f"conf/{group}/{name}.yaml calls itself otherwise")
    group_of_model = [p for m, p in possible_pairs() if m == name] if group == "model" else []
    check(_composed(group, name, *(f"protocol={p}" for p in group_of_model[:1]), *_without_questions(group, name)))


def _without_questions(group: str, name: str) -> Sequence[str]:
    """Overrides that pair a protocol with a model that it can ask."""
    if group == "protocol":
        fitting = [m for m, p in possible_pairs() if p == name]
        return [f"model={fitting[0] if fitting else 'none'}"]
    return ["protocol=statistics"] if not answers(_source("model", name)) else []


def check_model(name: str) -> None:
    """All checks of a model, under every protocol that can ask it, in every direction it can take."""
    check_card(name)
    check_settings("model", name)
    check_declarations(name)
    for protocol in [p for m, p in possible_pairs() if m == name]:
        for directed in directions(name):
            for one in PAIR_CHECKS:
                one(name, protocol, directed)


PAIR_CHECKS = (
    *(check_causality, check_answers_unseen, check_order, check_seeds, check_saving),
    *(check_gradients, check_resume, check_resume_in_fit),
)

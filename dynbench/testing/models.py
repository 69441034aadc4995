"""What every model must hold to, under each protocol that can ask it."""

from __future__ import annotations

import contextlib
import dataclasses
import tempfile
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from hydra.utils import get_class
from torch import Tensor

from dynbench.config.check import answers
from dynbench.config.compose import read_choice
from dynbench.contract import Block, Episode, Exam, Queries
from dynbench.engine.loop import Loop
from dynbench.engine.trainer import Trainer, save_tensors
from dynbench.graph import TemporalGraph
from dynbench.models.base import Model
from dynbench.testing.stage import (
    Edit,
    Heard,
    Interruption,
    NotApplicable,
    Overheard,
    altered,
    check_settings,
    directions,
    first_episodes,
    graph_for,
    make,
    possible_pairs,
    require,
    source,
    tell,
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
                with contextlib.suppress(NotApplicable):
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

    Holds for every block of every exam of the last episode, with what was revealed before it. A model that may look at
    events of the block that are earlier than a query is tried at times within the block, too.
    """
    inner = make("protocol", protocol)
    if inner.withholds != "future":
        raise NotApplicable(f"{protocol} withholds {inner.withholds}, not the future")
    graph, episodes = first_episodes(inner, directed)
    last, final = episodes[-1], len(episodes) - 1
    learner, whole, _ = _plain(model, protocol, directed)
    with tempfile.TemporaryDirectory() as folder:
        for exam in last.exams:
            blocks = list(exam.blocks())
            heard = _heard(whole, final, exam)
            for place, block in enumerate(blocks):
                for late in _cuts(learner, graph, block):
                    other = altered(graph, late)
                    require(other.checksum() != graph.checksum(), f"{protocol} asks about no time of the graph")
                    asked = dataclasses.replace(exam, blocks=_fixed([*blocks[:place], _elsewhere(block, graph, other)]))
                    # All worlds share their past, and so what is learnt from it: the first of them learns for all.
                    _, told = _told(
                        model, protocol, directed, edit=_asking(final, last, asked), graph=other, fits=Path(folder)
                    )
                    require(
                        _same_until(heard, _heard(told, final, exam), float(graph.time[late].min())),
                        f"{model} answers {protocol} otherwise when events at or after the time asked about are others",
                    )


def _heard(overheard: Overheard, number: int, exam: Exam) -> list[Heard]:
    return [item for item in overheard.heard if (item.number, item.exam) == (number, exam.name)]


def _fixed(blocks: list[Block]) -> Callable[[], list[Block]]:
    return lambda: blocks


def _asking(final: int, last: Episode, exam: Exam) -> Edit:
    """Ask one exam only in the last episode, and let the model be selected by what it was selected by."""

    def edit(number: int, episode: Episode) -> Episode:
        return episode if number < final else dataclasses.replace(episode, exams=[exam], validation=last.validation)

    return edit


def _cuts(learner: Model, graph: TemporalGraph, block: Block) -> Iterator[Tensor]:
    """``(E,) bool`` masks of what a model must not know when it answers a block, or the earlier part of one."""
    times = block.queries.time.unique()
    if not len(times):
        return
    if graph.num_steps is None and learner.looks == "before_time":
        for time in times[:: max(1, len(times) // 3)]:
            yield graph.time >= time
    elif graph.num_steps is None:
        yield graph.ids >= block.reveal.ids[0]
    else:
        yield graph.time >= times[0]


def _elsewhere(block: Block, graph: TemporalGraph, other: TemporalGraph) -> Block:
    """The same questions in another world, where the truth is another one."""
    reveal = block.reveal
    if reveal is not None and len(reveal):
        if graph.num_steps is None:
            reveal = other.subset(torch.isin(graph.ids, reveal.ids))
        else:
            reveal = other.between(float(reveal.time[0]), float(reveal.time[-1]) + 1)
    return dataclasses.replace(block, answers=_others(block, graph), reveal=reveal)


def _same_until(ones: list[Heard], others: list[Heard], cut: float) -> bool:
    """Whether answers to all questions up to a time are the same."""
    pairs = list(zip(ones, others, strict=False))
    return bool(pairs) and all(torch.equal(one.until(cut), other.until(cut)) for one, other in pairs)


def check_answers_unseen(model: str, protocol: str, directed: bool = False) -> None:
    """No answer changes when the true answers of a block are others."""
    graph = graph_for(make("protocol", protocol), directed)

    def edit(number: int, episode: Episode) -> Episode:
        exams = [
            dataclasses.replace(exam, blocks=_fixed([_relabelled(b, _others(b, graph)) for b in exam.blocks()]))
            for exam in episode.exams
        ]
        return dataclasses.replace(episode, exams=exams)

    _, plain, _ = _plain(model, protocol, directed)
    _, other = _told(model, protocol, directed, edit=edit)
    require(_same(plain, other), f"{model} answers {protocol} otherwise when the truth is another one")


def check_order(model: str, protocol: str, directed: bool = False) -> None:
    """Queries in another order, or fewer of them, get the answers that they got before."""
    learner, overheard, _ = _plain(model, protocol, directed)
    last = overheard.heard[-1].block
    queries = last.queries
    _replay(learner, overheard, until=last)
    known = _answers_now(learner, overheard, queries)
    require(_close(known, overheard.heard[-1].answer), f"{model} answers otherwise when it is asked again")
    if overheard.asks == "embed":
        times = queries.time.unique()
        again = learner.embed(torch.cat([times, times.flip(0)])).cpu()
        require(_close(again, torch.cat([known, known.flip(0)])), f"{model} embeds a time otherwise beside others")
        return
    order = torch.randperm(len(queries), generator=torch.Generator().manual_seed(0))
    for index, how in ((order, "in another order"), (order[::2], "when fewer are asked")):
        again = _answers_now(learner, overheard, queries[index])
        require(_close(again, known[index]), f"{model} scores the same queries otherwise {how}")


def check_replay(model: str, protocol: str, directed: bool = False) -> None:
    """Each exam starts from the same state: asked once more after all others, it gets the answers it got before."""
    learner, overheard, _ = _plain(model, protocol, directed)
    for exam in overheard.episode.exams:
        if exam.start != "fitted" or exam.context is not None:
            continue
        learner.condition(overheard.episode.context)
        start = {name: part.clone() for name, part in learner.running_state().items()}
        for turn in ("again", "after it went back to where the exam began"):
            heard = iter(_heard(overheard, overheard.number, exam))
            learner.restore(start)
            for block in exam.blocks():
                if learner.looks == "before_time" and block.reveal is not None:
                    learner.observe(block.reveal)
                asked = 0
                while asked < len(block.queries):  # in the parts and the order in which they were asked before
                    item = next(heard)
                    asked += len(item.block.queries)
                    answer = _answers_now(learner, overheard, item.block.queries)
                    require(_close(answer, item.answer), f"{model} answers {protocol} otherwise {turn}")
                if learner.looks == "before_block" and block.reveal is not None:
                    learner.observe(block.reveal)


def _replay(learner: Model, overheard: Overheard, until: Block) -> None:
    """Bring a model to where it was when it answered the last block."""
    episode = overheard.episode
    exam = next(exam for exam in reversed(episode.exams) if exam.name == overheard.heard[-1].exam)
    learner.condition(episode.context if exam.context is None else exam.context)
    validation = episode.validation.blocks() if exam.start == "after_validation" else []
    for block in (*validation, *exam.blocks()):
        ahead, last = learner.looks == "before_time", block.step == until.step and block.fold == until.fold
        if block.reveal is not None and (ahead or not last):
            learner.observe(block.reveal)
        if last:
            return


def _answers_now(learner: Model, overheard: Overheard, queries: Queries) -> Tensor:
    """What a model answers as it stands."""
    if overheard.asks == "embed":
        return learner.embed(queries.time.unique()).detach().cpu()
    asked = queries if overheard.directed or overheard.asks == "rank" else queries.oriented()
    return getattr(learner, overheard.asks)(asked).detach().cpu()


# ---- what must not depend on chance ---------------------------------------------------------------------------


def check_seeds(model: str, protocol: str, directed: bool = False) -> None:
    """Same seed, same answers; another seed, other answers where anything is trained. The graph stays as it is."""
    graph = graph_for(make("protocol", protocol), directed)
    untouched = graph.checksum()
    learner, first, _ = _plain(model, protocol, directed)
    _, again = _told(model, protocol, directed)
    require(graph.checksum() == untouched, f"{model} writes into the graph that it was given")
    require(_same(first, again), f"{model} answers {protocol} otherwise in a second run of one seed")
    finite = all(bool(torch.isfinite(item.answer).all()) for item in first.heard)
    require(finite, f"{model} answers NaN or infinity")
    if learner.num_parameters():
        _, other = _told(model, protocol, directed, seed=1)
        require(not _same(first, other), f"{model} answers {protocol} alike whatever the seed")


def check_saving(model: str, protocol: str, directed: bool = False) -> None:
    """A fresh model that loads what a fitted one learnt, and is told what is known, gives its answers."""
    learner, overheard, _ = _plain(model, protocol, directed)
    with tempfile.TemporaryDirectory() as folder:
        save_tensors(dict(learner.state_dict()), Path(folder) / "state.pt")
        state = torch.load(Path(folder) / "state.pt", weights_only=True)
    torch.manual_seed(12345)
    fresh = make("model", model)
    if state:
        fresh.load_state_dict(state)
    if isinstance(fresh, pl.LightningModule):
        fresh.eval()
    last = overheard.heard[-1].block
    answers = []
    for one in (learner, fresh):
        _replay(one, overheard, until=last)
        answers.append(_answers_now(one, overheard, last.queries))
    require(torch.equal(*answers), f"{model} answers otherwise after saving and loading")
    require(fresh.num_parameters() == learner.num_parameters(), f"{model} has another size after saving and loading")


def check_small_state(model: str, protocol: str, directed: bool = False) -> None:
    """What is kept of a fit does not hold the dataset: it does not grow when every event is there three times."""
    learner, overheard, _ = _plain(model, protocol, directed)
    if overheard.view == "snapshots" and overheard.withholds == "labels" and learner.num_parameters() == 0:
        raise NotApplicable(f"what {model} learns is an embedding of its snapshots")
    named = {name for name, part in learner.state_dict().items() if isinstance(part, Tensor)}
    graph = overheard.episode.context
    events = {len(graph), 2 * len(graph)}
    held = {name for name in named if learner.state_dict()[name].dim() and len(learner.state_dict()[name]) in events}
    require(not held, f"{model} keeps the dataset among what it learnt: {', '.join(sorted(held))}")


def check_resume(model: str, protocol: str, directed: bool = False) -> None:
    """A run that broke off, between two episodes or between a fit and the answers, goes on as an unbroken one does."""
    _, whole, _ = _plain(model, protocol, directed)
    _resume(model, protocol, directed, make("model", model), interrupt=min(1, whole.number))
    if whole.number > 0:
        _resume(model, protocol, directed, make("model", model), stop=2)


# ---- training by gradient -------------------------------------------------------------------------------------


def check_gradients(model: str, protocol: str, directed: bool = False) -> None:
    """Every trainable parameter receives a gradient in the last fit of a story, on at least three snapshots."""
    if not issubclass(get_class(read_choice("model", model)["_target_"]), pl.LightningModule):
        raise NotApplicable(f"{model} is not trained by gradient")
    graph, episodes = first_episodes(make("protocol", protocol), directed)
    shown = max(len(graph.time.unique()) for graph in episodes[-1].train.values())
    require(graph.num_steps is None or shown >= 3, f"{protocol} shows {shown} snapshots of {graph.num_steps} only")
    torch.manual_seed(0)
    learner = make("model", model)
    for episode in episodes:
        trainer = _Watching()
        graphs = {"": episode.context} if learner.learns == "context" else episode.train
        learner.fit(dict(graphs) if learner.several else next(iter(graphs.values())), None, trainer)
    silent = sorted(trainer.trainable - trainer.reached)
    require(not silent, f"no gradient reaches {', '.join(silent)} of {model}")
    require(bool(trainer.trainable), f"{model} is a Lightning module and trains nothing")


def check_resume_in_fit(model: str, protocol: str, directed: bool = False) -> None:
    """A run that broke off within a fit, and was taken up again, gives what an unbroken one gives."""
    watched, victim = make("model", model), make("model", model)
    if not isinstance(watched, pl.LightningModule):
        raise NotApplicable(f"{model} is not trained by gradient")
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
    _resume(model, protocol, directed, victim)


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
    graph: TemporalGraph | None = None, fits: Path | None = None,
) -> tuple[Model, Overheard]:  # fmt: skip
    """A fresh model and what was heard of it."""
    learner, overheard = make("model", model), Overheard(make("protocol", protocol), edit)
    tell(learner, overheard, graph_for(overheard, directed) if graph is None else graph, seed, fits=fits)
    return learner, overheard


@cache
def _plain(model: str, protocol: str, directed: bool) -> tuple[Model, Overheard, list[Any]]:
    """The unbroken story that other ones are compared with: the model, what was heard of it, and the results."""
    learner, overheard = make("model", model), Overheard(make("protocol", protocol))
    overheard.directed = directed
    loop = tell(learner, overheard, graph_for(overheard, directed))
    require(all(len(item.answer) for item in overheard.heard), f"{protocol} asks nothing in one of its blocks")
    return learner, overheard, _results(loop)


def _resume(model: str, protocol: str, directed: bool, victim: Model, **breaks: int) -> None:
    """Let a run break off, take it up with a fresh model, and compare with the unbroken run."""
    _, whole, expected = _plain(model, protocol, directed)
    graph, broken = graph_for(whole, directed), Overheard(make("protocol", protocol), **breaks)
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
    both = Overheard(whole.inner)
    both.heard = [*broken.heard, *rest.heard]
    require(_same(both, whole), f"{model} answers {protocol} otherwise after an interruption")
    require(
        resumed == expected, f"an interruption moves results of {model} under {protocol}: {resumed}, not {expected}"
    )


def _results(loop: Loop) -> list[Any]:
    return [*loop.results(), loop.fingerprint, loop.queries, loop.trainer.steps]


def _others(block: Block, graph: TemporalGraph) -> Tensor:
    """Another truth for every query: the other label, the next node, or the classes of the nodes turned round."""
    if block.queries.dst is not None:
        return 1 - block.answers
    return (block.answers + 1) % graph.num_nodes if block.answers.dim() == 1 else block.answers.flip(-1)


def _relabelled(block: Block, answers: Tensor) -> Block:
    return dataclasses.replace(block, answers=answers)


def _same(one: Overheard, other: Overheard) -> bool:
    pairs = zip(one.heard, other.heard, strict=False)
    return len(one.heard) == len(other.heard) and all(torch.equal(a.answer, b.answer) for a, b in pairs)


def _close(one: Tensor, other: Tensor) -> bool:
    """Equal up to what another batch size may do to the last digits."""
    return one.shape == other.shape and torch.allclose(one.double(), other.double(), rtol=1e-5, atol=1e-6)


PAIR_CHECKS = (
    *(check_causality, check_answers_unseen, check_order, check_replay, check_seeds, check_saving, check_small_state),
    *(check_resume, check_gradients, check_resume_in_fit),
)

"""What every model must hold to, under each protocol that can ask it."""

from __future__ import annotations

import contextlib
import tempfile
import time
from pathlib import Path

import pytorch_lightning as pl
import torch
from hydra.utils import get_class
from torch import Tensor
from tqdm import tqdm

from dynbench.config.check import answers
from dynbench.config.compose import read_choice
from dynbench.engine.kept import load_tensors, save_tensors
from dynbench.models.base import Model
from dynbench.testing.secrecy import check_answers_unseen, check_causality, check_order, check_replay
from dynbench.testing.stage import (
    NotApplicable,
    check_settings,
    directions,
    graph_for,
    make,
    possible_pairs,
    require,
    source,
)
from dynbench.testing.stories import aligned, answers_now, close, plain, replay, resume, same, told
from dynbench.testing.training import check_gradients, check_mixed_precision, check_resume_in_fit

ANSWERS = ("score", "rank", "embed")
CARD_SECTIONS = (("Paper:",), ("Idea:", "Equations:"), ("Deviations:",))


def check_model(name: str, thorough: bool = False) -> None:
    """The checks of a model, with a progress bar, and a word when all have passed.

    Args:
        name: The model.
        thorough: Under every protocol that can ask it, and in every direction that it can take; otherwise under one
            protocol of each kind of question.
    """
    started, passed = time.monotonic(), 3
    check_settings("model", name)
    check_card(name)
    check_declarations(name)
    protocols = [protocol for model, protocol in possible_pairs() if model == name]
    if not thorough:
        kinds: dict[tuple, str] = {}
        for protocol in protocols:
            asks = source("protocol", protocol).attributes.get
            kinds.setdefault((asks("asks", "score"), asks("view", "snapshots")), protocol)
        protocols = list(kinds.values())
    ways = [(protocol, directed) for protocol in protocols for directed in directions(name)]
    ways = ways if thorough else [next(way for way in ways if way[0] == protocol) for protocol in protocols]
    with tqdm(total=len(ways) * len(PAIR_CHECKS), desc=name, unit="check", leave=False, disable=None) as bar:
        for protocol, directed in ways:
            for check in PAIR_CHECKS:
                bar.set_postfix_str(f"{protocol}, {check.__name__.removeprefix('check_')}")
                with contextlib.suppress(NotApplicable):
                    check(name, protocol, directed)
                    passed += 1
                bar.update()
    more = "" if thorough else "; thorough=True plays every protocol"
    print(f"OK: {passed} checks of {name} under {', '.join(protocols)} in {time.monotonic() - started:.1f} s{more}")


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


# ---- what must not depend on chance ---------------------------------------------------------------------------


def check_seeds(model: str, protocol: str, directed: bool = False) -> None:
    """Same seed, same answers; another seed, other answers where anything is drawn. The graph stays as it is."""
    graph = graph_for(make("protocol", protocol), directed)
    untouched = graph.checksum()
    learner, first, _ = plain(model, protocol, directed)
    _, again = told(model, protocol, directed)
    require(graph.checksum() == untouched, f"{model} writes into the graph that it was given")
    require(same(first, again), f"{model} answers {protocol} otherwise in a second run of one seed")
    finite = all(bool(torch.isfinite(item.answer).all()) for item in first.heard)
    require(finite, f"{model} answers NaN or infinity")
    if learner.num_parameters() or not learner.draws:
        _, other = told(model, protocol, directed, seed=1)
        alike = all(close(*both) for both in zip(aligned(first), aligned(other), strict=True))
        require(not alike or not learner.draws, f"{model} answers {protocol} alike whatever the seed")
        require(alike or learner.draws, f"{model} says draws = False, and the seed moves its answers to {protocol}")


def check_saving(model: str, protocol: str, directed: bool = False) -> None:
    """A fresh model that loads what a fitted one learnt, and is told what is known, gives its answers."""
    learner, overheard, _ = plain(model, protocol, directed)
    with tempfile.TemporaryDirectory() as folder:
        save_tensors(dict(learner.state_dict()), Path(folder) / "state.pt")
        state = load_tensors(Path(folder) / "state.pt")
    torch.manual_seed(12345)
    fresh = make("model", model)
    if state:
        fresh.load_state_dict(state)
    if isinstance(fresh, pl.LightningModule):
        fresh.eval()
    last = overheard.heard[-1].block
    answers = []
    for one in (learner, fresh):
        replay(one, overheard, until=last)
        answers.append(answers_now(one, overheard, last.queries))
    require(torch.equal(*answers), f"{model} answers otherwise after saving and loading")
    require(fresh.num_parameters() == learner.num_parameters(), f"{model} has another size after saving and loading")


def check_small_state(model: str, protocol: str, directed: bool = False) -> None:
    """What is kept of a fit does not hold the dataset: it does not grow when every event is there three times."""
    learner, overheard, _ = plain(model, protocol, directed)
    if overheard.view == "snapshots" and overheard.withholds == "labels" and learner.num_parameters() == 0:
        raise NotApplicable(f"what {model} learns is an embedding of its snapshots")
    named = {name for name, part in learner.state_dict().items() if isinstance(part, Tensor)}
    graph = overheard.episode.context
    events = {len(graph), 2 * len(graph)}
    held = {name for name in named if learner.state_dict()[name].dim() and len(learner.state_dict()[name]) in events}
    require(not held, f"{model} keeps the dataset among what it learnt: {', '.join(sorted(held))}")


def check_resume(model: str, protocol: str, directed: bool = False) -> None:
    """A run that broke off, between two episodes or between a fit and the answers, goes on as an unbroken one does."""
    _, whole, _ = plain(model, protocol, directed)
    resume(model, protocol, directed, make("model", model), interrupt=min(1, whole.number))
    if whole.number > 0:
        resume(model, protocol, directed, make("model", model), stop=2)


PAIR_CHECKS = (
    *(check_causality, check_answers_unseen, check_order, check_replay, check_seeds, check_saving, check_small_state),
    *(check_resume, check_gradients, check_resume_in_fit, check_mixed_precision),
)

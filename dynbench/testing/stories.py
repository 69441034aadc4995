"""Stories that the checks of models compare: told plainly, told otherwise, broken off and taken up again."""

from __future__ import annotations

import dataclasses
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dynbench.contract import Block, Queries
from dynbench.engine.loop import Loop
from dynbench.graph import TemporalGraph
from dynbench.models.base import Model
from dynbench.testing.stage import (
    Edit,
    Heard,
    Interruption,
    Overheard,
    graph_for,
    make,
    require,
    tell,
)


def told(
    model: str, protocol: str, directed: bool, seed: int = 0, edit: Edit | None = None,
    graph: TemporalGraph | None = None, fits: Path | None = None,
) -> tuple[Model, Overheard]:  # fmt: skip
    """A fresh model and what was heard of it."""
    learner, overheard = make("model", model), Overheard(make("protocol", protocol), edit)
    tell(learner, overheard, graph_for(overheard, directed) if graph is None else graph, seed, fits=fits)
    return learner, overheard


@cache
def plain(model: str, protocol: str, directed: bool) -> tuple[Model, Overheard, list[Any]]:
    """The unbroken story that other ones are compared with: the model, what was heard of it, and the results."""
    learner, overheard = make("model", model), Overheard(make("protocol", protocol))
    overheard.directed = directed
    loop = tell(learner, overheard, graph_for(overheard, directed))
    require(all(len(item.answer) for item in overheard.heard), f"{protocol} asks nothing in one of its blocks")
    return learner, overheard, results(loop)


def resume(model: str, protocol: str, directed: bool, victim: Model, **breaks: int) -> None:
    """Let a run break off, take it up with a fresh model, and compare with the unbroken run."""
    _, whole, expected = plain(model, protocol, directed)
    graph, broken = graph_for(whole, directed), Overheard(make("protocol", protocol), **breaks)
    with tempfile.TemporaryDirectory() as folder:
        try:
            tell(victim, broken, graph, folder=Path(folder))
        except Interruption:
            pass
        else:
            raise AssertionError(f"the run of {model} under {protocol} was to break off and did not")
        rest = Overheard(make("protocol", protocol))
        resumed = results(tell(make("model", model), rest, graph, folder=Path(folder)))
    require(bool(broken.heard) or whole.number == 0, f"the run of {model} under {protocol} broke off too early")
    both = Overheard(whole.inner)
    both.heard = [*broken.heard, *rest.heard]
    require(same(both, whole), f"{model} answers {protocol} otherwise after an interruption")
    require(
        resumed == expected, f"an interruption moves results of {model} under {protocol}: {resumed}, not {expected}"
    )


def results(loop: Loop) -> list[Any]:
    """All that an interruption must not move."""
    return [*loop.results(), loop.fingerprint, loop.queries, loop.trainer.steps]


def others(block: Block, graph: TemporalGraph) -> Tensor:
    """Another truth for every query: the other label, the next node, or the classes of the nodes turned round."""
    if block.queries.dst is not None:
        return 1 - block.answers
    return (block.answers + 1) % graph.num_nodes if block.answers.dim() == 1 else block.answers.flip(-1)


def relabelled(block: Block, answers: Tensor) -> Block:
    """The same questions with another truth."""
    return dataclasses.replace(block, answers=answers)


def same(one: Overheard, other: Overheard) -> bool:
    """Whether all answers are the same to the last digit."""
    pairs = zip(one.heard, other.heard, strict=False)
    return len(one.heard) == len(other.heard) and all(torch.equal(a.answer, b.answer) for a, b in pairs)


def aligned(overheard: Overheard) -> list[Tensor]:
    """Answers of each episode and exam with the questions in an order of their own, not in that of the asking."""
    parts: dict[tuple[int, str, int], list[Heard]] = {}
    for item in overheard.heard:
        parts.setdefault((item.number, item.exam, item.block.step), []).append(item)
    return [_in_order(items, overheard.asks) for items in parts.values()]


def _in_order(items: list[Heard], asks: str) -> Tensor:
    answers = torch.cat([item.answer for item in items])
    if asks == "embed":
        return answers  # a row per node
    asked = [item.block.queries for item in items]
    columns = [
        torch.cat([getattr(part, name) for part in asked]).double().numpy()
        for name in ("src", "dst", "time", "relation")
        if getattr(asked[0], name) is not None
    ]
    return answers[torch.from_numpy(np.lexsort(columns))]


def close(one: Tensor, other: Tensor) -> bool:
    """Equal up to what another batch size may do to the last digits."""
    return one.shape == other.shape and torch.allclose(one.double(), other.double(), rtol=1e-5, atol=1e-6)


def replay(learner: Model, overheard: Overheard, until: Block) -> None:
    """Bring a model to where it was when it answered the last block."""
    episode = overheard.episode
    exam = next(exam for exam in reversed(episode.exams) if exam.name == overheard.heard[-1].exam)
    learner.condition(episode.context if exam.context is None else exam.context)
    learner.study(exam.examples)
    validation = episode.validation.blocks() if exam.start == "after_validation" else []
    for block in (*validation, *exam.blocks()):
        ahead, last = learner.looks == "before_time", block.step == until.step and block.fold == until.fold
        if block.reveal is not None and (ahead or not last):
            learner.observe(block.reveal)
        if last:
            return


def answers_now(learner: Model, overheard: Overheard, queries: Queries) -> Tensor:
    """What a model answers as it stands."""
    if overheard.asks == "embed":
        return learner.embed(queries.time.unique()).detach().cpu()
    asked = queries if overheard.directed or overheard.asks == "rank" else queries.oriented()
    return getattr(learner, overheard.asks)(asked).detach().cpu()

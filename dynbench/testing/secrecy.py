"""What a model must not know: the future, the truth, the place of a question."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from torch import Tensor

from dynbench.contract import Block, Episode, Exam
from dynbench.graph import TemporalGraph
from dynbench.models.base import Model
from dynbench.testing.stage import (
    Edit,
    Heard,
    NotApplicable,
    Overheard,
    altered,
    first_episodes,
    graph_for,
    make,
    require,
)
from dynbench.testing.stories import answers_now, close, others, plain, relabelled, replay, same, told

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
    learner, whole, _ = plain(model, protocol, directed)
    with tempfile.TemporaryDirectory() as folder:
        for exam in last.exams:
            if exam.study and not learner.studies:
                continue
            blocks = list(exam.blocks())
            heard = _heard(whole, final, exam)
            for place, block in enumerate(blocks):
                for late in _cuts(learner, graph, block):
                    other = altered(graph, late)
                    require(other.checksum() != graph.checksum(), f"{protocol} asks about no time of the graph")
                    asked = dataclasses.replace(exam, blocks=_fixed([*blocks[:place], _elsewhere(block, graph, other)]))
                    # All worlds share their past, and so what is learnt from it: the first of them learns for all.
                    _, elsewhere = told(
                        model, protocol, directed, edit=_asking(final, last, asked), graph=other, fits=Path(folder)
                    )
                    require(
                        _same_until(heard, _heard(elsewhere, final, exam), float(graph.time[late].min())),
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
    return dataclasses.replace(block, answers=others(block, graph), reveal=reveal)


def _same_until(ones: list[Heard], others: list[Heard], cut: float) -> bool:
    """Whether answers to all questions up to a time are the same.

    Later events of the block may change how many rows are worked on together, and so the last digits of all of them.
    """
    pairs = list(zip(ones, others, strict=False))
    return bool(pairs) and all(close(one.until(cut), other.until(cut)) for one, other in pairs)


def check_answers_unseen(model: str, protocol: str, directed: bool = False) -> None:
    """No answer changes when the true answers of a block are others."""
    graph = graph_for(make("protocol", protocol), directed)

    def edit(number: int, episode: Episode) -> Episode:
        exams = [
            dataclasses.replace(exam, blocks=_fixed([relabelled(b, others(b, graph)) for b in exam.blocks()]))
            for exam in episode.exams
        ]
        return dataclasses.replace(episode, exams=exams)

    _, whole, _ = plain(model, protocol, directed)
    _, other = told(model, protocol, directed, edit=edit)
    require(same(whole, other), f"{model} answers {protocol} otherwise when the truth is another one")


def check_order(model: str, protocol: str, directed: bool = False) -> None:
    """Queries in another order, or fewer of them, get the answers that they got before."""
    learner, overheard, _ = plain(model, protocol, directed)
    last = overheard.heard[-1].block
    queries = last.queries
    replay(learner, overheard, until=last)
    known = answers_now(learner, overheard, queries)
    require(close(known, overheard.heard[-1].answer), f"{model} answers otherwise when it is asked again")
    if overheard.asks == "embed":
        times = queries.time.unique()
        again = learner.embed(torch.cat([times, times.flip(0)])).cpu()
        require(close(again, torch.cat([known, known.flip(0)])), f"{model} embeds a time otherwise beside others")
        return
    order = torch.randperm(len(queries), generator=torch.Generator().manual_seed(0))
    for index, how in ((order, "in another order"), (order[::2], "when fewer are asked")):
        again = answers_now(learner, overheard, queries[index])
        require(close(again, known[index]), f"{model} scores the same queries otherwise {how}")


def check_replay(model: str, protocol: str, directed: bool = False) -> None:
    """Each exam starts from the same state: asked once more after all others, it gets the answers it got before."""
    learner, overheard, _ = plain(model, protocol, directed)
    for exam in overheard.episode.exams:
        if exam.start != "fitted" or exam.context is not None or (exam.study and not learner.studies):
            continue
        learner.condition(overheard.episode.context)
        start = {name: part.clone() for name, part in learner.running_state().items()}
        for turn in ("again", "after it went back to where the exam began"):
            heard = iter(_heard(overheard, overheard.number, exam))
            learner.restore(start)
            learner.study(exam.examples)
            for block in exam.blocks():
                if learner.looks == "before_time" and block.reveal is not None:
                    learner.observe(block.reveal)
                asked = 0
                while asked < len(block.queries):  # in the parts and the order in which they were asked before
                    item = next(heard)
                    asked += len(item.block.queries)
                    answer = answers_now(learner, overheard, item.block.queries)
                    require(close(answer, item.answer), f"{model} answers {protocol} otherwise {turn}")
                if learner.looks == "before_block" and block.reveal is not None:
                    learner.observe(block.reveal)

"""A tiny graph, choices built from their files, and a story of which every answer is written down."""

from __future__ import annotations

import dataclasses
import itertools
import tempfile
from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from omegaconf import DictConfig
from torch import Tensor

from dynbench.config.check import asked, check_group, obstacle, resolved
from dynbench.config.compose import choice_path, choices, compose, enable_plugins, read_choice
from dynbench.config.source import ClassSource, read_class
from dynbench.contract import Block, Episode, Exam
from dynbench.engine.loop import Loop
from dynbench.engine.session import build
from dynbench.engine.trainer import Trainer
from dynbench.graph import TemporalGraph
from dynbench.models.base import Model
from dynbench.protocols.base import Protocol

STEPS = 10
EPISODES = 4  # of a story: enough for warm starts and for a fit on three snapshots
# Keys that every choice has and that explain themselves.
_PLAIN_KEYS = ("name", "_target_", "defaults")

Edit = Callable[[int, Episode], Episode]


# ---- choices --------------------------------------------------------------------------------------------------


def source(group: str, name: str) -> ClassSource:
    """The class behind a choice, as its source text describes it."""
    enable_plugins()
    return read_class(read_choice(group, name)["_target_"])


def possible_pairs() -> list[tuple[str, str]]:
    """All (model, protocol) choices that fit each other, of protocols that ask something."""
    return [
        (model, protocol)
        for protocol, model in itertools.product(choices("protocol"), choices("model"))
        if asked(source("protocol", protocol)) is not None
        and obstacle(source("model", model), source("protocol", protocol)) is None
    ]


def directions(model: str) -> list[bool]:
    """The values of ``directed`` that a model can work with."""
    needs = source("model", model).attributes.get("needs", frozenset())
    return [False] if "undirected" in needs else [False, True]


def make(group: str, name: str, *overrides: str) -> Any:
    """The model or protocol of that name, as a run at ``budget=smoke`` would build it."""
    return build(_composed(group, name, *overrides)[group])


@cache
def _composed(group: str, name: str, *overrides: str) -> DictConfig:
    return compose([f"{group}={name}", "budget=smoke", *overrides])


def check_settings(group: str, name: str) -> None:
    """The YAML file opens with a title, explains every key, is named as the choice is, and suits its constructor."""
    text = choice_path(group, name).read_text(encoding="utf-8")
    place = f"conf/{group}/{name}.yaml"
    first = text.partition("\n")[0]
    require(first.startswith("# ") and len(first) > 12, f"{place} opens with no title, a comment line")
    for line in text.splitlines():
        key = line.partition(":")[0]
        if line and line[0] not in "# -" and key not in _PLAIN_KEYS:
            require(len(line.partition(" # ")[2]) > 5, f"{place} does not explain {key}")
    require(yaml.safe_load(text)["name"] == name, f"{place} gives itself another name")
    check_group(group, resolved(_composed(group, name))[group])


# ---- graphs ---------------------------------------------------------------------------------------------------


@cache
def tiny_graph(
    view: str = "snapshots", directed: bool = False, seed: int = 0, relations: bool = False
) -> TemporalGraph:  # fmt: skip
    """Twenty nodes and ten snapshots with lasting links, latecomers, a silent node, self-loops and features.

    Args:
        view: ``snapshots``, or ``events`` for the same events at integer times of their own, some of which are equal.
        directed: Whether ``(i, j)`` and ``(j, i)`` differ.
        seed: Seed of the draws.
        relations: Whether events have one of three relations.
    """
    draw = np.random.default_rng(seed)
    nodes, per_step = 20, 24
    step = np.repeat(np.arange(STEPS), per_step)
    awake = np.minimum(10 + step, nodes - 1)  # one more node per step; the last one never comes
    src = draw.integers(0, awake)
    dst = (src + draw.integers(0, 4, len(step))) % awake  # near ones on a ring, so that links return; 0 is a loop
    between = np.sort(draw.integers(0, 100, (STEPS, per_step)), axis=1).ravel()
    fields: dict[str, Any] = {"node_features": draw.random((nodes, 3))}
    if relations:
        fields["relation"] = (src + dst) % 3
    if view == "events":
        fields["edge_features"] = draw.random((len(step), 2))
        return TemporalGraph.from_events(
            src, dst, step * 100 + between, nodes, directed=directed, seconds=1.0, **fields
        )
    labels = torch.arange(nodes).expand(STEPS, -1) // 7  # three classes that stay
    graph = TemporalGraph.from_events(src, dst, step, nodes, directed=directed, node_labels=labels, **fields)
    return graph.snapshots(graph.time, STEPS)


def graph_for(protocol: Protocol, directed: bool) -> TemporalGraph:
    """The tiny graph that a protocol asks about; only rankings have relations."""
    return tiny_graph(protocol.view, directed, relations=protocol.asks == "rank")


def altered(graph: TemporalGraph, late: Tensor) -> TemporalGraph:
    """The same graph with other links, relations, weights, features and newcomers where ``late (E,) bool`` says."""

    def other(values: Tensor | None, changed: Callable[[Tensor], Tensor]) -> Tensor | None:
        mask = late if values is None or values.dim() == 1 else late[:, None]
        return None if values is None else torch.where(mask, changed(values), values)

    changed = dataclasses.replace(
        graph,
        src=other(graph.src, lambda ids: (ids * 7 + 3) % graph.num_nodes),
        dst=other(graph.dst, lambda ids: (ids * 3 + 5) % graph.num_nodes),
        relation=other(graph.relation, lambda ids: (ids + 1) % graph.num_relations),
        weight=other(graph.weight, lambda values: values + 5),
        edge_features=other(graph.edge_features, lambda values: 1 - values),
    )
    return changed if graph.num_steps is None else changed.snapshots(changed.time, graph.num_steps)


# ---- stories --------------------------------------------------------------------------------------------------


class Interruption(Exception):
    """Stands for the end of a process."""


class NotApplicable(Exception):
    """A check has nothing to look at; says why."""


@dataclasses.dataclass(frozen=True, eq=False)
class Heard:
    """An answer of the model, with what it was an answer to; a part of a block where that was cut for memory."""

    number: int
    exam: str
    block: Block
    answer: Tensor

    def until(self, time: float) -> Tensor:
        """The part that answers questions about times up to ``time``; all of an embedding."""
        asked = self.block.queries
        return (
            self.answer[asked.time <= time] if len(self.answer) == len(asked) and asked.dst is not None else self.answer
        )


class Overheard(Protocol):
    """A protocol of which the first episodes are played only, and that writes down what the model answers.

    Args:
        inner: The protocol that asks.
        edit: Changes episodes before the model meets them.
        interrupt: Number of the episode during whose answers the run breaks off.
        stop: Number of the episode before which the run breaks off.

    Attributes:
        heard: The model's answers.
        number: The episode that is being played.
        directed: Whether the graph is; set by who plays.
        episode: The same, as it was handed out.
    """

    def __init__(
        self, inner: Protocol, edit: Edit | None = None, interrupt: int | None = None, stop: int | None = None
    ):
        self.inner, self.edit, self.interrupt, self.stop = inner, edit, interrupt, stop
        self.asks, self.view, self.withholds = inner.asks, inner.view, inner.withholds
        self.heard: list[Heard] = []
        self.number = -1
        self.directed = False
        self.episode: Episode | None = None

    def num_episodes(self, graph: TemporalGraph) -> int:
        """``EPISODES`` at most."""
        return min(EPISODES, self.inner.num_episodes(graph))

    def episodes(self, graph: TemporalGraph, seed: int) -> Iterator[Episode]:
        """The first episodes, edited; their pairs do not follow the seed of the run."""
        for number, episode in enumerate(itertools.islice(self.inner.episodes(graph, 0), EPISODES)):
            if number == self.stop:
                raise Interruption
            self.number = number
            self.episode = self.edit(number, episode) if self.edit else episode
            exams = [dataclasses.replace(exam, readout=partial(self._hear, exam)) for exam in self.episode.exams]
            yield dataclasses.replace(self.episode, exams=exams)

    def _hear(self, exam: Exam, block: Block, answer: Tensor) -> Tensor:
        """Write an answer down, or break off."""
        if self.number == self.interrupt:
            raise Interruption
        self.heard.append(Heard(self.number, exam.name, block, answer.clone()))
        return answer if exam.readout is None else exam.readout(block, answer)


def tell(
    model: Model, protocol: Protocol, graph: TemporalGraph, seed: int = 0, folder: Path | None = None,
    fits: Path | None = None, precision: str = "32-true",
) -> Loop:  # fmt: skip
    """Play a story as a run does; with a ``folder``, go on from what is kept there; with ``fits``, use those."""
    with tempfile.TemporaryDirectory() as place:
        trainer = Trainer(precision=precision)
        if folder is not None:
            trainer.prepare(folder=folder, checkpoint_seconds=1e-6)
        loop = Loop(model, protocol, trainer, folder or Path(place), fits)
        loop.play(graph, seed)
    return loop


def first_episodes(protocol: Protocol, directed: bool) -> tuple[TemporalGraph, list[Episode]]:
    """The tiny graph and what a protocol makes of it."""
    graph = graph_for(protocol, directed)
    return graph, list(itertools.islice(protocol.episodes(graph, 0), EPISODES))


def require(truth: bool, complaint: str) -> None:
    """Raise ``AssertionError`` with a complaint unless it holds; works under ``python -O`` as well."""
    if not truth:
        raise AssertionError(complaint)

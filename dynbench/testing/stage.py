"""A tiny graph, choices built from their files, and a story of which every answer is written down."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from omegaconf import DictConfig
from torch import Tensor

from dynbench.config.check import answers, asked, check_group, resolved
from dynbench.config.compose import choice_path, choices, compose, enable_plugins, read_choice
from dynbench.config.source import ClassSource, read_class
from dynbench.contract import Block, Episode
from dynbench.engine.loop import Story, build
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
        if asked(source("protocol", protocol)) in answers(source("model", model))
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
    dst = (src + draw.integers(0, 4, len(step))) % awake  # near ones on a ring, so that links return; 0 is a loop
    if view == "events":
        time = step * 100 + np.sort(draw.integers(0, 100, (STEPS, per_step)), axis=1).ravel()
        return TemporalGraph.from_events(src, dst, time, nodes, directed=directed, seconds=1.0)
    labels = torch.arange(nodes).expand(STEPS, -1) // 7  # three classes that stay
    graph = TemporalGraph.from_events(src, dst, step, nodes, directed=directed, node_labels=labels)
    return graph.snapshots(graph.time, STEPS)


def altered(graph: TemporalGraph, cut: float) -> TemporalGraph:
    """The same graph with other links, other weights and other newcomers from time ``cut`` on."""
    late = graph.time >= cut
    src = torch.where(late, (graph.src * 7 + 3) % graph.num_nodes, graph.src)
    dst = torch.where(late, (graph.dst * 3 + 5) % graph.num_nodes, graph.dst)
    weight = None if graph.weight is None else torch.where(late, graph.weight + 5, graph.weight)
    other = TemporalGraph.from_events(
        src,
        dst,
        graph.time,
        graph.num_nodes,
        weight=weight,
        directed=graph.directed,
        seconds=graph.seconds,
        node_labels=graph.node_labels,
    )
    return other if graph.num_steps is None else other.snapshots(other.time, graph.num_steps)


# ---- stories --------------------------------------------------------------------------------------------------


class Interruption(Exception):
    """Stands for the end of a process."""


class Overheard(Protocol):
    """A protocol of which the first episodes are played only, and that writes down what the model answers.

    Args:
        inner: The protocol that asks.
        edit: Changes episodes before the model meets them.
        interrupt: Number of the episode during whose answers the run breaks off.
        stop: Number of the episode before which the run breaks off.

    Attributes:
        heard: The model's answers, a tensor per block.
        last: The block asked last.
        number: The episode that is being played.
    """

    def __init__(
        self, inner: Protocol, edit: Edit | None = None, interrupt: int | None = None, stop: int | None = None
    ):
        self.inner, self.edit, self.interrupt, self.stop = inner, edit, interrupt, stop
        self.asks, self.view, self.metrics = inner.asks, inner.view, inner.metrics
        self.measures_validation = inner.measures_validation
        self.heard: list[Tensor] = []
        self.last: Block | None = None
        self.number = -1

    def num_episodes(self, graph: TemporalGraph) -> int:
        """``EPISODES`` at most."""
        return min(EPISODES, self.inner.num_episodes(graph))

    def episodes(self, graph: TemporalGraph, seed: int) -> Iterator[Episode]:
        """The first episodes, edited; their pairs do not follow the seed of the run."""
        for number, episode in enumerate(itertools.islice(self.inner.episodes(graph, 0), EPISODES)):
            if number == self.stop:
                raise Interruption
            self.number = number
            yield self.edit(number, episode) if self.edit else episode

    def read(self, block: Block, answer: Tensor) -> Tensor:
        """Write the answer down, or break off."""
        if self.number == self.interrupt:
            raise Interruption
        self.last = block
        self.heard.append(answer.clone())
        return self.inner.read(block, answer)

    def metrics(self) -> Any:
        """Those of the protocol that asks."""


def tell(model: Model, protocol: Protocol, graph: TemporalGraph, seed: int = 0, folder: Path | None = None) -> Story:
    """Play a story as a run does; with a ``folder``, go on from what is kept there."""
    with tempfile.TemporaryDirectory() as place:
        trainer = Trainer()
        if folder is not None:
            trainer.prepare(folder=folder, checkpoint_seconds=1e-6)
        story = Story(model, protocol, trainer, folder or Path(place))
        story.tell(graph, seed)
    return story


def first_episodes(protocol: Protocol, directed: bool) -> tuple[TemporalGraph, list[Episode]]:
    """The tiny graph and what a protocol makes of it."""
    graph = tiny_graph(protocol.view, directed)
    return graph, list(itertools.islice(protocol.episodes(graph, 0), EPISODES))


def require(truth: bool, complaint: str) -> None:
    """Raise ``AssertionError`` with a complaint unless it holds; works under ``python -O`` as well."""
    if not truth:
        raise AssertionError(complaint)

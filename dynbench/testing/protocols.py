"""What every protocol must hold to, whatever the model."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

import numpy as np
import torch
from hydra.utils import get_class
from torch import Tensor

from dynbench.comparing.searching import validation_score
from dynbench.config.check import asked
from dynbench.config.compose import read_choice
from dynbench.contract import Block, Episode, Exam, Queries
from dynbench.graph import TemporalGraph
from dynbench.models.base import Model
from dynbench.protocols.base import Protocol
from dynbench.sampling.pairs import PairIndex
from dynbench.testing.stage import NotApplicable, check_settings, graph_for, make, require, source, tell

# Literals that name settings of the constructor.
SETTINGS = ("context_settings", "validation_settings", "exam_settings")


def check_protocol(name: str) -> None:
    """All checks of a protocol, on a directed and an undirected graph."""
    check_settings("protocol", name)
    check_stated(name)
    for directed in (False, True):
        for check in PROTOCOL_CHECKS:
            with contextlib.suppress(NotApplicable):
                check(name, directed)


def check_stated(protocol: str) -> None:
    """What the source text declares is legal, and is what the class declares."""
    stated, kind = source("protocol", protocol), get_class(read_choice("protocol", protocol)["_target_"])
    require(issubclass(kind, Protocol), f"{protocol} is no dynbench.protocols.base.Protocol")
    require(asked(stated) == kind.asks, f"'asks' of {protocol} is not written as a literal: {kind.asks}")
    require(stated.attributes.get("version") == kind.version, f"'version' of {protocol} is not written as a literal")
    require(kind.asks in ("score", "rank", "embed", None), f"{protocol} asks for '{kind.asks}', which no model answers")
    require(kind.view in ("snapshots", "events"), f"{protocol} wants a view '{kind.view}', which no dataset has")
    require(kind.withholds in ("future", "pairs", "labels"), f"{protocol} withholds '{kind.withholds}'")
    require(type(kind.version) is int and kind.version >= 1, f"{protocol} has no version")
    for name in ("learning", "validates", "unvalidated", *SETTINGS):
        found = stated.attributes.get(name, getattr(Protocol, name))
        require(found == getattr(kind, name), f"'{name}' of {protocol} is not written as a literal")
    for name in SETTINGS:
        unknown = sorted(getattr(kind, name) - set(stated.parameters))
        require(not unknown, f"'{name}' of {protocol} names {', '.join(unknown)}, which it does not accept")


def check_episodes(protocol: str, directed: bool = False) -> None:
    """As many episodes as announced, in order of time, each learning from what it may, whatever is withheld."""
    inner = make("protocol", protocol)
    graph = graph_for(inner, directed)
    episodes = list(inner.episodes(graph, 0))
    announced = inner.num_episodes(graph)
    require(len(episodes) == announced, f"{protocol} announces {announced} episodes and has {len(episodes)}")
    require((inner.asks is None) == (not episodes), f"{protocol} asks for '{inner.asks}' in {len(episodes)} episodes")
    last = -np.inf
    for episode in episodes:
        validates = episode.validation is not None
        require(inner.validates or not validates, f"{protocol} offers a validation exam and does not declare it")
        require(not validates or bool(episode.validation.select), f"{protocol} does not say what to select by")
        for exam in episode.exams:
            blocks = list(exam.blocks())
            require(bool(blocks), f"{protocol} asks nothing in '{episode.name}'")
            times = [float(block.queries.time.min()) for block in blocks if len(block.queries)]
            require(times == sorted(times), f"the blocks of '{episode.name}' of {protocol} are not in order of time")
            require(times[0] >= last, f"{protocol} asks '{episode.name}' after a later one")
            if inner.withholds == "future":
                _check_past(protocol, graph, episode, exam, times[0])
        last = times[0]


def _check_past(protocol: str, graph: TemporalGraph, episode: Episode, exam: Exam, start: float) -> None:
    """What is learnt from, and what is known, is what happened before; nothing is known that did not happen."""
    known = episode.context if exam.context is None else exam.context
    for what, parts in (("known", [known]), ("learnt from", episode.train.values())):
        for part in parts:
            newest = float(part.time.max())
            require(newest < start, f"what is {what} in '{episode.name}' of {protocol} reaches into what is asked")
            past = graph.before(newest + 1)
            same = all(torch.equal(getattr(part, key), getattr(past, key)) for key in ("src", "dst", "time"))
            held_out = graph.num_steps is None and what == "learnt from" and len(part) < len(past)
            require(
                same or held_out, f"what is {what} in '{episode.name}' of {protocol} is not what happened up to then"
            )


def check_questions(protocol: str, directed: bool = False) -> None:
    """Labelled pairs: positives are links, negatives never, no pair twice, classes balanced or all pairs asked."""
    inner = make("protocol", protocol)
    graph = graph_for(inner, directed)
    if inner.withholds != "future" or inner.asks == "rank" or graph.num_steps is None:
        raise NotApplicable(f"{protocol} asks about no labelled pairs of snapshots")
    episodes = list(inner.episodes(graph, 0))
    if not episodes:
        raise NotApplicable(f"{protocol} asks nothing")
    for episode in episodes:
        for block in _blocks(episode):
            require(len(block.queries) == len(block.answers), f"{protocol} has answers without queries")
            sets = [(block.queries, block.answers), *([block.support] if block.support else [])]
            for queries, answers in sets:
                _check_labels(protocol, graph, queries, answers)
        _check_disjoint(protocol, graph, episode)


def _blocks(episode: Episode) -> list[Block]:
    """All that is asked, for validation and in the exams."""
    validation = [] if episode.validation is None else [episode.validation]
    return [block for exam in (*episode.exams, *validation) for block in exam.blocks()]


def _check_labels(protocol: str, graph: TemporalGraph, queries: Queries, answers: Tensor) -> None:
    require(bool(((answers == 0) | (answers == 1)).all()), f"{protocol} labels pairs other than by 0 and 1")
    linked = PairIndex(graph).contains(queries.time, queries.src, queries.dst)
    require(torch.equal(linked, answers == 1), f"a label of {protocol} is not what the graph says")
    negative = answers == 0
    require(bool((queries.src != queries.dst)[negative].all()), f"{protocol} takes a self-loop for a non-link")
    keys = _keys(graph, queries)
    require(len(keys.unique()) == len(keys), f"{protocol} asks about a pair twice in one block")
    pairs = graph.num_nodes * (graph.num_nodes - 1) // (1 if graph.directed else 2)
    balanced = int(negative.sum()) * 2 == len(answers)
    require(balanced or len(queries) == pairs, f"{protocol} has neither as many non-links as links nor all pairs")


def _check_disjoint(protocol: str, graph: TemporalGraph, episode: Episode) -> None:
    """No link that is tested is given away for model selection or for the protocol's own readout."""
    tests = [block for exam in episode.exams for block in exam.blocks() if block.fold == "test"]
    given = [] if episode.validation is None else [(b.queries, b.answers) for b in episode.validation.blocks()]
    given += [block.support for block in tests if block.support]
    links = torch.cat([_keys(graph, queries[answers == 1]) for queries, answers in given] or [torch.empty(0).long()])
    for block in tests:
        tested = _keys(graph, block.queries[block.answers == 1])
        require(not bool(torch.isin(tested, links).any()), f"{protocol} gives away links that it asks about")


def _keys(graph: TemporalGraph, queries: Queries) -> Tensor:
    return PairIndex(graph).key(queries.time, queries.src, queries.dst)


def check_same_pairs(protocol: str, directed: bool = False) -> None:
    """The seed alone decides what is asked; neither torch's nor NumPy's global state plays a part or is moved."""
    inner = make("protocol", protocol)
    graph = graph_for(inner, directed)
    told = []
    for other in (1, 2):
        torch.manual_seed(other)
        np.random.seed(other)
        states = torch.get_rng_state(), np.random.get_state()[1].copy()
        told.append(_asked(inner, graph, 0))
        require(torch.equal(torch.get_rng_state(), states[0]), f"{protocol} draws from torch's global generator")
        require((np.random.get_state()[1] == states[1]).all(), f"{protocol} draws from NumPy's global generator")
    require(_equal(told[0], told[1]), f"{protocol} asks otherwise in a second run of one seed")
    require(_equal(told[0], _asked(make("protocol", protocol), graph, 0)), f"{protocol} remembers earlier runs")


def _asked(protocol: Protocol, graph: TemporalGraph, seed: int) -> list[Block]:
    """All blocks of all exams, each exam gone through twice: it may not matter how often it is played."""
    return [block for episode in protocol.episodes(graph, seed) for _ in range(2) for block in _blocks(episode)]


def _equal(ones: Sequence[Block], others: Sequence[Block]) -> bool:
    def parts(block: Block) -> list[Tensor]:
        return [part for part in (*block.queries.parts(), block.answers) if part is not None]

    return len(ones) == len(others) and all(
        torch.equal(a, b)
        for one, other in zip(ones, others, strict=True)
        for a, b in zip(parts(one), parts(other), strict=True)
    )


class ConstantModel(Model):
    """Knows nothing: all pairs, candidates and nodes are the same to it."""

    answers = frozenset({"score", "rank", "embed"})

    def condition(self, context: TemporalGraph) -> None:
        """Remember the number of nodes."""
        self.num_nodes = context.num_nodes

    def score(self, queries: Queries) -> Tensor:
        """Zeros."""
        return torch.zeros(len(queries))

    def rank(self, queries: Queries) -> Tensor:
        """Zeros."""
        return torch.zeros(len(queries), self.num_nodes)

    def embed(self, times: Tensor) -> Tensor:
        """Ones."""
        return torch.ones(len(times), self.num_nodes, 2)


def check_chance(protocol: str, directed: bool = False) -> None:
    """A model that tells nothing apart gets an AUC of one half, per step, averaged and pooled, or the middle rank."""
    inner = make("protocol", protocol)
    if inner.asks is None or inner.withholds == "labels":
        raise NotApplicable(f"{protocol} asks about no links")
    graph = graph_for(inner, directed)
    overall, steps = tell(ConstantModel(), inner, graph).results()
    areas = {name: value for name, value in overall.items() if name.rpartition("_")[2] == "auc"}
    areas |= {f"auc of step {row['step']}": row["auc"] for row in steps if row.get("auc") is not None}
    wrong = {name: value for name, value in areas.items() if value != 0.5}
    require(not wrong, f"a constant model gets {wrong} under {protocol}")
    middle = 2 / (graph.num_nodes + 1)
    if inner.asks == "rank" and getattr(inner, "ties", "realistic") == "realistic":
        found = [overall["raw_mrr"], *(row["raw_mrr"] for row in steps)]
        require(
            np.allclose(found, middle), f"a constant model gets a raw MRR of {found} under {protocol}, not {middle}"
        )


def check_validation(protocol: str, directed: bool = False) -> None:
    """A run returns a finite score on validation where the protocol declares one, and nowhere else."""
    inner = make("protocol", protocol)
    if inner.asks is None:
        raise NotApplicable(f"{protocol} asks nothing")
    loop = tell(ConstantModel(), inner, graph_for(inner, directed))
    score = validation_score(loop.results()[0])
    require(
        (score is not None) == inner.validates, f"'validates' of {protocol} is {inner.validates}, its score {score}"
    )
    require(score is None or np.isfinite(score), f"the score of {protocol} on validation is {score}")


PROTOCOL_CHECKS = (check_episodes, check_questions, check_same_pairs, check_chance, check_validation)

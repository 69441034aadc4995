"""The checks themselves: a model that breaks the contract is caught, and the message says by which check."""

from __future__ import annotations

import dataclasses
import re
from functools import partial

import pytest
import torch

from dynbench.contract import Block, Queries
from dynbench.protocols.single_step import SingleStep
from dynbench.testing import (
    NotApplicable,
    check_answers_unseen,
    check_card,
    check_causality,
    check_chance,
    check_declarations,
    check_episodes,
    check_gradients,
    check_model,
    check_order,
    check_questions,
    check_replay,
    check_resume,
    check_resume_in_fit,
    check_same_pairs,
    check_saving,
    check_seeds,
    check_settings,
    check_small_state,
    graph_for,
    make,
    possible_pairs,
    tell,
)
from dynbench.testing import protocols as protocol_checks

PROTOCOL = "single_step_nlsm"

TEXT = '''"""Models that break the contract, each in its own way."""

import gc

import pytorch_lightning as pl
import torch

from dynbench.contract import Block
from dynbench.models.base import Model
from dynbench.models.counting.neighborhood import PreferentialAttachment
from dynbench.models.counting.recurrency import Recurrency


class Good(PreferentialAttachment):
    pass


class Relative(PreferentialAttachment):
    """Scores a query by the other queries."""

    def score(self, queries):
        scores = super().score(queries)
        return scores - scores.mean()


class Forgetful(PreferentialAttachment):
    """Keeps something that it does not save."""

    def fit(self, train, selector, trainer):
        self.fits = getattr(self, "fits", 0) + 1

    def state_dict(self):
        return {"nothing": torch.zeros(1)}

    def score(self, queries):
        return super().score(queries) * getattr(self, "fits", 0)


class Unseeded(PreferentialAttachment):
    """Draws from a stream that nobody seeds."""

    stream = torch.Generator()

    def score(self, queries):
        return super().score(queries) + torch.rand(1, generator=self.stream)


class Hoarding(PreferentialAttachment):
    """Keeps the dataset as if it had learnt it."""

    def condition(self, context):
        super().condition(context)
        self.kept = context.src

    def state_dict(self):
        return {"src": self.kept} if hasattr(self, "kept") else {}


class Lasting(PreferentialAttachment):
    """Does not go back to where an exam began."""

    def restore(self, state):
        pass


class Undeclared(PreferentialAttachment):
    def embed(self, times):
        return torch.zeros(len(times), self.known.num_nodes, 1)


class Empty(Model):
    answers = frozenset({"score"})


class Computed(PreferentialAttachment):
    answers = frozenset(["score", "em" + "bed"])


class Linear(pl.LightningModule, Model):
    """Trains two numbers per node of which the loss uses one."""

    answers = frozenset({"score"})

    def __init__(self):
        super().__init__()
        self.used, self.unused = torch.nn.Parameter(torch.randn(20)), torch.nn.Parameter(torch.randn(20))

    def fit(self, train, selector, trainer):
        self.train_part = train
        trainer.train(self, steps=3)

    def training_step(self, batch, batch_idx):
        return (self.used[self.train_part.src] * self.used[self.train_part.dst]).square().mean()

    def configure_optimizers(self):
        return torch.optim.AdamW([self.used], lr=0.1)

    @torch.no_grad()
    def score(self, queries):
        return self.used[queries.src] * self.used[queries.dst]

    def num_parameters(self):
        return 40


class Drifting(Linear):
    """Keeps a count of its own steps, which a checkpoint does not hold."""

    def __init__(self):
        super().__init__()
        self.unused = None
        self.steps = 0

    def training_step(self, batch, batch_idx):
        self.steps += 1
        return super().training_step(batch, batch_idx) * self.steps + self.used.sum()


class Stubborn(Linear):
    """Starts where it always starts."""

    def __init__(self):
        super().__init__()
        self.unused = None
        with torch.no_grad():
            self.used.copy_(torch.arange(20) / 20)


# ---- attacks: each of them once gained points ----


class Oriented(PreferentialAttachment):
    """Links of undirected graphs are stored with the smaller node first."""

    def score(self, queries):
        return (queries.src <= queries.dst).float()


class Positional(PreferentialAttachment):
    """Links come first."""

    def score(self, queries):
        return -torch.arange(len(queries)).float()


class Behind(PreferentialAttachment):
    """Reads past the end of the view that it was given."""

    def condition(self, context):
        whole = torch.empty(0, dtype=torch.long).set_(context.dst.untyped_storage())
        self.secret = float(whole[len(context):].double().sum())
        super().condition(context)

    def score(self, queries):
        return super().score(queries) + self.secret


class Writing(PreferentialAttachment):
    """Writes into what it is given, so that the truth becomes what it says."""

    def fit(self, train, selector, trainer):
        train.dst.zero_()

    def condition(self, context):
        super().condition(context)
        context.weight.add_(1)

    def score(self, queries):
        scores = super().score(queries)
        queries.src.zero_()
        return scores


class Searching(PreferentialAttachment):
    """Looks for the truth among all objects of the process."""

    def score(self, queries):
        scores, pairs = super().score(queries), list(zip(queries.src.tolist(), queries.dst.tolist()))
        for item in gc.get_objects():
            if type(item) is Block and item.queries.dst is not None and len(item.queries) == len(queries):
                asked = item.queries
                truth = dict(zip(zip(asked.src.tolist(), asked.dst.tolist()), item.answers.tolist()))
                if int(asked.time[0]) == int(queries.time[0]):
                    scores += torch.tensor([10.0 * truth.get(pair, 0) for pair in pairs])
        return scores


class Filtering(Recurrency):
    """Looks for the filters of the ranking, which hold the truth."""

    def fit(self, train, selector, trainer):
        super().fit(train, selector, trainer)
        self.selector = selector

    def rank(self, queries):
        from dynbench.graph.facts import FactIndex

        scores = super().rank(queries)
        for item in gc.get_objects():
            if type(item) is FactIndex and item.timed:
                row, node = item.answers(queries.src, queries.relation, queries.time)
                scores[row, node] += 10
        return scores


class Doubling(Recurrency):
    """The heads of one half of the questions answer the other half."""

    def rank(self, queries):
        scores, half = super().rank(queries), len(queries) // 2
        scores[torch.arange(half), queries.src[half : 2 * half]] += 10
        scores[half + torch.arange(half), queries.src[:half]] += 10
        return scores
'''

NAMES = re.findall(r"^class (\w+)", TEXT, re.MULTILINE)


@pytest.fixture
def broken(plugin):
    """Register all of the above under their names in lower case."""
    files = {n.lower(): f"# A model for the tests.\nname: {n.lower()}\n_target_: broken.{n}\n" for n in NAMES}
    plugin("broken", TEXT, files)
    return plugin


def test_a_model_that_keeps_the_contract(broken):
    for check in (check_causality, check_answers_unseen, check_order, check_replay, check_seeds, check_saving):
        check("good", PROTOCOL)
    check_small_state("good", PROTOCOL)
    check_resume("good", PROTOCOL)
    for check in (check_gradients, check_resume_in_fit):
        with pytest.raises(NotApplicable, match="good is not trained by gradient"):
            check("good", PROTOCOL)
    assert ("good", PROTOCOL) in possible_pairs()


@pytest.mark.parametrize(
    ("model", "check", "complaint"),
    [
        ("relative", check_order, "scores the same queries otherwise when fewer are asked"),
        ("forgetful", check_saving, "answers otherwise after saving and loading"),
        ("forgetful", check_resume, "answers single_step_nlsm otherwise after an interruption"),
        ("unseeded", check_seeds, "otherwise in a second run of one seed"),
        ("hoarding", check_small_state, "hoarding keeps the dataset among what it learnt: src"),
        ("stubborn", check_seeds, "alike whatever the seed"),
        ("linear", check_gradients, "no gradient reaches unused of linear"),
        ("drifting", check_resume_in_fit, "answers single_step_nlsm otherwise after an interruption"),
    ],
)
def test_a_model_that_breaks_the_contract(broken, model, check, complaint):
    with pytest.raises(AssertionError, match=complaint):
        check(model, PROTOCOL)


def test_an_exam_that_starts_where_another_ended(broken):
    check_replay("good", "temporal_split")
    with pytest.raises(AssertionError, match="lasting answers temporal_split otherwise after it went back"):
        check_replay("lasting", "temporal_split")


# ---- attacks ----------------------------------------------------------------------------------------------


def results_of(model: str, protocol: str, directed: bool = False) -> dict[str, float]:
    inner = make("protocol", protocol)
    return tell(make("model", model), inner, graph_for(inner, directed)).results()[0]


@pytest.mark.parametrize(
    ("model", "protocol", "check", "complaint"),
    [
        ("positional", PROTOCOL, check_order, "positional answers otherwise when it is asked again"),
        ("searching", PROTOCOL, check_answers_unseen, "otherwise when the truth is another one"),
        ("searching", PROTOCOL, check_causality, "otherwise when events at or after the time asked about are others"),
        ("filtering", "windowed_kg", check_causality, "when events at or after the time asked about are others"),
        ("doubling", "windowed_kg", check_order, "scores the same queries otherwise"),
    ],
)
def test_an_attack_is_caught(broken, model, protocol, check, complaint):
    with pytest.raises(AssertionError, match=complaint):
        check(model, protocol)


def test_the_orientation_of_a_pair_says_nothing(broken):
    assert results_of("oriented", PROTOCOL)["micro_auc"] == 0.5


def test_the_place_of_a_question_says_nothing(broken):
    assert abs(results_of("positional", PROTOCOL)["micro_auc"] - 0.5) < 0.15
    honest, doubling = (results_of(model, "windowed_kg")["raw_mrr"] for model in ("recurrency", "doubling"))
    assert doubling < honest + 0.1


def test_nothing_lies_behind_what_a_model_is_given(broken):
    check_causality("behind", PROTOCOL)
    assert results_of("behind", PROTOCOL) == results_of("good", PROTOCOL)


def test_writing_into_what_is_given_changes_nothing(broken):
    inner = make("protocol", PROTOCOL)
    graph = graph_for(inner, False)
    before = graph.checksum()
    assert results_of("writing", PROTOCOL) == results_of("good", PROTOCOL)
    assert graph.checksum() == before
    check_seeds("writing", PROTOCOL)


@pytest.mark.parametrize(
    ("model", "complaint"),
    [
        ("undeclared", "undeclared implements 'embed' and does not declare it"),
        ("empty", "empty declares 'score' and does not implement it"),
        ("computed", "'answers' of computed is not written as a literal"),
    ],
)
def test_declarations_that_are_not_true(broken, model, complaint):
    with pytest.raises(AssertionError, match=complaint):
        check_declarations(model)


def test_a_card_that_is_none(broken):
    with pytest.raises(AssertionError, match="the card of good has no section 'Paper:'"):
        check_card("good")
    with pytest.raises(AssertionError, match="the card of good"):
        check_model("good")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("name: good\n_target_: broken.Good\n", r"conf/model/good\.yaml opens with no title"),
        ("# A title of some words.\nname: other\n_target_: broken.Good\n", "gives itself another name"),
        ("# A title of some words.\nname: drifting\n_target_: broken.Peek\nsize: 3\n", "does not explain size"),
    ],
)
def test_files_that_do_not_say_enough(broken, text, complaint):
    broken("broken", TEXT, {"good": text})
    with pytest.raises(AssertionError, match=complaint):
        check_settings("model", "good")


# ---- protocols --------------------------------------------------------------------------------------------


class Leaking(SingleStep):
    """Shows the target."""

    def episodes(self, graph, seed):
        for target, episode in enumerate(super().episodes(graph, seed), start=1):
            yield dataclasses.replace(episode, train={"": graph.before(target + 1)})


class Boasting(SingleStep):
    """Announces more than it asks."""

    def num_episodes(self, graph):
        return super().num_episodes(graph) + 1

    def episodes(self, graph, seed):
        for target in range(1, graph.num_steps):
            exams, _ = self.exams(self.splitter(graph, seed), target)
            past = graph.before(target)
            yield dataclasses.replace(next(super().episodes(graph, seed)), exams=exams, train={"": past}, context=past)


class Backwards(SingleStep):
    """Asks about the last snapshot first."""

    def episodes(self, graph, seed):
        return reversed(list(super().episodes(graph, seed)))


class Reworking(SingleStep):
    """Changes the blocks of the protocol that it comes from."""

    def episodes(self, graph, seed):
        for episode in super().episodes(graph, seed):
            (exam,) = episode.exams
            (block,) = exam.blocks()
            yield dataclasses.replace(episode, exams=[dataclasses.replace(exam, blocks=partial(self.reworked, block))])

    def reworked(self, block):
        return [self.rework(block)]

    def rework(self, block):
        return block


class Mislabelling(Reworking):
    def rework(self, block):
        return dataclasses.replace(block, answers=block.answers.roll(1))


class Unbalanced(Reworking):
    def rework(self, block):
        return Block(block.step, block.queries[:-1], block.answers[:-1])


class Repeating(Reworking):
    def rework(self, block):
        queries = Queries(
            *(torch.cat([part, part]) for part in (block.queries.src, block.queries.dst, block.queries.time))
        )
        return Block(block.step, queries, torch.cat([block.answers, block.answers]))


class Generous(SingleStep):
    """Gives the test links away for model selection."""

    validates = True

    def exams(self, splitter, target):
        (exam,), _ = super().exams(splitter, target)
        return [exam], dataclasses.replace(exam, select=("micro_auc",))


class Drawing(Reworking):
    """Draws from the global stream."""

    def rework(self, block):
        order = torch.randperm(len(block.answers))
        return Block(block.step, block.queries[order], block.answers[order])


class Flattering(Reworking):
    """Reads the truth into the answers."""

    def episodes(self, graph, seed):
        for episode in super().episodes(graph, seed):
            exams = [dataclasses.replace(exam, readout=self.flatter) for exam in episode.exams]
            yield dataclasses.replace(episode, exams=exams)

    def flatter(self, block, answer):
        return answer + block.answers


@pytest.mark.parametrize(
    ("protocol", "check", "complaint"),
    [
        (Leaking, check_episodes, "what is learnt from in 'snapshot 1 of 9' of mine reaches into what is asked"),
        (Boasting, check_episodes, "mine announces 10 episodes and has 9"),
        (Backwards, check_episodes, "mine asks 'snapshot 8 of 9' after a later one"),
        (Mislabelling, check_questions, "a label of mine is not what the graph says"),
        (Unbalanced, check_questions, "mine has neither as many non-links as links nor all pairs"),
        (Repeating, check_questions, "mine asks about a pair twice in one block"),
        (Generous, check_questions, "mine gives away links that it asks about"),
        (Drawing, check_same_pairs, "mine draws from torch's global generator"),
        (Flattering, check_chance, "a constant model gets .* under mine"),
    ],
)
def test_a_protocol_that_breaks_the_contract(monkeypatch, protocol, check, complaint):
    monkeypatch.setattr(protocol_checks, "make", lambda group, name: protocol())
    with pytest.raises(AssertionError, match=complaint):
        check("mine")


@pytest.mark.parametrize("check", [check_episodes, check_questions, check_same_pairs, check_chance])
def test_a_protocol_that_keeps_it(monkeypatch, check):
    monkeypatch.setattr(protocol_checks, "make", lambda group, name: Reworking())
    check("mine")

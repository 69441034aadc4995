"""The checks themselves: a model that breaks the contract is caught, and the message says by which check."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from dynbench.contract import Block, Queries
from dynbench.protocols.single_step import SingleStep
from dynbench.testing import (
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
    check_resume,
    check_resume_in_fit,
    check_same_pairs,
    check_saving,
    check_seeds,
    check_settings,
    possible_pairs,
    tiny_graph,
)
from dynbench.testing import protocols as protocol_checks

PROTOCOL = "single_step_nlsm"

TEXT = '''"""Models that break the contract, each in its own way."""

import pytorch_lightning as pl
import torch

from dynbench.models.base import Model
from dynbench.models.counting.neighborhood import PreferentialAttachment


class Good(PreferentialAttachment):
    pass


class Peeking(PreferentialAttachment):
    """Reads past the end of the view that it was given."""

    def fit(self, history, validation, trainer):
        whole = torch.empty(0, dtype=torch.long).set_(history.dst.untyped_storage())
        self.secret = float(whole[len(history):].double().sum())
        super().fit(history, validation, trainer)

    def score(self, queries):
        return super().score(queries) + self.secret


class Relative(PreferentialAttachment):
    """Scores a query by the other queries."""

    def score(self, queries):
        scores = super().score(queries)
        return scores - scores.mean()


class Positional(PreferentialAttachment):
    """Knows that links come first."""

    def score(self, queries):
        return -torch.arange(len(queries)).float()


class Forgetful(PreferentialAttachment):
    """Keeps something that it does not save."""

    def fit(self, history, validation, trainer):
        self.fits = getattr(self, "fits", 0) + 1
        super().fit(history, validation, trainer)

    def score(self, queries):
        return super().score(queries) * getattr(self, "fits", 0)


class Careless(PreferentialAttachment):
    """Writes into the history."""

    def fit(self, history, validation, trainer):
        super().fit(history, validation, trainer)
        history.weight.add_(1)


class Unseeded(PreferentialAttachment):
    """Draws from a stream that nobody seeds."""

    stream = torch.Generator()

    def score(self, queries):
        return super().score(queries) + torch.rand(1, generator=self.stream)


class Undeclared(PreferentialAttachment):
    def embed(self, times):
        return torch.zeros(len(times), self.history.num_nodes, 1)


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

    def fit(self, history, validation, trainer):
        self.history = history
        trainer.train(self, steps=3)

    def training_step(self, batch, batch_idx):
        return (self.used[self.history.src] * self.used[self.history.dst]).square().mean()

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
'''

NAMES = ("Good", "Peeking", "Relative", "Positional", "Forgetful", "Careless", "Unseeded", "Undeclared", "Empty",
         "Computed", "Linear", "Drifting", "Stubborn")  # fmt: skip


@pytest.fixture
def broken(plugin):
    """Register all of the above under their names in lower case."""
    files = {n.lower(): f"# A model for the tests.\nname: {n.lower()}\n_target_: broken.{n}\n" for n in NAMES}
    plugin("broken", TEXT, files)
    yield plugin
    # One of them writes into its graph, which is the one that later tests are handed, too.
    tiny_graph.cache_clear()


def test_a_model_that_keeps_the_contract(broken):
    for check in (check_causality, check_answers_unseen, check_order, check_seeds, check_saving, check_resume):
        check("good", PROTOCOL)
    assert not check_gradients("good", PROTOCOL)
    assert not check_resume_in_fit("good", PROTOCOL)
    assert ("good", PROTOCOL) in possible_pairs()


@pytest.mark.parametrize(
    ("model", "check", "complaint"),
    [
        ("peeking", check_causality, "answers single_step_nlsm otherwise when events at or after the time asked about"),
        ("relative", check_order, "scores the same queries otherwise when fewer are asked"),
        ("positional", check_order, "scores the same queries otherwise in another order"),
        ("forgetful", check_saving, "answers otherwise after saving and loading"),
        ("forgetful", check_resume, "answers single_step_nlsm otherwise after an interruption"),
        ("careless", check_seeds, "writes into the graph that it was given"),
        ("unseeded", check_seeds, "otherwise in a second run of one seed"),
        ("stubborn", check_seeds, "alike whatever the seed"),
        ("linear", check_gradients, "no gradient reaches unused of linear"),
        ("drifting", check_resume_in_fit, "answers single_step_nlsm otherwise after an interruption"),
    ],
)
def test_a_model_that_breaks_the_contract(broken, model, check, complaint):
    with pytest.raises(AssertionError, match=complaint):
        check(model, PROTOCOL)


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
            yield dataclasses.replace(episode, history=graph.before(target + 1))


class Boasting(SingleStep):
    """Announces more than it asks."""

    def num_episodes(self, graph):
        return super().num_episodes(graph) + 1

    def episodes(self, graph, seed):
        for target in range(1, graph.num_steps):
            test, validation = self.blocks(self.splitter(graph, seed), target)
            yield dataclasses.replace(
                next(super().episodes(graph, seed)), test=test, validation=validation, history=graph.before(target)
            )


class Backwards(SingleStep):
    """Asks about the last snapshot first."""

    def episodes(self, graph, seed):
        return reversed(list(super().episodes(graph, seed)))


class Reworking(SingleStep):
    """Changes the blocks of the protocol that it comes from."""

    def episodes(self, graph, seed):
        for episode in super().episodes(graph, seed):
            (block,) = episode.test
            yield dataclasses.replace(episode, test=[self.rework(block)])

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

    def blocks(self, splitter, target):
        test, _ = super().blocks(splitter, target)
        return test, test


class Drawing(Reworking):
    """Draws from the global stream."""

    def rework(self, block):
        order = torch.randperm(len(block.answers))
        return Block(block.step, block.queries[order], block.answers[order])


class Flattering(Reworking):
    """Reads the truth into the answers."""

    def read(self, block, answer):
        return answer + block.answers


@pytest.mark.parametrize(
    ("protocol", "check", "complaint"),
    [
        (Leaking, check_episodes, "the history of 'snapshot 1 of 9' of mine reaches into what is asked"),
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

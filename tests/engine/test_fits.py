"""Fit once, ask many: a fit that is kept is not made again, whatever is asked of it."""

from __future__ import annotations

import pytest

from dynbench.models.latent.nlsm import NLSM
from dynbench.protocols.single_step import AllPairs, SingleStep, SingleStepClassifier
from dynbench.testing import graph_for, make, tell

PROTOCOLS = {"test": SingleStep, "classifier": SingleStepClassifier, "all pairs": AllPairs}


@pytest.fixture
def fitted(monkeypatch):
    """The number of snapshots of every fit that is made."""
    made, fit = [], NLSM.fit

    def counted(self, train, selector, trainer):
        made.append(train.num_steps)
        fit(self, train, selector, trainer)

    monkeypatch.setattr(NLSM, "fit", counted)
    return made


@pytest.mark.parametrize("protocol", ["classifier", "all pairs"])
def test_another_question_makes_no_fit_and_gets_the_answers_of_a_fresh_one(fitted, tmp_path, protocol):
    graph = graph_for(SingleStep(), False)
    tell(make("model", "nlsm"), SingleStep(), graph, fits=tmp_path)
    assert fitted == list(range(1, graph.num_steps))
    fitted.clear()
    asked = tell(make("model", "nlsm"), PROTOCOLS[protocol](), graph, fits=tmp_path)
    assert fitted == []
    fresh = tell(make("model", "nlsm"), PROTOCOLS[protocol](), graph)
    assert len(fitted) == graph.num_steps - 1
    assert asked.results() == fresh.results()
    assert asked.trainer.steps == fresh.trainer.steps  # what the kept fits took is told, too
    assert asked.timer.seconds["fit"] >= asked.trainer.seconds > 0


def test_a_fit_that_is_missing_is_made_from_the_one_before(fitted, tmp_path):
    graph = graph_for(SingleStep(), False)
    whole = tell(make("model", "nlsm"), SingleStep(), graph, fits=tmp_path)
    (tmp_path / "fit-3.pt").unlink()
    fitted.clear()
    assert tell(make("model", "nlsm"), SingleStep(), graph, fits=tmp_path).results() == whole.results()
    assert fitted == [4]

"""Whether a measured value reproduces a published one, and the words for what was cut."""

import math
from statistics import fmean, stdev

import numpy as np
import pytest
from scipy import stats

from dynbench.reporting.verdict import judge, judge_p, tolerance
from dynbench.reporting.words import cut_words


def test_two_spreads_are_combined_as_welch_and_satterthwaite_do():
    measured, published = [87.2, 88.1, 87.9, 88.6], (0.4, 10)
    sd = stdev(measured)
    freedom = (sd**2 + 0.16) ** 2 / (sd**4 / 3 + 0.16**2 / 9)
    wanted = stats.t.ppf(0.975, freedom) * math.sqrt(sd**2 + 0.16) + 0.005
    assert tolerance(sd, 4, *published, 0.01) == pytest.approx(wanted)
    assert judge(fmean(measured) - 87.0, wanted) == "reproduced"
    assert judge(fmean(measured) - 85.0, wanted) == "above"
    assert judge(fmean(measured) - 91.0, wanted) == "below"


def test_of_runs_that_differ_by_chance_most_are_reproduced():
    draw = np.random.default_rng(0)
    wrong = 0
    for _ in range(2000):
        ours, theirs = draw.normal(80, 1, 3), draw.normal(80, 1, 10)
        allowed = tolerance(stdev(ours), 3, stdev(theirs), 10, 1e-9)
        wrong += judge(fmean(ours) - fmean(theirs), allowed) != "reproduced"
    # Means of several runs differ less than single runs do.
    assert wrong / 2000 < 0.05


def test_what_is_not_known_is_not_made_up():
    # A spread of fewer than three runs counts as none, whatever it is.
    assert tolerance(5.0, 2, None, None, 0.01) == tolerance(None, 1, None, None, 0.01) == 0.005
    # One spread alone: the measured one, or the published one.
    assert tolerance(0.5, 3, None, None, 0.01) == pytest.approx(stats.t.ppf(0.975, 2) * 0.5 + 0.005)
    assert tolerance(None, 1, 0.5, 10, 0.01) == pytest.approx(stats.t.ppf(0.975, 9) * 0.5 + 0.005)
    # A row that draws nothing has the spread 0.
    assert tolerance(0.0, 3, None, None, 0.001) == 0.0005


@pytest.mark.parametrize(
    ("measured", "verdict"), [(87.054, "reproduced"), (87.055, "reproduced"), (87.056, "above"), (87.044, "below")]
)
def test_without_spreads_the_digits_printed_count(measured, verdict):
    assert judge(measured - 87.05, tolerance(None, 1, None, None, 0.01)) == verdict


@pytest.mark.parametrize(
    ("measured", "published", "verdict"),
    [(1e-9, 4e-7, "reproduced"), (0.3, 0.06, "reproduced"), (0.06, 0.04, "above"), (0.01, 0.3, "below")],
)
def test_p_values_are_judged_by_their_side_of_five_percent(measured, published, verdict):
    assert judge_p(measured, published) == verdict


def test_cuts_are_told_in_the_words_of_the_files():
    names = {"model.name": "renet", "model._target_": "a.B", "data.name": "yago"}
    used = {
        **names,
        "model.epochs": 6,
        "model.learning_rate": 0.003,
        "model.latest_facts": 50000,
        "model.aggregator": "mean",
    }
    full = {**names, "model.epochs": 20, "model.learning_rate": 0.001, "model.latest_facts": None,
            "model.aggregator": "rgcn", "model._target_": "c.D"}  # fmt: skip
    said = cut_words(used, full).split("; ")
    assert len(said) == 4
    assert said[1].endswith(": 6 of 20")
    assert said[0].endswith(": mean instead of rgcn")
    assert said[2].endswith(": 50000 instead of all")
    assert said[3].endswith(": 0.003 instead of 0.001")
    assert cut_words(full, full) == ""


def test_words_of_a_setting(lab):
    def said(key, comment):
        lab.put("model", "talking", f"name: talking\n{key}: 1  # {comment}\n")
        from dynbench.reporting import words

        words._comments.cache_clear()
        return words.label("model", "talking", key)

    assert said("epochs", "passes over the facts; more change nothing") == "passes over the facts"
    assert said("learning_rate", "of Adam") == "learning rate of Adam"
    assert (
        said("kind", "mean | attentive: how a neighbourhood becomes a vector") == "how a neighbourhood becomes a vector"
    )
    assert said("odd_one", "a comment that goes on and on, and never says in a few words what it is about") == (
        "a comment that goes on and on"
    )
    assert said("odd_one", "a comment that goes on and on and never says in a few words what it is about") == "odd one"

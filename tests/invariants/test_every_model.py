"""Every model in the catalogue, under every protocol that can ask it. New ones are picked up by themselves."""

from __future__ import annotations

import pytest

from dynbench.config.check import asked
from dynbench.config.compose import choices
from dynbench.testing import (
    PAIR_CHECKS,
    NotApplicable,
    check_card,
    check_declarations,
    check_settings,
    directions,
    possible_pairs,
)
from dynbench.testing.stage import source


def _cases():
    """All pairs, in all directions. One of each model and kind of question is always run; the rest is the product.

    Which one follows from the model's place in the catalogue, so that every protocol has its turn.
    """
    turns: dict[tuple[str, str | None], list[tuple[str, bool]]] = {}
    for model, protocol in possible_pairs():
        asks = asked(source("protocol", protocol))
        turns.setdefault((model, asks), []).extend((protocol, directed) for directed in directions(model))
    for place, ((model, _), cases) in enumerate(sorted(turns.items(), key=str)):
        for number, (protocol, directed) in enumerate(cases):
            label = f"{model}-{protocol}-{'directed' if directed else 'undirected'}"
            marks = [pytest.mark.xdist_group(label)]
            if number != place % len(cases):
                marks.append(pytest.mark.product)
            yield pytest.param(model, protocol, directed, id=label, marks=marks)


@pytest.mark.parametrize("check", PAIR_CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize(("model", "protocol", "directed"), _cases())
def test_contract(check, model, protocol, directed):
    try:
        check(model, protocol, directed)
    except NotApplicable as reason:
        pytest.skip(str(reason))


@pytest.mark.parametrize("model", choices("model"))
def test_alone(model):
    check_settings("model", model)
    check_card(model)
    check_declarations(model)


def test_there_are_models_to_check():
    pairs = possible_pairs()
    assert {protocol for _, protocol in pairs} >= {"single_step_nlsm", "single_step_dysat", "multi_step"}
    assert ("nlsm", "single_step_dysat") in pairs
    assert ("common_neighbors", "single_step_dysat") not in pairs
    assert ("none", "statistics") not in pairs

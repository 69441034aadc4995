"""Every model in the catalogue, under every protocol that can ask it. New ones are picked up by themselves."""

from __future__ import annotations

import pytest

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


def _cases():
    for model, protocol in possible_pairs():
        for directed in directions(model):
            label = f"{model}-{protocol}-{'directed' if directed else 'undirected'}"
            yield pytest.param(model, protocol, directed, id=label)


@pytest.mark.parametrize(("model", "protocol", "directed"), _cases())
@pytest.mark.parametrize("check", PAIR_CHECKS, ids=lambda check: check.__name__)
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

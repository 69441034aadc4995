"""Every protocol in the catalogue. New ones are picked up by themselves."""

from __future__ import annotations

import pytest

from dynbench.config.compose import choices, read_choice
from dynbench.config.source import read_class
from dynbench.testing import PROTOCOL_CHECKS, NotApplicable, check_settings, check_stated


@pytest.mark.parametrize("directed", [False, True], ids=["undirected", "directed"])
@pytest.mark.parametrize("protocol", choices("protocol"))
@pytest.mark.parametrize("check", PROTOCOL_CHECKS, ids=lambda check: check.__name__)
def test_contract(check, protocol, directed):
    try:
        check(protocol, directed)
    except NotApplicable as reason:
        pytest.skip(str(reason))


@pytest.mark.parametrize("protocol", choices("protocol"))
def test_alone(protocol):
    check_settings("protocol", protocol)
    check_stated(protocol)


@pytest.mark.parametrize("protocol", choices("protocol"))
def test_a_protocol_without_validation_says_why(protocol):
    declared = read_class(read_choice("protocol", protocol)["_target_"]).attributes
    assert bool(declared.get("unvalidated")) != bool(declared.get("validates"))

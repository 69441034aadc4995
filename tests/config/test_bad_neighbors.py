"""Every setting of every choice meets values next to the right ones: one clear line, or a value that does no harm."""

from __future__ import annotations

import math
from functools import cache

import pytest

from dynbench.config.check import GENERAL, check_general, check_group, resolved
from dynbench.config.compose import choices, compose, read_choice
from dynbench.config.source import read_class
from dynbench.engine.session import build
from dynbench.errors import ConfigError, DynbenchError

NEIGHBORS = [0, -1, 0.5, 2.0, math.nan, math.inf, -math.inf, 10**11, None, [], [math.nan], {}, "", "x", "../x", True]


def classes(group: str) -> list[str]:
    """A choice for each class of a group, and for one more where several share a class none."""
    first: dict[str, str] = {}
    for name in choices(group):
        first.setdefault(read_choice(group, name)["_target_"], name)
    return sorted(first.values())


ALL = [(group, name) for group in ("model", "protocol", "data", "trainer", "logger") for name in classes(group)]


@cache
def settings(group: str, name: str) -> dict:
    missing = [f"{group}.{key}=x" for key, value in read_choice(group, name).items() if value == "???"]
    return resolved(compose([f"{group}={name}", "budget=smoke", *missing]))[group]


def checkable(group: str, name: str) -> dict:
    parameters = read_class(settings(group, name)["_target_"]).parameters
    return {key: one for key, one in parameters.items() if one.types or one.choices}


def refusal(action, *arguments) -> str | None:
    """What the user would read; anything but an error of dynbench is a bug and comes through."""
    try:
        action(*arguments)
    except DynbenchError as error:
        return str(error)
    return None


@pytest.mark.parametrize(("group", "name"), ALL, ids=map("=".join, ALL))
def test_a_bad_neighbor_is_refused_in_one_line_or_does_no_harm(group, name):
    own = settings(group, name)
    check_group(group, own)
    for key in checkable(group, name):
        for value in NEIGHBORS:
            changed = {**own, key: value}
            said = refusal(check_group, group, changed)
            if said is not None:
                assert said.startswith(f"{group}.{key} ")
                assert "\n" not in said
                continue
            assert not (isinstance(value, float) and not math.isfinite(value)), f"{group}.{key} takes {value}"
            assert "\n" not in (refusal(build, changed) or "")


@pytest.mark.parametrize(("group", "name"), ALL, ids=map("=".join, ALL))
def test_every_whole_number_has_a_range(group, name):
    """A plain ``float`` is any finite number; of whole numbers hardly any may be negative, so the range is said."""
    for key, one in checkable(group, name).items():
        assert int not in one.types or float in one.types or one.rules, (
            f"{group}.{key} of {name}: see dynbench/ranges.py"
        )


@pytest.mark.parametrize("key", GENERAL)
def test_general_settings_meet_their_neighbors(key):
    refused = []
    for value in NEIGHBORS:
        said = refusal(check_general, {key: value})
        if said is not None:
            assert key in said
            assert "\n" not in said
            refused.append(value)
    assert [] in refused
    assert any(value == math.inf for value in refused if isinstance(value, float))


REFUSED = {
    "model=nlsm": ["model.dim=0", "model.epochs=0", "model.learning_rate=nan", "model.kl_weight=inf"],
    "model=gae": ["model.dropout=2", "model.dropout=1", "model.patience=0", "model.weight_decay=-1"],
    "model=decayed_count": ["model.decay=2", "model.decay=-0.1"],
    "model=renet": ["model.length=-1", "model.clip=nan", "model.clip=0"],
    "protocol=temporal_split": ["protocol.bins=0", "protocol.bins=-1", "protocol.test=1", "protocol.negative_seed=-1"],
    "protocol=node_clustering": ["protocol.starts=0", "protocol.starts=-1", "protocol.kmeans_seed=-5"],
    "data=uci": ["data.seconds=0", "data.seconds=-1", "data.window=0d", "data.window=-3d", "data.name=a/b"],
    "trainer=cpu": ["trainer.gradient_clip=-1", "trainer.gradient_clip=0", "trainer.devices=0", "trainer.threads=0"],
}


@pytest.mark.parametrize(("choice", "word"), [(choice, word) for choice, words in REFUSED.items() for word in words])
def test_what_used_to_pass_is_refused_with_its_range(choice, word):
    group = choice.partition("=")[0]
    key = word.partition("=")[0]
    values = resolved(compose([choice, word]))[group]
    with pytest.raises(ConfigError, match=rf"^{key} is .*; it must be ") as caught:
        check_group(group, values)
    assert "\n" not in str(caught.value)

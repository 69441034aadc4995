"""A model that another one stands for under some protocols: in overrides, in help, and not in identities."""

from __future__ import annotations

from pathlib import Path

import pytest

from dynbench import records
from dynbench.config.check import check, resolved
from dynbench.config.compose import choices, compose, read_choice, with_variants
from dynbench.errors import ConfigError

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        (["model=nlsm", "protocol=windowed_kg"], ["model=nlsm_kg", "protocol=windowed_kg"]),
        (["protocol=windowed_kg", "--cfg", "job"], ["model=nlsm_kg", "protocol=windowed_kg", "--cfg", "job"]),
        (["-m", "model=bas,nlsm", "protocol=windowed_kg"], ["-m", "model=bas,nlsm_kg", "protocol=windowed_kg"]),
    ],
)
def test_the_variant_stands_in(typed, meant):
    assert with_variants(typed) == meant
    assert with_variants(meant) == meant


@pytest.mark.parametrize(
    "typed",
    [
        [],
        ["model=nlsm", "data=enron"],
        ["model=nlsm", "protocol=single_step_nlsm"],
        ["model=recurrency", "protocol=windowed_kg"],
        ["model=nlms", "protocol=windowed_kg"],
        ["-m", "model=nlsm", "protocol=windowed_kg,single_step_nlsm"],
    ],
)
def test_nothing_else_is_replaced(typed):
    assert with_variants(typed) == typed


def test_settings_are_those_of_the_variant():
    config = compose(["model=nlsm", "data=yago", "protocol=windowed_kg", "model.window=3"])
    check(config)
    assert config.model.name == "nlsm_kg"
    assert config.model.window == 3
    with pytest.raises(ConfigError, match=r"no setting 'model\.windw'; did you mean 'model\.window'"):
        compose(["model=nlsm", "data=yago", "protocol=windowed_kg", "model.windw=3"])
    with pytest.raises(ConfigError, match="model=nlms is unknown; did you mean 'nlsm'"):
        compose(["model=nlms", "protocol=windowed_kg"])


def test_every_variant_can_be_run_where_it_stands_in():
    named = {name: read_choice("model", name).get("variants", {}) for name in choices("model")}
    assert named["nlsm"]
    for name, variants in named.items():
        for protocol, variant in variants.items():
            config = compose([f"model={name}", f"protocol={protocol}"])
            check(config)
            assert config.model.name == variant


def test_variants_are_no_part_of_an_identity():
    identity = records.identify(resolved(compose(["model=nlsm", "data=enron", "seed=0"])))
    known = records.Store(ROOT / "results").published.holds(identity)
    assert known, "the committed record of this run is known by another name now"
    values = resolved(compose(["model=nlsm", "data=enron", "seed=0"]))
    del values["model"]["variants"]
    assert records.identify(values) == identity
    assert "variants" not in records.identity_config(values)["model"]

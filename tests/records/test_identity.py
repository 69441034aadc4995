"""What names a run and a fit, and what must not."""

from __future__ import annotations

from copy import deepcopy
from functools import cache

import pytest

from dynbench.config.check import resolved
from dynbench.config.compose import compose
from dynbench.config.source import read_class
from dynbench.records import fit_key, identify
from dynbench.records.identity import differing, plain

TINY = ("data=nlsm_process", "data.nodes=16", "data.steps=4", "data.density=0.2", "budget=smoke", "logger=none")

CLASSES = """
class Model:
    {model}
    def __init__(self, *, dim: int = 8, rate: float = 0.1, shape: tuple = ("in", "out"){more}): ...

class Protocol:
    {protocol}
    def __init__(self, *, share: float = 0.5, history: str = "known", drawn: int = 200, order: str = "time"): ...

class Data:
    def __init__(self, *, window: str | None = None): ...

class Trainer:
    def __init__(self, *, devices: int = 1): ...
"""


@pytest.fixture
def house(tmp_path, monkeypatch):
    """Classes written to a module of any name, and the configuration that a run of them has."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def build(module="house", model="version = 1", protocol="version = 1", more="", rename=("", ""), **settings):
        text = CLASSES.format(model=model, protocol=protocol, more=more).replace(*rename)
        (tmp_path / f"{module}.py").write_text(text)
        read_class.cache_clear()
        names = {"model": "Model", "protocol": "Protocol", "data": "Data", "trainer": "Trainer"}
        values = {
            group: {"name": group, "_target_": f"{module}.{name.replace(*rename)}", **settings.get(group, {})}
            for group, name in names.items()
        }
        return {**values, "budget": {"name": "quick"}, "seed": settings.get("seed", 0)}

    yield build
    read_class.cache_clear()


@cache
def composed(*overrides: str):
    return resolved(compose([*TINY, *overrides]))


def test_identity_names_the_run():
    identity = identify(composed("model=nlsm", "seed=7"))
    assert str(identity).startswith("nlsm-nlsm_process-single_step_nlsm-smoke-s7-")
    assert identity.path("here").as_posix() == f"here/records/nlsm_process/{identity}.json"


@pytest.mark.parametrize(
    "override",
    ["logger=csv", "force=true", "progress=true", "checkpoint_seconds=1", "results_dir=a", "work_dir=b", "data_dir=c",
     "cache_dir=d", "offline=true", "trainer=gpu", "trainer.devices=2", "trainer=ddp", "data.card.title=Other",
     "budget.seeds=[4]"],
)  # fmt: skip
def test_what_moves_no_number_leaves_the_identity(override):
    assert identify(composed(override)) == identify(composed())


def other(value):
    """Another value of the same kind."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, (int, float)):
        return value + 1
    return "other" if value is None else f"{value}x"


@pytest.mark.parametrize("model", ["nlsm", "decayed_count"])
def test_every_setting_that_moves_a_number_changes_the_identity(model):
    values = composed(f"model={model}")
    digests = [identify(values).digest]
    without = ("_target_", "card", "expected", "files", "native", "variants", "threads", "accelerator", "devices",
               "num_nodes", "strategy")  # fmt: skip
    for group in ("model", "protocol", "trainer", "data"):
        for key in [k for k in values[group] if k not in without and (group, k) != ("trainer", "name")]:
            changed = deepcopy(values)
            changed[group][key] = other(changed[group][key])
            digests.append(identify(changed).digest)
    for change in ({"seed": 1}, {"budget": {**values["budget"], "name": "paper"}}):
        digests.append(identify({**values, **change}).digest)
    assert len(digests) > 15
    assert len(set(digests)) == len(digests)


def test_the_order_of_settings_does_not_matter():
    values = composed()
    turned = {group: dict(reversed(v.items())) if isinstance(v, dict) else v for group, v in reversed(values.items())}
    assert identify(turned) == identify(values)


# ---- what a refactoring does ------------------------------------------------------------------------------


def test_a_moved_module_and_a_renamed_class_orphan_nothing(house):
    before = house(model="version = 3")
    moved = house("elsewhere", model="version = 3", rename=("Model", "BetterName"))
    assert moved["model"]["_target_"] == "elsewhere.BetterName"
    assert identify(moved) == identify(before)
    assert fit_key(moved) == fit_key(before)


def test_a_new_setting_with_a_default_orphans_nothing(house):
    old = house()
    old["model"] |= {"dim": 16}
    before = identify(old), fit_key(old)
    new = house("house2", more=", extra: int = 3, depth: float = 0.5")
    new["model"] |= {"dim": 16, "extra": 3, "depth": 0.5}
    assert (identify(new), fit_key(new)) == before
    new["model"]["extra"] = 4
    assert identify(new) != before[0]


def test_a_setting_typed_at_its_default_says_nothing(house):
    values = house()
    plainly = identify(values)
    values["model"] |= {"dim": 8.0, "rate": 0.1, "shape": ["in", "out"]}
    values["trainer"] |= {"devices": 1, "name": "gpu"}
    assert differing("model", values["model"]) == {}
    assert identify(values) == plainly


def test_values_that_mean_the_same_are_spelt_the_same():
    assert plain({"a": (1.0, [2, 2.5]), 3: True}) == {"a": [1, [2, 2.5]], "3": True}
    assert plain(True) is True


@pytest.mark.parametrize("group", ["model", "protocol"])
def test_a_new_version_of_a_class_changes_the_identity(house, group):
    before = identify(house())
    assert identify(house("next", **{group: "version = 2"})) != before


def test_a_new_version_of_a_dataset_changes_identity_and_fit(house):
    before = house()
    after = deepcopy(before)
    after["data"]["version"] = 2
    assert identify(after) != identify(before)
    assert fit_key(after) != fit_key(before)
    after["data"]["version"] = 1
    assert identify(after) == identify(before)


# ---- fits -------------------------------------------------------------------------------------------------

SETS = """context_settings = frozenset({"history"})
    validation_settings = frozenset({"drawn"})
    exam_settings = frozenset({"share"})
    validates = True"""


def test_what_is_asked_moves_no_fit(house):
    values = house(protocol=SETS)
    fit, run = fit_key(values), identify(values)
    for key, value in (("history", "all"), ("drawn", 5), ("share", 0.9)):
        changed = deepcopy(values)
        changed["protocol"][key] = value
        assert identify(changed) != run
        assert fit_key(changed) == fit
    for change in ({"order": "shuffled"}, {"name": "another"}):
        changed = deepcopy(values)
        changed["protocol"] |= change
        assert fit_key(changed) != fit


def test_a_model_that_learns_the_context_is_fitted_for_each(house):
    values = house(protocol=SETS, model='learns = "context"')
    changed = deepcopy(values)
    changed["protocol"]["history"] = "all"
    assert fit_key(changed) != fit_key(values)


def test_a_model_that_selects_is_fitted_for_each_validation(house):
    values = house(protocol=SETS, model="selects = True")
    changed = deepcopy(values)
    changed["protocol"]["drawn"] = 5
    assert fit_key(changed) != fit_key(values)
    changed = deepcopy(values)
    changed["protocol"]["history"] = "all"
    assert fit_key(changed) == fit_key(values)
    # Where there is no validation there is nothing to select by.
    without = house("without", protocol=SETS.replace("validates = True", "validates = False"), model="selects = True")
    changed = deepcopy(without)
    changed["protocol"]["drawn"] = 5
    assert fit_key(changed) == fit_key(without)


def test_protocols_with_one_plan_of_learning_share_a_fit(house):
    plan = 'learning = "each step from all before"'
    one, two = house(protocol=plan), house(protocol=plan)
    two["protocol"]["name"] = "another"
    assert identify(one) != identify(two)
    assert fit_key(one) == fit_key(two)
    selecting = [house("selecting", protocol=f"{plan}\n    validates = True", model="selects = True") for _ in range(2)]
    selecting[1]["protocol"]["name"] = "another"
    assert fit_key(selecting[0]) != fit_key(selecting[1])


@pytest.mark.parametrize("change", [{"seed": 1}, {"budget": {"name": "paper"}}])
def test_seed_and_budget_move_a_fit(house, change):
    values = house()
    assert fit_key({**values, **change}) != fit_key(values)

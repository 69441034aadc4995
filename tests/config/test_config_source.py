"""Classes as their source text describes them."""

from __future__ import annotations

import pytest

from dynbench.config.check import answers, asked
from dynbench.config.source import Parameter, read_class
from dynbench.errors import ConfigError

TEXT = '''"""The card."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from dynbench.models.base import Model
from dynbench.models.latent.nlsm import NLSM as Parent

SIZE = 3


class Plain(Model):
    """Says what it is."""

    answers: ClassVar[frozenset[str]] = frozenset({"score", "embed"})
    needs = frozenset()
    version = 4
    computed = SIZE + 1
    unset: int

    def __init__(
        self,
        first: int,
        second: float = 1.0,
        /,
        third: str | None = None,
        *,
        flag: bool,
        mode: Literal["a", "b"] = "a",
        maybe: Literal["x", 1] | None = None,
        either: int | str = 1,
        many: list[int] | None = None,
        table: dict = {},
        free=None,
        anything: Any = None,
        unknown: int | SIZE = 1,
    ): ...

    def score(self, queries): ...


class Child(Plain):
    answers = frozenset({"rank"})

    def __init__(self, *, extra: int = 1, **rest): ...

    def rank(self, queries): ...


class Strict(Plain):
    def __init__(self, *, only: int = 1): ...


class Heir(Parent):
    def __init__(self, *, dim: str = "wide", **settings): ...


def build(size: int, name: str = "x"):
    """A function."""
'''


@pytest.fixture
def source(plugin):
    plugin("sourced", TEXT)
    return lambda name: read_class(f"sourced.{name}")


def test_parameters(source):
    assert source("Plain").parameters == {
        "first": Parameter((int,), required=True),
        "second": Parameter((int, float)),
        "third": Parameter((str,), nullable=True),
        "flag": Parameter((bool,), required=True),
        "mode": Parameter(choices=("a", "b")),
        "maybe": Parameter(choices=("x", 1), nullable=True),
        "either": Parameter((int, str)),
        "many": Parameter((list,), nullable=True),
        "table": Parameter((dict,)),
        "free": Parameter(nullable=True),
        "anything": Parameter(nullable=True),
        "unknown": Parameter(nullable=True),
    }


def test_attributes_and_docstrings(source):
    plain = source("Plain")
    assert plain.docstring == "Says what it is."
    assert plain.module_docstring == "The card."
    assert plain.attributes == {
        "answers": frozenset({"score", "embed"}), "needs": frozenset(), "scale": "free", "version": 4,
    }  # fmt: skip
    assert {"score", "fit", "observe", "__init__"} <= plain.methods


def test_inheritance(source):
    child, strict = source("Child"), source("Strict")
    assert set(child.parameters) == {*source("Plain").parameters, "extra"}
    assert child.attributes == {"answers": frozenset({"rank"}), "needs": frozenset(), "scale": "free", "version": 4}
    assert set(strict.parameters) == {"only"}
    assert strict.attributes["answers"] == {"score", "embed"}


def test_inheritance_across_modules(source):
    heir, parent = source("Heir"), read_class("dynbench.models.latent.nlsm.NLSM")
    assert set(heir.parameters) == set(parent.parameters)
    assert heir.parameters["dim"] == Parameter((str,))
    assert heir.parameters["weights"].choices == ("balanced", "unbiased", "none")
    assert answers(heir) == {"score", "embed"}


def test_settings_that_are_passed_on():
    bas, nlsm = (read_class(f"dynbench.models.latent.{name}") for name in ("bas.BAS", "nlsm.NLSM"))
    assert set(bas.parameters) == {*nlsm.parameters, "coupled"}
    assert bas.parameters["edges_per_step"] == Parameter((int,), nullable=True)
    assert answers(bas) == answers(nlsm) == {"score", "embed"}
    assert bas.module_docstring.startswith("BAS:")


def test_protocols():
    assert asked(read_class("dynbench.protocols.single_step.SingleStepClassifier")) == "embed"
    assert asked(read_class("dynbench.protocols.single_step.SingleStep")) == "score"
    assert asked(read_class("dynbench.protocols.statistics.Statistics")) is None


def test_functions(source):
    assert source("build").parameters == {"size": Parameter((int,), required=True), "name": Parameter((str,))}
    assert source("build").docstring == "A function."


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("sourced.Nobody", "'sourced.Nobody' is not found: sourced defines no class 'Nobody'; check _target_"),
        ("nowhere.Model", "'nowhere.Model' is not found: there is no module 'nowhere'; check _target_"),
        ("dynbench.models.nowhere.Model", "there is no module 'dynbench.models.nowhere'"),
    ],
)
def test_what_is_not_there(source, target, message):
    with pytest.raises(ConfigError, match=message):
        read_class(target)


@pytest.mark.parametrize(
    ("parameter", "fine", "wrong"),
    [
        (Parameter((int,)), [0, -3], [1.5, "1", True, None, [1]]),
        (Parameter((int, float)), [0, 1.5], ["1", False, None]),
        (Parameter((bool,)), [True, False], [0, 1, "true", None]),
        (Parameter((str,), nullable=True), ["x", "", None], [1, 1.0, True]),
        (Parameter(choices=("a", 2), nullable=True), ["a", 2, None], ["b", 3]),
        (Parameter(choices=("a",)), ["a"], ["A", None]),
        (Parameter((list,)), [[], [1]], ["x", {"a": 1}]),
        (Parameter(nullable=True), [None, 1, "x", [], {}], []),
        (Parameter(), [None, 1, "x"], []),
    ],
)
def test_values(parameter, fine, wrong):
    assert [value for value in fine if parameter.complaint(value)] == []
    assert [value for value in wrong if not parameter.complaint(value)] == []


def test_complaints():
    assert Parameter((int, float)).complaint("1") == "is '1' (str); expected float or int"
    assert Parameter((int,)).complaint(True) == "is True (bool); expected int"
    assert Parameter(choices=("a", "b")).complaint("c") == "is 'c'; choose one of a, b"
    assert Parameter((int,)).complaint(None) == "must be set; it is null"

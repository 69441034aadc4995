"""Classes as their source text describes them."""

from __future__ import annotations

from typing import get_args

import pytest

from dynbench.config.check import answers, asked
from dynbench.config.source import UNKNOWN, Parameter, read_class
from dynbench.errors import ConfigError
from dynbench.ranges import Duration, Name, Range

TEXT = '''"""The card."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from dynbench.models.base import Model
from dynbench.models.latent.nlsm import NLSM as Parent
from dynbench.ranges import Duration, Name, Range, Share

SIZE = 3
Few = Annotated[int, Range(low=1, high=9)]


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
        share: Share | None = None,
        few: Few = 2,
        odd: Annotated[float, Range(0, 1, ends="()")] | Literal["auto"] = "auto",
        shares: list[Share] = [0.5],
        name: Name = "x",
        length: Duration | None = "10d",
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
        "many": Parameter((list,), nullable=True, items=Parameter((int,), required=True)),
        "share": Parameter((int, float), nullable=True, rules=(Range(0, 1),)),
        "few": Parameter((int,), rules=(Range(1, 9),)),
        "odd": Parameter((int, float), ("auto",), rules=(Range(0, 1, "()"),)),
        "shares": Parameter((list,), items=Parameter((int, float), required=True, rules=(Range(0, 1),))),
        "name": Parameter((str,), rules=get_args(Name)[1:]),
        "length": Parameter((str, int, int, float), nullable=True, rules=get_args(Duration)[1:]),
        "table": Parameter((dict,)),
        "free": Parameter(nullable=True),
        "anything": Parameter(nullable=True),
        "unknown": Parameter(nullable=True),
    }


def test_defaults(source):
    found = {name: parameter.default for name, parameter in source("Plain").parameters.items()}
    assert found["first"] is UNKNOWN
    assert (found["second"], found["third"], found["mode"], found["shares"]) == (1.0, None, "a", [0.5])


INHERITED = {
    "needs": frozenset(), "scale": "free", "learns": "train", "looks": "before_block", "selects": False,
    "several": False, "alone": "", "studies": False, "draws": True, "work": frozenset({"epochs"}),
}  # fmt: skip


def test_attributes_and_docstrings(source):
    plain = source("Plain")
    assert plain.docstring == "Says what it is."
    assert plain.module_docstring == "The card."
    assert plain.attributes == {**INHERITED, "answers": frozenset({"score", "embed"}), "version": 4}
    assert {"score", "fit", "observe", "__init__"} <= plain.methods


def test_inheritance(source):
    child, strict = source("Child"), source("Strict")
    assert set(child.parameters) == {*source("Plain").parameters, "extra"}
    assert child.attributes == {**INHERITED, "answers": frozenset({"rank"}), "version": 4}
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
    inherited = bas.parameters["edges_per_step"]
    assert (inherited.types, inherited.nullable, inherited.rules) == ((int,), True, (Range(1, 1_000_000_000),))
    assert answers(bas) == answers(nlsm) == {"score", "embed"}
    assert bas.module_docstring.startswith("BAS:")


def test_protocols():
    assert asked(read_class("dynbench.protocols.single_step.SingleStepClassifier")) == "embed"
    assert asked(read_class("dynbench.protocols.single_step.SingleStep")) == "score"
    assert asked(read_class("dynbench.protocols.statistics.Statistics")) is None


def test_functions(source):
    assert source("build").parameters == {
        "size": Parameter((int,), required=True),
        "name": Parameter((str,)),
    }
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
        (Parameter((int,), rules=(Range(1, 9),)), [1, 9], [0, 10, -1, 10**11, 5.0]),
        (Parameter((int, float), rules=(Range(0, 1, "[)"),)), [0, 0.5], [1, -0.1, float("nan"), float("inf")]),
        (Parameter((int, float), rules=(Range(0, None, "(]"),)), [1, 1e-9], [0, float("nan"), float("inf")]),
        (Parameter((int, float)), [-1e300], [float("nan"), float("inf"), -float("inf")]),
        (Parameter((int, float), ("auto",), rules=(Range(0, 1),)), ["auto", 0, 1], ["automatic", 2, True]),
        (
            Parameter((str, int, float), rules=get_args(Duration)[1:]),
            ["10d", "1.5h", 7, 2.5, "1e3", ".5w", 1e20],
            ["0d", "-1d", "10x", "", "d", 0, -1, float("nan"), float("inf")],
        ),
        (Parameter((str,), rules=get_args(Name)[1:]), ["a", "A-1.b_c+d"], ["", ".", "..", "a/b", "-a", "a b", "é", 3]),
        (Parameter((list,), items=Parameter((int,), rules=(Range(0, 1),))), [[], [0, 1]], [[2], [None], ["x"], [[0]]]),
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
    assert Parameter((int,), rules=(Range(1, 10_000),)).complaint(0) == "is 0; it must be at least 1 and at most 10,000"
    assert Parameter((float,), rules=(Range(0, 1, "()"),)).complaint(1.0) == "is 1.0; it must be above 0 and below 1"
    shares = Parameter((list,), items=Parameter((float,), rules=(Range(0, 1),)))
    assert shares.complaint([0.5, 2.0]) == "has a wrong member: number 2 is 2.0; it must be at least 0 and at most 1"


def test_a_dataclass_is_read_as_well(plugin):
    plugin("sourced", "@dataclass(frozen=True)\nclass Point:\n    x: int\n    y: float = 1.5\n")
    assert read_class("sourced.Point").parameters == {
        "x": Parameter((int,), required=True), "y": Parameter((int, float)),
    }  # fmt: skip

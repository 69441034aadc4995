"""Read what a class accepts and declares from its source text, without importing it.

Importing a model imports torch, which takes seconds; a mistyped setting should be answered at once. So the
constructor's signature is the schema of a YAML file, and it is read with :mod:`ast`: names, annotations,
``Literal`` choices, and class attributes that are plain literals (``answers = frozenset({"score"})``).
"""

from __future__ import annotations

import ast
import importlib.util
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from dynbench.errors import ConfigError

# The default of a parameter that has none, or one that is no literal.
UNKNOWN: Any = object()

# Annotations that can be checked on a YAML value; anything else is left to the constructor.
_TYPES = {"int": (int,), "float": (int, float), "str": (str,), "bool": (bool,), "list": (list,), "dict": (dict,)}


@dataclass(frozen=True)
class Parameter:
    """One constructor parameter as its annotation describes it.

    Attributes:
        types: Accepted Python types; empty when the annotation cannot be checked.
        choices: Accepted values of a ``Literal``; empty when any value of the type will do.
        nullable: Whether ``None`` is accepted.
        required: Whether there is no default.
        default: The default if it is a literal, else ``UNKNOWN``.
    """

    types: tuple[type, ...] = ()
    choices: tuple[Any, ...] = ()
    nullable: bool = False
    required: bool = False
    default: Any = field(default=UNKNOWN, compare=False)

    def complaint(self, value: Any) -> str | None:
        """What is wrong with ``value``, or ``None``."""
        if value is None:
            return None if self.nullable or not (self.types or self.choices) else "must be set; it is null"
        if self.choices and value not in self.choices:
            return f"is {value!r}; choose one of {', '.join(map(str, self.choices))}"
        if self.types and not self.choices:
            wrong_bool = isinstance(value, bool) and bool not in self.types
            if wrong_bool or not isinstance(value, self.types):
                wanted = " or ".join(sorted({t.__name__ for t in self.types}))
                return f"is {value!r} ({type(value).__name__}); expected {wanted}"
        return None


@dataclass(frozen=True)
class ClassSource:
    """A class as its source text describes it.

    Attributes:
        docstring: The class's docstring.
        module_docstring: The docstring of its module, which for a model is its card.
        parameters: Constructor parameters by name.
        attributes: Class attributes whose values are literals, inherited ones included.
        methods: Names of the methods defined by the class or its bases.
    """

    docstring: str = ""
    module_docstring: str = ""
    parameters: dict[str, Parameter] = field(default_factory=dict)
    attributes: dict[str, Any] = field(default_factory=dict)
    methods: frozenset[str] = frozenset()


@cache
def read_class(target: str) -> ClassSource:
    """Describe the class (or function) behind a ``_target_``.

    Args:
        target: Dotted path such as ``dynbench.models.nlsm.NLSM``.

    Raises:
        ConfigError: If the module or the class is not found.
    """
    module, _, name = target.rpartition(".")
    tree = _parse(module, target)
    found = next((node for node in tree.body if getattr(node, "name", None) == name), None)
    if isinstance(found, ast.FunctionDef):
        return ClassSource(ast.get_docstring(found) or "", ast.get_docstring(tree) or "", _parameters(found))
    if not isinstance(found, ast.ClassDef):
        raise ConfigError(f"'{target}' is not found: {module} defines no class '{name}'; check _target_")
    return _describe(found, tree, module)


def _describe(node: ast.ClassDef, tree: ast.Module, module: str) -> ClassSource:
    parameters: dict[str, Parameter] = {}
    attributes: dict[str, Any] = {}
    methods: set[str] = set()
    for base in reversed([_base(expression, tree, module) for expression in node.bases]):
        if base is not None:
            parameters.update(base.parameters)
            attributes.update(base.attributes)
            methods |= base.methods
    for item in node.body:
        if isinstance(item, ast.FunctionDef):
            methods.add(item.name)
            if item.name == "__init__":
                # **settings passes the rest on to the base class.
                parameters = (parameters if item.args.kwarg else {}) | _parameters(item)
        elif isinstance(item, (ast.Assign, ast.AnnAssign)) and item.value is not None:
            attributes.update(_literal_attribute(item))
    docstring, card = ast.get_docstring(node) or "", ast.get_docstring(tree) or ""
    return ClassSource(docstring, card, parameters, attributes, frozenset(methods))


def _base(expression: ast.expr, tree: ast.Module, module: str) -> ClassSource | None:
    """A base class, if it belongs to the same module or is imported by name from outside the big libraries."""
    if not isinstance(expression, ast.Name):
        return None
    if any(isinstance(node, ast.ClassDef) and node.name == expression.id for node in tree.body):
        return read_class(f"{module}.{expression.id}")
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("dynbench"):
            for alias in node.names:
                if (alias.asname or alias.name) == expression.id:
                    return read_class(f"{node.module}.{alias.name}")
    return None


def _parse(module: str, target: str) -> ast.Module:
    try:
        spec = importlib.util.find_spec(module)
    except (ImportError, ValueError):
        spec = None
    if spec is None or spec.origin is None:
        raise ConfigError(f"'{target}' is not found: there is no module '{module}'; check _target_ and PYTHONPATH")
    return ast.parse(Path(spec.origin).read_text(encoding="utf-8"))


def _parameters(function: ast.FunctionDef) -> dict[str, Parameter]:
    arguments = function.args
    positional = [*arguments.posonlyargs, *arguments.args]
    without = [None] * (len(positional) - len(arguments.defaults))
    defaults = dict(zip(positional, (*without, *arguments.defaults), strict=True))
    defaults |= zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
    return {arg.arg: _parameter(arg.annotation, default) for arg, default in defaults.items() if arg.arg != "self"}


def _parameter(annotation: ast.expr | None, default: ast.expr | None) -> Parameter:
    required, literal = default is None, _literal(default)
    types: list[type] = []
    choices: list[Any] = []
    nullable = False
    for part in _union(annotation):
        if isinstance(part, ast.Constant) and part.value is None:
            nullable = True
        elif isinstance(part, ast.Subscript) and getattr(part.value, "id", "") == "Literal":
            values = ast.literal_eval(part.slice)
            choices += values if isinstance(values, tuple) else (values,)
        else:
            name = part.value if isinstance(part, ast.Subscript) else part
            known = _TYPES.get(getattr(name, "id", ""))
            if known is None:
                return Parameter(required=required, nullable=True, default=literal)
            types += known
    return Parameter(tuple(types), tuple(choices), nullable, required, literal)


def _union(annotation: ast.expr | None) -> list[ast.expr]:
    if isinstance(annotation, ast.BinOp) and isinstance(annotation.op, ast.BitOr):
        return _union(annotation.left) + _union(annotation.right)
    return [ast.Name("Any")] if annotation is None else [annotation]


def _literal(default: ast.expr | None) -> Any:
    try:
        return UNKNOWN if default is None else ast.literal_eval(default)
    except (ValueError, TypeError):
        return UNKNOWN


def _literal_attribute(item: ast.Assign | ast.AnnAssign) -> dict[str, Any]:
    name = item.target if isinstance(item, ast.AnnAssign) else item.targets[0]
    value = item.value
    if isinstance(value, ast.Call) and getattr(value.func, "id", "") == "frozenset":
        value = value.args[0] if value.args else ast.Tuple([])
    try:
        literal = ast.literal_eval(value)
    except (ValueError, TypeError):
        return {}
    return {name.id: frozenset(literal) if isinstance(literal, (set, tuple)) else literal}

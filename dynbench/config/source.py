"""Read what a class accepts and declares from its source text, without importing it.

Importing a model imports torch, which takes seconds; a mistyped setting should be answered at once. So the
constructor's signature is the schema of a YAML file, and it is read with :mod:`ast`: names, annotations with their
ranges (:mod:`dynbench.ranges`), ``Literal`` choices, defaults, and class attributes that are plain literals
(``answers = frozenset({"score"})``).
"""

from __future__ import annotations

import ast
import importlib.util
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any

from dynbench.errors import ConfigError
from dynbench.ranges import Range, Text

# The default of a parameter that has none, or one that is no literal.
UNKNOWN: Any = object()

# Annotations that can be checked on a YAML value; anything else is left to the constructor.
_TYPES = {"int": (int,), "float": (int, float), "str": (str,), "bool": (bool,), "list": (list,), "dict": (dict,)}
_RULES = {"Range": Range, "Text": Text}


@dataclass(frozen=True)
class Parameter:
    """One constructor parameter as its annotation describes it.

    Attributes:
        types: Accepted Python types; empty when the annotation cannot be checked.
        choices: Accepted values of a ``Literal``, beside those of the types.
        nullable: Whether ``None`` is accepted.
        required: Whether there is no default.
        rules: What an accepted value must satisfy: numbers the ranges, any value the texts.
        items: What every member of a list must be, if the annotation says so.
        default: The default if it is a literal, else ``UNKNOWN``.
    """

    types: tuple[type, ...] = ()
    choices: tuple[Any, ...] = ()
    nullable: bool = False
    required: bool = False
    rules: tuple[Range | Text, ...] = ()
    items: Parameter | None = None
    default: Any = field(default=UNKNOWN, compare=False)

    def complaint(self, value: Any) -> str | None:
        """What is wrong with ``value``, or ``None``."""
        if value is None:
            return None if self.nullable or not (self.types or self.choices) else "must be set; it is null"
        if any(value == choice and type(value) is type(choice) for choice in self.choices):
            return None
        if self.choices and not self.types:
            return f"is {value!r}; choose one of {', '.join(map(str, self.choices))}"
        if self.types and not self._has_type(value):
            wanted = " or ".join(sorted({t.__name__ for t in self.types} | set(map(str, self.choices))))
            return f"is {value!r} ({type(value).__name__}); expected {wanted}"
        if self.types and isinstance(value, float) and math.isinf(value):
            return f"is {value!r}; it must be a finite number"
        for rule in self.rules:
            if not (isinstance(rule, Range) and isinstance(value, str)) and not rule.holds(value):
                return f"is {value!r}; it must be {rule}"
        if self.types and isinstance(value, float) and math.isnan(value):
            return f"is {value!r}; it must be a finite number"
        if self.items is not None and isinstance(value, list):
            wrong = next(((i, said) for i, item in enumerate(value) if (said := self.items.complaint(item))), None)
            return wrong and f"has a wrong member: number {wrong[0] + 1} {wrong[1]}"
        return None

    def _has_type(self, value: Any) -> bool:
        return isinstance(value, self.types) and (bool in self.types or not isinstance(value, bool))


@dataclass(frozen=True)
class ClassSource:
    """A class as its source text describes it.

    Attributes:
        docstring: The class's docstring.
        module_docstring: The docstring of its module, which for a model is its card.
        parameters: Constructor parameters by name.
        attributes: Class attributes whose values are literals, inherited ones included.
        methods: Names of the methods defined by the class or its bases.
        closed: Whether the constructor takes nothing else than its parameters, as far as can be read.
    """

    docstring: str = ""
    module_docstring: str = ""
    parameters: dict[str, Parameter] = field(default_factory=dict)
    attributes: dict[str, Any] = field(default_factory=dict)
    methods: frozenset[str] = frozenset()
    closed: bool = False


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
        return ClassSource(ast.get_docstring(found) or "", ast.get_docstring(tree) or "", _parameters(found, tree))
    if found is None and (origin := _handed_on(name, tree)) is not None:
        return read_class(origin)
    if not isinstance(found, ast.ClassDef):
        raise ConfigError(f"'{target}' is not found: {module} defines no class '{name}'; check _target_")
    return _describe(found, tree, module)


def _describe(node: ast.ClassDef, tree: ast.Module, module: str) -> ClassSource:
    parameters: dict[str, Parameter] = {}
    attributes: dict[str, Any] = {}
    methods: set[str] = set()
    closed = False
    for base in reversed([_base(expression, tree, module) for expression in node.bases]):
        if base is not None:
            parameters.update(base.parameters)
            attributes.update(base.attributes)
            methods |= base.methods
            closed |= base.closed
    is_dataclass = any("dataclass" in ast.unparse(decorator) for decorator in node.decorator_list)
    for item in node.body:
        if isinstance(item, ast.FunctionDef):
            methods.add(item.name)
            if item.name == "__init__":
                # **settings passes the rest on to the base class.
                parameters = (parameters if item.args.kwarg else {}) | _parameters(item, tree)
                closed = item.args.kwarg is None
        elif is_dataclass and isinstance(item, ast.AnnAssign):
            parameters[item.target.id] = _parameter(item.annotation, item.value, tree)
        elif isinstance(item, (ast.Assign, ast.AnnAssign)) and item.value is not None:
            attributes.update(_literal_attribute(item))
    docstring, card = ast.get_docstring(node) or "", ast.get_docstring(tree) or ""
    return ClassSource(docstring, card, parameters, attributes, frozenset(methods), closed)


def _handed_on(name: str, tree: ast.Module) -> str | None:
    """Where a package takes a name from that its ``__init__`` only hands on."""
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                if (alias.asname or alias.name) == name:
                    return f"{node.module}.{alias.name}"
    return None


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
    if module.startswith("dynbench."):
        return _own_module(module, target)
    return _read_module(module, target)


@cache
def _own_module(module: str, target: str) -> ast.Module:
    return _read_module(module, target)


def _read_module(module: str, target: str) -> ast.Module:
    origin = _file_of(module)
    if origin is None:
        raise ConfigError(f"'{target}' is not found: there is no module '{module}'; check _target_ and PYTHONPATH")
    return ast.parse(Path(origin).read_text(encoding="utf-8"))


def _file_of(module: str) -> str | None:
    """The file of a module. Packages are looked into, not imported: that of Lightning would bring torch."""
    package, *inner = module.split(".")
    try:
        spec = importlib.util.find_spec(package)
        for name in inner:
            package = f"{package}.{name}"
            places = spec.submodule_search_locations if spec is not None else None
            spec = PathFinder.find_spec(package, list(places)) if places is not None else None
    except (ImportError, ValueError):
        return None
    return spec.origin if spec is not None and spec.has_location else None


def _parameters(function: ast.FunctionDef, tree: ast.Module) -> dict[str, Parameter]:
    arguments = function.args
    positional = [arg for arg in (*arguments.posonlyargs, *arguments.args) if arg.arg != "self"]
    defaults = [None] * (len(positional) - len(arguments.defaults)) + arguments.defaults
    pairs = (*zip(positional, defaults, strict=True), *zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True))
    return {arg.arg: _parameter(arg.annotation, default, tree) for arg, default in pairs}


def _parameter(annotation: ast.expr | None, default: ast.expr | None, tree: ast.Module) -> Parameter:
    types: list[type] = []
    choices: list[Any] = []
    rules: list[Range | Text] = []
    items, nullable = None, False
    for part, own_rules, scope in _alternatives(annotation, tree):
        rules += own_rules
        inside = part.slice if isinstance(part, ast.Subscript) else None
        name = getattr(part if inside is None else part.value, "id", "")
        if isinstance(part, ast.Constant) and part.value is None:
            nullable = True
        elif name == "Literal":
            values = ast.literal_eval(inside)
            choices += values if isinstance(values, tuple) else (values,)
        elif name in _TYPES:
            types += _TYPES[name]
            items = _parameter(inside, None, scope) if name == "list" and inside is not None else items
        else:
            return Parameter(required=default is None, nullable=True, default=_literal(default))
    nullable |= not (types or choices)
    return Parameter(tuple(types), tuple(choices), nullable, default is None, tuple(rules), items, _literal(default))


def _alternatives(annotation: ast.expr | None, tree: ast.Module) -> Iterator[tuple[ast.expr, list, ast.Module]]:
    """The parts of a union, each with its rules and the module in which its names are to be looked up."""
    if annotation is None:
        return
    if isinstance(annotation, ast.BinOp) and isinstance(annotation.op, ast.BitOr):
        yield from _alternatives(annotation.left, tree)
        yield from _alternatives(annotation.right, tree)
    elif isinstance(annotation, ast.Subscript) and getattr(annotation.value, "id", "") == "Annotated":
        first, *calls = annotation.slice.elts
        rules = [rule for call in calls if (rule := _rule(call)) is not None]
        for part, inner, scope in _alternatives(first, tree):
            yield part, inner + rules, scope
            rules = []
    elif isinstance(annotation, ast.Name) and (alias := _alias(annotation.id, tree)) is not None:
        yield from _alternatives(*alias)
    else:
        yield annotation, [], tree


def _alias(name: str, tree: ast.Module) -> tuple[ast.expr, ast.Module] | None:
    """What a name stands for that a module gives to an annotation, or imports from a module of this package."""
    for node in tree.body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == name:
            return node.value, tree
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("dynbench"):
            for item in node.names:
                if (item.asname or item.name) == name:
                    return _alias(item.name, _parse(node.module, node.module))
    return None


def _rule(call: ast.expr) -> Range | Text | None:
    if not (isinstance(call, ast.Call) and getattr(call.func, "id", "") in _RULES):
        return None
    words = {word.arg: ast.literal_eval(word.value) for word in call.keywords}
    return _RULES[call.func.id](*map(ast.literal_eval, call.args), **words)


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

"""Resolved configurations of many cells, far faster than composing each by itself.

The cells of all tables are made of a few dozen choices and plain settings ``group.key=value``. So the file of each
choice is read once, settings are applied to a copy as Hydra applies them, and what was resolved is kept. What a recipe
says about a model is resolved once for each dataset and budget, and laid over the model's file. Whatever is not as
plain as that, and whatever fails, is composed by Hydra, whose word is the last.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from functools import cache, cached_property
from types import MappingProxyType
from typing import Any, NamedTuple

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, OverrideType
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from dynbench.config import compose
from dynbench.config.check import resolved
from dynbench.errors import ConfigError

# Groups whose files set what belongs to others.
_ELSEWHERE = frozenset({"optimizer", "scheduler", "callbacks", "experiment", "debug"})
# What an interpolation of a choice's file may refer to: the resolvers of the project, and other groups.
_RESOLVERS = ("budgeted:", "at_window:", "oc.select:", ".")

_RECIPE, _BEFORE_RECIPE = "recipe", frozenset({"data", "protocol", "model"})
# What a recipe's settings may depend on: the names of these, by these resolvers.
_RECIPE_READS, _OF_RECIPES = ("data", "budget"), ("${for_data:", "${budgeted:")


class _Node(NamedTuple):
    """The file of a choice.

    Attributes:
        content: What it says.
        texts: Its texts with interpolations.
        suggests: The groups that it chooses in.
        adds: What a recipe says about groups that stand before it in the list of defaults.
    """

    content: DictConfig
    texts: tuple[str, ...]
    suggests: frozenset[str] = frozenset()
    adds: Mapping[str, DictConfig] = MappingProxyType({})


class Composer:
    """Gives what ``resolved(compose(overrides))`` gives."""

    def __init__(self) -> None:
        self._nodes: dict[tuple[str, str], _Node | None] = {}
        self._groups: dict[tuple, dict[str, Any]] = {}
        self._recipes: dict[tuple[str, ...], dict[str, Any]] = {}
        self._tops: dict[tuple[str, ...], dict[str, Any]] = {}
        self._parsed: dict[str, Override] = {}
        self._variants: dict[tuple[str, ...], list[str]] = {}
        self._assembled: dict[tuple[str, ...], dict[str, Any] | None] = {}
        self._whole: dict[tuple[str, ...], DictConfig] = {}

    def values(self, overrides: Sequence[str]) -> dict[str, Any]:
        """The resolved configuration of a command line.

        Raises:
            ConfigError: For an unknown choice, key or type, naming it.
        """
        words = self._with_variants(overrides)
        for way in (self._assemble, self._compose_once):
            try:
                found = way(words)
            except (HydraException, OmegaConfBaseException, ConfigError):
                break  # Hydra knows better what is wrong
            if found is not None:
                return found
        return resolved(compose.compose(overrides))

    def _with_variants(self, overrides: Sequence[str]) -> list[str]:
        """What is said of model and protocol decides alone, and is said again in many cells."""
        places = [place for place, word in enumerate(overrides) if word.startswith(("model=", "protocol="))]
        key = tuple(overrides[place] for place in places)
        if key not in self._variants:
            self._variants[key] = compose.with_variants(key)
        if len(self._variants[key]) != len(key):
            return compose.with_variants(overrides)
        words = list(overrides)
        for place, word in zip(places, self._variants[key], strict=True):
            words[place] = word
        return words

    def _assemble(self, words: Sequence[str]) -> dict[str, Any] | None:
        """The configuration put together from its groups, or ``None`` where they do not stand for themselves."""
        seeds = [self._parse(word) for word in words if word.startswith("seed=")]
        if not all(_is_plain(one) and isinstance(one.value(), int) for one in seeds):
            return None
        # No group that stands for itself refers to the seed.
        key = tuple(word for word in words if not word.startswith("seed="))
        if key not in self._assembled:
            self._assembled[key] = self._assemble_groups(key)
        found = self._assembled[key]
        return found and {**found, **({"seed": seeds[-1].value()} if seeds else {})}

    def _assemble_groups(self, words: Sequence[str]) -> dict[str, Any] | None:
        chosen, typed, settings, top = dict(self._defaults), set(), {}, []
        for override in map(self._parse, words):
            group = override.key_or_group.split(".")[0]
            if not _is_plain(override):
                return None
            if override.key_or_group in self._defaults:
                chosen[group] = override.value()
                typed.add(group)
            elif group in self._defaults:
                settings.setdefault(group, []).append(override)
            elif group == override.key_or_group:
                top.append(override.input_line)
            else:
                return None
        chosen = {group: name for group, name in chosen.items() if name is not None}
        if _ELSEWHERE & set(chosen):
            return None
        groups = {group: self._group(group, chosen, settings) for group in chosen}
        nodes = [self._node(group, name) for group, name in chosen.items()]
        if None in groups.values() or any(node.suggests - typed for node in nodes):
            return None
        return {**self._top(tuple(top)), **groups}

    def _compose_once(self, words: Sequence[str]) -> dict[str, Any] | None:
        """The configuration by Hydra, which composes each set of choices once; settings are applied to a copy."""
        overrides = [self._parse(word) for word in words]
        if not all(map(_is_plain, overrides)):
            return None
        settings = [one for one in overrides if "." in one.key_or_group or one.key_or_group == "seed"]
        choices = tuple(one.input_line for one in overrides if one not in settings)
        if choices not in self._whole:
            self._whole[choices] = compose.compose(choices)
        config = deepcopy(self._whole[choices])
        for one in settings:
            OmegaConf.update(config, one.key_or_group, one.value(), merge=True)
        return resolved(config)

    def _group(self, group: str, chosen: dict[str, str], settings: dict[str, list[Override]]) -> dict[str, Any] | None:
        """One group, resolved in the company of those that it refers to."""
        company = self._company(group, chosen, settings)
        if company is None:
            return None
        added = self._added(group, company, chosen, settings)
        if added is None:
            return None
        key = tuple((name, chosen[name], *(one.input_line for one in settings.get(name, ()))) for name in company)
        if key not in self._groups:
            root = OmegaConf.create({name: self._node(name, chosen[name]).content for name in company})
            OmegaConf.set_struct(root, True)
            for override in (one for name in company for one in settings.get(name, ())):
                OmegaConf.update(root, override.key_or_group, override.value(), merge=True)
            self._groups[key] = resolved(root[group])
        found = self._groups[key]
        if not added:
            return found
        key = (*key, chosen[_RECIPE], *(chosen[name] for name in _RECIPE_READS))
        if key not in self._groups:
            typed = {one.key_or_group.split(".")[1] for one in settings.get(group, ())}
            self._groups[key] = {**found, **{name: value for name, value in added.items() if name not in typed}}
        return self._groups[key]

    def _added(
        self, group: str, company: Sequence[str], chosen: dict[str, str], settings: dict[str, list[Override]]
    ) -> dict[str, Any] | None:
        """What the recipe sets in a group, or ``None`` where it cannot be laid over the group's own settings."""
        recipe = self._node(_RECIPE, chosen[_RECIPE]) if _RECIPE in chosen else None
        adds = recipe.adds if recipe else {}
        if not any(name in adds for name in company):
            return {}
        read = [self._node(name, chosen[name]) for name in _RECIPE_READS]
        texts = _texts(OmegaConf.to_container(adds[group], resolve=False)) if group in adds else None
        own = [text for name in company for text in self._node(name, chosen[name]).texts]
        typed = [one.key_or_group for parts in settings.values() for one in parts]
        plain = None not in (texts, *read) and all(text.startswith(_OF_RECIPES) for text in texts)
        alone = not any(f"{group}." in text or "${." in text for text in own)
        if not plain or not alone or any(key.count(".") > 1 or key in ("data.name", "budget.name") for key in typed):
            return None
        key = chosen[_RECIPE], group, *(chosen[name] for name in _RECIPE_READS)
        if key not in self._recipes:
            names = {name: {"name": self._node(name, chosen[name]).content["name"]} for name in _RECIPE_READS}
            root = OmegaConf.create({**names, group: adds[group]})
            self._recipes[key] = resolved(root[group])
        added = self._recipes[key]
        return None if any(isinstance(value, dict) for value in added.values()) else added

    def _company(
        self, group: str, chosen: dict[str, str], settings: dict[str, list[Override]]
    ) -> tuple[str, ...] | None:
        """The group and all that its interpolations lead to, or ``None`` if they lead elsewhere than to groups."""
        found, open_ends = [group], [group]
        while open_ends:
            name = open_ends.pop()
            node = self._node(name, chosen[name])
            if node is None:
                return None
            typed = (part.strip() for one in settings.get(name, ()) for part in _texts(one.value()))
            for text in (*node.texts, *typed):
                more = _referred(text, tuple(self._defaults))
                if more is None:
                    return None
                new = [one for one in more if one not in found]
                found += new
                open_ends += new
        return tuple(found)

    def _node(self, group: str, name: str) -> _Node | None:
        """The file of a choice, or ``None`` if it does more than to set its group."""
        if (group, name) not in self._nodes:
            path = compose.choice_path(group, name)
            node = OmegaConf.load(path)
            first = path.read_text(encoding="utf-8")[:200]
            defaults = node.pop("defaults", []) if isinstance(node, DictConfig) else [name]
            items = [item for item in defaults if item != "_self_"]
            if group == _RECIPE and not items and "@package _global_" in first:
                self._nodes[group, name] = _recipe(node)
            elif "@package" in first or not all(map(_only_suggests, items)):
                self._nodes[group, name] = None
            else:
                suggests = {re.split(r"[/@]", key)[1] for item in items for key in map(str, item)}
                texts = _texts(OmegaConf.to_container(node, resolve=False))
                self._nodes[group, name] = _Node(node, tuple(texts), frozenset(suggests))
        return self._nodes[group, name]

    def _top(self, words: tuple[str, ...]) -> dict[str, Any]:
        """What belongs to no group."""
        if words not in self._tops:
            values = resolved(compose.compose(words))
            self._tops[words] = {key: value for key, value in values.items() if key not in self._defaults}
        return self._tops[words]

    def _parse(self, word: str) -> Override:
        if word not in self._parsed:
            (self._parsed[word],) = OverridesParser.create().parse_overrides([word])
        return self._parsed[word]

    @cached_property
    def _defaults(self) -> dict[str, str]:
        return compose.default_choices()


def _recipe(node: DictConfig) -> _Node | None:
    """A recipe that sets itself and adds to earlier groups, or ``None`` if it does more."""
    if _RECIPE not in node or not set(node) <= {_RECIPE, *_BEFORE_RECIPE}:
        return None
    content = node.pop(_RECIPE)
    return _Node(content, tuple(_texts(OmegaConf.to_container(content, resolve=False))), adds=dict(node.items()))


def _is_plain(override: Override) -> bool:
    """Whether an override is ``key=value``: nothing added, deleted, moved or swept over."""
    return override.type == OverrideType.CHANGE and not override.is_sweep_override() and override.package is None


def _only_suggests(item: Any) -> bool:
    """Whether an item of a defaults list only chooses in another group, for those who do not choose there."""
    return isinstance(item, DictConfig) and all(str(key).startswith("override /") for key in item)


@cache
def _referred(text: str, groups: Iterable[str]) -> tuple[str, ...] | None:
    """The groups that a text with interpolations refers to, or ``None`` if it refers to something else."""
    found = []
    for start in re.findall(r"\$\{\s*(?=([^}]*))", text):  # nested ones, too
        names = [name for name in groups if re.search(rf"(?<![\w.]){name}\.", start)]
        if start.startswith("budgeted:"):
            names.append("budget")
        elif start.startswith("for_data:"):
            names.append("data")
        elif not start.startswith(_RESOLVERS) and not names:
            return None
        found += names
    return tuple(dict.fromkeys(found))


def _texts(value: Any) -> list[str]:
    """The texts with interpolations within a plain value."""
    if isinstance(value, str):
        return [value] if "${" in value else []
    if isinstance(value, dict):
        return [text for part in value.values() for text in _texts(part)]
    return [text for part in value for text in _texts(part)] if isinstance(value, (list, tuple)) else []

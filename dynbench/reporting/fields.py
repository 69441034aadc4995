"""Take typed values out of a YAML mapping, and say which key of which file is wrong."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

from dynbench.errors import ConfigError

# The parser in C, where there is one: tables are long.
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_OVERRIDE = re.compile(r"\+{0,2}[A-Za-z_][\w.@/]*=.*", re.DOTALL)
_NAME = re.compile(r"[A-Za-z0-9_][\w.+-]*")
# Set per run by whoever runs a table, so a table that set them would be ignored or would break the bookkeeping.
_RESERVED = ("seed", "budget", "force", "progress", "results_dir", "work_dir")
_MISSING: Any = object()


class Fields:
    """A mapping of a YAML file from which each key is taken once.

    Args:
        path: The file, for messages.
        content: The mapping.
        where: Where in the file the mapping stands: ``"rows[2]."``, or nothing at the top.
    """

    def __init__(self, path: Path, content: Any, where: str = ""):
        if not isinstance(content, dict):
            raise ConfigError(f"{path}: {where.rstrip('.') or 'the file'} is {content!r}; expected keys with values")
        self._path, self._content, self._where = path, content, where
        self._asked: dict[str, None] = {}

    @classmethod
    def read(cls, path: Path) -> Fields:
        """The mapping of a file.

        Raises:
            ConfigError: If it is not YAML, or no mapping.
        """
        try:
            return cls(path, yaml.load(path.read_text(encoding="utf-8"), Loader=_LOADER))
        except yaml.YAMLError as error:
            where = getattr(error, "problem_mark", None)
            line = f", line {where.line + 1}" if where else ""
            raise ConfigError(f"{path}{line}: not YAML: {getattr(error, 'problem', error)}") from error

    def __iter__(self) -> Iterator[str]:
        """The keys, as text."""
        return iter([str(key) for key in self._content])

    def error(self, key: str, complaint: str) -> ConfigError:
        """An error about one key."""
        return ConfigError(f"{self._path}: {self._where}{key} {complaint}")

    def finish(self) -> None:
        """Complain about a key that nobody asked for."""
        for key in self:
            if key not in self._asked:
                close = difflib.get_close_matches(key, self._asked, n=1)
                hint = f"did you mean '{close[0]}'?" if close else f"known: {', '.join(self._asked)}"
                raise self.error(key, f"is not a key that is known here; {hint}")

    def peek(self, key: str) -> Any:
        """The raw value of a key, or ``None``."""
        return next((value for known, value in self._content.items() if str(known) == key), None)

    def take(self, key: str, default: Any = _MISSING) -> Any:
        """The raw value of a key; an absent key is an error unless there is a default."""
        self._asked[key] = None
        value = self.peek(key)
        if value is None:
            if default is _MISSING:
                raise self.error(key, "is missing")
            return default
        return value

    def scalar(self, key: str) -> str | int | float:
        """A word or a number."""
        return self._typed(key, (str, int, float), "a word or a number")

    def text(self, key: str, default: Any = _MISSING) -> str:
        """A line of text; line breaks become blanks."""
        return " ".join(self._typed(key, (str,), "text", default).split())

    def integer(self, key: str, default: Any = _MISSING, least: int = 0) -> int:
        """A whole number."""
        value = self._typed(key, (int,), "a whole number", default)
        if isinstance(value, bool) or value < least:
            raise self.error(key, f"is {value!r}; expected a whole number of at least {least}")
        return value

    def flag(self, key: str, default: bool) -> bool:
        """Yes or no."""
        value = self.take(key, default)
        if not isinstance(value, bool):
            raise self.error(key, f"is {value!r}; expected true or false")
        return value

    def choice(self, key: str, known: Iterable[str], default: str) -> str:
        """One of some words."""
        value = self.take(key, default)
        if value not in known:
            raise self.error(key, f"is {value!r}; choose one of {', '.join(known)}")
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of lines; absent means none."""
        values = self._typed(key, (list,), "a list of texts", [])
        for value in values:
            if not isinstance(value, str):
                raise self.error(key, f"holds {value!r}; expected text (put it into quotes)")
        return tuple(" ".join(value.split()) for value in values)

    def name(self) -> str:
        """The key ``name``: what a row or column is called in CSV files and on the command line."""
        value = self.text("name")
        if not _NAME.fullmatch(value):
            raise self.error("name", f"is '{value}'; use letters, digits and _ . + - only, and a label for the rest")
        return value

    def names(self, key: str, known: Iterable[str]) -> tuple[str, ...] | None:
        """A name or a list of names out of ``known``; ``None`` if the key is absent."""
        value = self.take(key, None)
        if value is None:
            return None
        chosen = tuple(map(str, value)) if isinstance(value, list) else (str(value),)
        for one in chosen:
            if one not in known:
                raise self.error(key, f"names '{one}', which is unknown; {_hint(one, known)}")
        return chosen

    def overrides(self, key: str) -> tuple[str, ...]:
        """A list of overrides ``key=value``; absent means none."""
        values = self.texts(key)
        for value in values:
            if not _OVERRIDE.fullmatch(value):
                raise self.error(key, f"holds '{value}'; expected key=value, such as model=nlsm or model.dim=32")
            name = value.split("=")[0].lstrip("+")
            if name in _RESERVED:
                raise self.error(key, f"sets {name}, which is set for every run of a table; remove it")
        return values

    def part(self, key: str, default: Any = _MISSING) -> Fields:
        """A mapping below this one."""
        return self.inner(key, self.take(key, default))

    def inner(self, key: str, content: Any) -> Fields:
        """Any mapping that stands at ``key``."""
        return Fields(self._path, content, f"{self._where}{key}.")

    def mapping(self, key: str, default: Any = _MISSING) -> dict[str, Fields]:
        """A mapping of mappings."""
        part = self.part(key, default)
        return {name: part.inner(name, part.take(name, {})) for name in part}

    def sequence(self, key: str, default: Any = _MISSING) -> list[Fields]:
        """A list of mappings."""
        return [self.inner(f"{key}[{index}]", item) for index, item in enumerate(self.items(key, default))]

    def items(self, key: str, default: Any = _MISSING) -> list:
        """A list, whatever it holds."""
        items = self.take(key, default)
        if not isinstance(items, list):
            raise self.error(key, f"is {items!r}; expected a list")
        return items

    def require_unique(self, key: str, names: Sequence[str]) -> None:
        """Complain about a list that is empty or names an entry twice."""
        if not names:
            raise self.error(key, "is empty")
        for name in names:
            if names.count(name) > 1:
                raise self.error(key, f"names '{name}' twice")

    def require_known(self, key: str, known: Iterable[str], kind: str) -> None:
        """Complain about a key that names a row, column or metric that the table does not have."""
        if key not in known:
            raise self.error(key, f"is not a {kind} of this file; {_hint(key, known)}")

    def _typed(self, key: str, types: tuple[type, ...], wanted: str, default: Any = _MISSING) -> Any:
        value = self.take(key, default)
        if not isinstance(value, types):
            raise self.error(key, f"is {value!r}; expected {wanted}")
        return value


def is_number(value: Any) -> bool:
    """Whether a YAML value is a number (``true`` is none)."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _hint(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, list(known), n=1)
    return f"did you mean '{close[0]}'?" if close else f"known: {', '.join(known)}"

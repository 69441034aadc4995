"""Settings in the words of their files' comments, which are nearer to a paper's than their keys."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import Any

from dynbench.config.compose import choice_path
from dynbench.errors import ConfigError

_LONGEST = 44
_LONGEST_NAME = 32


def cut_words(used: Mapping[str, Any], full: Mapping[str, Any]) -> str:
    """What sets one configuration apart from the paper's: ``passes per snapshot: 300 of 1000``.

    Args:
        used, full: Settings as ``group.key``; names of choices and places of classes do not count.
    """
    found = []
    for key in sorted({*used, *full}):
        group, _, name = key.partition(".")
        mine, theirs = used.get(key), full.get(key)
        if mine != theirs and name not in ("name", "_target_"):
            fewer = type(mine) is type(theirs) is int and mine < theirs
            link = "of" if fewer else "instead of"
            setting = label(group, used.get(f"{group}.name"), name)
            found.append(f"{setting}: {plain_value(mine)} {link} {plain_value(theirs)}")
    return "; ".join(found)


_METRICS = {
    "auc": "AUC",
    "ap": "average precision",
    "mrr": "MRR",
    "nmi": "NMI",
    "ari": "ARI",
    "acc": "accuracy",
    "f1": "F1",
    "precision_at_k": "precision at K",
    "hits": "Hits",
}


def metric_words(name: str) -> str:
    """A metric in the words of the field: ``micro_auc`` is the micro AUC. A label with capitals stays what it is."""
    if name != name.lower():
        return name
    if name in _METRICS:
        return _METRICS[name]
    words = [_METRICS.get(part, part) for part in name.split("_")]
    return " ".join(word.replace("hits@", "Hits@") for word in words)


def choice_words(group: str, name: str) -> str:
    """A choice as its file's title calls it, where that begins with a name: ``GAE``; else its name without ``_``."""
    try:
        lines = choice_path(group, name).read_text(encoding="utf-8").splitlines()
    except ConfigError:
        lines = []
    title = next((line for line in lines if line.startswith("# ") and not line.startswith("# @")), "").lstrip("# ")
    head, colon, _ = title.partition(":")
    return head if colon and len(head) <= _LONGEST_NAME else name.replace("_", " ")


def recipe_words(name: str) -> str:
    """What a recipe is, in the words of its file's title; nothing for the paper's own."""
    if name in ("", "paper"):
        return ""
    try:
        lines = choice_path("recipe", name).read_text(encoding="utf-8").splitlines()
    except (ConfigError, OSError):
        lines = []
    titles = [line[2:].strip() for line in lines if line.startswith("# ") and not line.startswith("# @package")]
    return f"Recipe {name}: {titles[0]}" if titles else f"Recipe {name}."


def label(group: str, choice: Any, key: str) -> str:
    """A setting by its comment; by its key where the comment does not fit, and by both where one leads to the other.

    ``learning_rate: 0.01  # of Adam`` is the learning rate of Adam.
    """
    words, name = _comments(group, str(choice)).get(key, ""), key.replace("_", " ")
    return f"{name} {words}" if words.startswith("of ") else words or name


@cache
def _comments(group: str, choice: str) -> dict[str, str]:
    """The first clause of each key's comment, where it is short enough to stand in a footnote."""
    try:
        text = choice_path(group, choice).read_text(encoding="utf-8")
    except (ConfigError, OSError):
        return {}
    found = {}
    for key, comment in re.findall(r"^(\w+):[^#\n]*#\s*(.+)$", text, re.MULTILINE):
        # "mean | attentive: how a neighbourhood becomes a vector" lists the choices first.
        clause = re.split(r"[;:,(]", comment.partition(": ")[2] if " | " in comment else comment)[0].strip().rstrip(".")
        if 0 < len(clause) <= _LONGEST:
            found[key] = clause[0].lower() + clause[1:]
    return found


def plain_value(value: Any) -> str:
    """A setting's value for readers; where a budget cuts, null stands for all there is."""
    return "all" if value is None else str(value)

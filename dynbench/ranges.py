"""What values a setting may have, said once: in the annotations of the constructor that takes it.

``def __init__(self, *, dim: Width = 64, dropout: Dropout = 0.5, weight: float = 1.0)`` is all that a model, protocol or
dataset writes. :mod:`dynbench.config.source` reads it from the source text, so a value that cannot be is refused before
torch is loaded. A plain ``float`` is any finite number. What no alias says is said in place, or by an alias of one's
own in the same module: ``Annotated[int, Range(2, 10)]``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Literal


@dataclass(frozen=True)
class Range:
    """Numbers from ``low`` to ``high``; ``None`` for no bound.

    Attributes:
        low, high: The bounds.
        ends: Whether the bounds belong to the range, as in mathematics: ``[`` and ``]`` do, ``(`` and ``)`` do not.
    """

    low: float | None = None
    high: float | None = None
    ends: Literal["[]", "(]", "[)", "()"] = "[]"

    def holds(self, value: float) -> bool:
        """Whether ``value`` lies in the range; NaN lies in none.

        >>> Range(0, 1, "[)").holds(0), Range(0, 1, "[)").holds(1)
        (True, False)
        """
        low, high = self.low, self.high
        above = low is None or (value >= low if self.ends[0] == "[" else value > low)
        below = high is None or (value <= high if self.ends[1] == "]" else value < high)
        return value == value and above and below

    def __str__(self) -> str:
        parts = []
        if self.low is not None:
            parts.append(f"{'at least' if self.ends[0] == '[' else 'above'} {_said(self.low)}")
        if self.high is not None:
            parts.append(f"{'at most' if self.ends[1] == ']' else 'below'} {_said(self.high)}")
        return " and ".join(parts) or "any number"


def _said(bound: float) -> str:
    return f"{bound:,}" if abs(bound) < 1e15 else f"{bound:g}"


@dataclass(frozen=True)
class Text:
    """Texts of which the whole matches ``pattern``, which ``meaning`` puts into words."""

    pattern: str
    meaning: str

    def holds(self, value: object) -> bool:
        """Whether ``value``, written as text, matches."""
        return re.fullmatch(self.pattern, str(value)) is not None

    def __str__(self) -> str:
        return self.meaning


# How many of something: passes, steps, samples, nodes.
Count = Annotated[int, Range(1, 1_000_000_000)]
# How many of something that makes no sense alone: nodes, people.
Several = Annotated[int, Range(2, 1_000_000_000)]
# How many of something there may be none of.
CountOrZero = Annotated[int, Range(0, 1_000_000_000)]
# The size of a vector or of a layer.
Width = Annotated[int, Range(1, 65_536)]
# What numpy and torch take as a seed.
Seed = Annotated[int, Range(0, 4_294_967_295)]

# Rates, standard deviations, temperatures. Single precision holds no more than 3.4e38.
Positive = Annotated[float, Range(0, 1e38, "(]")]
# Weights and penalties that may be off.
NonNegative = Annotated[float, Range(0, 1e38)]
# Probabilities and shares.
Share = Annotated[float, Range(0, 1)]
# Shares of which something must be left: dropout, parts of a split.
Dropout = Annotated[float, Range(0, 1, "[)")]

# Names become parts of paths.
Name = Annotated[str, Text("[A-Za-z0-9][A-Za-z0-9_.+-]{0,47}", "a name of at most 48 letters, digits and _ . + -")]
# A folder or a file.
Place = Annotated[str, Text(r"[^\0\n]*[^\0\n\s][^\0\n]*", "a path, which is not empty")]
# A length of time with its unit, or a number of the dataset's own units.
Duration = Annotated[
    str | int | float,
    Text(
        r"\s*(?=.*[1-9])[0-9]*\.?[0-9]+([eE][+-]?[0-9]+)?\s*([smhdw]|)\s*",
        "a positive number, with a unit (s, m, h, d, w) or without, such as 10d",
    ),
]

"""``results/README.md``: per paper and table how much of what was printed is measured, and how it compares."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from dynbench.records import write_text
from dynbench.reporting import verdict
from dynbench.reporting.results import FULL, Cell
from dynbench.reporting.table import Table

NAME = "README.md"

_HEAD = ("table", "published", "measured", "reproduced", "above", "below", "not comparable", "unavailable", "to do",
         "budgets", "own rows")  # fmt: skip
_INTRODUCTION = f"""\
# What is reproduced

Written by `make tables` from the runs in [runs/](runs/); nothing here is typed. A *cell* is one number of a table: a
system, a dataset and a metric.

- **published**: cells whose value the paper prints; the columns up to *budgets* count these alone.
- **measured**: those with a value of our own, at the largest budget that was run.
- **reproduced**: the two means lie no further apart than single runs of the two would in {verdict.LEVEL:.0%} of cases:
  |measured − published| ≤ t·√(s² + s′²) + half a unit of the last digit printed, with s the standard deviation of our
  runs, s′ the printed one, and t the quantile of Student's distribution with the degrees of freedom of Welch and
  Satterthwaite. A spread that the paper does not print, and one of fewer than {verdict.LEAST_RUNS} runs, counts as
  none; without any, *reproduced* means equal to the digits printed. A p-value is reproduced if it lies on the same side
  of {verdict.SIGNIFICANT}.
- **above**, **below**: measured and not reproduced; the larger number, whether or not larger is better.
- **not comparable**: measured on other data, or asked another question, than the paper's; the table says which.
- **unavailable**: the dataset cannot be had. **to do**: neither measured nor unavailable.
- **budgets**: what the measured cells were run at; `quick*` stands for cells of which quick cuts nothing but the number
  of runs.
- **own rows**: measured cells of which the paper prints no value: baselines, variants, other metrics.
"""


@dataclass(frozen=True)
class Score:
    """The counts of one table."""

    table: Table
    counts: Counter
    budgets: Counter

    @classmethod
    def of(cls, table: Table, cells: Iterable[Cell]) -> Score:
        """Count the cells of a table."""
        counts: Counter = Counter()
        budgets: Counter = Counter()
        for cell in cells:
            if cell.published is None or cell.published.value is None:
                counts["own rows"] += cell.mean is not None
                continue
            counts["published"] += 1
            if cell.mean is not None:
                counts["measured"] += 1
                counts[cell.verdict] += 1
                budgets[cell.budget + ("*" if cell.budget != FULL and not cell.cuts else "")] += 1
            else:
                counts["unavailable" if cell.status == "unavailable" else "to do"] += 1
        return cls(table, counts, budgets)


def scoreboard(scores: Sequence[Score]) -> str:
    """The page."""
    parts = [_INTRODUCTION]
    for paper in dict.fromkeys(score.table.paper for score in scores):
        own = [score for score in scores if score.table.paper == paper]
        lines = ["| " + " | ".join(_HEAD) + " |", "| --- |" + " ---: |" * (len(_HEAD) - 3) + " --- | ---: |"]
        lines += [_line(f"[{score.table.title}](tables/{score.table.name}.md)", score) for score in own]
        total = Score(own[0].table, sum((s.counts for s in own), Counter()), sum((s.budgets for s in own), Counter()))
        parts.append(f"## {paper.upper()}\n\n" + "\n".join([*lines, _line("**all**", total)]) + "\n")
    return "\n".join(parts)


def write(scores: Sequence[Score], results_dir: str | Path) -> Path:
    """Write the page into a results folder.

    Raises:
        RunError: If the folder cannot be written.
    """
    return write_text(Path(results_dir) / NAME, scoreboard(scores))


def _line(name: str, score: Score) -> str:
    counts = [str(score.counts[key] or "") for key in _HEAD[1:-2]]
    budgets = ", ".join(f"{budget} {count}" for budget, count in sorted(score.budgets.items()))
    return "| " + " | ".join([name, *counts, budgets.replace("*", "\\*"), str(score.counts["own rows"] or "")]) + " |"

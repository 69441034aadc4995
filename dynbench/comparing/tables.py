"""A comparison as text: aligned for a terminal, Markdown, CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence

from dynbench.comparing.matrix import Matrix
from dynbench.comparing.ranks import Comparison, rank


def mean_ranks(matrix: Matrix) -> dict[str, float]:
    """The mean rank of every row that has all columns, among such rows."""
    whole = matrix.complete()
    if len(whole.rows) < 2 or whole.columns != matrix.columns:
        return {}
    sign = 1 if matrix.lower else -1
    ranks = [rank([sign * matrix.mean(row, column) for row in whole.rows]) for column in whole.columns]
    return {row: sum(float(own[k]) for own in ranks) / len(ranks) for k, row in enumerate(whole.rows)}


def _cells(matrix: Matrix, emphasise: Callable[[str], str]) -> list[list[str]]:
    ranks = mean_ranks(matrix)
    best = {column: matrix.best(column) for column in matrix.columns}
    head = ["model", *matrix.columns, *(["rank"] if ranks else [])]
    lines = [head]
    for row in sorted(matrix.rows, key=lambda name: (ranks.get(name, len(matrix.rows) + 1), name)):
        line = [row]
        for column in matrix.columns:
            mean, sd = matrix.mean(row, column), matrix.sd(row, column)
            if mean is None:
                line.append("–")
                continue
            seeds = len(matrix.values[row, column])
            spread = "" if sd is None else f" ± {sd * matrix.scale:.2f} ({seeds})"
            text = f"{mean * matrix.scale:.2f}{spread}"
            line.append(emphasise(text) if row in best[column] and len(matrix.rows) > 1 else text)
        if ranks:
            line.append(f"{ranks[row]:.2f}" if row in ranks else "–")
        lines.append(line)
    return lines


def caption(matrix: Matrix) -> str:
    """What the numbers are."""
    unit = " in percent" if matrix.scale == 100 else ""
    less = "; less is better" if matrix.lower else ""
    return f"{matrix.metric}{unit} under {matrix.protocol}: mean ± standard deviation (seeds); best in bold{less}"


def terminal(matrix: Matrix, colours: bool = False) -> str:
    """Aligned columns; the best of each is bold where the terminal can, and carries an asterisk elsewhere."""
    marks = ("\033[1m", "\033[0m") if colours else ("*", "")
    lines = _cells(matrix, lambda text: f"{marks[0]}{text}{marks[1]}")
    plain = [[text.replace("\033[1m", "").replace("\033[0m", "") for text in line] for line in lines]
    widths = [max(len(line[k]) for line in plain) for k in range(len(lines[0]))]
    rows = []
    for line, bare in zip(lines, plain, strict=True):
        padded = [
            text + " " * (widths[k] - len(bare[k])) if k == 0 else " " * (widths[k] - len(bare[k])) + text
            for k, text in enumerate(line)
        ]
        rows.append("  ".join(padded).rstrip())
    return "\n".join([caption(matrix) if colours else caption(matrix).replace("in bold", "with *"), "", *rows])


def markdown(matrix: Matrix, comparison: Comparison | None = None) -> str:
    """A Markdown table, and what the tests say."""
    lines = _cells(matrix, lambda text: f"**{text}**")
    head = ["| " + " | ".join(lines[0]) + " |", "|---" + "|---:" * (len(lines[0]) - 1) + "|"]
    parts = [caption(matrix) + ".", "", *head, *("| " + " | ".join(line) + " |" for line in lines[1:])]
    if comparison is not None:
        parts += [
            "",
            *(f"- {line}" for line in verdicts(comparison)),
            "",
            "| pair | difference | p | p (Holm) |",
            "|---|---:|---:|---:|",
        ]
        for (one, other), (difference, p, corrected) in comparison.pairs.items():
            parts.append(f"| {one} – {other} | {difference * matrix.scale:+.2f} | {p:.3g} | {corrected:.3g} |")
    return "\n".join(parts) + "\n"


def verdicts(comparison: Comparison) -> list[str]:
    """What the tests say, in words."""
    lines = [f"ranks over {comparison.count} {comparison.blocks}"]
    if comparison.friedman is not None:
        lines.append(f"all rows alike (Friedman): p = {comparison.friedman:.3g}")
    lines.append(f"critical difference of ranks (Nemenyi, {comparison.alpha:g}): {comparison.critical:.2f}")
    different = [pair for pair, (_, _, corrected) in comparison.pairs.items() if corrected < comparison.alpha]
    lines.append(
        f"pairs that differ (Wilcoxon, Holm, {comparison.alpha:g}): {len(different)} of {len(comparison.pairs)}"
    )
    if comparison.least >= comparison.alpha:
        lines.append(
            f"{comparison.count} {comparison.blocks} cannot give a corrected p below {comparison.least:.2g}: too few"
        )
    return lines


def to_csv(matrix: Matrix) -> str:
    """A line per row, column and seed."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["model", "data", "seed", matrix.metric])
    for (row, column), own in sorted(matrix.values.items()):
        writer.writerows([row, column, seed, value] for seed, value in sorted(own.items()))
    return text.getvalue()


def of_records(matrices: Mapping[str, Matrix] | Sequence[Matrix], colours: bool = False) -> str:
    """Several tables one below the other."""
    several = matrices.values() if isinstance(matrices, Mapping) else matrices
    return "\n\n".join(terminal(matrix, colours) for matrix in several)

"""The command ``dynbench compare``: all runs that can be seen from here, side by side."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from dynbench.api.results import Results, results
from dynbench.comparing import curves, ranks, tables
from dynbench.comparing.matrix import Matrix, build
from dynbench.config.compose import program_name
from dynbench.errors import ConfigError, answered
from dynbench.records import write_text
from dynbench.reporting.words import metric_words


@answered
def main(arguments: Sequence[str] | None = None) -> None:
    """Command line; returns the exit code."""
    _compare(_parser().parse_args(arguments))


def _compare(options: argparse.Namespace) -> None:
    wanted = dict(_filter(word) for word in options.words)
    found = results(results_dir=options.results_dir, work_dir=options.work_dir, shipped=not options.own, **wanted)
    if not len(found):
        raise ConfigError(f"no finished run is {' '.join(options.words) or 'there'}")
    found = _one(found, "protocol", wanted)
    found = _one(found, "budget", wanted, "quick")
    matrix = build(found.records, options.metric)
    whole = matrix.complete()
    print(tables.terminal(matrix, sys.stdout.isatty()))
    print()
    try:
        comparison = ranks.compare(whole, options.blocks, options.alpha)
    except ConfigError as error:
        print(f"no tests: {error}")
        comparison = None
    if comparison is not None:
        _say(matrix, whole, comparison)
    folder = Path(options.out or Path(options.work_dir) / "compare" / _slug(options.words, matrix))
    write_text(folder / "table.md", tables.markdown(matrix, comparison))
    write_text(folder / "values.csv", tables.to_csv(matrix))
    print(f"\nwritten: {folder}/table.md, values.csv")
    if comparison is not None:
        from dynbench.comparing.diagram import draw

        title = f"{metric_words(matrix.metric)} under {matrix.protocol}, {comparison.count} {comparison.blocks}"
        try:
            drawn = [*draw(comparison, title, folder, options.format), *curves.draw(matrix, folder, options.format)]
            print("written: " + ", ".join(map(str, drawn)))
        except ConfigError as error:
            print(f"no plot: {error}")


def _say(matrix: Matrix, whole: Matrix, comparison: ranks.Comparison) -> None:
    left = [row for row in matrix.rows if row not in whole.rows]
    gone = [column for column in matrix.columns if column not in whole.columns]
    for line in tables.verdicts(comparison):
        print(line)
    if gone:
        print(f"not ranked over {', '.join(gone)}, which too few rows have")
    if left:
        print(f"not ranked, for want of a dataset: {', '.join(left)}")
    shown = sorted(comparison.pairs.items(), key=lambda pair: pair[1][2])
    print("\npair, mean difference, p, p after Holm's correction")
    for (one, other), (difference, p, corrected) in shown[:20]:
        print(f"  {one} – {other}  {difference * matrix.scale:+.2f}  {p:.3g}  {corrected:.3g}")
    if len(shown) > 20:
        print(f"  … and {len(shown) - 20} more, in table.md")


def _filter(word: str) -> tuple[str, Any]:
    """``data=uci,enron`` as a field and the values that will do."""
    key, sign, text = word.partition("=")
    if not sign:
        raise ConfigError(f"'{word}' is not KEY=VALUE; e.g. data=uci protocol=temporal_split")
    values = [yaml.safe_load(part) for part in text.split(",")]
    return key, values if len(values) > 1 else values[0]


def _one(found: Results, field: str, wanted: dict[str, Any], usual: str = "") -> Results:
    """Runs of one protocol or budget; a table over several would compare what is not alike."""
    counts = Counter(getattr(record, field) for record in found)
    if len(counts) == 1 or (field == "budget" and field in wanted):
        return found
    if usual in counts:
        others = ", ".join(f"{name} ({count})" for name, count in counts.items() if name != usual)
        print(f"{field}={usual}; there are others: {others}\n")
        return found.where(**{field: usual})
    listed = ", ".join(f"{name} ({count} runs)" for name, count in counts.most_common())
    raise ConfigError(f"the runs are of several kinds; add {field}=NAME: {listed}")


def _slug(words: Sequence[str], matrix: Matrix) -> str:
    text = "-".join([matrix.protocol, matrix.metric, *(word for word in words if not word.startswith("protocol="))])
    return "".join(sign if sign.isalnum() or sign in "-_=." else "_" for sign in text)[:120]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=f"{program_name()} compare",
        description="Set all finished runs side by side, one's own and those that come with dynbench: ranks, tests "
        "with correction, a critical-difference plot. Runs are chosen by KEY=VALUE,VALUE: model, data, protocol, "
        "budget, seed, or a setting such as data.window=10d.",
    )
    add = parser.add_argument
    add("words", nargs="*", metavar="KEY=VALUE", help="which runs: data=uci,enron protocol=single_step_nlsm")
    add("--metric", help="a metric of the runs (default: their first)")
    add("--blocks", choices=ranks.BLOCKS, help="what to test over (default: datasets; for one, its seeds or steps)")
    add("--alpha", type=float, default=0.05, help="level of the tests (default: 0.05)")
    add("--own", action="store_true", help="leave out the runs that come with dynbench")
    add("--out", metavar="FOLDER", help="where to write (default: compare/ in the work folder)")
    add("--format", nargs="+", default=["png", "pdf"], help="of the plot (default: png pdf)")
    add("--results-dir", default="results", metavar="DIR", help="published runs (default: results)")
    add("--work-dir", default="runs", metavar="DIR", help="one's own runs (default: runs)")
    return parser

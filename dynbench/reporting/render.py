"""Write a table as Markdown, as LaTeX (booktabs) and as CSV."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from dynbench.records import write_text
from dynbench.reporting.layout import PAGE, Block, Entry, Line, RunsOf, Sheet, lay_out
from dynbench.reporting.results import Cell
from dynbench.reporting.table import Table

CSV_COLUMNS = (
    *("table", "row", "column", "metric"),
    *("mean", "sd", "n", "published", "published_sd", "difference", "verdict"),
    *("budget", "status", "reason", "runs"),
)
# Where tables lie below the results folder.
FOLDER = "tables"

_LATEX = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    # The straight quote is not in the default font encoding.
    '"': "''",
    "±": r"$\pm$",
    "−": r"$-$",
    "–": "--",
    "—": "---",
    "Δ": r"$\Delta$",
    "×": r"$\times$",
    "≤": r"$\le$",
    "≥": r"$\ge$",
    "→": r"$\rightarrow$",
    "↑": r"$\uparrow$",
    "↓": r"$\downarrow$",
    "√": r"$\surd$",
    "…": r"\dots{}",
}

# Tables that LaTeX can hold back at a time, with some to spare.
_FLOATS = 12


def write_tables(table: Table, cells: Sequence[Cell], results_dir: str | Path) -> list[Path]:
    """Write ``<results_dir>/tables/<name>.{md,csv,tex}``, each whole or not at all.

    Raises:
        RunError: If the folder cannot be written.
    """
    folder = Path(results_dir) / FOLDER
    return [write_text(folder / name, text) for name, text in texts(table, cells).items()]


def texts(table: Table, cells: Sequence[Cell]) -> dict[str, str]:
    """What a table is written as, by name of the file."""
    found = {
        "md": markdown(lay_out(table, cells)),
        "csv": csv_text(table, cells),
        "tex": latex(lay_out(table, cells, PAGE)),
    }
    return {f"{table.name}.{ending}": text for ending, text in found.items()}


def csv_text(table: Table, cells: Sequence[Cell]) -> str:
    """One line per row × column × metric."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(CSV_COLUMNS)
    for cell in cells:
        paper = cell.published
        numbers = (cell.mean, cell.sd, cell.n, paper and paper.value, paper and paper.sd, cell.difference)
        names = (table.name, cell.row.name, cell.column.name, cell.metric.name)
        runs = ";".join(str(identity) for identity, _ in cell.runs)
        writer.writerow([*names, *map(_plain, numbers), cell.verdict, cell.budget, cell.status, cell.reason, runs])
    return buffer.getvalue()


def _plain(value: float | None) -> str:
    """A number for programs: six decimals at most, and six digits of what is smaller than a thousandth."""
    if value is None:
        return ""
    if 0 < abs(value) < 1e-3:
        return f"{value:.6g}"  # a p-value, say
    text = f"{value:.6f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


# ---- Markdown ---------------------------------------------------------------------------------------------


def markdown(sheet: Sheet) -> str:
    """GitHub's Markdown: one table per block of columns, the footnotes, and the runs behind the numbers."""
    parts = [f"# {_md(sheet.title)}", *(_md(text) for text in sheet.remarks)]
    for block in sheet.blocks:
        if len(sheet.blocks) > 1:
            parts.append(f"## {_md(block.title)}")
        parts.append(_markdown_block(block))
    notes = [f"<sup>{mark}</sup> {_md(text)}" for mark, text in sheet.notes.items()]
    parts += ["  \n".join(notes)] if notes else []
    if sheet.runs:
        parts += ["## Runs behind the numbers", *map(_markdown_runs, sheet.runs)]
    return "\n\n".join(parts) + "\n"


def _markdown_block(block: Block) -> str:
    head, rule = [""], ["---"]
    for item in block.heads:
        head += [_md(item.label) + _sup(item.marks), *(["published"] if item.paired else [])]
        rule += ["---:", *(["---:"] if item.paired else [])]
    lines = [head, rule]
    for line in block.lines:
        row = [_md(line.label) + _sup(line.marks)]
        for item, entry in zip(block.heads, line.entries, strict=True):
            row += [_markdown_entry(entry), *([_md(entry.published)] if item.paired else [])]
        lines.append(row)
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _markdown_entry(entry: Entry) -> str:
    text = _md(entry.measured)
    text = f"**{text}**" if entry.best else text
    text = f"[{text}](#{entry.link})" if entry.link else text
    return " ".join(filter(None, (text, entry.runs, entry.sign))) + _sup(entry.marks)


def _markdown_runs(item: RunsOf) -> str:
    """What was typed, where the lines are, and the values of every run."""
    anchors = "".join(f'<a id="{name}"></a>' for name in item.anchors)
    words = [word for word in item.command if not word.startswith("seed=")]
    values = "; ".join(f"seed {seed} (`{digest}`) {', '.join(row)}" for seed, digest, row in item.runs)
    return (
        f"{anchors}**{_md(item.title)}**, budget {item.budget}, [lines](<../{item.file}>)  \n"
        f"`python run.py {' '.join(words)} seed={item.runs[0][0]}`  \n"
        f"{_md(', '.join(item.metrics))}: {values}"
    )


def _sup(marks: Sequence[str]) -> str:
    return f"<sup>{','.join(marks)}</sup>" if marks else ""


def _md(text: str) -> str:
    """Escape what Markdown would take for markup; underscores within words are safe."""
    return re.sub(r"([\\`*|<>\[\]])|(?<!\w)_|_(?!\w)", lambda found: "\\" + found[0], text)


# ---- LaTeX ------------------------------------------------------------------------------------------------


def latex(sheet: Sheet) -> str:
    """One ``table`` environment per block of columns, shrunk to the page where it is wider; remarks follow the last.

    Needs the packages booktabs and graphicx. Notes stand outside of the floats, so that they may break over pages.
    """
    parts = [f"% {sheet.name}: needs \\usepackage{{booktabs,graphicx}}"]
    for index, block in enumerate(sheet.blocks, 1):
        parts.append(_latex_block(sheet, block, index))
        if index % _FLOATS == 0:
            parts.append(r"\clearpage")  # LaTeX keeps few floats waiting for their page
    notes = [f"\\textsuperscript{{{mark}}}~{_tex(text)}" for mark, text in sheet.notes.items()]
    parts += [_latex_notes([*map(_tex, sheet.remarks), *notes])]
    return "\n\n".join(parts) + "\n"


def _latex_block(sheet: Sheet, block: Block, index: int) -> str:
    alone = len(sheet.blocks) == 1
    title = _tex(sheet.title if alone else f"{sheet.title}: {block.title}")
    widths = [2 if item.paired else 1 for item in block.heads]
    starts = [2 + sum(widths[:number]) for number in range(len(widths))]
    spans, rules, under = [], [], []
    for item, width, start in zip(block.heads, widths, starts, strict=True):
        spans.append(f"\\multicolumn{{{width}}}{{c}}{{{_tex(item.label)}{_super(item.marks)}}}")
        rules.append(f"\\cmidrule(lr){{{start}-{start + width - 1}}}")
        under += ["measured", "published"][:width]
    body = [" & ".join(_latex_line(block, line)) + r" \\" for line in block.lines]
    return "\n".join(
        [
            r"\begin{table}[p]",
            r"\centering\small\setlength{\tabcolsep}{3pt}",
            f"\\caption{{{title}}}\\label{{tab:{sheet.name}{'' if alone else f':{index}'}}}",
            r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%",
            f"\\begin{{tabular}}{{@{{}}l{'r' * sum(widths)}@{{}}}}",
            r"\toprule",
            " & ".join(["", *spans]) + r" \\",
            "".join(rules),
            " & ".join(["", *under]) + r" \\",
            r"\midrule",
            *body,
            r"\bottomrule",
            r"\end{tabular}}",
            r"\end{table}",
        ]
    )


def _latex_line(block: Block, line: Line) -> list[str]:
    row = [_tex(line.label) + _super(line.marks)]
    for item, entry in zip(block.heads, line.entries, strict=True):
        number = f"\\textbf{{{_tex(entry.measured)}}}" if entry.best else _tex(entry.measured)
        measured = " ".join(filter(None, (number, entry.runs, _tex(entry.sign)))) + _super(entry.marks)
        row += [measured, *([_tex(entry.published)] if item.paired else [])]
    return row


def _latex_notes(texts: Iterable[str]) -> str:
    lines = [f"\\noindent {text}\\par" for text in texts]
    return "\n".join([r"\begingroup\footnotesize\raggedright", *lines, r"\endgroup"])


def _super(marks: Sequence[str]) -> str:
    return f"\\textsuperscript{{{','.join(marks)}}}" if marks else ""


def _tex(text: str) -> str:
    """Escape what LaTeX would take for commands."""
    return "".join(_LATEX.get(letter, letter) for letter in text)

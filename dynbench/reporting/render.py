"""Write a table as Markdown, as LaTeX (booktabs) and as CSV."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from pathlib import Path

from dynbench.records import write_text
from dynbench.reporting.layout import Block, Line, Sheet, lay_out, used_marks
from dynbench.reporting.results import Cell
from dynbench.reporting.table import Table

CSV_COLUMNS = (
    *("table", "row", "column", "metric"),
    *("mean", "sd", "n", "published", "published_sd", "difference"),
    *("budget", "status", "reason", "records"),
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
    "…": r"\dots{}",
}


def write_tables(table: Table, cells: Sequence[Cell], budget: str, results_dir: str | Path) -> list[Path]:
    """Write ``<results_dir>/tables/<name>.{md,csv,tex}``, each whole or not at all.

    Raises:
        RunError: If the folder cannot be written.
    """
    sheet = lay_out(table, cells, budget)
    texts = {"md": markdown(sheet), "csv": csv_text(table, cells, budget), "tex": latex(sheet)}
    folder = Path(results_dir) / FOLDER
    return [write_text(folder / f"{table.name}.{ending}", text) for ending, text in texts.items()]


def csv_text(table: Table, cells: Sequence[Cell], budget: str) -> str:
    """One line per row × column × metric."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(CSV_COLUMNS)
    for cell in cells:
        paper = cell.published
        numbers = (cell.mean, cell.sd, cell.n, paper and paper.value, paper and paper.sd, cell.difference)
        names = (table.name, cell.row.name, cell.column.name, cell.metric.name)
        writer.writerow([*names, *map(_plain, numbers), budget, cell.status, cell.reason, ";".join(cell.records)])
    return buffer.getvalue()


def _plain(value: float | None) -> str:
    """A number for programs: six decimals at most, and six digits of what is smaller than a thousandth."""
    if value is None:
        return ""
    if 0 < abs(value) < 1e-3:
        return f"{value:.6g}"  # a p-value, say
    text = f"{value:.6f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def markdown(sheet: Sheet) -> str:
    """GitHub's Markdown: one table per block of columns, then the footnotes."""
    parts = [f"# {_md(sheet.title)}", "  \n".join(_md(text) for text in sheet.remarks)]
    for block in sheet.blocks:
        if len(sheet.blocks) > 1:
            parts.append(f"## {_md(block.title)}")
        parts.append(_markdown_block(block))
    notes = [f"<sup>{mark}</sup> {_md(text)}" for mark, text in sheet.notes.items()]
    return "\n\n".join([*parts, *(["  \n".join(notes)] if notes else [])]) + "\n"


def _markdown_block(block: Block) -> str:
    head = [""]
    for item in block.heads:
        head += [_md(item.label) + _sup(item.marks), "published", "Δ"]
    lines = [[*head, "records"], ["---", *["---:"] * (len(head) - 1), "---"]]
    for line in block.lines:
        row = [_md(line.label) + _sup(line.marks)]
        for entry in line.entries:
            row += [_md(entry.measured) + _sup(entry.marks), _md(entry.published), _md(entry.difference)]
        lines.append([*row, " ".join(f"[runs](<../{path}>)" for path in line.records)])
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _sup(marks: Sequence[str]) -> str:
    return f"<sup>{','.join(marks)}</sup>" if marks else ""


def _md(text: str) -> str:
    """Escape what Markdown would take for markup; underscores within words are safe."""
    return re.sub(r"([\\`*|<>\[\]])|(?<!\w)_|_(?!\w)", lambda found: "\\" + found[0], text)


def latex(sheet: Sheet) -> str:
    """One ``table`` environment per block of columns; needs the package booktabs and nothing else."""
    parts = [f"% {sheet.name}: needs \\usepackage{{booktabs}}"]
    for index, block in enumerate(sheet.blocks, 1):
        parts.append(_latex_block(sheet, block, index))
    return "\n\n".join(parts) + "\n"


def _latex_block(sheet: Sheet, block: Block, index: int) -> str:
    alone = len(sheet.blocks) == 1
    title = _tex(sheet.title if alone else f"{sheet.title}: {block.title}")
    # Only the first block carries the remarks; each carries the footnotes it uses.
    remarks = [_tex(text) for text in sheet.remarks] if index == 1 else []
    notes = [f"\\textsuperscript{{{mark}}}~{_tex(sheet.notes[mark])}" for mark in used_marks(block)]
    spans = [f"\\multicolumn{{3}}{{c}}{{{_tex(item.label)}{_super(item.marks)}}}" for item in block.heads]
    rules = [f"\\cmidrule(lr){{{3 * i + 2}-{3 * i + 4}}}" for i in range(len(block.heads))]
    body = [" & ".join(_latex_line(line)) + r" \\" for line in block.lines]
    return "\n".join(
        [
            r"\begin{table}[p]",
            r"\centering\small\setlength{\tabcolsep}{3pt}",
            f"\\caption{{{title}}}\\label{{tab:{sheet.name}{'' if alone else f':{index}'}}}",
            f"\\begin{{tabular}}{{@{{}}l{'rrr' * len(block.heads)}@{{}}}}",
            r"\toprule",
            " & ".join(["", *spans]) + r" \\",
            "".join(rules),
            " & ".join(["", *["measured & published & $\\Delta$"] * len(block.heads)]) + r" \\",
            r"\midrule",
            *body,
            r"\bottomrule",
            r"\end{tabular}",
            *(f"\\par\\smallskip\\parbox{{\\linewidth}}{{\\footnotesize {text}}}" for text in (*remarks, *notes)),
            r"\end{table}",
        ]
    )


def _latex_line(line: Line) -> list[str]:
    row = [_tex(line.label) + _super(line.marks)]
    for entry in line.entries:
        row += [_tex(entry.measured) + _super(entry.marks), _tex(entry.published), _tex(entry.difference)]
    return row


def _super(marks: Sequence[str]) -> str:
    return f"\\textsuperscript{{{','.join(marks)}}}" if marks else ""


def _tex(text: str) -> str:
    """Escape what LaTeX would take for commands."""
    return "".join(_LATEX.get(letter, letter) for letter in text)

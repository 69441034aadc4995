"""The command ``dynbench report``: collect what is measured, and write the page."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dynbench.config.compose import program_name
from dynbench.errors import answered
from dynbench.records import Store, write_text
from dynbench.records.gather import gather, shipped
from dynbench.report.collect import collect
from dynbench.reporting.make import prepare

_PARTS = Path(__file__).parent


@answered
def main(arguments: Sequence[str] | None = None) -> None:
    """Command line; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog=f"{program_name()} report",
        description="Write one page about all that is measured: scoreboard, tables, cards, datasets, speed, figures. "
        "It needs no server.",
    )
    parser.add_argument("--tables", nargs="+", default=[], metavar="NAME", help="these tables only (default: all)")
    parser.add_argument("--out", metavar="FILE", help="where to write (default: report/index.html in the work folder)")
    parser.add_argument("--results-dir", default="results", metavar="DIR", help="published runs (default: results)")
    parser.add_argument("--work-dir", default="runs", metavar="DIR", help="one's own runs (default: runs)")
    options = parser.parse_args(arguments)
    results_dir = Path(options.results_dir) if (Path(options.results_dir) / "runs").is_dir() else shipped()
    plan = prepare(options.tables, "quick", Store(results_dir, options.work_dir))
    records = [record for record in gather(results_dir, options.work_dir) if record.finished]
    path = Path(options.out or Path(options.work_dir) / "report" / "index.html")
    write_text(path, page(collect(plan, records, results_dir)))
    print(f"written: {path}")


def page(content: Mapping[str, Any]) -> str:
    """The page with style, program and content within it."""
    parts = {name: (_PARTS / name).read_text(encoding="utf-8") for name in ("page.html", "style.css", "page.js")}
    # What closes a script must not stand in it.
    data = json.dumps(content, ensure_ascii=False, separators=(",", ":")).replace("</", "<\\/")
    text = parts["page.html"].replace("/*STYLE*/", parts["style.css"]).replace("/*PROGRAM*/", parts["page.js"])
    return text.replace("/*CONTENT*/", data)

"""Build the documentation as a site: ``python scripts/build_docs.py``, or ``make docs``.

Pages of ``docs/``, the README, the notebook, and the cards of models, datasets and protocols are gathered below
``runs/docs`` and made into ``runs/site`` by MkDocs. A warning is an error.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from dynbench.config.compose import choices, read_choice
from dynbench.config.source import read_class
from dynbench.errors import ConfigError

ROOT = Path(__file__).resolve().parents[1]
REFERENCE = ("dynbench.api.running", "dynbench.api.results", "dynbench.graph.temporal_graph", "dynbench.graph.convert",
             "dynbench.contract", "dynbench.models.base", "dynbench.models.gradient", "dynbench.protocols.base",
             "dynbench.metrics.base", "dynbench.engine.trainer", "dynbench.testing.models")  # fmt: skip


def gather(folder: Path) -> None:
    """Write all pages into a folder that holds nothing else."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    pages = {path.name: path.read_text(encoding="utf-8") for path in sorted((ROOT / "docs").glob("*.md"))}
    pages |= {name: (ROOT / name).read_text(encoding="utf-8") for name in ("CHANGELOG.md", "CONTRIBUTING.md")}
    pages["index.md"] = (ROOT / "README.md").read_text(encoding="utf-8")
    pages["tour.md"] = notebook(ROOT / "docs" / "tour.ipynb")
    pages |= {
        "models.md": models(),
        "datasets.md": datasets(),
        "protocols.md": protocols(),
        "reference.md": reference(),
    }
    for name, text in pages.items():
        (folder / name).write_text(linked(text, {*pages}), encoding="utf-8")
        for shown in filter(None, map(picture, re.findall(r"!\[[^\]]*\]\(([^)\s]+)\)", text))):
            shutil.copyfile(shown, folder / shown.name)


def picture(target: str) -> Path | None:
    """The file of a picture that a page of ``docs/``, or one above them, names."""
    return next((place / target for place in (ROOT, ROOT / "docs") if (place / target).is_file()), None)


def linked(text: str, pages: set[str]) -> str:
    """Links between pages, wherever a page stood before; what is no page keeps its words only."""

    def replace(match: re.Match) -> str:
        words, target = match[2], match[3]
        if "://" in target or target.startswith("#"):
            return match[0]
        path, sign, anchor = target.partition("#")
        name = Path(path).name.replace("tour.ipynb", "tour.md").replace("README.md", "index.md")
        if match[1] == "!" and picture(path):
            return f"![{words}]({name})"
        return f"[{words}]({name}{sign}{anchor})" if name in pages and "results/" not in path else words

    return re.sub(r"(!?)\[([^\]]*)\]\(([^)\s]+)\)", replace, text)


def notebook(path: Path) -> str:
    """A notebook as a page."""
    parts = []
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        text = "".join(cell["source"])
        parts.append(text if cell["cell_type"] == "markdown" else f"```python\n{text}\n```")
    return "\n\n".join(parts) + "\n"


def models() -> str:
    """The cards of all models."""
    parts = ["# Models\n\nEach card says what the paper is, what was built, and what does not reproduce."]
    for name in choices("model"):
        card = _class("model", name)
        if card and card.module_docstring:
            parts.append(f"## {name}\n\n```text\n{card.module_docstring}\n```")
    return "\n\n".join(parts) + "\n"


def protocols() -> str:
    """What every protocol asks, with its settings."""
    parts = ["# Protocols\n\nWhat is asked, and how answers are measured."]
    for name in choices("protocol"):
        found = _class("protocol", name)
        if found:
            parts.append(f"## {name}\n\n```text\n{found.docstring}\n```")
    return "\n\n".join(parts) + "\n"


def datasets() -> str:
    """The cards of all datasets as one table."""
    lines = ["# Datasets", "", "| `data=` | what | nodes | events | licence |", "|---|---|---:|---:|---|"]
    for name in choices("data"):
        content = read_choice("data", name)
        card, size = content.get("card") or {}, content.get("expected") or {}
        title, licence = (str(card.get(key) or "").replace("|", "/") for key in ("title", "licence"))
        lines.append(f"| `{name}` | {title} | {size.get('nodes', '')} | {size.get('events', '')} | {licence} |")
    return "\n".join(lines) + "\n"


def reference() -> str:
    """The modules that a plug-in or a notebook uses, from their docstrings."""
    return "\n\n".join(["# Reference", *(f"::: {name}" for name in REFERENCE)]) + "\n"


def _class(group: str, name: str):
    try:
        return read_class(read_choice(group, name)["_target_"])
    except (ConfigError, KeyError):
        return None


def main() -> int:
    """Gather the pages and build the site."""
    gather(ROOT / "runs" / "docs")
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1", "DISABLE_MKDOCS_2_WARNING": "true"}
    done = subprocess.run([sys.executable, "-m", "mkdocs", "build", "--strict"], cwd=ROOT, env=environment, check=False)
    if done.returncode == 0:
        print(f"written: {ROOT / 'runs' / 'site' / 'index.html'}")
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())

"""Take the files out of a page of the documentation: each stands in a code block below a line that names it."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"


def files_of(page: str) -> dict[str, str]:
    """The files that a page of ``docs/`` shows in full, by name."""
    text = (DOCS / page).read_text(encoding="utf-8")
    return dict(re.findall(r"^`([\w./]+)`:\n\n```\w*\n(.*?)^```$", text, re.MULTILINE | re.DOTALL))


def write_files(page: str, folder: Path) -> list[Path]:
    """Write the files of a page below ``folder``."""
    paths = []
    for name, content in files_of(page).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
        paths.append(path)
    return paths

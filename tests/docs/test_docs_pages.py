"""What README and docs say about files, links and settings is so."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from extract import DOCS, ROOT

PAGES = [ROOT / "README.md", *sorted(DOCS.glob("*.md"))]
PACKAGE = ROOT / "dynbench"


def _named(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=_named)
def test_links_lead_somewhere(page):
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        path, _, anchor = target.partition("#")
        if "://" in target or (path.startswith("results/") and not (ROOT / "results").exists()):
            continue
        linked = (page.parent / path).resolve() if path else page
        assert linked.exists(), f"{page.name} links to {target}"
        if anchor:
            heads = re.findall(r"^#+ (.*)$", linked.read_text(encoding="utf-8"), flags=re.MULTILINE)
            assert anchor in {re.sub(r"[^\w -]", "", head).lower().replace(" ", "-") for head in heads}, target


def test_every_page_is_reached_from_the_readme():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for page in DOCS.glob("*.md"):
        assert f"(docs/{page.name})" in text, page.name


def test_readme_opens_with_purpose_figure_papers_and_two_commands_and_names_real_targets():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    opening = (
        r"# dynbench\n\ndynbench reproduces .*?!\[[^\]]+\]\(results/figures/.*?\| paper \|.*?"
        r"```\nmake run .*\nmake test .*\n```\n"
    )
    assert re.match(opening, text[: text.index("\n## ")], flags=re.DOTALL)
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE))
    pages = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
    named = set(re.findall(r"(?:^|`)make ([a-z]+)", pages, flags=re.MULTILINE))
    assert {"run", "test", "tables", "setup", "bench", "data"} <= named <= targets


def test_commands_choose_what_exists():
    """Every ``model=…``, ``data=…`` and so on in a command is a file, or belongs to the page's own example."""
    own = {"mymodel", "mydata", "repeat", "dot", "last_only", "mails", "NAME"}
    for page in PAGES:
        commands = re.findall(r"run\.py ([^\n`]*)", page.read_text(encoding="utf-8"))
        for group, names in re.findall(r"\b(model|data|protocol|budget|trainer|logger)=([\w,]+)", "\n".join(commands)):
            for name in names.split(","):
                known = (ROOT / "conf" / group / f"{name}.yaml").is_file()
                assert known or name in own or name == "nlms", f"{page.name}: {group}={name}"


def test_architecture_names_all_rooms_and_no_others():
    text = (DOCS / "architecture.md").read_text(encoding="utf-8")
    rooms = text.partition("## The rooms\n\n```\n")[2].partition("```")[0]
    inside = rooms.partition("dynbench/\n")[2].partition("scripts/")[0]
    named = set()
    for line in inside.splitlines():
        depth = (len(line) - len(line.lstrip())) // 2
        names = re.match(r"[\w./]+(?:, [\w./]+)*", line.strip())[0].split(", ")
        if depth == 1:
            named |= {name.rstrip("/") for name in names}
        else:
            assert all((PACKAGE / "config" / name).is_file() for name in names)
    there = {path.name for path in PACKAGE.iterdir() if path.suffix == ".py" or (path / "__init__.py").is_file()}
    assert named == there - {"__init__.py"}


GROUPS = ("budget", "data", "logger", "model", "protocol", "trainer")
CHOICES = [path for group in GROUPS for path in sorted((ROOT / "conf" / group).glob("*.yaml"))]


@pytest.mark.parametrize("path", CHOICES, ids=_named)
def test_every_key_of_a_choice_is_explained(path):
    text = path.read_text(encoding="utf-8")
    assert re.match(r"# \S.{5,}\n", text), "the first line is what --help lists"
    for line in text.splitlines():
        key = re.match(r"[ -]*([\w]+):", line)
        if key and key[1] not in ("name", "_target_", "defaults"):
            assert re.search(r"\s# \S.{3,}", line), f"{key[1]} has no comment"
    assert yaml.safe_load(text)["name"] == path.stem


def test_every_general_setting_is_explained():
    text = (ROOT / "conf" / "config.yaml").read_text(encoding="utf-8")
    settings = text.partition("\n\n")[2].partition("\nhydra:")[0].strip().splitlines()
    assert len(settings) >= 9
    for line in settings:
        assert re.match(r"\w+: .*\S\s+# \S.{5,}", line), line


@pytest.mark.slow
@pytest.mark.parametrize(
    ("shell", "word"), [("bash", "complete -o nospace"), ("zsh", "complete"), ("fish", "complete -c")]
)
def test_completion_scripts_are_printed(shell, word):
    words = [sys.executable, "run.py", "-sc", f"install={shell}"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert word in done.stdout

"""Who may import whom, what may not be imported early, how long a module may be, and that no pickle is read."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "dynbench"
MODULES = {".".join(path.relative_to(ROOT).with_suffix("").parts): path for path in sorted(PACKAGE.rglob("*.py"))}
CODE = [*MODULES.values(), *sorted((ROOT / "scripts").glob("*.py")), ROOT / "run.py"]

# What a room must not know, also where it is imported late or for types only.
FORBIDDEN = {
    "dynbench.graph": ("contract", "models", "nn", "sampling", "metrics", "protocols", "data", "config", "engine",
                       "records", "reporting"),
    "dynbench.contract": ("models", "nn", "sampling", "metrics", "protocols", "data", "config", "engine"),
    "dynbench.models": ("protocols", "metrics", "data", "engine.loop", "records", "config", "reporting", "cli"),
    "dynbench.nn": ("models", "protocols", "metrics", "data", "engine", "config", "reporting"),
    "dynbench.sampling": ("models", "protocols", "metrics", "data", "engine", "config", "reporting"),
    "dynbench.metrics": ("models", "protocols", "data", "engine", "config", "reporting", "sampling"),
    "dynbench.protocols": ("models", "data", "engine", "config", "records", "reporting", "nn"),
    "dynbench.data": ("models", "protocols", "metrics", "engine", "records", "reporting", "nn", "sampling"),
    "dynbench.engine.trainer": ("models", "protocols", "metrics", "data", "engine.loop", "config", "records",
                                "reporting"),
    "dynbench.reporting": ("models", "protocols", "engine", "graph", "nn", "sampling"),
    "dynbench.api": ("models", "protocols", "metrics", "engine", "nn", "sampling", "cli"),
    "dynbench.config": ("models", "protocols", "metrics", "engine", "graph", "data", "reporting", "records"),
}  # fmt: skip
LIGHT = (
    "dynbench.api.results",
    "dynbench.comparing",
    "dynbench.config",
    "dynbench.records",
    "dynbench.reporting",
    "dynbench.cli",
    "dynbench.errors",
    "dynbench.runner",
)
HEAVY = ("torch", "pytorch_lightning", "torchmetrics", "sklearn", "scipy")


def imported(path: Path) -> set[str]:
    """Every module that a file imports, wherever in the file; ``from a import b`` counts as ``a`` and ``a.b``."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} has a relative import"
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


def within(name: str, room: str) -> bool:
    return name == room or name.startswith(f"{room}.")


@pytest.mark.parametrize("room", FORBIDDEN)
def test_imports_point_downwards(room):
    members = {name: path for name, path in MODULES.items() if within(name, room)}
    assert members
    for name, path in members.items():
        for other in FORBIDDEN[room]:
            bad = [found for found in imported(path) if within(found, f"dynbench.{other}")]
            assert not bad, f"{name} imports {bad[0]}"


def test_the_graph_stands_alone():
    for name, path in MODULES.items():
        if within(name, "dynbench.graph"):
            own = {found for found in imported(path) if within(found, "dynbench")}
            assert all(within(found, "dynbench.errors") or within(found, "dynbench.graph") for found in own), name


def test_only_the_command_line_imports_the_runner():
    allowed = {
        "runner": {"dynbench.cli", "dynbench.api.running"},
        "engine.session": {"dynbench.runner", "dynbench.testing.stage"},
        "engine.loop": {"dynbench.engine.session", "dynbench.testing.stage", "dynbench.testing.stories"},
    }
    for room, rooms in allowed.items():
        users = {name for name, path in MODULES.items() if any(within(i, f"dynbench.{room}") for i in imported(path))}
        assert users <= rooms


def test_the_package_does_not_lean_on_its_tests():
    for name, path in MODULES.items():
        if not within(name, "dynbench.testing"):
            bad = [i for i in imported(path) if within(i, "dynbench.testing") or within(i, "pytest")]
            assert not bad, f"{name} imports {bad[0]}"


@pytest.mark.parametrize("room", LIGHT)
def test_light_rooms_import_nothing_heavy(room):
    modules = [name for name in MODULES if within(name, room)]
    assert modules
    program = f"import sys, {', '.join(m.removesuffix('.__init__') for m in modules)}\n"
    program += f"print(*[name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.split() == []


@pytest.mark.parametrize("path", MODULES.values(), ids=MODULES)
def test_modules_stay_short(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) < 400


@pytest.mark.parametrize("path", CODE, ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_unpickles(path):
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"\b(pickle|cPickle|dill|joblib)\.loads?\b|read_pickle|allow_pickle\s*=\s*True", text)
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("torch.load", "load_from_checkpoint"):
            flags = {word.arg: ast.unparse(word.value) for word in node.keywords}
            assert flags.get("weights_only") == "True", f"torch.load in line {node.lineno} may run code from a file"


def test_every_folder_is_a_package():
    for folder in {path.parent for path in MODULES.values()}:
        assert (folder / "__init__.py").is_file(), f"{folder} would be left out of the wheel"


@pytest.mark.parametrize("name", sorted(MODULES))
def test_modules_say_what_they_are(name):
    text = ast.get_docstring(ast.parse(MODULES[name].read_text(encoding="utf-8")))
    assert text, f"{name} has no docstring"
    assert text.strip()

"""The package as its user installs it: a wheel, unpacked away from the source, used from an empty folder."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import dynbench

ROOT = Path(__file__).resolve().parents[2]
TINY = ("model=nlsm", "data=nlsm_process", "budget=smoke", "data.nodes=40", "data.steps=4", "data.density=0.15")

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("wheel")]


@pytest.fixture(scope="session")
def wheel(tmp_path_factory) -> Path:
    """Built from the checkout, without reaching for the network."""
    pytest.importorskip("hatchling")
    folder = tmp_path_factory.mktemp("dist")
    words = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (built,) = folder.glob("*.whl")
    return built


class Installed:
    """A folder into which the wheel was installed, and another one in which a user stands."""

    def __init__(self, site: Path, here: Path):
        self.site, self.here = site, here
        left_out = ("DYNBENCH_PLUGINS", "PYTHONPATH")
        kept = {key: value for key, value in os.environ.items() if key not in left_out}
        self.environment = {**kept, "PYTHONPATH": str(site), "DYNBENCH_CACHE": str(here / "cache")}

    def __call__(self, *words: str, code: int = 0) -> str:
        done = subprocess.run(
            [sys.executable, *words], cwd=self.here, env=self.environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    def dynbench(self, *words: str, code: int = 0) -> str:
        """The command that the installer made."""
        return self(str(self.site / "bin" / "dynbench"), *words, code=code)


@pytest.fixture
def installed(wheel, tmp_path) -> Installed:
    site, here = tmp_path / "site", tmp_path / "elsewhere"
    here.mkdir()
    words = ["-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", str(site), str(wheel)]
    done = subprocess.run([sys.executable, *words], cwd=here, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return Installed(site, here)


def test_the_wheel_has_all_that_the_checkout_has(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    for folder in ("dynbench", "conf"):
        for path in (ROOT / folder).rglob("*"):
            if path.suffix in (".py", ".yaml") and "__pycache__" not in path.parts:
                place = path.relative_to(ROOT)
                assert (str(place) if folder == "dynbench" else f"dynbench/{place}") in names
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert any(name.startswith("dynbench/published/runs/") and name.endswith(".jsonl") for name in names)


def test_an_installed_dynbench_runs_from_any_folder(installed):
    inside = installed(
        "-c", "import dynbench; from dynbench.config.compose import CONF; print(dynbench.__file__, CONF)"
    )
    assert [Path(text).is_relative_to(installed.site) for text in inside.split()] == [True, True]
    assert "micro_auc" in installed.dynbench(*TINY)
    (record,) = installed.here.glob("runs/records/nlsm_process/*.json")
    kept = json.loads(record.read_text(encoding="utf-8"))
    assert kept["status"] == "finished"
    assert kept["environment"]["revision"] == ""
    assert "finished before" in installed("-m", "dynbench", *TINY)
    text = installed.dynbench("-m", *TINY, "seed=0,1")
    assert text.count("finished") >= 2
    assert len(list(installed.here.glob("runs/records/nlsm_process/*.json"))) == 2


def test_the_command_alone_says_what_there_is_and_which_version(installed):
    text = installed.dynbench()
    for word in ("usage", "dynbench model=nlsm data=enron", "icews18", "windowed_kg", "general settings"):
        assert word in text
    assert "run.py" not in text
    assert installed.dynbench("--version").strip() == f"dynbench {dynbench.__version__}"
    assert "did you mean 'nlsm'?" in installed.dynbench("model=nlms", code=2)


def test_an_installed_package_brings_a_model(installed):
    package = installed.site / "mypackage"
    (package / "conf" / "model").mkdir(parents=True)
    (package / "__init__.py").write_text('"""A plug-in."""\n')
    (package / "same.py").write_text(
        '"""Same: every pair scores the same."""\n\nimport torch\n\nfrom dynbench.models.base import Model\n\n\n'
        'class Same(Model):\n    """A constant."""\n\n    answers = frozenset({"score"})\n\n'
        "    def score(self, queries):\n        return torch.zeros(len(queries))\n"
    )
    (package / "conf" / "model" / "same.yaml").write_text("# All alike.\nname: same\n_target_: mypackage.same.Same\n")
    about = installed.site / "mypackage-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: mypackage\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text("[dynbench.plugins]\nmine = mypackage\n")
    assert re.search(r"^  same +All alike\.$", installed.dynbench("--help"), flags=re.MULTILINE)
    text = installed.dynbench(*TINY[1:], "model=same")
    assert re.search(r"^micro_auc +50\.00", text, flags=re.MULTILINE)
    (package / "conf").rename(package / "config")
    assert "announces the package 'mypackage', which has no conf/" in installed.dynbench("model=same", code=2)

"""Every committed table and sweep is what its committed runs make of it today, and LaTeX takes it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from dynbench.records import Store
from dynbench.reporting import figures, make_sweeps, render, scoreboard, sweeps
from dynbench.reporting.make import prepare

RESULTS = Path(__file__).parents[2] / "results"
AGAIN = "make it again with: python scripts/make_tables.py --no-run"


@pytest.fixture(scope="module")
def plan(tmp_path_factory, composer):
    """All tables, and nothing in the spool."""
    with pytest.MonkeyPatch.context() as patch:
        # What a user has at home must not show in a table.
        for name in ("DYNBENCH_DATA", "DYNBENCH_PLUGINS"):
            patch.delenv(name, raising=False)
        return prepare((), "quick", Store(RESULTS, tmp_path_factory.mktemp("runs")), composer=composer)


def test_every_committed_table_equals_a_fresh_one(plan):
    fresh = {}
    for name, table in plan.tables.items():
        fresh |= render.texts(table, plan.measure(name))
    committed = {path.name for path in (RESULTS / render.FOLDER).iterdir()}
    assert committed == set(fresh)
    for name, text in fresh.items():
        assert (RESULTS / render.FOLDER / name).read_text(encoding="utf-8") == text, f"{name} is stale; {AGAIN}"


def test_every_committed_sweep_equals_a_fresh_one(plan, composer):
    fresh = make_sweeps.prepare((), plan.store, composer=composer)
    committed = {path.name for path in (RESULTS / sweeps.FOLDER).iterdir()}
    assert committed == {f"{name}.md" for name in fresh.tables}
    for name, table in fresh.tables.items():
        path = RESULTS / sweeps.FOLDER / f"{name}.md"
        text = sweeps.page(table, fresh.measure(name))
        assert path.read_text(encoding="utf-8") == text, f"{path.name} is stale; make it again with sweep.py --no-run"


def test_the_scoreboard_equals_a_fresh_one(plan):
    page = (RESULTS / scoreboard.NAME).read_text(encoding="utf-8")
    assert page == scoreboard.scoreboard(plan.scores()), f"{scoreboard.NAME} is stale; {AGAIN}"


def test_every_committed_figure_comes_from_a_published_run(plan, composer):
    drawn = [
        (path.name, run, found)
        for path in (RESULTS / figures.FOLDER).iterdir()
        for run, found in figures.runs(path.name, composer).items()
        if (path / run).is_dir() or figures.load(path.name)["kind"] == "curves"  # which are one picture of all runs
    ]
    assert drawn
    missing = [(name, run) for name, run, found in drawn if not any(map(plan.store.published.holds, found))]
    assert not missing, "make it again with: python scripts/make_figures.py --figures NAME"


def test_every_published_run_is_used_by_a_table_a_sweep_or_a_figure(plan, composer):
    wanted = {*plan.wanted(), *sweeps.used(composer), *figures.used(composer)}
    unused = [str(run.name) for run in plan.store.published.all() if run.name not in wanted]
    assert not unused, f"{len(unused)} runs, the first {unused[0]}; remove them with --prune"


def test_every_published_line_can_be_read(plan, caplog):
    assert len(list(plan.store.published.all())) > 1000
    assert not caplog.records


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="there is no TeX here")
def test_latex_compiles_and_fits_the_page(tmp_path):
    inputs = "\n".join(f"\\input{{{path}}}\\clearpage" for path in sorted((RESULTS / render.FOLDER).glob("*.tex")))
    (tmp_path / "all.tex").write_text(
        f"\\documentclass{{article}}\\usepackage{{booktabs,graphicx}}\\begin{{document}}{inputs}\\end{{document}}"
    )
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "all.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, check=False)
    said = done.stdout.decode(errors="replace")
    assert done.returncode == 0, said[-2000:]
    assert "Overfull \\hbox" not in said
    assert "Float too large" not in said

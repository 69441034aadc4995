"""The page about all that is measured: what is in it, and how it behaves in a real browser."""

from __future__ import annotations

import csv
import json
import re
import shutil
from pathlib import Path

import pytest

from dynbench.report.collect import datasets, figures, papers, speed
from dynbench.report.command import main, page

ROOT = Path(__file__).resolve().parents[2]
TABLES = ("nlsm_table2", "ulse_stability")

# They share a report.
together = pytest.mark.xdist_group("report")


@pytest.fixture(scope="session")
def report(tmp_path_factory) -> Path:
    """Two tables of the published runs."""
    folder = tmp_path_factory.mktemp("report")
    words = ["--results-dir", str(ROOT / "results"), "--work-dir", str(folder / "runs")]
    assert main(["--tables", *TABLES, "--out", str(folder / "index.html"), *words]) == 0
    return folder / "index.html"


def content_of(path: Path) -> dict:
    text = path.read_text(encoding="utf-8")
    return json.loads(
        re.search(r'<script type="application/json" id="content">(.*?)</script>', text, flags=re.DOTALL)[1]
    )


@together
def test_cells_are_those_of_the_tables(report):
    (table,) = [one for one in content_of(report)["tables"] if one["name"] == "nlsm_table2"]
    cells = {(cell["row"], cell["column"]): cell for cell in table["cells"]}
    with (ROOT / "results" / "tables" / "nlsm_table2.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    measured = [row for row in rows if row["mean"]]
    assert len(measured) > 10
    for row in rows:
        cell = cells[row["row"], f"{row['column']}/{row['metric']}"]
        assert cell.get("mean") == (pytest.approx(float(row["mean"])) if row["mean"] else None)
        assert cell.get("published") == (float(row["published"]) if row["published"] else None)
    assert table["counts"]["measured"] == sum(bool(row["published"]) for row in measured)
    assert "Deviations" in content_of(report)["cards"]["nlsm"]


def test_nothing_in_the_content_ends_the_script():
    text = page({"cards": {"x": "</script><script>alert(1)</script>"}})
    assert "</script><script>alert" not in text
    assert json.loads(text.split('id="content">')[1].split("</script>")[0])["cards"]["x"].startswith("</script>")
    assert "http" not in text.split('id="content"')[0], "nothing is fetched"


def test_parts(tmp_path):
    assert papers([{"paper": "A", "counts": {"below": 1}}, {"paper": "A", "counts": {"below": 2}}]) == [
        {"name": "A", "counts": {"below": 3}}
    ]
    assert {"enron", "icews18"} <= {row["name"] for row in datasets([])}
    assert speed([]) == []
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "a.png").write_bytes(b"\x89PNG")
    assert list(figures(tmp_path)) == [{"name": "one/a", "group": "one", "src": "data:image/png;base64,iVBORw=="}]


# ---- in a browser -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def browser():
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    program = next(
        (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None
    )
    if program is None:
        pytest.skip("no Chromium is installed")
    with api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture
def visit(browser, report):
    """Open the page; afterwards nothing may have been complained about."""
    said: list[str] = []
    opened = []

    def open_page(**settings):
        tab = browser.new_page(**settings)
        tab.on("console", lambda message: said.append(message.text) if message.type in ("error", "warning") else None)
        tab.on("pageerror", lambda error: said.append(str(error)))
        tab.goto(report.as_uri())
        tab.wait_for_selector("html[data-ready]", state="attached")
        opened.append(tab)
        return tab

    yield open_page
    for tab in opened:
        tab.close()
    assert said == []


@pytest.mark.slow
@together
def test_tables_open_sort_and_tell_about_a_cell(visit, report):
    tab = visit()
    box = tab.locator('details[data-table="nlsm_table2"]')
    box.locator("summary").click()
    first = box.locator("tbody td:first-child")
    as_printed = first.all_inner_texts()
    assert as_printed[0] == "node2vec"
    head = box.locator("thead th").nth(1)
    head.locator("button").click()
    (table,) = [one for one in content_of(report)["tables"] if one["name"] == "nlsm_table2"]
    key = table["columns"][0]["key"]
    means = {cell["row"]: cell.get("mean") for cell in table["cells"] if cell["column"] == key}
    labels = {row["label"]: means[row["name"]] for row in table["rows"]}
    down = [labels[text] for text in first.all_inner_texts() if labels[text] is not None]
    assert down == sorted(down, reverse=True)
    assert head.get_attribute("aria-sort") == "descending"
    head.locator("button").click()
    up = [labels[text] for text in first.all_inner_texts() if labels[text] is not None]
    assert up == sorted(up)
    row = box.locator("tbody tr", has=tab.get_by_text("NLSM", exact=True))
    row.locator("button.cell").first.click()
    told = tab.locator("#about-body").inner_text()
    command = re.search(r"^dynbench .*$", told, flags=re.MULTILINE)[0].split()
    assert {"protocol=single_step_nlsm", "data=enron", "model=nlsm"} <= set(command)
    assert "The card of nlsm" in told
    assert len(re.findall(r"nlsm-enron-single_step_nlsm", told)) >= 3


@pytest.mark.slow
@together
def test_filters(visit):
    tab = visit()
    boxes = tab.locator("#table-list details:visible")
    assert boxes.count() == 2
    tab.fill("#filter", "ulse stability")
    assert boxes.count() == 1
    tab.fill("#filter", "no such table")
    assert boxes.count() == 0
    assert tab.locator("#nothing").is_visible()
    tab.fill("#filter", "")
    tab.select_option("#verdict", "above")
    assert tab.locator('details[data-table="nlsm_table2"]').is_visible()
    before = tab.locator("#speed-list tbody tr").count()
    tab.fill("#speed-filter", "decayed_count enron")
    assert 0 < tab.locator("#speed-list tbody tr").count() < before


@pytest.mark.slow
@together
def test_dark_and_light_on_a_phone(visit):
    tab = visit(viewport={"width": 375, "height": 700}, color_scheme="dark")

    def shade() -> str:
        return tab.evaluate("getComputedStyle(document.body).backgroundColor")

    dark = shade()
    assert max(map(int, re.findall(r"\d+", dark))) < 60
    tab.locator("#theme").click()
    assert min(map(int, re.findall(r"\d+", shade()))) > 200
    tab.locator("#theme").click()
    assert shade() == dark
    tab.locator('details[data-table="nlsm_table2"] summary').click()
    assert tab.evaluate("document.documentElement.scrollWidth") <= 375
    image = tab.screenshot()
    assert image.startswith(b"\x89PNG")
    assert len(image) > 10_000

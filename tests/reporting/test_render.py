"""Markdown, CSV and LaTeX: what stands in them, and that nothing in them is taken for markup."""

import csv
import re

import pytest

from dynbench.records import Store
from dynbench.reporting.layout import lay_out, number, with_published
from dynbench.reporting.plan import Planner
from dynbench.reporting.render import CSV_COLUMNS, csv_text, latex, markdown, write_tables
from dynbench.reporting.results import Reader, measure
from dynbench.reporting.table import UNITS, load_all

GOOD = ("model=good", "data=alpha", "protocol=pairs", "budget=quick")


@pytest.fixture
def measured(lab):
    for seed, auc in enumerate([0.86, 0.88, 0.89]):
        more = {"cuts": {"model.epochs": [3, 10]}}
        lab.record(*GOOD, f"seed={seed}", metrics={"auc": auc, "ap": 0.81}, **more)
    return lab.measured()


def test_csv_has_exactly_the_promised_columns_and_a_line_per_cell(measured):
    table, cells = measured
    lines = list(csv.reader(csv_text(table, cells, "quick").splitlines()))
    promised = "table,row,column,metric,mean,sd,n,published,published_sd,difference,budget,status,reason,records"
    assert ",".join(lines[0]) == promised == ",".join(CSV_COLUMNS)
    assert len(lines) == 1 + 4 * 3 * 2
    first = dict(zip(lines[0], lines[1], strict=True))
    assert first["mean"] == "87.666667"
    assert first["sd"] == "1.527525"
    assert (first["n"], first["published"], first["published_sd"]) == ("3", "87.05", "0.3")
    assert first["difference"] == "0.616667"
    assert (first["status"], first["reason"]) == ("measured", "cut at quick: model.epochs 3 of 10")
    assert first["records"] == "runs/pairs/alpha.jsonl"


def test_markdown_shows_number_published_difference_and_records(measured):
    table, cells = measured
    text = markdown(lay_out(table, cells, "quick"))
    row = next(line for line in text.splitlines() if line.startswith("| Good") and "87.67" in line)
    parts = [part.strip() for part in row.strip("|").split(" | ")]
    assert re.fullmatch(r"87\.67 ± 1\.53 \(3\)<sup>\w</sup>", parts[1])
    assert parts[2:4] == ["87.05 ± 0.3", "+0.62"]
    assert parts[4].startswith("81.00 ± 0.00 (3)")
    assert parts[5:7] == ["80.00", "+1.00"]
    assert "[runs](<../runs/pairs/alpha.jsonl>)" in row
    assert re.search(r"^<sup>\w</sup> cut at quick: model\.epochs 3 of 10", text, re.MULTILINE)
    assert "Measured at budget quick" in text
    assert "of 10 runs" in text


def test_links_of_markdown_lead_to_records(measured, lab):
    table, cells = measured
    paths = write_tables(table, cells, "quick", lab.results)
    assert [path.name for path in paths] == ["lab_table1.md", "lab_table1.csv", "lab_table1.tex"]
    links = re.findall(r"\(<([^>]+)>\)", paths[0].read_text())
    assert len(links) == 1
    assert all((paths[0].parent / link).is_file() for link in links)


def test_every_footnote_is_used_and_explained(measured):
    table, cells = measured
    text = markdown(lay_out(table, cells, "quick"))
    used = {mark for marks in re.findall(r"<sup>([\w,]+)</sup>", text) for mark in marks.split(",")}
    explained = re.findall(r"^<sup>(\w+)</sup> ", text, re.MULTILINE)
    assert set(explained) == used
    assert len(explained) == len(set(explained))


def test_rows_of_markdown_have_as_many_cells_as_their_head(measured):
    table, cells = measured
    for block in re.findall(r"(?:^\|.*\n)+", markdown(lay_out(table, cells, "quick")), re.MULTILINE):
        counts = {len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()}
        assert len(counts) == 1


def test_markdown_escapes_markup(measured):
    table, cells = measured
    text = markdown(lay_out(table, cells, "quick"))
    assert r"see \[5\] \| \<b\>" in text


def test_latex_is_balanced_and_escaped(measured):
    table, cells = measured
    text = latex(lay_out(table, cells, "quick"))
    assert r"\caption{Laboratory\_table, 100 \% \& more: Alpha}" in text
    assert r"Heavy\_one" in text
    assert r"\textbar{} \textless{}b\textgreater{}" in text
    assert r"87.67 $\pm$ 1.53 (3)" in text
    assert text.isascii()
    for opening, closing in ((r"\begin{table}", r"\end{table}"), (r"\begin{tabular}", r"\end{tabular}"), ("{", "}")):
        bare = re.sub(r"\\[{}]", "", text)
        assert bare.count(opening) == bare.count(closing) > 0
    for block in re.findall(r"\\begin\{tabular\}\{@\{\}(l[r]+)@\{\}\}(.*?)\\end\{tabular\}", text, re.DOTALL):
        body = block[1].split(r"\midrule")[1].split(r"\bottomrule")[0]
        for line in filter(None, body.splitlines()):
            assert len(re.findall(r"(?<!\\)&", line)) == len(block[0]) - 1
            assert line.endswith(r"\\")


def test_same_records_same_text(measured, lab):
    table, cells = measured
    first = [path.read_bytes() for path in write_tables(table, cells, "quick", lab.results)]
    assert first == [path.read_bytes() for path in write_tables(*lab.measured(), "quick", lab.results)]


def test_a_column_per_count_shares_one_block(lab):
    lab.put(
        "table",
        "lab_table2",
        """
        paper: lab
        table: 2
        title: Sizes
        unit: count
        runs: 1
        overrides: [model=good, protocol=pairs]
        metrics: {nodes: {label: Nodes}, links: {label: Links}}
        columns: [{name: nodes, label: Nodes, metrics: nodes}, {name: links, label: Links, metrics: links}]
        rows: [{name: alpha, overrides: [data=alpha]}]
        published: {alpha: {nodes: 143, links: 2347}}
        """,
    )
    lab.record(*GOOD, "seed=0", metrics={"nodes": 143, "links": 2340})
    table, cells = lab.measured("lab_table2")
    text = markdown(lay_out(table, cells, "quick"))
    row = next(line for line in text.splitlines() if line.startswith("| alpha"))
    assert row.split(" | ")[1:7] == ["143 (1)", "143", "0", "2340 (1)", "2347", "−7"]
    assert row.count("[runs]") == 1
    assert "##" not in text


def test_numbers():
    assert number(-0.001, 2) == "0.00"
    assert number(-0.001, 2, sign=True) == "0.00"
    assert number(-1.005, 1, sign=True) == "−1.0"
    assert with_published(88.9, 0.3, UNITS["percent"]) == "88.90 ± 0.3"
    assert with_published(0.821, None, UNITS["fraction"]) == "0.821"


def test_every_published_number_of_the_project_is_printed(tmp_path):
    planner = Planner("quick")
    for table in load_all():
        cells = measure(table, planner.plan(table), "quick", Reader(Store(tmp_path, tmp_path)))
        sheet = lay_out(table, cells, "quick")
        lines = list(csv.DictReader(csv_text(table, cells, "quick").splitlines()))
        rows = {(line["row"], line["column"], line["metric"]): line for line in lines}
        assert all(line["reason"] for line in lines)
        for place, paper in table.published.items():
            if paper.value is not None:
                assert float(rows[place]["published"]) == paper.value
                text = with_published(paper.value, paper.sd, table.metrics[place[2]].unit)
                assert f" {text} " in markdown(sheet)
                assert text.replace("±", r"$\pm$").replace("−", "$-$") in latex(sheet)

"""Markdown, CSV and LaTeX: what stands in them, and that nothing in them is taken for markup."""

import csv
import re
from dataclasses import replace
from pathlib import Path

import pytest

from dynbench.records import Store
from dynbench.reporting.layout import PAGE, SCREEN, lay_out, number, with_published
from dynbench.reporting.make import prepare
from dynbench.reporting.render import CSV_COLUMNS, FOLDER, csv_text, latex, markdown, texts, write_tables
from dynbench.reporting.table import UNITS, load, names

GOOD = ("model=good", "data=alpha", "protocol=pairs", "budget=quick")


@pytest.fixture
def measured(lab):
    for seed, auc in enumerate([0.86, 0.88, 0.89]):
        lab.record(*GOOD, f"seed={seed}", metrics={"auc": auc, "ap": 0.81})
        lab.record(*GOOD, "model.weights=heavy", f"seed={seed}", metrics={"auc": auc - 0.01, "ap": 0.81})
    return lab.measured()


def visible(text: str) -> str:
    """Markdown as a reader sees it."""
    text = re.sub(r"\[([^\[\]]*)\]\([^()]*\)", r"\1", re.sub(r"\\([^\w\s])", r"\1", text))
    return re.sub(r"</?sup>|\*\*", "", text)


def blocks(text: str) -> list[str]:
    return re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE)


def test_csv_has_exactly_the_promised_columns_and_a_line_per_cell(measured):
    table, cells = measured
    lines = list(csv.reader(csv_text(table, cells).splitlines()))
    promised = "table,row,column,metric,mean,sd,n,published,published_sd,difference,verdict,budget,status,reason,runs"
    assert ",".join(lines[0]) == promised == ",".join(CSV_COLUMNS)
    assert len(lines) == 1 + 4 * 3 * 2
    first = dict(zip(lines[0], lines[1], strict=True))
    assert first["mean"] == "87.666667"
    assert first["sd"] == "1.527525"
    assert (first["n"], first["published"], first["published_sd"]) == ("3", "87.05", "0.3")
    assert (first["difference"], first["verdict"], first["budget"]) == ("0.616667", "reproduced", "quick")
    assert (first["status"], first["reason"]) == ("measured", "quick: passes over the links: 3 of 10")
    assert [name.rpartition("-")[0] for name in first["runs"].split(";")] == [
        f"good-alpha-pairs-quick-s{seed}" for seed in range(3)
    ]


def test_markdown_shows_number_verdict_and_published_value(measured):
    text = markdown(lay_out(*measured))
    row = next(line for line in text.splitlines() if line.startswith("| Good") and "87.67" in line)
    parts = [part.strip() for part in row.strip("|").split(" | ")]
    assert re.fullmatch(r"\[\*\*87\.67 ± 1\.53\*\*\]\(#good-alpha\) \(3\) =<sup>\w</sup>", parts[1])
    assert parts[2] == "87.05 ± 0.3"
    assert visible(parts[3]).startswith("81.00 ± 0.00 (3) ↑")
    assert parts[4] == "80.00"
    assert "(3)  " not in text
    assert "= reproduced, ↑ above" in text
    assert "below" not in text.split("## ")[0]  # a sign that no cell has is not explained
    assert "standard deviation of 10 runs" in text
    assert re.search(r"^<sup>\w</sup> At quick: passes over the links: 3 of 10\.", text, re.MULTILINE)


def test_a_print_that_cannot_be_had_is_named(lab):
    lab.change("beta: {auc: not_reported", "beta: {auc: not_obtainable")
    table, cells = lab.measured()
    rows = [line for line in markdown(lay_out(table, cells)).splitlines() if line.startswith("| Good")]
    assert [row.count("| not obtainable |") for row in rows] == [0, 1]


def test_the_best_value_of_a_column_is_bold_and_ties_share_it(measured):
    text = markdown(lay_out(*measured))
    good, heavy = (next(line for line in text.splitlines() if line.startswith(f"| {row}") and "81.00" in line)
                   for row in ("Good", "Heavy"))  # fmt: skip
    assert (good.count("**"), heavy.count("**")) == (4, 2)
    assert "**81.00 ± 0.00**" in heavy
    assert latex(lay_out(*measured)).count(r"\textbf{") == 3


def test_a_metric_says_what_is_better(lab, measured):
    lab.change("ap: {label: AP}", "ap: {label: AP, best: none}")
    lab.change("auc: {label: AUC}", "auc: {label: AUC, best: low}")
    text = markdown(lay_out(*lab.measured()))
    assert re.findall(r"\*\*([\d.]+)", text.split("## Runs")[0]) == ["86.67"]


def test_the_runs_behind_a_number_are_one_click_away(measured, lab):
    paths = write_tables(*measured, lab.results)
    assert [path.name for path in paths] == ["lab_table1.md", "lab_table1.csv", "lab_table1.tex"]
    text = paths[0].read_text()
    links, anchors = re.findall(r"\]\(#([\w-]+)\)", text), re.findall(r'<a id="([\w-]+)"></a>', text)
    assert set(links) == set(anchors) == {"good-alpha", "heavy-alpha"}
    assert len(anchors) == len(set(anchors))
    files = re.findall(r"\(<([^>]+)>\)", text)
    assert files
    assert all((paths[0].parent / file).is_file() for file in files)
    section = text.split('<a id="heavy-alpha"></a>')[1]
    assert "`python run.py protocol=pairs data=alpha model=good model.weights=heavy budget=quick seed=0`" in section
    for seed, auc in enumerate(["85.00", "87.00", "88.00"]):
        identity = lab.identity(*GOOD, "model.weights=heavy", f"seed={seed}")
        assert f"seed {seed} (`{identity.digest}`) {auc}, 81.00" in section
        assert identity.digest in (paths[0].parent / files[0]).read_text()


def test_every_footnote_is_used_and_explained(measured):
    text = markdown(lay_out(*measured))
    used = {mark for marks in re.findall(r"<sup>([\w,]+)</sup>", text) for mark in marks.split(",")}
    explained = re.findall(r"^<sup>(\w+)</sup> ", text, re.MULTILINE)
    assert set(explained) == used
    assert len(explained) == len(set(explained))


def test_rows_of_markdown_have_as_many_cells_as_their_head(measured):
    for block in blocks(markdown(lay_out(*measured))):
        counts = {len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()}
        assert len(counts) == 1


def test_a_column_of_which_nothing_is_published_has_no_column_for_it(measured):
    text = markdown(lay_out(*measured))
    heads = [line for line in text.splitlines() if line.startswith("|  |")]
    assert sum(line.count("published") for line in heads) == 3  # Alpha's two metrics, and Beta's AP


def test_markdown_escapes_markup(measured):
    assert r"see \[5\] \| \<b\>" in markdown(lay_out(*measured))


def test_latex_is_balanced_and_escaped(measured):
    table, cells = measured
    text = latex(lay_out(table, cells, PAGE))
    assert r"\caption{Laboratory\_table, 100 \% \& more: Alpha" in text
    assert r"Heavy\_one" in text
    assert r"\textbar{} \textless{}b\textgreater{}" in text
    assert r"\textbf{87.67 $\pm$ 1.53} (3) =" in text
    assert text.isascii()
    bare = re.sub(r"\\[{}]", "", text)
    for opening, closing in ((r"\begin{table}", r"\end{table}"), (r"\begin{tabular}", r"\end{tabular}"), ("{", "}")):
        assert bare.count(opening) == bare.count(closing) > 0
    found = re.findall(r"\\begin\{tabular\}\{@\{\}(l[r]+)@\{\}\}(.*?)\\end\{tabular\}", text, re.DOTALL)
    assert found
    for columns, content in found:
        body = content.split(r"\midrule")[1].split(r"\bottomrule")[0]
        for line in filter(None, body.splitlines()):
            assert len(re.findall(r"(?<!\\)&", line)) == len(columns) - 1
            assert line.endswith(r"\\")


def test_same_runs_same_text(measured, lab):
    assert texts(*measured) == texts(*lab.measured())


def test_a_column_per_count_shares_one_block_and_one_entry_of_runs(lab):
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
    text = markdown(lay_out(*lab.measured("lab_table2")))
    row = next(line for line in text.splitlines() if line.startswith("| alpha"))
    shown = [part.rstrip(" |")[:8] for part in visible(row).split(" | ")[1:]]
    assert shown == ["143 (1) ", "143", "2340 (1)", "2347"]
    assert ["143 (1) =" in visible(row), "2340 (1) ↓" in visible(row)] == [True, True]
    assert '<a id="alpha-nodes"></a><a id="alpha-links"></a>**alpha: Nodes; Links**' in text
    assert text.count("`python run.py") == 1
    assert text.count("## ") == 1


def test_what_draws_nothing_shows_no_number_of_runs(lab):
    lab.add("rows", "name: still, label: Still, overrides: [model=still, protocol.split_seed=3]")
    lab.record("model=still", *GOOD[1:], "protocol.split_seed=3", "seed=0", metrics={"auc": 0.5, "ap": 0.5})
    text = markdown(lay_out(*lab.measured()))
    row = visible(next(line for line in text.splitlines() if line.startswith("| Still")))
    assert re.match(r"\| Still \| 50\.00\w \| – \| 50\.00\w \|", row)
    assert "No number: nothing is drawn, one run says all." in text


def test_numbers():
    assert number(-0.001, 2) == "0.00"
    assert number(-0.001, 2, sign=True) == "0.00"
    assert number(-1.005, 1, sign=True) == "−1.0"
    assert with_published(88.9, 0.3, UNITS["percent"]) == "88.90 ± 0.3"
    assert with_published(0.821, None, UNITS["fraction"]) == "0.821"
    assert with_published(4.91e-7, None, UNITS["fraction"]) == "4.9e-07"


def committed(name: str) -> str:
    """What is committed of the tables; that it is what a render gives is tested in test_committed.py."""
    return (Path(__file__).parents[2] / "results" / FOLDER / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", names())
def test_every_published_number_of_the_project_is_printed(name):
    table, found = load(name), {kind: committed(f"{name}.{kind}") for kind in ("csv", "md", "tex")}
    rows = {(line["row"], line["column"], line["metric"]): line for line in csv.DictReader(found["csv"].splitlines())}
    assert all(line["reason"] for line in rows.values() if line["status"] != "measured")
    for place, paper in table.published.items():
        if paper.value is not None:
            assert float(rows[place]["published"]) == paper.value
            metric = table.metrics[place[2]]
            digits = table.printed_digits(place[0], metric)
            assert digits <= metric.unit.digits
            text = with_published(paper.value, paper.sd, replace(metric.unit, digits=digits))
            assert float(text.partition(" ")[0].replace("−", "-")) == pytest.approx(
                paper.value, abs=0.51 * 10.0**-digits
            )
            assert f" {text} " in found["md"]
            assert text.replace("±", r"$\pm$").replace("−", "$-$") in found["tex"]


@pytest.mark.long
def test_every_cell_of_the_project_has_a_reason_where_nothing_was_run(tmp_path, composer):
    plan = prepare((), "quick", Store(tmp_path, tmp_path), composer=composer)
    for name, table in plan.tables.items():
        found = texts(table, plan.measure(name))
        rows = list(csv.DictReader(found[f"{name}.csv"].splitlines()))
        assert all(line["reason"] for line in rows)
        printed = [line["published"] for line in rows if line["published"]]
        assert len(printed) == sum(paper.value is not None for paper in table.published.values())


@pytest.mark.parametrize("name", names())
def test_rows_fit_on_a_screen(name):
    """With what is measured today."""
    for block in blocks(committed(f"{name}.md").split("## Runs")[0]):
        rows = [[part.strip() for part in line.strip("|").split(" | ")] for line in visible(block).splitlines()]
        # Heads and labels of rows break between words.
        rows[0] = [max(part.split(), key=len, default="") for part in rows[0]]
        del rows[1]
        labels = min(max(len(row[0]) for row in rows), SCREEN // 3)
        widths = [max(map(len, column)) for column in list(zip(*rows, strict=True))[1:]]
        assert labels + sum(widths) + 3 * len(widths) <= SCREEN + 12, block[:200]

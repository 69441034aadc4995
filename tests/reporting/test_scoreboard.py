"""The page that says how much of what was printed is reproduced."""

import re

from dynbench.reporting.scoreboard import Score, scoreboard

GOOD = ("model=good", "protocol=pairs", "budget=quick")


def test_counts_of_a_table(lab):
    for seed, auc in enumerate([0.866, 0.868, 0.873]):
        lab.record(*GOOD, "data=alpha", f"seed={seed}", metrics={"auc": auc, "ap": 0.9 + seed / 1000})
        lab.record(*GOOD, "data=alpha", "model.weights=heavy", f"seed={seed}", metrics={"auc": auc, "ap": 0.9})
    score = Score.of(*lab.measured())
    assert dict(score.counts) == {
        "published": 4, "measured": 2, "reproduced": 1, "above": 1, "to do": 2, "own rows": 2
    }  # fmt: skip
    assert dict(score.budgets) == {"quick": 2}
    page = scoreboard([score])
    line = next(line for line in page.splitlines() if "tables/lab_table1.md" in line)
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    assert cells[1:] == ["4", "2", "1", "1", "", "", "", "2", "quick 2", "2"]
    assert page.count("## LAB") == 1
    assert all(len(re.findall(r"\|", line)) == 12 for line in page.splitlines() if line.startswith("| "))


def test_a_budget_that_cut_nothing_says_so(lab):
    lab.put("model", "good", "{name: good, _target_: labclasses.Scorer, dim: 8, epochs: 10, weights: plain}")
    lab.record(*GOOD, "data=alpha", "seed=0", metrics={"auc": 0.5})
    score = Score.of(*lab.measured())
    assert dict(score.budgets) == {"quick*": 1}
    assert "quick\\* 1" in scoreboard([score])


def test_unavailable_cells_are_told_from_those_to_do(lab):
    lab.change("beta: {auc: not_reported", "lost: {auc: 70, ap: 60}\n    beta: {auc: not_reported")
    counts = Score.of(*lab.measured()).counts
    assert (counts["unavailable"], counts["to do"]) == (2, 4)

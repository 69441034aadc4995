"""p-values against scipy and against those recomputed from the published means; their cells in a table."""

import numpy as np
import pytest
from scipy import stats

from dynbench.errors import ConfigError
from dynbench.records import Record
from dynbench.reporting.significance import p_value, paired, welch


def with_moments(mean: float, sd: float, count: int = 20) -> list[float]:
    """A sample with exactly this mean and population standard deviation."""
    draw = np.random.default_rng(0).standard_normal(count)
    return list(mean + sd * (draw - draw.mean()) / draw.std())


# Means and deviations of the authors' release on Synthetic 2, and the p-values that follow from them.
@pytest.mark.parametrize(
    ("ours", "uase", "p"),
    [
        ((0.9359, 0.0420), (0.8051, 0.0839), 4.91e-07),
        ((0.7590, 0.0875), (0.6134, 0.0388), 1.54e-07),
        ((0.7834, 0.0698), (0.6134, 0.0388), 7.8e-11),
        ((0.5372, 0.0397), (0.4914, 0.0263), 7.11e-05),
    ],
)
def test_welch_as_published(ours, uase, p):
    assert welch(with_moments(*ours), with_moments(*uase)) == pytest.approx(p, rel=0.02)


def test_paired_is_scipy_s_and_knows_the_direction():
    draw = np.random.default_rng(1)
    base = draw.random(20)
    above = base + 0.1 + 0.05 * draw.standard_normal(20)
    assert paired(above, base) == pytest.approx(stats.ttest_rel(above, base, alternative="greater").pvalue)
    assert paired(above, base) < 1e-6
    assert paired(base, above) > 1 - 1e-6
    assert welch(base, above) == pytest.approx(welch(above, base))


def test_samples_without_spread():
    assert welch([1.0, 1.0], [1.0, 1.0]) == paired([1.0, 1.0], [1.0, 1.0]) == 0.5
    assert welch([1.0, 1.0], [0.5, 0.5]) == paired([1.0, 1.0], [0.5, 0.5]) == 0.0
    assert paired([0.5, 0.5], [1.0, 1.0]) == 1.0


def record(values) -> Record:
    steps = [{"step": step, "n": 5, "nmi": value} for step, value in enumerate(values)]
    return Record("x", "m", "d", "p", "quick", 0, "finished", steps=steps)


def test_steps_are_matched():
    ours, theirs = record([0.5, None, 0.7, 0.9]), record([0.4, 0.1, 0.65])
    assert p_value("paired", "nmi", ours, theirs) == pytest.approx(paired([0.5, 0.7], [0.4, 0.65]))
    assert p_value("welch", "nmi", ours, record([0.4])) is None


TABLE = """
    paper: lab
    table: 2
    title: p-values
    unit: fraction
    against: good
    overrides: [protocol=pairs, data=alpha]
    metrics: {nmi: {label: NMI}, p: {label: p, test: paired, of: nmi}}
    columns: [{name: alpha, label: Alpha}]
    rows:
      - {name: good, label: Good, overrides: [model=good]}
      - {name: heavy, label: Heavy, overrides: [model=good, model.weights=heavy]}
"""


def test_cells_of_a_table(lab):
    lab.put("table", "lab_table2", TABLE)
    values = {"plain": [0.4, 0.5, 0.65], "heavy": [0.5, 0.55, 0.7]}
    for seed in (0, 1):
        for weights, nmi in values.items():
            steps = [{"step": step, "n": 5, "nmi": value} for step, value in enumerate(nmi)]
            words = ["model=good", f"model.weights={weights}", "data=alpha", "protocol=pairs", "budget=quick"]
            words = [word for word in words if word != "model.weights=plain"]
            lab.record(*words, f"seed={seed}", metrics={"nmi": sum(nmi) / 3}, steps=steps)
    cells = lab.cells("lab_table2")
    assert cells["heavy", "alpha", "p"].mean == pytest.approx(paired(values["heavy"], values["plain"]))
    assert cells["heavy", "alpha", "p"].n == 2
    assert cells["good", "alpha", "p"].status == "no_metric"
    assert cells["good", "alpha", "nmi"].mean == pytest.approx(sum(values["plain"]) / 3)


def test_a_table_with_tests_names_a_row(lab):
    lab.put("table", "lab_table2", TABLE.replace("    against: good\n", ""))
    with pytest.raises(ConfigError, match="against is missing; tests compare every row with the row that it names"):
        lab.cells("lab_table2")
    lab.put("table", "lab_table2", TABLE.replace("against: good", "against: goood"))
    with pytest.raises(ConfigError, match="against is 'goood'; choose one of good, heavy"):
        lab.cells("lab_table2")
    lab.put("table", "lab_table2", TABLE.replace("test: paired", "test: wilcoxon"))
    with pytest.raises(ConfigError, match="choose one of welch, paired"):
        lab.cells("lab_table2")

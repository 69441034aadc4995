"""The network of stocks: each step of the recipe, and panels that cannot be used."""

import gzip

import numpy as np
import pytest
from scipy.stats import norm
from sklearn.covariance import graphical_lasso

from dynbench.data import DataUnavailable, Locations, stock
from dynbench.data.stock import Stock
from dynbench.errors import DataError

DAYS = np.arange("2015-06-30", "2016-01-01", dtype="datetime64[D]")


@pytest.fixture
def panel(tmp_path):
    """Six stocks of two sectors that move together, one without prices in between, one without a sector."""
    draw = np.random.default_rng(0)
    sector = np.repeat([0, 1], 3)
    common = draw.standard_normal((len(DAYS), 2))[:, sector]
    prices = 100 * np.exp(np.cumsum(0.01 * (common + 0.7 * draw.standard_normal((len(DAYS), 6))), axis=0))
    lines = ["date,A,B,C,D,E,F,GAP,NONE"]
    for number, (day, row) in enumerate(zip(DAYS, prices, strict=True)):
        gap = "" if number == 50 else "5"
        lines.append(",".join([str(day), *(f"{value:.6g}" for value in row), gap, "7"]))
    folder = tmp_path / "data" / "panel"
    folder.mkdir(parents=True)
    with gzip.open(folder / "prices.csv.gz", "wt") as file:
        file.write("\n".join(lines) + "\n")
    names = ["ticker,sector", *(f"{t},{'Tech' if t < 'D' else 'Energy'}" for t in "ABCDEF"), "GAP,Tech", "NONE,"]
    (folder / "nodes.csv").write_text("\n".join(names) + "\n")
    return folder


def build(panel, **settings) -> Stock:
    where = Locations([panel.parent], panel.parent.parent / "cache", offline=True)
    return Stock("stock", **{"folders": ["panel"], "last": "2015Q4", "penalty": 0.3, **settings}, where=where)


def test_sectors_are_linked(panel):
    data = build(panel)
    graph = data.load()
    assert (graph.num_nodes, graph.num_steps, graph.directed) == (6, 2, False)
    assert graph.node_labels.tolist() == [1, 1, 1, 0, 0, 0]  # Energy comes before Tech
    found = set(zip(graph.src.tolist(), graph.dst.tolist(), graph.time.tolist(), strict=True))
    inside = {(i, j, t) for i, j in [(0, 1), (0, 2), (1, 2), (3, 4), (3, 5), (4, 5)] for t in (0, 1)}
    assert inside <= found
    assert len(found) <= len(inside) + 2
    assert data.provenance()["source"] == "rebuilt from prices"
    again = build(panel).load()  # from the cache
    assert again.checksum() == graph.checksum()
    assert build(panel, path=str(panel)).load("events").num_steps is None


def test_the_recipe_step_by_step():
    returns = np.array([[0.1, -3.0], [0.3, 2.0], [0.2, 50.0]])
    assert stock.gaussian_scores(returns)[:, 0].tolist() == norm.ppf([0.25, 0.75, 0.5]).tolist()
    monotone = np.stack([returns[:, 0], np.exp(9 * returns[:, 0])], axis=1)
    assert np.ptp(stock.gaussian_scores(monotone), axis=1).max() == 0  # only ranks count
    assert stock.log_returns(np.array([[1.0], [np.e]])).tolist() == [[1.0]]
    assert [stock.quarter_of(f"2020-{m:02}-01") for m in (1, 3, 4, 12)] == ["2020Q1", "2020Q1", "2020Q2", "2020Q4"]


@pytest.mark.parametrize("penalty", [0.05, 0.2])
def test_graphical_lasso_beside_scikit_learn(penalty):
    draw = np.random.default_rng(1)
    sample = draw.standard_normal((200, 12)) @ draw.standard_normal((12, 12))
    covariance = np.corrcoef(sample, rowvar=False)
    found = stock.sparse_precision(covariance, penalty, tolerance=1e-7)
    _, known = graphical_lasso(covariance, penalty, tol=1e-7, enet_tol=1e-9, max_iter=500)
    assert np.abs(found - known).max() < 1e-3
    assert ((found != 0) == (np.abs(known) > 1e-8)).mean() > 0.98


def test_fewer_days_than_stocks():
    returns = np.random.default_rng(2).standard_normal((20, 60))
    returns[:, 7] = 0.0  # stands still
    src, dst = stock.links(returns, 0.4)
    assert 0 < len(src) < 60 * 59 // 4
    assert 7 not in src
    assert 7 not in dst
    assert (src < dst).all()


def test_what_is_refused(panel, tmp_path):
    with pytest.raises(DataUnavailable, match=r"put prices\.csv .* into <data_dir>/stock/"):
        build(panel, folders=[]).load()
    with pytest.raises(DataError, match="must be quarters such as 2015Q3"):
        build(panel, first="2015").load()
    with pytest.raises(DataError, match="2016Q1 has 0 returns"):
        build(panel, last="2016Q1").load()
    with pytest.raises(DataError, match=r"needs the columns ticker and branch \(data\.sector\)"):
        build(panel, sector="branch").load()
    with pytest.raises(DataError, match="above 0"):
        build(panel, penalty=0.0).load()
    with pytest.raises(DataError, match="promises 3 classes, the data have 2"):
        build(panel, expected={"classes": 3}).load()
    (panel / "prices.csv").write_text("date,A\n2015-07-01,1\n2015-07-02,x\n")
    with pytest.raises(DataError, match="a price is no number"):
        build(panel).load()
    (panel / "prices.csv").write_text("date,A\n2015-07-01,1\n2015-07-02,-2\n")
    with pytest.raises(DataError, match="0 or negative"):
        build(panel).load()
    (panel / "prices.csv").write_text("date,A\n2015-07-02,1\n2015-07-01,2\n")
    with pytest.raises(DataError, match="days must ascend"):
        build(panel).load()

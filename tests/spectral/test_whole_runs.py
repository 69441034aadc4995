"""Whole runs on an awkward network of a user: what can be measured is, and the rest is one sentence."""

import math

import numpy as np
import pytest

from dynbench.config.check import check
from dynbench.config.compose import compose
from dynbench.errors import ConfigError, DataError
from dynbench.runner import run

MODELS = ["uase", "ulse_n1", "ulse_n2", "omni", "tempcut_n", "tempcut_s", "static_spectral", "node2vec"]


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    """Two unconnected communities of 12 and three nodes without a link; snapshot 1 of 4 is empty; labels have gaps."""
    folder, draw, rows = tmp_path_factory.mktemp("awkward"), np.random.default_rng(0), []
    for step in (0, 2, 3):
        for first in (0, 12):
            src, dst = np.nonzero(np.triu(draw.random((12, 12)) < 0.6))  # self-loops included
            rows += [f"{i + first},{j + first},{step},{step}" for i, j in zip(src, dst, strict=True)]
    (folder / "edges.csv").write_text("\n".join(["src,dst,t,snapshot", *rows]) + "\n")
    (folder / "nodes.csv").write_text("\n".join(["id", *map(str, range(27))]) + "\n")
    labels = [f"{node},{int(node >= 12)}" for node in range(26) if node not in (5, 17)]  # 5, 17 and 26 have none
    (folder / "labels.csv").write_text("\n".join(["id,label", *labels]) + "\n")
    return folder


def outcome(folder, tmp_path, *overrides):
    where = [f"results_dir={tmp_path}/results", f"work_dir={tmp_path}/runs", f"cache_dir={tmp_path}/cache"]
    data = ["data=custom", f"data.path={folder}", "data.directed=false"]
    return run(check(compose([*data, *where, "progress=false", "logger=none", "model.dim=3", *overrides])))


@pytest.mark.parametrize("model", MODELS)
def test_clusters_and_stability_are_measured(model, network, tmp_path):
    found = outcome(network, tmp_path, f"model={model}", "protocol=node_clustering", "protocol.starts=3").record
    assert found.finished
    assert [row["n"] for row in found.steps] == [24, 24, 24, 24]
    assert all(0 <= found.metrics[name] <= 1 for name in ("acc", "f1"))
    stability = outcome(network, tmp_path, f"model={model}", "protocol=stability")
    assert all(math.isfinite(value) for value in stability.record.metrics.values())
    (kept,) = (tmp_path / "runs" / "scores" / "custom").glob(f"{model}-*.npz")
    arrays = np.load(kept)
    assert arrays["embedding"].shape == (4, 27, 3)
    assert (arrays["labels"][:, [5, 17, 26]] == -1).all()


@pytest.mark.parametrize("model", MODELS)
def test_a_directed_graph_is_refused(model, network, tmp_path):
    with pytest.raises(ConfigError, match=r"needs undirected, which data=custom does not offer.*data\.directed=false"):
        outcome(network, tmp_path, f"model={model}", "data.directed=true")


def test_too_many_dimensions_and_no_labels(network, tmp_path):
    with pytest.raises(
        ConfigError, match=r"model\.dim=27 needs at least 28 nodes and the graph has 27; set model\.dim=26"
    ):
        outcome(network, tmp_path, "model=ulse_n1", "model.dim=27")
    (tmp_path / "bare").mkdir()
    (tmp_path / "bare" / "edges.csv").write_text((network / "edges.csv").read_text())
    with pytest.raises(DataError, match="no node labels"):
        outcome(tmp_path / "bare", tmp_path, "model=uase")

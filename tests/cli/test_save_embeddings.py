"""``save_embeddings=true``: arrays with a manifest for any embedding model, and one sentence where there is none."""

import hashlib
import json

import numpy as np
import pytest
import torch

from dynbench import records
from dynbench.config.check import check, resolved
from dynbench.config.compose import compose
from dynbench.errors import ConfigError, RunError
from dynbench.models.spectral.uase import UASE
from dynbench.runner import save_embeddings


def save(tmp_path, *overrides):
    folders = [f"results_dir={tmp_path}/results", f"work_dir={tmp_path}/runs", "progress=false", "logger=none"]
    return save_embeddings(check(compose(["save_embeddings=true", "budget=smoke", *folders, *overrides])), overrides)


@pytest.mark.parametrize("model", ["uase", "ulse_n1", "node2vec", "tempcut_n", "static_spectral"])
def test_a_graph_without_labels(model, tmp_path):
    manifest = save(tmp_path, f"model={model}", "data=nlsm_process", "data.nodes=30", "model.dim=4")
    content, arrays = json.loads(manifest.read_text()), np.load(manifest.with_suffix(".npz"))
    assert manifest.parent == tmp_path / "results" / "embeddings" / "nlsm_process"
    assert list(arrays) == ["embedding"]
    assert content["arrays"] == {"embedding": ["float32", *arrays["embedding"].shape]}
    assert arrays["embedding"].shape == (10, 30, 4)
    assert content["sha256"] == hashlib.sha256(manifest.with_suffix(".npz").read_bytes()).hexdigest()
    assert content["config"]["model"]["dim"] == 4
    assert "protocol" not in content["config"]
    assert content["sizes"]["nodes"] == 30
    assert not list((tmp_path / "results").glob("records/*/*"))
    assert not list((tmp_path / "results").rglob("*.part"))


def test_embeddings_are_the_model_s_and_are_kept(tmp_path, monkeypatch):
    overrides = ("model=uase", "data=synthetic_1")
    manifest = save(tmp_path, *overrides)
    arrays = np.load(manifest.with_suffix(".npz"))
    from dynbench.data.generators import DynamicSBM

    graph = DynamicSBM("synthetic_1").load()
    model = UASE(dim=3)
    model.fit(graph, None, None)
    assert np.array_equal(arrays["embedding"], model.embed(torch.arange(3)).numpy())
    assert np.array_equal(arrays["labels"], graph.node_labels.numpy())
    stamp = manifest.stat().st_mtime_ns
    assert save(tmp_path, *overrides) == manifest
    assert manifest.stat().st_mtime_ns == stamp
    assert save(tmp_path, *overrides, "force=true").stat().st_mtime_ns > stamp
    assert save(tmp_path, *overrides, "seed=1") != manifest


def test_arrays_without_a_manifest_are_made_again(tmp_path):
    manifest = save(tmp_path, "model=uase", "data=synthetic_1")
    manifest.unlink()
    assert save(tmp_path, "model=uase", "data=synthetic_1").is_file()


def test_records_keep_their_names():
    plain, saving = (
        resolved(compose(["model=uase", "data=synthetic_1", *more])) for more in ([], ["save_embeddings=true"])
    )
    assert records.identify(plain) == records.identify(saving)


def test_what_is_refused(tmp_path, monkeypatch):
    with pytest.raises(ConfigError, match=r"model=adamic_adar can score\. Models that can: .*uase"):
        save(tmp_path, "model=adamic_adar", "data=nlsm_process")
    with pytest.raises(ConfigError, match=r"needs undirected.*data\.directed=false"):
        save(tmp_path, "model=uase", "data=nlsm_process", "data.directed=true")
    monkeypatch.setattr(UASE, "embed", lambda self, times: torch.full((10, 4, 2), float("nan")))
    with pytest.raises(RunError, match="NaN"):
        save(tmp_path, "model=uase", "data=nlsm_process")


@pytest.mark.parametrize(
    ("overrides", "names"),
    [
        (["model=dglfrm", "data=overlapping_blocks"], {"z", "b", "r", "codes"}),
        (["model=dglfrm_b", "data=overlapping_blocks"], {"z", "b", "codes"}),
        (["model=nlsm", "data=nlsm_process", "data.nodes=30"], {"psi", "theta"}),
        (["model=lfrm", "data=overlapping_blocks", "data.nodes=40"], {"z", "weights", "constant"}),
    ],
)
def test_what_a_model_keeps_stands_beside_the_embedding(overrides, names, tmp_path):
    arrays = np.load(save(tmp_path, *overrides).with_suffix(".npz"))
    assert set(arrays) - {"labels"} == names | {"embedding", "links"}
    assert (arrays["links"][1] != arrays["links"][2]).all()
    if "r" in names:
        assert np.array_equal(arrays["z"], arrays["b"] * arrays["r"])

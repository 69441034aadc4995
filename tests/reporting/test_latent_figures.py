"""Figures of communities and of trajectories: their numbers, their files, and what is missing."""

import json

import numpy as np
import pytest

from dynbench import records
from dynbench.errors import ConfigError, DataError
from dynbench.reporting import community_figures, latent_figures


@pytest.fixture
def communities(tmp_path):
    draw = np.random.default_rng(0)
    z = np.zeros((30, 4), dtype=np.float32)
    z[:10, 2], z[10:25, 0], z[25:, 0] = 1 + draw.random(10), 2 + draw.random(15), -1.0
    arrays = {"z": z, "codes": z, "links": np.stack([np.zeros(5, int), np.arange(5), np.arange(1, 6)])}
    return records.write_arrays(arrays, tmp_path / "scores" / "run.npz"), z


def test_communities_are_listed_by_members(communities):
    z = communities[1]
    first, second = community_figures.members(z, top=3)
    assert (first["column"], first["size"], second["column"], second["size"]) == (0, 20, 2, 10)
    strongest = np.argsort(-z[:, 0])[:3].tolist()
    assert [node for node, _ in first["top"]] == strongest
    assert {node for node, _ in first["bottom"]} <= set(range(25, 30))
    assert all(strength == -1.0 for _, strength in first["bottom"])
    assert second["bottom"] == []
    rows, columns = community_figures.order(z)
    assert columns[:2].tolist() == [0, 2]
    assert set(rows[:15].tolist()) == set(range(10, 25))
    assert (np.diff(z[rows[:15], 0]) <= 0).all()


@pytest.mark.parametrize("ending", ["png", "svg"])
def test_figures_of_communities(communities, tmp_path, ending):
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    written = community_figures.draw(communities[0], tmp_path / "out", "A title", formats=[ending])
    assert [file.name for file in written] == ["communities.json", f"strengths.{ending}", f"blocks.{ending}"]
    content = json.loads(written[0].read_text())
    assert content["active_communities"] == pytest.approx(1.0)
    assert len(content["communities"]) == 2
    before = written[2].read_bytes()
    community_figures.draw(communities[0], tmp_path / "out", "A title", formats=[ending])
    assert written[2].read_bytes() == before


@pytest.fixture
def trajectories(tmp_path):
    draw = np.random.default_rng(0)
    psi, theta = draw.standard_normal((5, 12, 3)), draw.standard_normal((5, 3, 4))
    theta[:, 1] *= 10
    arrays = {"psi": psi.astype(np.float32), "theta": theta.astype(np.float32)}
    return records.write_arrays(arrays, tmp_path / "scores" / "run.npz"), psi, theta


def test_numbers_of_trajectories(trajectories):
    _, psi, theta = trajectories
    assert latent_figures.matrices(theta)[2, 1].tolist() == theta[2, 1].reshape(2, 2).tolist()
    assert latent_figures.matrices(theta[..., :3])[0, 0, 0, 1] == latent_figures.matrices(theta[..., :3])[0, 0, 1, 0]
    assert latent_figures.importance(theta).argmax() == 1
    moves = latent_figures.drift(psi)
    assert moves.shape == (4, 12)
    assert moves[1, 3] == pytest.approx(np.sqrt(((psi[2, 3] - psi[1, 3]) ** 2).sum()))


def test_figures_of_trajectories(trajectories, tmp_path):
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    path, psi, _ = trajectories
    written = latent_figures.draw(path, tmp_path / "out", "A title", {"drift": "figure_06", "interactions": "x"})
    assert [file.name for file in written] == ["drift.json", "figure_06.png", "x.png"]
    found = json.loads(written[0].read_text())["psi"]
    assert np.allclose(found, np.quantile(latent_figures.drift(psi), (0.25, 0.5, 0.75), axis=1), atol=1e-3)
    alone = records.write_arrays({"psi": psi}, tmp_path / "places.npz")
    written = latent_figures.draw(alone, tmp_path / "places", "iELSM")
    assert [file.name for file in written] == ["drift.json", "attributes.png", "drift.png"]


@pytest.mark.parametrize("module", [community_figures, latent_figures])
def test_what_is_missing_is_said(module, communities, trajectories, tmp_path):
    with pytest.raises(DataError, match="kept nothing; run it again with force=true"):
        module.draw(tmp_path / "none.npz", tmp_path, "")
    other = records.write_arrays({"scores": np.zeros(3)}, tmp_path / "other.npz")
    with pytest.raises(DataError, match="choose"):
        module.draw(other, tmp_path, "")
    with pytest.raises(ConfigError, match="there is no figure 'pie'"):
        module.draw((communities if module is community_figures else trajectories)[0], tmp_path, "", {"pie": "x"})

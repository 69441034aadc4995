"""The cells of ULSE's Table 1 that are known to be exact: three methods, two networks, four metrics."""

from __future__ import annotations

import pytest
import torch
from exams import blocks_of, read

from dynbench.config.compose import compose
from dynbench.engine.session import build

# The authors' result file behind the printed table, to four digits: ACC, NMI, ARI, F1.
PUBLISHED = {
    ("uase", "synthetic_1"): (0.9967, 0.9842, 0.9901, 0.9966),
    ("ulse_n1", "synthetic_1"): (1.0, 1.0, 1.0, 1.0),
    ("ulse_n2", "synthetic_1"): (0.9967, 0.9774, 0.9880, 0.9965),
    ("uase", "synthetic_2"): (0.7717, 0.5510, 0.5422, 0.6701),
    ("ulse_n1", "synthetic_2"): (0.9800, 0.8645, 0.9218, 0.9490),
    ("ulse_n2", "synthetic_2"): (0.9833, 0.9358, 0.9642, 0.9660),
}
# The same on School, scored on the 319 pupils that have a contact in the first interval.
SCHOOL = {
    "uase": (0.8527, 0.8125, 0.6551, 0.8669),
    "ulse_n1": (0.9937, 0.9868, 0.9854, 0.9939),
    "ulse_n2": (0.9969, 0.9935, 0.9931, 0.9968),
}
# What the methods behind the printed OMNI and TempCut rows should have given.
FAITHFUL = {
    ("omni", "synthetic_1"): (1.0, 1.0, 1.0, 1.0),
    ("omni", "synthetic_2"): (0.757, 0.555, 0.558, 0.681),
    ("tempcut_n", "synthetic_1"): (0.993, 0.964, 0.978, 0.993),
    ("tempcut_n", "synthetic_2"): (0.988, 0.897, 0.946, 0.971),
    ("tempcut_s", "synthetic_1"): (0.765, 0.543, 0.560, 0.700),
    ("tempcut_s", "synthetic_2"): (0.638, 0.042, 0.034, 0.374),
}
PER_STEP = {"uase": [0.735, 0.580, 1.0], "ulse_n1": [0.960, 0.980, 1.0], "ulse_n2": [0.950, 1.0, 1.0]}


def measure(model: str, data: str, *overrides: str) -> tuple[dict[str, float], list[dict]]:
    """Play a run without its record."""
    config = compose([f"model={model}", f"data={data}", *overrides])
    assert config.protocol.name.startswith("node_clustering")
    system, protocol = build(config.model), build(config.protocol)
    metrics = protocol.metric()
    torch.manual_seed(0)
    for episode in protocol.episodes(build(config.data).load(), seed=0):
        assert episode.train[""].node_labels is None
        system.fit(episode.train[""], None, None)
        for block in blocks_of(episode):
            answer = read(episode, block, system.embed(block.queries.time.unique()))
            metrics.update(block, answer)
    return metrics.compute(), metrics.per_step()


@pytest.mark.parametrize(("model", "data"), PUBLISHED)
def test_equal_to_the_printed_digits(model, data):
    found, steps = measure(model, data)
    for name, value in zip(("acc", "nmi", "ari", "f1"), PUBLISHED[model, data], strict=True):
        assert round(found[name], 4) == value, name
    if data == "synthetic_2":
        assert [row["acc"] for row in steps] == pytest.approx(PER_STEP[model], abs=1e-9)


@pytest.mark.parametrize(("model", "values"), SCHOOL.items())
def test_school_equal_to_the_printed_digits(model, values, school_folder):
    found, steps = measure(model, "school", "protocol=node_clustering_first", f"+data.path={school_folder}")
    assert steps[0]["n"] == 319
    assert tuple(round(found[name], 4) for name in ("acc", "nmi", "ari", "f1")) == values


@pytest.mark.parametrize(("model", "data"), FAITHFUL)
def test_faithful_baselines(model, data):
    found, _ = measure(model, data)
    for name, value in zip(("acc", "nmi", "ari", "f1"), FAITHFUL[model, data], strict=True):
        assert found[name] == pytest.approx(value, abs=0.0025), name


def test_the_printed_omni_is_the_block_diagonal_stack():
    found, _ = measure("omni", "synthetic_1", "model.variant=printed")
    printed = {"acc": 0.780, "nmi": 0.442, "ari": 0.489, "f1": 0.774}
    assert found == pytest.approx(printed, abs=0.004)


@pytest.mark.parametrize("model", ["tempcut_n", "tempcut_s"])
@pytest.mark.parametrize("data", ["synthetic_1", "synthetic_2"])
def test_the_printed_tempcut_is_near_chance(model, data):
    found, _ = measure(model, data, "model.variant=printed")
    assert found["nmi"] < 0.12
    assert found["acc"] < 0.65


def test_one_dimension_less_leaves_out_the_noise_column():
    found, _ = measure("ulse_n1", "synthetic_2", "model.dim=2")
    assert found == pytest.approx({"acc": 0.985, "nmi": 0.908, "ari": 0.953, "f1": 0.965}, abs=0.0006)
    found, _ = measure("ulse_n1", "synthetic_1", "model.dim=2")
    assert found == {"acc": 1.0, "nmi": 1.0, "ari": 1.0, "f1": 1.0}


def test_joint_clusters_are_the_five_behaviours():
    found, steps = measure("ulse_n2", "synthetic_1", "protocol.clusters=joint", "protocol.starts=20")
    assert len(steps) == 1
    assert steps[0]["n"] == 600
    assert found["acc"] > 0.5


def test_first_snapshot_only():
    found, steps = measure("ulse_n1", "synthetic_2", "protocol.times=first")
    assert [row["step"] for row in steps] == [0]
    assert found["acc"] == pytest.approx(0.96)


def test_an_explicit_protocol_wins():
    assert compose(["model=ulse_n1", "protocol=stability"]).protocol.name == "stability"
    assert compose(["protocol=single_step_dysat", "model=ulse_n1"]).protocol.name == "single_step_dysat"
    assert compose(["model=nlsm"]).protocol.name == "single_step_nlsm"
    assert "defaults" not in compose(["model=ulse_n1"]).model


def test_the_dimension_is_the_number_of_classes_where_it_is_known():
    assert compose(["model=uase", "data=synthetic_1"]).model.dim == 3
    assert compose(["model=uase", "data=enron"]).model.dim == 16
    assert compose(["model=uase", "data=synthetic_1", "model.dim=7"]).model.dim == 7

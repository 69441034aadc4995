"""Records of runs: what names them, how they are written, and what a failure leaves behind."""

from __future__ import annotations

import json
import math
import os
from copy import deepcopy
from dataclasses import asdict

import pytest

from dynbench import records, runner
from dynbench.config.check import resolved
from dynbench.config.compose import compose
from dynbench.config.source import ClassSource
from dynbench.errors import ConfigError, DataError, RunError
from dynbench.records import Record, identify
from dynbench.runner import budget_cuts, changed_protocol, run

TINY = ("data=nlsm_process", "data.nodes=16", "data.steps=4", "data.density=0.2", "budget=smoke", "logger=none")


def composed(*overrides: str):
    return compose([*TINY, "progress=false", *overrides])


@pytest.fixture
def lab(tmp_path):
    """Compose runs whose files stay in a folder of their own."""

    def of(*overrides: str):
        return composed(f"results_dir={tmp_path / 'results'}", f"work_dir={tmp_path / 'runs'}", *overrides)

    of.folder = tmp_path
    return of


def record(**fields) -> Record:
    names = {"model": "m", "data": "d", "protocol": "p", "budget": "smoke"}
    return Record(**{"identity": "0" * 10, **names, "seed": 0, "status": "finished", **fields})


def leftovers(folder) -> list[str]:
    return [str(path) for path in folder.rglob("*") if ".part" in path.name or ".probe" in path.name]


# ---- identity ---------------------------------------------------------------------------------------------


def test_identity_names_the_run():
    identity = identify(resolved(composed("model=nlsm", "seed=7")))
    assert str(identity).startswith("nlsm-nlsm_process-single_step_nlsm-smoke-s7-")
    assert identity.path("here").as_posix() == f"here/records/nlsm_process/{identity}.json"


@pytest.mark.parametrize(
    "override",
    ["logger=csv", "force=true", "progress=true", "checkpoint_seconds=1", "results_dir=a", "work_dir=b", "data_dir=c",
     "cache_dir=d", "offline=true", "data.card.title=Other", "budget.seeds=[4]"],
)  # fmt: skip
def test_what_moves_no_number_leaves_the_identity(override):
    assert identify(resolved(composed(override))) == identify(resolved(composed()))


def other(value):
    """Another value of the same kind."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, (int, float)):
        return value + 1
    return "other" if value is None else f"{value}x"


@pytest.mark.parametrize("model", ["nlsm", "decayed_count"])
def test_every_setting_that_moves_a_number_changes_the_identity(model):
    values = resolved(composed(f"model={model}"))
    digests = [identify(values).digest]
    without = ("_target_", "card", "expected", "files", "native", "variants")
    for group in ("model", "protocol", "trainer", "data"):
        for key in [k for k in values[group] if k not in without]:
            changed = deepcopy(values)
            changed[group][key] = other(changed[group][key])
            digests.append(identify(changed).digest)
    for change in ({"seed": 1}, {"budget": {**values["budget"], "name": "paper"}}):
        digests.append(identify({**values, **change}).digest)
    assert len(digests) > 15
    assert len(set(digests)) == len(digests)


def test_the_order_of_settings_does_not_matter():
    values = resolved(composed())
    turned = {group: dict(reversed(v.items())) if isinstance(v, dict) else v for group, v in reversed(values.items())}
    assert identify(turned) == identify(values)


def test_a_new_version_of_a_protocol_changes_the_identity(monkeypatch):
    values = resolved(composed())
    before = identify(values)
    monkeypatch.setattr(records.record, "read_class", lambda target: ClassSource(attributes={"version": 99}))
    assert identify(values).digest != before.digest


# ---- files ------------------------------------------------------------------------------------------------


def test_writing_and_reading(tmp_path):
    written = record(metrics={"auc": 0.5}, steps=[{"step": 1, "n": 4, "auc": None}], cuts={"model.epochs": [3, 9]})
    path = records.write(written, tmp_path / "deep" / "er" / "one.json")
    assert records.read(path) == written
    assert json.loads(path.read_text()) == asdict(written)
    assert not leftovers(tmp_path)
    assert records.read(tmp_path / "absent.json") is None


def test_all_records_in_order(tmp_path):
    for data, seed in (("b", 0), ("a", 1), ("a", 0)):
        records.write(record(data=data, seed=seed), tmp_path / "records" / data / f"s{seed}.json")
    assert [(r.data, r.seed) for _, r in records.read_all(tmp_path)] == [("a", 0), ("a", 1), ("b", 0)]


def test_a_write_that_fails_half_way_leaves_the_old_record(tmp_path, monkeypatch):
    path = records.write(record(metrics={"auc": 0.25}), tmp_path / "one.json")

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(RunError, match=r"cannot write .*one\.json: No space left on device; set results_dir"):
        records.write(record(metrics={"auc": 0.75}), path)
    assert records.read(path).metrics == {"auc": 0.25}
    assert not leftovers(tmp_path)


def test_a_finished_run_has_numbers(tmp_path):
    with pytest.raises(RunError, match="macro_auc is NaN; a finished run has numbers"):
        records.write(record(metrics={"macro_auc": math.nan, "macro_ap": 0.5}), tmp_path / "one.json")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", ["", "{", "[]", '{"identity": "x", "unknown": 1}', "\udcff"])
def test_files_that_are_no_records(tmp_path, text):
    path = tmp_path / "one.json"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(RunError, match=r"one\.json is not a record that this version reads .*; delete it"):
        records.read(path)


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(RunError, match=r"choose another folder with results_dir="):
        records.require_writable(tmp_path / "file" / "results")
    records.require_writable(tmp_path / "new")
    assert not leftovers(tmp_path)


# ---- runs -------------------------------------------------------------------------------------------------


def test_a_run_leaves_all_that_is_needed_to_get_it_again(lab):
    config = lab("model=nlsm", "model.dim=4", "protocol.self_loops=drop")
    outcome = run(config, ["model=nlsm", "model.dim=4", "results_dir=x"])
    kept = records.read(outcome.path)
    assert kept == outcome.record
    assert kept.finished
    assert kept.identity == identify(resolved(config)).digest
    assert kept.config["model"]["dim"] == 4
    assert kept.overrides == ["model=nlsm", "model.dim=4"]
    assert set(kept.metrics) == {"macro_auc", "macro_ap", "micro_auc", "micro_ap"}
    assert [row["step"] for row in kept.steps] == [1, 2, 3]
    assert kept.sizes["nodes"] == 16
    assert kept.sizes["steps"] == 4
    assert kept.sizes["queries"] == sum(row["n"] for row in kept.steps)
    assert kept.sizes["fit_steps"] == 9
    assert kept.sizes["parameters"] == 2 * 16 * 4 + 2 * 4 * 3 + 2 * (3 * 16 + 16) + 2 * (3 * 9 + 12)
    assert {len(kept.checksums[name]) for name in ("graph", "queries")} == {64}
    assert kept.provenance["source"] == "generated"
    assert kept.seconds["total"] > 0
    assert kept.environment["packages"]["torch"]
    assert kept.changed == {"self_loops": "drop"}
    assert not kept.comparable
    assert kept.cuts["model.epochs"] == [3, 1000]


def test_a_finished_run_is_not_repeated_unless_forced(lab):
    first = run(lab("model=last_snapshot"))
    again = run(lab("model=last_snapshot"))
    forced = run(lab("model=last_snapshot", "force=true"))
    assert (first.skipped, again.skipped, forced.skipped) == (False, True, False)
    assert again.record == first.record
    assert forced.record.metrics == first.record.metrics


def test_two_models_meet_the_same_pairs(lab):
    sums = {run(lab(f"model={model}")).record.checksums["queries"] for model in ("nlsm", "bas", "last_snapshot")}
    assert len(sums) == 1
    assert run(lab("model=last_snapshot", "seed=1")).record.checksums["queries"] not in sums


def fail_with(monkeypatch, error: Exception) -> None:
    def fail(*_):
        raise error

    monkeypatch.setattr("dynbench.engine.session.carry_out", fail)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (DataError("no such file; fetch it"), "DataError: no such file; fetch it"),
        (ValueError("odd"), "ValueError: odd"),
    ],
)
def test_a_failure_leaves_its_reason(lab, monkeypatch, error, reason):
    with monkeypatch.context() as patch:
        fail_with(patch, error)
        with pytest.raises(type(error)):
            run(lab("model=last_snapshot"))
    path = identify(resolved(lab("model=last_snapshot"))).path(lab.folder / "results")
    kept = records.read(path)
    assert (kept.status, kept.reason, kept.metrics) == ("failed", reason, {})
    assert run(lab("model=last_snapshot")).record.finished
    assert records.read(path).finished


def test_a_failure_does_not_replace_a_finished_run(lab, monkeypatch):
    first = run(lab("model=last_snapshot"))
    fail_with(monkeypatch, RunError("diverged"))
    with pytest.raises(RunError, match="diverged"):
        run(lab("model=last_snapshot", "force=true"))
    assert records.read(first.path) == first.record


def test_an_impossible_pair_leaves_its_reason(lab):
    config = lab("model=common_neighbors", "protocol=single_step_dysat")
    with pytest.raises(ConfigError, match="cannot be run under"):
        run(config)
    kept = records.read(identify(resolved(config)).path(lab.folder / "results"))
    assert kept.status == "failed"
    assert kept.reason.startswith("ConfigError: model=common_neighbors cannot be run under protocol=single_step_dysat")


def test_a_mistyped_run_leaves_nothing(lab):
    with pytest.raises(ConfigError, match=r"model\.dim is 'wide'"):
        run(lab("model=nlsm", "model.dim=wide"))
    assert list(lab.folder.iterdir()) == []


def test_interrupted_and_taken_up_again(lab, monkeypatch, tmp_path_factory):
    words = ("model=nlsm", "model.dim=4", "checkpoint_seconds=1e-6")
    from dynbench.models.latent.nlsm import NLSM

    step, calls = NLSM.training_step, []

    def training_step(self, *arguments):
        calls.append(1)
        if len(calls) == 6:
            raise KeyError("the power went off")
        return step(self, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(NLSM, "training_step", training_step)
        with pytest.raises(KeyError):
            run(lab(*words))
    resumed = run(lab(*words)).record
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    whole = run(composed(*words, f"results_dir={elsewhere}", f"work_dir={elsewhere}")).record
    for name in ("metrics", "steps", "sizes", "checksums", "config"):
        assert getattr(resumed, name) == getattr(whole, name)
    assert not list((lab.folder / "runs").rglob("*.ckpt"))
    assert not list((lab.folder / "runs").rglob("story.pt"))


def test_force_starts_over(lab, monkeypatch):
    words = ("model=nlsm", "model.dim=4", "seed=3")
    seen = []
    fit = runner.run(lab(*words)).record
    from dynbench.models.latent.nlsm import NLSM

    original = NLSM.fit

    def counted(self, *arguments):
        seen.append(1)
        return original(self, *arguments)

    monkeypatch.setattr(NLSM, "fit", counted)
    assert run(lab(*words, "force=true")).record.metrics == fit.metrics
    assert len(seen) == 3


# ---- what a record says about its settings ----------------------------------------------------------------


def test_changed_protocol_settings_are_named():
    values = resolved(composed("protocol.links=new", "protocol.split_seed=123"))
    assert changed_protocol(values) == {"links": "new", "split_seed": 123}
    assert changed_protocol(resolved(composed())) == {}


def test_budget_cuts_are_named_with_the_papers_values():
    config = composed("model=nlsm", "budget=quick")
    assert budget_cuts(config, resolved(config)) == {"model.epochs": [300, 1000]}
    config = composed("model=nlsm", "budget=paper")
    assert budget_cuts(config, resolved(config)) == {}
    config = composed("model=nlsm", "budget=smoke", "model.epochs=50")
    assert budget_cuts(config, resolved(config)) == {}
    assert config.budget.name == "smoke"

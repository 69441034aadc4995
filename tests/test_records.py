"""Runs and their records: what is kept, what a failure leaves behind, and what is not run twice."""

from __future__ import annotations

import pytest

from dynbench import records, runner
from dynbench.config.check import check
from dynbench.config.compose import compose
from dynbench.config.cuts import find_cuts
from dynbench.errors import ConfigError, DataError, RunError
from dynbench.records import Store, fit_key, identify, versions
from dynbench.runner import changed_protocol, run

TINY = ("data=nlsm_process", "data.nodes=16", "data.steps=4", "data.density=0.2", "budget=smoke", "logger=none")


def composed(*overrides: str):
    return check(compose([*TINY, "progress=false", *overrides]))


@pytest.fixture
def lab(tmp_path):
    """Compose runs whose files stay in a folder of their own."""

    def of(*overrides: str):
        return composed(f"results_dir={tmp_path / 'results'}", f"work_dir={tmp_path / 'runs'}", *overrides)

    of.folder = tmp_path
    return of


# ---- runs -------------------------------------------------------------------------------------------------


def test_a_run_leaves_all_that_is_needed_to_get_it_again(lab):
    config = lab("model=nlsm", "model.dim=4", "protocol.self_loops=drop")
    outcome = run(config, ["model=nlsm", "model.dim=4", "results_dir=x"])
    kept = records.read(outcome.path)
    assert kept == outcome.record
    assert kept.finished
    assert kept.identity == identify(config).digest
    assert kept.fit == fit_key(config)
    assert kept.versions == versions(config)
    assert kept.threads >= 1
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


def test_a_run_that_was_published_is_not_repeated(lab):
    first = run(lab("model=last_snapshot"))
    store = Store(lab.folder / "results", lab.folder / "runs")
    store.publish({first.record.name: ()})
    first.path.unlink()
    again = run(lab("model=last_snapshot"))
    assert (again.skipped, again.record.metrics) == (True, first.record.metrics)
    assert again.path == lab.folder / "results" / "runs" / "single_step_nlsm" / "nlsm_process.jsonl"
    assert not run(lab("model=last_snapshot", "force=true")).skipped


def test_a_run_leaves_the_results_folder_alone(lab):
    run(lab("model=last_snapshot"))
    assert not list((lab.folder / "results").rglob("*.json*"))


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
    path = identify(lab("model=last_snapshot")).path(lab.folder / "runs")
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


def test_an_impossible_pair_leaves_nothing(lab):
    with pytest.raises(ConfigError, match="model=common_neighbors cannot be run under protocol=single_step_dysat"):
        run(lab("model=common_neighbors", "protocol=single_step_dysat"))
    assert list(lab.folder.iterdir()) == []


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
    values = composed("protocol.links=new", "protocol.split_seed=123")
    assert changed_protocol(values) == {"links": "new", "split_seed": 123}
    assert changed_protocol(composed()) == {}


@pytest.mark.parametrize(
    ("words", "cuts"),
    [
        (["model=nlsm", "budget=quick"], {"model.epochs": [300, 1000]}),
        (["model=nlsm", "budget=paper"], {}),
        (["model=nlsm", "budget=smoke", "model.epochs=50"], {"model.epochs": [50, 1000]}),
        (["model=nlsm", "budget=paper", "model.epochs=999"], {"model.epochs": [999, 1000]}),
        (["model=nlsm", "budget=quick", "model.epochs=2000", "model.dim=3"], {}),
        (["model=last_snapshot", "budget=smoke"], {}),
        (["model=nlsm_kg", "data=yago", "budget=quick", "recipe=nlsm_kg_all_facts"],
         {"model.epochs": [50, 2000], "model.positions": [10, None]}),
        (["model=nlsm_kg", "data=yago", "budget=quick", "model.epochs=2000", "model.positions=1"],
         {"model.positions": [1, None]}),
    ],
)  # fmt: skip
def test_cuts_are_named_with_the_papers_values_whoever_made_them(words, cuts):
    assert find_cuts(check(compose(words))) == cuts


def test_a_typed_number_of_passes_hides_no_cut():
    typed = find_cuts(check(compose(["model=renet", "data=yago", "budget=quick", "model.epochs=6"])))
    assert typed["model.epochs"] == [6, 20]
    assert typed["model.global_epochs"] == [3, 300]

"""Messages about settings: they name the key, what is wrong, and what would be right."""

from __future__ import annotations

import re
import sys

import pytest
from omegaconf import OmegaConf

from dynbench.config.check import check, check_group, check_groups, check_pair, check_recipe, resolved
from dynbench.config.compose import choices, compose, default_choices, read_choice
from dynbench.config.schema import BUDGETS
from dynbench.config.source import read_class
from dynbench.errors import ConfigError


def complaint(*overrides: str) -> str:
    with pytest.raises(ConfigError) as caught:
        check(compose(overrides))
    return str(caught.value)


# ---- composing --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("group", ["data", "model", "protocol", "recipe", "budget", "trainer", "logger"])
def test_every_choice_composes(group, composer):
    for name in choices(group):
        missing = [f"{group}.{key}=x" for key, value in read_choice(group, name).items() if value == "???"]
        values = composer.values([f"{group}={name}", *missing])
        assert values[group].get("name", name) == name
        if "_target_" in values[group]:
            check_group(group, values[group])


def test_the_defaults_make_a_run():
    assert set(default_choices()) >= {"data", "protocol", "model", "budget", "trainer", "logger"}
    check(compose([]))


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["data=enrn"], "data=enrn is unknown; did you mean 'enron'?"),
        (["model=nslm"], "model=nslm is unknown; did you mean 'nlsm'?"),
        (["protocol=xyzzy"], "choices: cross_domain, embeddings, "),
        (["model.dmi=3"], "there is no setting 'model.dmi'; did you mean 'model.dim'?"),
        (["model=bas", "model.coupledd=true"], "there is no setting 'model.coupledd'; did you mean 'model.coupled'?"),
        (["protocol.horizn=3"], "there is no setting 'protocol.horizn'; known: name, pairs, self_loops"),
        (["sead=3"], "there is no setting 'sead'; did you mean 'seed'?"),
        (["trainer.device=2"], "did you mean 'trainer.devices'?"),
        (["-x"], "'-x' is not KEY=VALUE; leave no space around '='"),
        (["data", "=", "enron"], "'data' is not KEY=VALUE; leave no space around '='"),
        ([""], "'' is not KEY=VALUE"),
        (["=3"], "'=3' is not KEY=VALUE"),
        (["model=nlsm data=enron"], "'model=nlsm data=enron' cannot be read; quote"),
        (["model.dim=[1"], "'model.dim=[1' cannot be read; quote"),
        (["model="], "model= is unknown; choices: adamic_adar"),
        (["model=null"], "model=null is unknown; choices: adamic_adar"),
        (["model=[nlsm]"], "model=[nlsm] is unknown; did you mean 'nlsm'?"),
        (["model=../nlsm"], "model=../nlsm is unknown; did you mean 'nlsm'?"),
        (["budget={name: quick}"], "budget={name: quick} is unknown; choices: paper, quick, smoke"),
        (["model=nlsm,bas"], "model names several values; sweep over them with -m"),
        (["seed=range(3)"], "seed names several values; sweep over them with -m"),
        (["seed=range(0)"], "seed=range(0) names no value to sweep over"),
        (["hydra/launcher=rq"], "hydra/launcher=rq is not installed; it comes with a plug-in of Hydra"),
        (["hydra/sweeper=optuna"], "hydra/sweeper=optuna is not installed; it comes with hydra-optuna-sweeper"),
        (["+model.dim=3"], "An item is already at 'model.dim'"),
    ],
)
def test_overrides_that_do_not_compose(overrides, message):
    with pytest.raises(ConfigError) as caught:
        compose(overrides)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


# ---- settings ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["+model.lerning_rate=1"], "model.lerning_rate is not a setting of dynbench.models.latent.nlsm.NLSM; "
                                    "did you mean 'learning_rate'?"),
        (["+model.zzz=1"], "model.zzz is not a setting of dynbench.models.latent.nlsm.NLSM; its settings are dim, "),
        (["model.dim=wide"], "model.dim is 'wide' (str); expected int"),
        (["model.dim=1.5"], "model.dim is 1.5 (float); expected int"),
        (["model.dim=true"], "model.dim is True (bool); expected int"),
        (["model.dim=null"], "model.dim must be set; it is null"),
        (["model.warm_start=1"], "model.warm_start is 1 (int); expected bool"),
        (["model.weights=even"], "model.weights is 'even'; choose one of balanced, unbiased, none"),
        (["protocol.pairs=all"], "protocol.pairs is 'all'; choose one of test, all_positives"),
        (["trainer.devices=two"], "trainer.devices is 'two' (str); expected int"),
        (["trainer.accelerator=tpu"], "trainer.accelerator is 'tpu'; choose one of cpu, gpu, auto"),
        (["logger.csv=paper"], "logger.csv is 'paper' (str); expected bool"),
        (["data.nodes=many"], "data.nodes is 'many' (str); expected int"),
        (["seed=abc"], "seed is 'abc' (str); expected int"),
        (["seed=null"], "seed must be set; it is null"),
        (["seed=-1"], "seed is -1; it must be at least 0 and at most 4,294,967,295"),
        (["seed=1e400"], "seed is inf (float); expected int"),
        (["force=3.5"], "force is 3.5 (float); expected bool"),
        (["checkpoint_seconds=0"], "checkpoint_seconds is 0; it must be above 0"),
        (["checkpoint_seconds=nan"], "checkpoint_seconds is nan; it must be above 0"),
        (["checkpoint_seconds=inf"], "checkpoint_seconds is inf; it must be a finite number"),
        (["model=dglfrm", "model.alpha=1e300"], "model.alpha is 1e+300; it must be above 0 and at most 1e+38"),
        (["results_dir="], "results_dir is ''; it must be a path, which is not empty"),
        (["data_dir=[a]"], "data_dir is ['a'] (list); expected str"),
        (["data_dir=/no/such/folder"], "data_dir names '/no/such/folder', which is not a folder"),
        (["+sead=3"], "there is no setting 'sead'; did you mean 'seed'?"),
        (["+foo.bar=1"], "there is no setting 'foo'; its settings are seed, "),
        (["+budget.epochs=3"], "there is no setting 'budget.epochs'; its settings are name, seeds"),
        (["+recipe.modles=[nlsm]"], "there is no setting 'recipe.modles'; did you mean 'models'?"),
        (["data=enron", "+data.card.titel=x"], "there is no setting 'data.card.titel'; did you mean 'title'?"),
        (["logger=[csv,tensorbord]"], "logger=tensorbord is unknown; did you mean 'tensorboard'?"),
        (["budget.name=huge"], "budget.name is 'huge'; choose one of smoke, quick, paper"),
        (["data.name=../../x"], "data.name is '../../x'; it must be a name of at most 48 letters"),
        (["data.name=/abs"], "data.name is '/abs'; it must be a name"),
        (["data.name=a/b"], "data.name is 'a/b'; it must be a name"),
        (["data.name="], "data.name is ''; it must be a name"),
        (["data.name=null"], "data.name must be set; it is null"),
        (["data.name=[a]"], "data.name is ['a'] (list); expected str"),
        (["model.name=.."], "model.name is '..'; it must be a name"),
        (["protocol.name=" + "x" * 49], "it must be a name of at most 48 letters"),
        (["~model"], "model is not chosen; choose one with model=NAME"),
        (["~model._target_"], "model has no _target_: conf/model/<name>.yaml must name the class it configures"),
        (["model._target_=dynbench.models.nowhere.X"], "there is no module 'dynbench.models.nowhere'"),
    ],
)  # fmt: skip
def test_values_that_do_not_fit(overrides, message):
    said = complaint(*overrides)
    assert message in said
    assert "\n" not in said


@pytest.mark.parametrize("override", ["model.edges_per_step=20", "model.edges_per_step=null", "model.kl_weight=1"])
def test_values_that_fit(override):
    check(compose([override]))


def test_a_value_that_is_missing():
    config = compose([])
    config.model.dim = "???"
    with pytest.raises(ConfigError, match=r"'model\.dim' cannot be read: .*; set it as model\.dim=VALUE"):
        resolved(config)
    config.model.dim = "${no.such.key}"
    with pytest.raises(ConfigError, match=r"'model\.dim' cannot be read: Interpolation key 'no\.such\.key' not found"):
        resolved(config)


# ---- pairs ------------------------------------------------------------------------------------------------


def test_an_impossible_pair_names_models_that_can():
    said = complaint("model=common_neighbors", "protocol=single_step_dysat")
    assert said.startswith(
        "model=common_neighbors cannot be run under protocol=single_step_dysat: the protocol asks it to embed, it can "
        "score. Models that can embed: "
    )
    offered = said.rpartition(": ")[2].split(", ")
    assert "nlsm" in offered
    assert "common_neighbors" not in offered
    for model in offered:
        check(compose([f"model={model}", "protocol=single_step_dysat"]))


def test_no_model_answers_nothing():
    assert "it can nothing. Models that can score: adamic_adar" in complaint("model=none")
    check(compose(["model=none", "protocol=statistics"]))
    check_pair(resolved(compose(["model=nlsm", "protocol=statistics"])))


# ---- recipes ----------------------------------------------------------------------------------------------


def test_every_recipe_fits_its_models(composer):
    def checked(*words: str) -> dict:
        values = composer.values(words)
        check_recipe(values)
        check_groups(values)
        check_pair(values)
        return values

    for name in choices("recipe"):
        card = read_choice("recipe", name)
        for model in card.get("recipe", {}).get("models", []):
            own = card.get("model", {})
            named = re.search(r"for_data:{(\w+):", str(own))  # some settings are those of a dataset
            data = named[1] if named else "crossdomain" if "data" in card else "yago"
            values = checked(f"model={model}", f"recipe={name}", f"data={data}")
            assert values["recipe"]["name"] == name
            without = checked(f"model={model}", f"data={data}")
            plain = without["model"]
            assert not own or {key: values["model"][key] for key in own} != {key: plain[key] for key in own}
            assert {key: value for key, value in values["model"].items() if key not in own} == {
                key: value for key, value in plain.items() if key not in own
            }
            assert own or values["data"] != without["data"]


def test_no_recipe_makes_a_smoke_run_long():
    """Where a recipe says how many epochs there are, it says how few at smoke."""
    for name in choices("recipe"):
        epochs = read_choice("recipe", name).get("model", {}).get("epochs", 0)
        few = re.match(r"\$\{budgeted:(\d+),", str(epochs))
        assert int(few[1] if few else epochs) <= 5, f"{name}: epochs of {epochs} at smoke"


def test_what_is_typed_wins_over_a_recipe():
    values = check(compose(["model=nlsm_kg", "recipe=nlsm_kg_all_facts", "model.kl_weight=0.5"]))
    assert (values["model"]["kl_weight"], values["model"]["learning_rate"]) == (0.5, 0.1)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["recipe=fast_decodr"], "recipe=fast_decodr is unknown; did you mean 'fast_decoder'?"),
        (["model=bas", "recipe=fast_decoder"],
         "recipe=fast_decoder is for model=know_evolve, model=dyrep_kg, not for model=bas"),
        (["recipe.name=a/b"], "recipe.name is 'a/b'; it must be a name"),
    ],
)  # fmt: skip
def test_recipes_that_cannot_be(overrides, message):
    assert complaint(*overrides).startswith(message)


def test_a_recipe_with_a_value_for_each_dataset(plugin):
    plugin("mine", MINE, model={"my_model": "# My own.\nname: my_model\n_target_: mine.Mine\nsize: 3  # Size.\n"})
    folder = plugin.folder / "conf" / "recipe"
    folder.mkdir()
    (folder / "best.yaml").write_text(
        "# @package _global_\n# Best.\nrecipe: {name: best, models: [my_model]}\nmodel:\n"
        "  size: ${for_data:{enron:7,uci:8}}\n"
    )
    sizes = [check(compose(["model=my_model", "recipe=best", f"data={d}"]))["model"]["size"] for d in ("enron", "uci")]
    assert sizes == [7, 8]
    assert "the recipe has no value for data=nlsm_process; it has one for enron, uci" in complaint(
        "model=my_model", "recipe=best"
    )
    (folder / "best.yaml").write_text(
        "# @package _global_\n# Best.\nrecipe: {name: best}\nmodel:\n  size: ${for_data:{enron:7},1}\n"
    )
    assert check(compose(["model=my_model", "recipe=best"]))["model"]["size"] == 1


# ---- budgets ----------------------------------------------------------------------------------------------


def test_a_budget_picks_its_value():
    for budget, epochs in zip(BUDGETS, (3, 300, 1000), strict=True):
        assert resolved(compose(["model=nlsm", f"budget={budget}"]))["model"]["epochs"] == epochs
    assert resolved(compose(["budget=quick", "model.epochs=7"]))["model"]["epochs"] == 7


@pytest.mark.parametrize("text", ["${budgeted:1,2}", "${budgeted:1,2,3,4}"])
def test_a_budget_needs_three_values(text):
    config = compose([])
    config.model.epochs = text
    with pytest.raises(ConfigError, match="takes one value for each of smoke, quick, paper; budget is 'quick'"):
        resolved(config)


def test_a_budget_of_another_name():
    config = compose([])
    config.budget.name = "huge"
    with pytest.raises(ConfigError, match=r"budget\.name is 'huge'; choose one of smoke, quick, paper"):
        resolved(config)


@pytest.mark.parametrize("model", choices("model"))
def test_quick_changes_the_amount_of_work_only(model, composer):
    quick, paper = (composer.values([f"model={model}", f"budget={name}"])["model"] for name in ("quick", "paper"))
    work = read_class(quick["_target_"]).attributes.get("work", frozenset())
    assert {key for key in quick if quick[key] != paper[key]} <= work


def test_values_of_every_budget_have_the_right_types(composer):
    for model in choices("model"):
        if any("budgeted" in str(value) for value in read_choice("model", model).values()):
            for budget in BUDGETS:
                check_group("model", composer.values([f"model={model}", f"budget={budget}"])["model"])


# ---- plug-ins ---------------------------------------------------------------------------------------------

MINE = '''"""Mine."""
from dynbench.models.base import Model


class Mine(Model):
    answers = frozenset({"score"})

    def __init__(self, *, size: int = 3): ...
'''


def test_a_model_of_ones_own(plugin):
    plugin("mine", MINE, model={"my_model": "# My own model.\nname: my_model\n_target_: mine.Mine\nsize: 3  # Size.\n"})
    assert "my_model" in choices("model")
    assert resolved(compose(["model=my_model"]))["model"]["size"] == 3
    check(compose(["model=my_model"]))
    assert "model.size is 'x' (str); expected int" in complaint("model=my_model", "model.size=x")
    said = complaint("model=my_model", "protocol=single_step_dysat")
    assert "it can score. Models that can embed:" in said
    assert "did you mean 'my_model'?" in complaint("model=my_modl")


def test_a_plug_in_folder_that_is_not_there(monkeypatch, tmp_path):
    monkeypatch.setenv("DYNBENCH_PLUGINS", str(tmp_path / "absent"))
    with pytest.raises(ConfigError, match=r"DYNBENCH_PLUGINS names '.*absent', which is not a folder"):
        compose([])


@pytest.mark.parametrize("name", ["torch", "json", "hydra", "dynbench", "_socket"])
def test_a_plug_in_does_not_shadow_an_installed_module(name, monkeypatch, tmp_path):
    (tmp_path / f"{name}.py").write_text("raise SystemExit('imported')")
    monkeypatch.setenv("DYNBENCH_PLUGINS", str(tmp_path))
    monkeypatch.setattr(sys, "path", [*sys.path])
    with pytest.raises(ConfigError, match=rf"'.*{name}\.py' has the name of an installed module; rename it"):
        compose([])
    assert str(tmp_path) not in sys.path


@pytest.mark.parametrize("choice", ["model/nlsm", "logger/csv", "experiment/nlsm_enron"])
def test_a_plug_in_does_not_take_the_name_of_a_choice(choice, monkeypatch, tmp_path):
    path = tmp_path / "conf" / f"{choice}.yaml"
    path.parent.mkdir(parents=True)
    path.write_text("# another one of that name\n", encoding="utf-8")
    monkeypatch.setenv("DYNBENCH_PLUGINS", str(tmp_path))
    said = f"'{path}' has the name of a choice that dynbench has itself, {choice.replace('/', '=')}; rename it"
    with pytest.raises(ConfigError, match=re.escape(said)):
        compose(["model=bas"])


def test_a_plug_in_folder_may_be_on_the_path_already(monkeypatch, tmp_path):
    (tmp_path / "my_own_model.py").write_text("")
    monkeypatch.setenv("DYNBENCH_PLUGINS", str(tmp_path))
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    compose([])


def test_a_choice_without_a_target():
    with pytest.raises(ConfigError, match=r"model has no _target_"):
        check_group("model", OmegaConf.to_container(OmegaConf.create({"name": "x"})))


def test_a_model_of_snapshots_is_not_shown_events():
    said = complaint("model=nlsm", "protocol=temporal_events")
    assert said.startswith(
        "model=nlsm cannot be run under protocol=temporal_events: the protocol shows events, the model needs "
        "snapshots. Models that can score: "
    )
    named = said.rpartition(": ")[2].split(", ")
    assert {"edgebank", "common_neighbors"} <= set(named)
    assert not {"nlsm", "gae", "decayed_count"} & set(named)

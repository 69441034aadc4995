"""The command as its user meets it: every test here starts ``run.py`` in a process of its own."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dynbench.cli import COMMANDS
from tests import warm

ROOT = Path(__file__).resolve().parents[2]
TINY = ("budget=smoke", "data=nlsm_process", "data.nodes=40", "data.steps=4", "data.density=0.15")


class Command:
    """Starts ``run.py`` with its results and work folders below a temporary one."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.environment = {**os.environ, "OMP_NUM_THREADS": "1", "DYNBENCH_CACHE": str(folder / "cache")}
        self.environment.pop("DYNBENCH_PLUGINS", None)

    def words(self, *words: str) -> list[str]:
        places = (f"results_dir={self.folder / 'results'}", f"work_dir={self.folder / 'runs'}")
        return [sys.executable, str(ROOT / "run.py"), *words, *places]

    def __call__(self, *words: str, code: int = 0) -> str:
        return warm.run(self.words(*words)[1:], self.environment, self.folder, code)

    def cold(self, *words: str, code: int = 0) -> str:
        """As everybody starts it: nothing is imported yet."""
        done = subprocess.run(
            self.words(*words), capture_output=True, text=True, env=self.environment, cwd=self.folder, timeout=300
        )
        text = done.stdout + done.stderr
        assert done.returncode == code, text
        return text

    def start(self, *words: str, **environment: str) -> warm.Process:
        return warm.start(self.words(*words)[1:], {**self.environment, **environment}, self.folder)

    def records(self) -> list[dict]:
        return [json.loads(path.read_text()) for path in sorted(self.folder.glob("runs/records/*/*.json"))]

    def leftovers(self) -> list[Path]:
        return list(self.folder.rglob("*.part*"))


@pytest.fixture
def command(tmp_path: Path) -> Command:
    return Command(tmp_path)


def numbers(record: dict) -> tuple:
    return record["metrics"], record["steps"], record["checksums"]


def test_a_run_leaves_a_record_and_says_where(command):
    text = command.cold(*TINY)
    (record,) = command.records()
    assert record["status"] == "finished"
    assert record["model"] == "nlsm"
    assert record["budget"] == "smoke"
    assert [step["step"] for step in record["steps"]] == [1, 2, 3]
    assert 0 < record["metrics"]["micro_auc"] < 1
    assert record["cuts"] == {"model.epochs": [3, 1000]}
    assert record["environment"]["packages"]["torch"]
    assert str(command.folder) not in json.dumps(record)
    assert "micro_auc" in text
    assert "record" in text
    assert ".json" in text


def test_a_sweep_goes_on_after_a_failure_and_skips_what_is_finished(command):
    sweep = ("-m", *TINY, "model=none,last_snapshot", "seed=0,1")
    text = command(*sweep, code=1).replace(" ".join(TINY) + " ", "")
    assert text.count("failed: model=none") == 2
    assert "2 of the sweep's runs failed:\n  model=none seed=0 " in text
    assert "Traceback" not in text
    first = command.records()
    assert [(r["model"], r["seed"], r["status"]) for r in first] == [
        ("last_snapshot", 0, "finished"), ("last_snapshot", 1, "finished"),
    ]  # fmt: skip
    assert command(*sweep, code=1).count("finished before") == 2
    assert command.records() == first
    assert not command.leftovers()


@pytest.mark.parametrize("launcher", ["joblib", "submitit_local"])
def test_a_launcher_plays_the_members_in_processes_of_their_own(command, launcher):
    pytest.importorskip(f"hydra_plugins.hydra_{launcher.partition('_')[0]}_launcher")
    text = command("-m", f"hydra/launcher={launcher}", *TINY, "model=none,last_snapshot", "seed=0,1", code=1)
    assert "runs of the sweep failed, the first:\n  model=none" in text.replace(" ".join(TINY) + " ", "")
    assert "Traceback" not in text
    assert [(r["model"], r["seed"]) for r in command.records()] == [("last_snapshot", 0), ("last_snapshot", 1)]


def test_a_sweep_over_models_sets_what_the_default_model_lacks(command):
    tiny = [word for word in TINY if not word.startswith("model")]
    command("-m", *tiny, "model=common_neighbors,preferential_attachment", "model.snapshots=last")
    assert [record["config"]["model"]["snapshots"] for record in command.records()] == ["last", "last"]
    assert all("model.snapshots=last" in record["overrides"] for record in command.records())


def test_a_killed_run_goes_on_and_ends_with_the_same_numbers(command, tmp_path):
    slow = (*TINY, "model.epochs=150", "checkpoint_seconds=0.1", "progress=false")
    process = command.start(*slow)
    deadline = time.monotonic() + 120
    while not list(tmp_path.glob("runs/fits/*/episode-1*.ckpt")):
        assert process.poll() is None, "the run ended before its first checkpoint"
        assert time.monotonic() < deadline, "no checkpoint appeared"
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not command.records()
    command(*slow)
    (resumed,) = command.records()
    whole = Command(tmp_path / "whole")
    whole.folder.mkdir()
    whole(*slow)
    assert numbers(resumed) == numbers(whole.records()[0])


def test_an_interrupted_run_says_how_to_go_on(command, tmp_path):
    process = command.start(*TINY, "model.epochs=100000", "checkpoint_seconds=0.2")
    try:
        deadline = time.monotonic() + 120
        while not list(tmp_path.glob("runs/fits/*/*.ckpt")):
            assert process.poll() is None, "the run ended before its first checkpoint"
            assert time.monotonic() < deadline, "no checkpoint appeared"
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=60) == 130
    finally:
        process.kill()
    assert "interrupted; the same command goes on from here" in process.output
    assert "Traceback" not in process.output
    assert not command.records()
    assert not command.leftovers()


def test_two_processes_give_what_one_gives(command):
    longer = (*TINY, "model.epochs=20")
    command(*longer)
    (one,) = command.records()
    command(*longer, "trainer=ddp_cpu", "force=true")
    (two,) = command.records()
    assert two["config"]["trainer"]["devices"] == 2
    assert one["checksums"] == two["checksums"]
    assert one["metrics"] == pytest.approx(two["metrics"], abs=2e-3)


def test_processes_that_select_come_to_the_same_choice(command):
    """Each of them plays the validation exam, while tests are asked by the first one only."""
    words = ("model=nglp", "protocol=temporal_split", "budget=smoke", "data=nlsm_process", "data.nodes=30")
    command(*words)
    (one,) = command.records()
    command(*words, "trainer=ddp_cpu", "force=true")
    (two,) = command.records()
    assert two["config"]["trainer"]["devices"] == 2
    assert one["checksums"] == two["checksums"]
    assert one["sizes"]["fit_steps"] == two["sizes"]["fit_steps"]
    assert one["metrics"]["ap"] == pytest.approx(two["metrics"]["ap"], abs=0.05)


def test_two_nodes_give_what_one_process_gives(command):
    longer = (*TINY, "model.epochs=20")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free.getsockname()[1])}
    words = (*longer, "trainer=ddp_cpu", "trainer.devices=1", "trainer.num_nodes=2")
    nodes = [command.start(*words, **place, NODE_RANK=str(rank)) for rank in (0, 1)]
    try:
        assert [node.wait(timeout=240) for node in nodes] == [0, 0]
    finally:
        for node in nodes:
            node.kill()
    (two,) = command.records()
    command(*longer, "force=true")
    (one,) = command.records()
    assert two["config"]["trainer"]["num_nodes"] == 2
    assert one["checksums"] == two["checksums"]
    assert one["metrics"] == pytest.approx(two["metrics"], abs=2e-3)


@pytest.mark.long
def test_processes_that_torchrun_started_wait_for_a_twin_together(command):
    """Two commands that learn the same, each of two processes: one learns, all four go on with its fit."""
    longer = (*TINY, "trainer=ddp_cpu", "model.epochs=20")
    starter = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2", "--master-addr=127.0.0.1"]
    twins = []
    for seed in (0, 1):  # of the split: what is asked, not what is learnt
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        words = [*starter, f"--master-port={port}", *command.words(*longer, f"protocol.split_seed={seed}")[1:]]
        twins.append(subprocess.Popen(words, env=command.environment, cwd=command.folder))
    try:
        assert [twin.wait(timeout=240) for twin in twins] == [0, 0]
    finally:
        for twin in twins:
            twin.kill()
    one, two = command.records()
    assert one["fit"] == two["fit"]
    assert one["checksums"] != two["checksums"]
    assert len({record["sizes"]["fit_steps"] for record in (one, two)}) == 1


@pytest.mark.long
def test_a_sweep_over_two_processes_runs_each_member_once(command):
    command("-m", *TINY, "trainer=ddp_cpu", "seed=0,1")
    assert [record["seed"] for record in command.records()] == [0, 1]
    assert all(record["status"] == "finished" for record in command.records())


@pytest.mark.parametrize("logger", ["csv", "wandb", "tensorboard", "none"])
def test_every_logger_works_without_an_account(command, logger):
    command.environment |= {"WANDB_MODE": "offline"} if logger == "wandb" else {}
    command.environment.pop("WANDB_API_KEY", None)
    command(*TINY, f"logger={logger}", "logger.log_every=1")
    found = {
        "csv": list(command.folder.glob("runs/*/log/version_0/metrics.csv")),
        "wandb": list(command.folder.glob("runs/*/wandb/offline-run-*/*.wandb")),
        "tensorboard": list(command.folder.glob("runs/*/tensorboard/version_0/events.*")),
    }
    assert [name for name, files in found.items() if files] == ([] if logger == "none" else [logger])
    if logger == "csv":
        lines = found["csv"][0].read_text().splitlines()
        curves = [name for name in lines[0].split(",") if name.startswith("train/loss/")]
        assert len(curves) == 3, "a curve for each of three forecasts"
        rows = [dict(zip(lines[0].split(","), line.split(","), strict=True)) for line in lines[1:]]
        assert all([row["step"] for row in rows if row[curve]] == ["1", "2", "3"] for curve in curves)


def test_a_folder_of_ones_own(command, tmp_path):
    own = tmp_path / "mine"
    own.mkdir()
    (own / "edges.csv").write_text("src,dst,t\n0,1,0\n1,2,5\n2,3,11\n0,1,12\n3,0,19\n0,1,25\n1,2,26\n")
    command("data=custom", f"data.path={own}", "data.window=10", "data.directed=false", "model=decayed_count",
            "protocol=single_step_allpairs")  # fmt: skip
    (record,) = command.records()
    assert record["sizes"]["nodes"] == 4
    assert record["sizes"]["steps"] == 3
    # Snapshots {01, 12}, {23, 01, 03}, {01, 12}. By hand: step 1 wins 3.5 of its 3 x 3 comparisons, step 2 wins 6 of 8.
    assert [step["n"] for step in record["steps"]] == [6, 6]
    assert [step["auc"] for step in record["steps"]] == pytest.approx([3.5 / 9, 6 / 8])


BUGGY = '''"""A model with a bug."""
from dynbench.models.base import Model


class Buggy(Model):
    answers = frozenset({"score"})

    def fit(self, *parts):
        pass

    def score(self, queries):
        return queries.src / self.nothing
'''


def test_a_bug_in_a_users_model_is_told_by_its_own_line(command):
    folder = command.folder / "mine"
    (folder / "conf" / "model").mkdir(parents=True)
    (folder / "buggy.py").write_text(BUGGY)
    (folder / "conf" / "model" / "buggy.yaml").write_text("# Buggy.\nname: buggy\n_target_: buggy.Buggy\n")
    command.environment["DYNBENCH_PLUGINS"] = str(folder)
    line = f"{folder / 'buggy.py'}, line 12, in score: AttributeError: 'Buggy' object has no attribute 'nothing'"
    text = command(*TINY, "model=buggy", code=1)
    assert f"error: {line}" in text
    assert "Traceback" not in text
    text = command("-m", *TINY, "model=buggy,last_snapshot", code=1)
    assert (
        f"data.density=0.15 model=buggy results_dir={command.folder}/results work_dir={command.folder}/runs: {line}"
        in text
    )
    assert "Traceback" not in text
    command.environment["DYNBENCH_TRACEBACK"] = "1"
    text = command(*TINY, "model=buggy", code=1)
    assert "Traceback" in text
    assert text.strip().endswith("AttributeError: 'Buggy' object has no attribute 'nothing'")


MISTAKES = {
    "model=nslm": "model=nslm is unknown; did you mean 'nlsm'?",
    "data=enrom": "data=enrom is unknown; did you mean 'enron'?",
    "model.dimm=3": "there is no setting 'model.dimm'; did you mean 'model.dim'?",
    "seeed=3": "there is no setting 'seeed'; did you mean 'seed'?",
    "model.dim=wide": "model.dim is 'wide' (str); expected int",
    "model.weights=heavy": "model.weights is 'heavy'; choose one of balanced, unbiased, none",
    "seed=first": "seed is 'first' (str); expected int",
    "seed=null": "seed must be set; it is null",
    "seed=-1": "seed is -1; it must be at least 0",
    "model.dim=0": "model.dim is 0; it must be at least 1 and at most 65,536",
    "data.nodes=1": "data.nodes is 1; it must be at least 2",
    "model=": "model= is unknown; choices: adamic_adar",
    "model=nlsm,bas": "sweep over them with -m",
    "data = enron": "'data' is not KEY=VALUE; leave no space around '='",
    "data=custom": "'data.path' cannot be read",
    "data.name=a/b": "data.name is 'a/b'; it must be a name",
    "-m model=nlsm,bas model.dimm=3": "there is no setting 'model.dimm'; did you mean 'model.dim'?",
    "-m model=nlsm,bsa": "model=bsa is unknown; did you mean 'bas'?",
    "-m seed=range(0)": "seed=range(0) names no value to sweep over",
    "hydra/launcher=rq -m": "hydra/launcher=rq is not installed",
    "-c job model.dimm=3": "there is no setting 'model.dimm'; did you mean 'model.dim'?",
}


@pytest.mark.parametrize(("words", "message"), MISTAKES.items())
def test_a_mistake_is_answered_in_one_sentence_without_torch(command, words, message):
    command.environment["PYTHONPROFILEIMPORTTIME"] = "1"
    text = command.cold(*words.split(), code=2)
    said = [line for line in text.splitlines() if line.startswith("error: ")]
    assert len(said) == 1
    assert message in said[0]
    assert "Traceback" not in text
    imported = {line.rsplit("|", 1)[-1].strip() for line in text.splitlines() if line.startswith("import time:")}
    assert "omegaconf" in imported
    assert not imported & {"torch", "numpy", "scipy", "pytorch_lightning"}


def test_a_typing_error_costs_no_second(command):
    words = [sys.executable, str(ROOT / "run.py"), "model=nlsm", "data=enron", "model.dimm=3"]
    before = os.times()
    done = subprocess.run(words, capture_output=True, text=True, env=command.environment, timeout=60)
    after = os.times()
    assert "did you mean 'model.dim'?" in done.stderr
    # Processor time: that of the wall depends on what else the machine does.
    assert after.children_user + after.children_system - before.children_user - before.children_system < 1.0


@pytest.mark.parametrize("moment", ["dynbench.config.compose", "omegaconf.errors"])
def test_ctrl_c_while_composing(command, moment):
    program = (
        "import builtins, os, runpy, signal, sys; real = builtins.__import__\n"
        "def strike(name, *rest, **more):\n"
        f"    if name == {moment!r}: os.kill(os.getpid(), signal.SIGINT)\n"
        "    return real(name, *rest, **more)\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler); builtins.__import__ = strike\n"
        f"sys.argv = ['run.py']; sys.path.insert(0, {str(ROOT)!r})\n"
        f"runpy.run_path({str(ROOT / 'run.py')!r}, run_name='__main__')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=command.environment, cwd=command.folder
    )
    assert done.returncode == 130
    assert done.stderr == "interrupted; the same command goes on from here\n"


LATE_MISTAKES = {
    ("trainer=gpu",): "torch sees 0",
    ("trainer.strategy=telepathy",): "Lightning refuses the trainer's settings",
    ("model.learning_rate=1e30", "model.epochs=60"): "the loss is",
}


@pytest.mark.parametrize(("words", "message"), LATE_MISTAKES.items(), ids=lambda value: str(value[0]))
def test_a_run_that_cannot_be_leaves_a_record_with_the_reason(command, words, message):
    if words == ("trainer=gpu",) and _gpu():
        pytest.skip("this machine has a GPU")
    text = command(*TINY, *words, code=1)
    (said,) = [line for line in text.splitlines() if line.startswith("error: ")]
    assert message in said
    assert "Traceback" not in text
    (record,) = command.records()
    assert record["status"] == "failed"
    assert message in record["reason"]
    assert not command.leftovers()


def test_results_that_could_not_be_kept_stop_the_run_at_once(command):
    (command.folder / "runs").write_text("a file where a folder should be")
    text = command(*TINY, code=1)
    assert "cannot write" in text
    assert "work_dir" in text
    assert "Traceback" not in text


def test_a_failure_does_not_replace_a_finished_record(command):
    command(*TINY, "model=last_snapshot")
    before = command.records()
    fits = command.folder / "runs" / "fits"
    shutil.rmtree(fits)
    fits.write_text("a file where a folder should be")
    command(*TINY, "model=last_snapshot", "force=true", code=1)
    assert command.records() == before


def test_help_names_every_choice(command):
    text = command("--help")
    for group in ("data", "model", "protocol", "recipe", "budget", "trainer", "logger"):
        for path in (ROOT / "conf" / group).glob("*.yaml"):
            assert path.stem in text
    assert "seed: 0" in text
    assert "shell" not in text.splitlines()[0]
    card = command("model=nlsm", "--help")
    assert "Deviations:" in card
    assert "kl_weight" in card


@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_a_command_says_how_it_was_called(command, name):
    assert command(name, "--help").startswith(f"usage: python run.py {name} ")


def test_shell_completion_is_hydras(command):
    assert "complete " in command.cold("-sc", "install=bash")


def _gpu() -> bool:
    import torch

    return torch.cuda.is_available()

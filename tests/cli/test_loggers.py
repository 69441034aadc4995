"""What loggers are told: the settings, a curve for each forecast, the test step by step, and the final metrics."""

from __future__ import annotations

import csv

import pytest
import yaml
from test_command_line import TINY, Command

pytestmark = pytest.mark.slow


@pytest.fixture
def command(tmp_path) -> Command:
    made = Command(tmp_path)
    made.environment |= {"WANDB_MODE": "offline", "DYNBENCH_SWEEP": "my-sweep"}
    return made


def test_several_loggers_at_once_are_told_everything(command):
    command(*TINY, "logger=[csv,tensorboard,wandb]", "logger.log_every=1", "logger.tags=[extra]")
    (record,) = command.records()
    metrics = record["metrics"]
    (folder,) = command.folder.glob("runs/*/log/version_0")
    with (folder / "metrics.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    final = [row for row in rows if row["final/micro_auc"]]
    assert len(final) == 1
    assert float(final[0]["final/micro_auc"]) == pytest.approx(metrics["micro_auc"])
    steps = {int(row["step"]): float(row["test/auc"]) for row in rows if row["test/auc"]}
    assert steps == pytest.approx({row["step"]: row["auc"] for row in record["steps"]})
    settings = yaml.safe_load((folder / "hparams.yaml").read_text())
    assert settings["model.name"] == "nlsm"
    assert settings["model.dim"] == record["config"]["model"]["dim"]
    assert settings["group"] == "my-sweep"
    assert settings["tags"] == "nlsm, nlsm_process, single_step_nlsm, smoke, extra"

    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    (events,) = command.folder.glob("runs/*/tensorboard/version_0")
    seen = EventAccumulator(str(events))
    seen.Reload()
    tags = seen.Tags()["scalars"]
    assert sum(tag.startswith("train/loss/") for tag in tags) == 3
    assert [event.step for event in seen.Scalars("test/auc")] == [1, 2, 3]
    assert seen.Scalars("final/micro_auc")[0].value == pytest.approx(metrics["micro_auc"])
    assert len(list(command.folder.glob("runs/*/wandb/offline-run-*/*.wandb"))) == 1


def test_a_model_without_training_is_logged_too(command):
    command(*TINY, "model=decayed_count", "logger=csv")
    (path,) = command.folder.glob("runs/*/log/version_0/metrics.csv")
    assert "final/micro_auc" in path.read_text().splitlines()[0]


MINE = """
from pytorch_lightning.callbacks import Callback


class Notes(Callback):
    def __init__(self, file: str):
        self.file = file

    def on_train_end(self, trainer, module):
        with open(self.file, "a") as file:
            file.write(f"{trainer.global_step}\\n")
"""


def test_callbacks_of_the_catalogue_and_ones_own(command, tmp_path):
    plugins = tmp_path / "plugins"
    (plugins / "conf/callbacks").mkdir(parents=True)
    (plugins / "my_notes.py").write_text(MINE)
    text = f"# @package trainer.callbacks\nnotes:\n  _target_: my_notes.Notes\n  file: {tmp_path}/notes.txt\n"
    (plugins / "conf/callbacks/notes.yaml").write_text(text)
    command.environment["DYNBENCH_PLUGINS"] = str(plugins)
    command(*TINY, "callbacks=[rate,notes]", "logger.log_every=1")
    (record,) = command.records()
    assert set(record["config"]["trainer"]["callbacks"]) == {"notes"}
    assert (tmp_path / "notes.txt").read_text().split() == ["3"] * 3
    (path,) = command.folder.glob("runs/*/log/version_0/metrics.csv")
    rows = list(csv.DictReader(path.open(newline="")))
    rates = [float(row["rate/snapshot 2 of 3"]) for row in rows if row["rate/snapshot 2 of 3"]]
    assert rates == [record["config"]["model"]["learning_rate"]] * 3

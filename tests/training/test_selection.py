"""Early stopping: the best state is restored, and an interrupted fit ends as an uninterrupted one does."""

import pytest
import pytorch_lightning as pl
import torch

from dynbench.engine.trainer import Selection, Trainer
from dynbench.errors import RunError


class Walker(pl.LightningModule):
    """Noise moves a weight; a list of judgements says how good each epoch was."""

    def __init__(self, judgements, stop_at=None):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(3))
        self.judgements, self.stop_at = judgements, stop_at
        self.judged, self.batches, self.weights = 0, [], []

    def training_step(self, batch, batch_idx):
        if self.stop_at == batch_idx:
            raise RuntimeError("power failure")
        self.batches.append(batch_idx)
        return (self.weight * torch.randn(3)).sum() + torch.nn.functional.dropout(self.weight, 0.5).sum()

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), lr=0.1)

    def judge(self, module):
        assert module is self
        assert not self.training
        assert not torch.is_grad_enabled()
        self.weights.append(self.weight.detach().clone())
        found = self.judgements[self.batches[-1] // 4]
        return found if isinstance(found, dict) else {"ap": found}


def fitted(judgements, folder=None, epochs=10, patience=3, stop_at=None, key="fit"):
    trainer, module = Trainer(), Walker(judgements, stop_at)
    trainer.prepare(folder, checkpoint_seconds=0.0)
    torch.manual_seed(1)
    trainer.train(module, 4 * epochs, selection=Selection(module.judge, 4, patience))
    return trainer, module


def test_stops_when_patience_ends_and_restores_the_best():
    trainer, module = fitted([0.1, 0.5, 0.3, 0.5, 0.4, 0.9, 0.9])
    assert len(module.weights) == 5  # an equal value is no better one
    assert trainer.steps == 20
    assert torch.equal(module.weight.detach(), module.weights[1])
    assert not module.training


def test_all_values_must_improve_together():
    pairs = [(0.5, 0.5), (0.6, 0.4), (0.5, 0.6), (0.9, 0.5), (0.4, 0.9), (0.1, 0.1)]
    trainer, module = fitted([{"ap": ap, "auc": auc} for ap, auc in pairs])
    assert len(module.weights) == 6  # the third is the best: it is as good in one and better in the other
    assert trainer.steps == 24
    assert torch.equal(module.weight.detach(), module.weights[2])


def test_the_memory_that_belongs_to_the_best_state_comes_back():
    class Remembering(Walker):
        def __init__(self, judgements, stop_at=None):
            super().__init__(judgements, stop_at)
            self.register_buffer("memory", torch.zeros(()))

        def training_step(self, batch, batch_idx):
            self.memory += 1
            return super().training_step(batch, batch_idx)

    module = Remembering([0.1, 0.9, 0.2, 0.2, 0.2])
    Trainer().train(module, 40, selection=Selection(module.judge, 4, 3))
    assert float(module.memory) == 8


def test_runs_to_the_end_while_it_gets_better():
    trainer, module = fitted(list(range(10)))
    assert trainer.steps == 40
    assert torch.equal(module.weight.detach(), module.weights[-1])


def test_judging_moves_no_number():
    _, judged = fitted(list(range(10)))
    trainer, plain = Trainer(), Walker([])
    torch.manual_seed(1)
    trainer.train(plain, 40)
    assert torch.equal(judged.weight, plain.weight)


# Interrupted before the first judgement, between two, and after the last that patience allows.
@pytest.mark.parametrize("stop_at", [2, 4, 9, 13, 19])
def test_an_interrupted_fit_ends_the_same(tmp_path, stop_at):
    judgements = [0.1, 0.5, 0.3, 0.5, 0.4, 0.9, 0.9]
    _, whole = fitted(judgements)
    with pytest.raises(RuntimeError, match="power failure"):
        fitted(judgements, tmp_path, stop_at=stop_at)
    trainer, resumed = fitted(judgements, tmp_path)
    assert torch.equal(whole.weight, resumed.weight)
    assert resumed.batches[0] > 0
    assert trainer.steps == 20


def test_a_checkpoint_of_the_last_step_is_not_trained_further(tmp_path, monkeypatch):
    judgements = [0.9, 0.1, 0.1, 0.1, 1.0]
    monkeypatch.setattr(Trainer, "_keep", lambda *_: None)  # the process dies before it notes that it is done
    _, whole = fitted(judgements, tmp_path)
    _, resumed = fitted(judgements, tmp_path)
    assert resumed.batches == []
    assert torch.equal(whole.weight, resumed.weight)


def test_a_judgement_that_is_no_number():
    with pytest.raises(RunError, match="judged as NaN at step 4"):
        fitted([float("nan")])


def test_the_bar_tells_the_epoch_and_the_last_judgement(monkeypatch):
    told = []

    class Bar:
        def __init__(self, **settings):
            self.total, self.said = settings["total"], {}

        def update(self):
            told.append(dict(self.said))

        def set_description_str(self, text, refresh):
            self.said["epoch"] = text

        def set_postfix_str(self, text, refresh):
            self.said["after"] = text

        def close(self):
            told.append(dict(self.said))

    monkeypatch.setattr("dynbench.engine.progress.tqdm", Bar)
    fitted([0.25, 0.5, 0.75], epochs=3)
    assert [one["epoch"] for one in told[:12]] == [f"fit, epoch {k}/3" for k in (1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3)]
    assert [one["after"] for one in told[3:9:5]] == ["", "validation ap 0.5000"]
    assert told[-1]["after"].startswith("loss ")
    assert told[-1]["after"].endswith(", validation ap 0.7500")

"""Event-stream models away from the CPU: on a GPU if there is one, and on a device that only poses as one."""

from __future__ import annotations

import pytest
import torch
from far_device import FAR, Elsewhere, near
from test_stream_training import MODELS, SMALL, stream

from dynbench.contract import Queries
from dynbench.engine.trainer import Trainer

# How often a training step waits: models whose work depends on what a batch holds ask for its size.
WAITS = {"jodie": 0, "graphmixer": 0, "tgn": 1, "dyrep": 1, "tgat": 3, "tcl": 2, "dygformer": 5, "cawn": 7}


def make(name: str, **settings):
    torch.manual_seed(0)
    kind, own = MODELS[name]
    return kind(**{**SMALL, **own, **settings})


def answers(model, graph, device) -> torch.Tensor:
    """What a fitted model says after each of three batches, having gone back once."""
    found = []
    model.condition(graph.events(0, 60))
    begun = {name: part.clone() for name, part in model.running_state().items()}
    for start in (60, 70, 80):
        model.observe(graph.events(start, start + 10))
        batch = graph.events(start, start + 10)
        found.append(model.score(Queries(batch.src, batch.dst.flip(0), batch.time).to(device)))
    model.restore(begun)
    return torch.cat(found)


class Forward:
    """Walks through training without gradients, and notes how often the second step waits."""

    device = FAR

    def __init__(self, elsewhere: Elsewhere):
        self.elsewhere, self.waits = elsewhere, []

    def train(self, model, steps, selection=None):
        model.requires_grad_(False)
        model.train()
        for step in range(steps):
            self.elsewhere.waits.clear()
            model.training_step(step, step)
            if step == 1:
                self.waits = list(self.elsewhere.waits)


@pytest.mark.parametrize("features", [False, True])
@pytest.mark.parametrize("name", MODELS)
def test_everything_a_model_works_with_is_on_its_device(name, features):
    generator = torch.Generator().manual_seed(1)
    sizes = {"node_features": (12, 5), "edge_features": (90, 3)} if features else {}
    graph = stream(90, **{key: torch.randn(*size, generator=generator) for key, size in sizes.items()})
    model, home = make(name), make(name, epochs=0)
    with torch.no_grad(), Elsewhere() as elsewhere:
        trainer = Forward(elsewhere)
        model.fit(graph.events(0, 60), None, trainer)
        assert len(trainer.waits) <= WAITS[name], trainer.waits
        found = near(answers(model, graph, FAR))
    home.load_state_dict(
        {key: near(part) if isinstance(part, torch.Tensor) else part for key, part in model.state_dict().items()}
    )
    torch.testing.assert_close(found, answers(home, graph, "cpu"), rtol=1e-4, atol=1e-5)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
@pytest.mark.parametrize("name", MODELS)
def test_a_gpu_gives_what_the_cpu_gives(name, precision):
    graph = stream(90)
    here, there = make(name), make(name)
    here.fit(graph.events(0, 60), None, Trainer(precision=precision))
    trainer = Trainer(accelerator="gpu", precision=precision)
    torch.manual_seed(0)
    there.fit(graph.events(0, 60), None, trainer)
    there.to(trainer.device)
    expected, found = answers(here, graph, "cpu"), answers(there, graph, trainer.device)
    tolerance = 1e-3 if precision == "32-true" else 0.05
    torch.testing.assert_close(found.cpu(), expected, rtol=tolerance, atol=tolerance)

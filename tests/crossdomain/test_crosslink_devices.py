"""CrossLink and training on several graphs away from the CPU: on a GPU if there is one, and on one that only poses."""

from __future__ import annotations

import pytest
import torch
from far_device import FAR, Elsewhere, near

from dynbench.contract import Queries
from dynbench.engine.trainer import Trainer
from dynbench.graph import TemporalGraph
from dynbench.graph.collection import Mixture
from dynbench.models.crossdomain.crosslink import CrossLink
from dynbench.models.stream.cawn import CAWN
from dynbench.models.stream.dygformer import DyGFormer
from dynbench.models.stream.graphmixer import GraphMixer
from dynbench.models.stream.tcl import TCL
from dynbench.models.stream.tgat import TGAT
from dynbench.sampling.mixture import draw_examples

SIZES = {"node_dim": 6, "edge_dim": 6, "time_dim": 4, "dropout": 0.0, "epochs": 1}
MODELS = {
    "crosslink": (CrossLink, {"width": 8, "channel": 4, "length": 4, "layers": 1, "sequence": 10, "blocks": 2,
                              "decoder_heads": 2, "dropout": 0.0, "epochs": 1, "batch_size": 20}),
    "crosslink_small": (CrossLink, {"width": 8, "channel": 4, "length": 4, "layers": 1, "sequence": 10, "blocks": 2,
                                    "decoder_heads": 2, "dropout": 0.0, "epochs": 1, "batch_size": 20, "types": True,
                                    "drop_zero_channels": True, "inference_shuffle": True}),
    "dygformer": (DyGFormer, {**SIZES, "length": 4, "channel": 4}),
    "tgat": (TGAT, SIZES),
    "tcl": (TCL, SIZES),
    "graphmixer": (GraphMixer, SIZES),
    "cawn": (CAWN, SIZES),
}  # fmt: skip


def stream(seed: int, events: int = 90) -> TemporalGraph:
    draw = torch.Generator().manual_seed(seed)
    src, dst = (torch.randint(12, (events,), generator=draw) for _ in range(2))
    time = 500 + torch.randint(events, (events,), generator=draw).sort().values
    return TemporalGraph.from_events(src, dst, time, 12)


def make(name: str, **settings):
    torch.manual_seed(0)
    kind, own = MODELS[name]
    return kind(**{**own, **settings})


def answers(model, device) -> torch.Tensor:
    """What a fitted model says about another graph, with and without examples."""
    graph, found = stream(7), []
    past, batch = graph.events(0, 70), graph.events(70, 90)
    for examples in (draw_examples(past, 8, seed=1), None):
        model.condition(past)
        model.study(examples)
        model.observe(batch)
        found.append(model.score(Queries(batch.src, batch.dst.flip(0), batch.time).to(device)))
    return torch.cat(found)


class Forward:
    """Walks through training without gradients."""

    device = FAR

    def train(self, model, steps):
        model.requires_grad_(False)
        model.train()
        for step in range(steps):
            assert bool(torch.isfinite(near(model.training_step(step, step))))


@pytest.mark.parametrize("name", MODELS)
def test_everything_is_on_the_device(name):
    graphs = Mixture({"a": stream(1), "b": stream(2)}, 60)
    model, home = make(name), make(name, epochs=0)
    with torch.no_grad(), Elsewhere():
        model.fit(graphs, None, Forward())
        found = near(answers(model, FAR))
    home.load_state_dict(
        {key: near(part) if isinstance(part, torch.Tensor) else part for key, part in model.state_dict().items()}
    )
    torch.testing.assert_close(found, answers(home, "cpu"), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", MODELS)
def test_mixed_precision_trains_nearly_the_same(name):
    graphs, found = Mixture({"a": stream(1), "b": stream(2)}, 60), []
    for precision in ("32-true", "bf16-mixed"):
        model = make(name)
        torch.manual_seed(0)
        model.fit(graphs, None, Trainer(precision=precision))
        found.append(answers(model, "cpu"))
    torch.testing.assert_close(*found, rtol=0.1, atol=0.1)
    assert not torch.equal(*found)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
@pytest.mark.parametrize("name", MODELS)
def test_a_gpu_gives_what_the_cpu_gives(name, precision):
    graphs = Mixture({"a": stream(1), "b": stream(2)}, 60)
    here, there = make(name), make(name)
    torch.manual_seed(0)
    here.fit(graphs, None, Trainer(precision=precision))
    trainer = Trainer(accelerator="gpu", precision=precision)
    torch.manual_seed(0)
    there.fit(graphs, None, trainer)
    there.to(trainer.device)
    tolerance = 1e-3 if precision == "32-true" else 0.05
    found = answers(there, trainer.device).cpu()
    torch.testing.assert_close(found, answers(here, "cpu"), rtol=tolerance, atol=tolerance)

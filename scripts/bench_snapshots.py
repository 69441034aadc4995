"""Time a gradient step of each system on snapshots: ``python scripts/bench_snapshots.py --nodes 1809``.

On a drawn network of UCI's size. DynAERNN is timed beside the same network that looks at whole rows of the adjacency
matrix; their losses are compared before a time is printed. Times are those of the processor.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch
from torch import Tensor

from dynbench.graph import TemporalGraph
from dynbench.models.snapshots.dynaernn import DynAERNN
from dynbench.models.snapshots.dynamic_triad import DynamicTriad
from dynbench.models.snapshots.dyngem import DynGEM
from dynbench.models.snapshots.dysat import DySAT
from dynbench.models.walks.node2vec import Node2Vec

SYSTEMS = {
    "dysat": (DySAT, {}),
    "dysat, all nodes in a step": (DySAT, {"batch_size": 4096}),
    "dynamictriad": (DynamicTriad, {"dim": 128}),
    "dyngem": (DynGEM, {}),
    "dynaernn": (DynAERNN, {"batch_size": 500}),
}


def draw_graph(nodes: int, steps: int, links: int, seed: int = 0) -> TemporalGraph:
    """Snapshots of nodes that differ in how active they are; links that come twice in a snapshot are one."""
    draw = np.random.default_rng(seed)
    odds = draw.pareto(1.5, nodes) + 0.1
    src, dst = draw.choice(nodes, (2, links), p=odds / odds.sum())
    time_ = np.sort(draw.integers(0, steps, links))
    rows = np.unique(np.stack([time_, np.minimum(src, dst), np.maximum(src, dst)]), axis=1)
    return TemporalGraph.from_events(rows[1], rows[2], rows[0], nodes, directed=False, num_steps=steps)


class Probe:
    """Stands in for a Trainer: takes some steps of the last fit that a model asks for, and times them."""

    device = torch.device("cpu")

    def __init__(self, steps: int, dense: Callable | None = None):
        self.count, self.dense, self.asked, self.found = steps, dense, 0, {}

    def train(self, module, steps: int, **more) -> None:
        """Replace a training run."""
        self.asked += steps
        module.train()
        optimizer = module.configure_optimizers()
        self.found["ms"] = 1e3 * _median(lambda i: _step(module, optimizer, module.training_step(i, i)), self.count)
        if self.dense is not None:
            # Without sampling, so that both are the same sum.
            torch.testing.assert_close(module.training_step(0, 0), self.dense(module, 0), rtol=1e-3, atol=1e-5)
            self.found["dense_ms"] = 1e3 * _median(
                lambda i: _step(module, optimizer, self.dense(module, i)), self.count
            )


def _step(module, optimizer, loss: Tensor) -> None:
    optimizer.zero_grad()
    loss.backward()
    module.on_before_optimizer_step(optimizer)
    optimizer.step()


def _median(call: Callable[[int], None], count: int) -> float:
    spent = []
    for number in range(count + 1):
        start = time.process_time()
        call(number % 2)
        spent.append(time.process_time() - start)
    return float(np.median(spent[1:]))


def dense_dynaernn(model: DynAERNN, batch_idx: int) -> Tensor:
    """DynAERNN's loss from whole rows of the adjacency matrices, of every row that looks at nothing, too."""
    size, rows = model.sizes["num_nodes"], model._some[model._batches.at(batch_idx)]
    parts = ((rows, len(model._some) / len(rows)), (model._all_blind, 1.0))
    return sum(weight * _dense_errors(model, part, size).sum() for part, weight in parts if len(part)) / model._total


def _dense_errors(model: DynAERNN, rows: Tensor, size: int) -> Tensor:
    first = model.look_back - model._lags
    sequence = []
    for lag in range(model._lags):
        layer, rest = model.encoders_in[first + lag], model.encoders[first + lag]
        sequence.append(rest(_dense(model._known, rows + lag * size, size) @ layer.weight + layer.bias))
    sequence = torch.stack(sequence)
    for cell in model.cells:
        sequence, _ = cell(sequence)
    rebuilt = model.decoder_out(model.decoder(sequence[-1]))[:, model._columns]
    target = _dense(model._known, rows + model._ahead * size, size)[:, model._columns]
    return ((rebuilt - target) * torch.where(target > 0, model.beta, 1.0)).square().sum(1)


def _dense(known, rows: Tensor, size: int) -> Tensor:
    entries = known.take(rows)
    full = torch.zeros(len(rows), size)
    full[entries.row, entries.column] = entries.value
    return full


def measure(graph: TemporalGraph, name: str, steps: int) -> dict[str, float]:
    """Milliseconds of a step with all snapshots known, and the steps of a fit that starts anew."""
    kind, settings = SYSTEMS[name]
    torch.manual_seed(0)
    model = kind(**settings)
    probe = Probe(steps, dense_dynaernn if kind is DynAERNN else None)
    if kind is DynAERNN:
        arrange = model._arrange

        def with_blind() -> None:
            arrange()
            starts = max(model._steps - model._lags, 1)
            row = torch.arange(starts)[:, None] * model.sizes["num_nodes"] + model._columns
            model._all_blind = row[~torch.isin(row, model._some)]

        model._arrange = with_blind
    model.fit(graph, None, probe)
    return {**probe.found, "steps": probe.asked}


def node2vec(graph: TemporalGraph) -> dict[str, float]:
    """Milliseconds of node2vec on the union of all snapshots: walks, and one pass over them."""
    start = time.process_time()
    union = TemporalGraph.from_events(
        graph.src, graph.dst, graph.time * 0, graph.num_nodes, directed=False, num_steps=1
    )
    Node2Vec().fit(union, None, SimpleNamespace(device=torch.device("cpu")))
    return {"ms": 1e3 * (time.process_time() - start), "steps": 1}


def main(words: list[str] | None = None) -> None:
    """Measure, and print a line for each system."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--nodes", type=int, default=1809)
    parser.add_argument("--snapshots", type=int, default=13)
    parser.add_argument("--links", type=int, default=16822)
    parser.add_argument("--steps", type=int, default=5, help="gradient steps timed")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", type=Path, help="write the numbers here")
    options = parser.parse_args(words)
    torch.set_num_threads(options.threads)
    graph = draw_graph(options.nodes, options.snapshots, options.links)
    found = {name: measure(graph, name, options.steps) for name in SYSTEMS} | {"node2vec, a union": node2vec(graph)}
    print(f"{options.nodes} nodes, {options.snapshots} snapshots, {len(graph)} links: processor ms a step")
    for name, row in found.items():
        dense = (
            f"   dense {row['dense_ms']:9.1f}   ratio {row['dense_ms'] / row['ms']:5.1f}" if "dense_ms" in row else ""
        )
        print(f"{name:<28}{row['ms']:10.1f}{dense}")
    if options.json:
        options.json.write_text(json.dumps(found, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()

"""Time models of communities and features: ``python scripts/bench_features.py``.

One sweep of each sampler on a drawn network of NIPS-110's size, and on the first half of the snapshots of datasets that
are named (``--data email_eu``); one epoch of DGLFRM on a drawn graph of Pubmed's size, whose loss goes over all pairs
block by block, and its memory; and, on a graph of Cora's size, that loss and its gradient beside those of the whole
matrix. Losses that differ stop the benchmark.
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

import dynbench
from dynbench.engine.trainer import Trainer
from dynbench.graph import TemporalGraph
from dynbench.models.latent_features.arrays import logits_of
from dynbench.models.latent_features.dmmg import DMMG
from dynbench.models.latent_features.drift import DRIFT
from dynbench.models.latent_features.lfrm import LFRM
from dynbench.models.static.dglfrm import DGLFRM
from dynbench.models.static.graph import StaticGraph
from dynbench.models.static.link_loss import LinkLoss

# Nodes, features and snapshots of NIPS-110 in later papers; nodes and links of the two citation graphs.
SWEEP, CORA, PUBMED = (110, 15, 17), (2708, 5278), (19_717, 44_324)
EPOCHS = 500  # of DGLFRM


def draw_features(nodes: int, features: int, steps: int, seed: int = 0) -> TemporalGraph:
    """A network whose links come from binary features that a twentieth of the nodes change per step."""
    draw = np.random.default_rng(seed)
    z = np.zeros((steps, nodes, features), dtype=np.uint8)
    z[0] = draw.random((nodes, features)) < 0.15
    for t in range(1, steps):
        z[t] = np.where(draw.random((nodes, features)) < 0.05, draw.random((nodes, features)) < 0.15, z[t - 1])
    logits = logits_of(z, 2 * np.eye(features), -4.0, directed=False)[0]
    step, src, dst = np.nonzero(np.triu(draw.random(logits.shape) < 1 / (1 + np.exp(-logits)), 1))
    return TemporalGraph.from_events(src, dst, step, nodes, directed=False, num_steps=steps)


def draw_sparse(nodes: int, links: int, seed: int = 0) -> TemporalGraph:
    """A sparse graph whose nodes differ in activity."""
    draw = np.random.default_rng(seed)
    activity = 1 / np.arange(1, nodes + 1) ** 0.6
    keys = np.zeros(0, dtype=np.int64)
    while len(keys) < links:
        ends = np.sort(draw.choice(nodes, (2, links), p=activity / activity.sum()), axis=0)
        keys = np.unique(np.concatenate([keys, (ends[0] * nodes + ends[1])[ends[0] != ends[1]]]))
    keys = draw.choice(keys, links, replace=False)
    return TemporalGraph.from_events(
        keys // nodes, keys % nodes, np.zeros(links, dtype=np.int64), nodes, directed=False, num_steps=1
    )  # fmt: skip


def first_half(name: str, undirected: bool) -> TemporalGraph:
    """The first half of the snapshots of a dataset."""
    graph = dynbench.load(name, **({"directed": False} if undirected else {}))
    return graph.before(graph.require_steps() // 2)


def sweeps(graph: TemporalGraph, features: int, repeats: int, where: str = "") -> dict[str, dict[str, float]]:
    """Milliseconds of processor time of one sweep of each sampler, the median after warm-up."""
    found = {}
    for model in (DRIFT(features=features), DMMG(), LFRM()):
        draw, taken = np.random.default_rng(0), []
        model.read(graph)
        model.begin(graph.num_nodes)
        for _ in range(repeats + 1):
            start = time.process_time()
            model.sweep(draw)
            taken.append(time.process_time() - start)
        found[f"sweep, {type(model).__name__}{where}"] = {"milliseconds": 1000 * float(np.median(taken[1:]))}
    return found


def epoch(graph: TemporalGraph, epochs: int) -> dict[str, float]:
    """Seconds of processor time of one epoch of DGLFRM, minutes of a whole fit, and the most memory so far."""

    def fit(number: int) -> float:
        start = time.process_time()
        torch.manual_seed(0)
        DGLFRM(epochs=number).fit(graph, None, Trainer())
        return time.process_time() - start

    once = fit(1)
    seconds = (fit(1 + epochs) - once) / epochs
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return {"seconds": seconds, "minutes of a fit": seconds * EPOCHS / 60, "GiB at most": memory}


def beside_the_matrix(graph: TemporalGraph, width: int = 16) -> dict[str, float]:
    """Loss and gradient over blocks and over the whole matrix of pairs, and the seconds of both.

    Raises:
        SystemExit: If they differ; then there is nothing to compare.
    """
    known = StaticGraph.of(graph)
    z = (0.5 * torch.randn(known.num_nodes, width, generator=torch.Generator().manual_seed(0))).requires_grad_()
    blocks, whole = LinkLoss(known), _dense(known)

    def measure(loss: Callable) -> tuple[float, torch.Tensor, float]:
        z.grad = None
        start = time.process_time()
        value = loss(z)
        value.backward()
        return float(value.detach()), z.grad.clone(), time.process_time() - start

    (ours, slope, seconds), (theirs, expected, dense) = measure(lambda x: blocks(x, x)), measure(whole)
    apart = float((slope - expected).abs().max() / expected.abs().max())
    if abs(ours - theirs) > 1e-4 * abs(theirs) or apart > 1e-3:
        raise SystemExit(f"losses differ: {ours} and {theirs}; gradients by {apart:.1e}")
    return {"loss": ours, "of the matrix": theirs, "gradients apart": apart, "seconds": seconds, "dense seconds": dense}


def _dense(known: StaticGraph) -> Callable:
    target = torch.eye(known.num_nodes)
    target[known.src, known.dst] = target[known.dst, known.src] = 1
    pairs, links = known.num_nodes**2, 2 * len(known.src)
    weight, norm = torch.tensor((pairs - links) / links), pairs / (2 * (pairs - links))
    return lambda z: norm * F.binary_cross_entropy_with_logits(z @ z.T, target, pos_weight=weight)


def main(arguments: list[str] | None = None) -> int:
    """Run the benchmark, print its lines and perhaps write them."""
    parser = argparse.ArgumentParser(description=__doc__.partition(":")[0])
    parser.add_argument("--data", nargs="*", default=[], metavar="NAME", help="datasets to time sweeps on as well")
    parser.add_argument("--undirected", action="store_true", help="take links of these datasets as undirected ones")
    parser.add_argument("--json", type=Path, metavar="PATH", help="write the result to a file as well")
    parser.add_argument("--threads", type=int, default=1, help="threads of torch")
    parser.add_argument("--smoke", action="store_true", help="tiny sizes: shows that the benchmark works")
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    (nodes, features, steps), cora, pubmed = SWEEP, CORA, PUBMED
    if options.smoke:
        (nodes, features, steps), cora, pubmed = (30, 3, 3), (60, 120), (100, 200)
    repeats = 2 if options.smoke else 20
    found = sweeps(draw_features(nodes, features, steps), features, repeats)
    for name in options.data:
        found |= sweeps(first_half(name, options.undirected), features, repeats, f", {name}")
    found[f"DGLFRM, epoch, {pubmed[0]} nodes"] = epoch(draw_sparse(*pubmed), 1 if options.smoke else 3)
    found[f"all pairs, {cora[0]} nodes"] = beside_the_matrix(draw_sparse(*cora))
    for name, values in found.items():
        print(f"{name:<32}" + ", ".join(f"{what} {value:.4g}" for what, value in values.items()))
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

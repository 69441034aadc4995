"""Pairs per second of CrossLink beside its encoder alone: ``python scripts/bench_crosslink.py``.

Both are trained on the same generated streams, in the same steps, and asked about the same pairs, CrossLink after it
was shown as many solved pairs as it takes. Sizes are the paper's. What a step costs apart from its arithmetic, as the
choice of events and negatives and the look-up of neighbours, is part of it.
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from pathlib import Path
from typing import Any

import torch

from dynbench.contract import Queries
from dynbench.data.streams import FlipStream
from dynbench.graph.collection import Mixture
from dynbench.models.crossdomain.crosslink import CrossLink
from dynbench.sampling.mixture import draw_examples

SIZES = {
    "paper": {},
    "small": {"width": 48, "channel": 24, "length": 16, "layers": 1, "drop_zero_channels": True, "blocks": 4,
              "decoder_heads": 4},
}  # fmt: skip

# Six million events of an epoch, with a pair that is none for each, 50 times.
PAPER_PAIRS = 50 * 2 * 6_000_000


class Timed:
    """Stands for a Trainer: some steps that are not timed, then some that are.

    Attributes:
        seconds: Of the timed steps.
    """

    def __init__(self, device: str, warm: int, steps: int, bf16: bool):
        self.device, self.warm, self.steps, self.bf16 = torch.device(device), warm, steps, bf16
        self.seconds = 0.0

    def train(self, module: CrossLink, steps: int, **_: Any) -> None:
        """Train as Lightning would, without it."""
        module.train()
        found = module.configure_optimizers()
        optimizer, scheduler = found["optimizer"], found["lr_scheduler"]["scheduler"]
        for step in range(self.warm + self.steps):
            if step == self.warm:
                started = now(self.device)
            with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16):
                loss = module.training_step(step, step)
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(module.parameters(), 1.0)
            optimizer.step()
            scheduler.step()
        self.seconds = now(self.device) - started


def now(device: torch.device) -> float:
    """Seconds: of this process on a processor, which others may share; by the clock once an accelerator is done."""
    if device.type == "cpu":
        return time.process_time()
    torch.cuda.synchronize(device)
    return time.perf_counter()


def main() -> None:
    """Print a table, and perhaps write it."""
    parser = argparse.ArgumentParser(description=__doc__.partition(":")[0])
    parser.add_argument("--sizes", default="small", choices=list(SIZES), help="of encoder and decoder")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--bf16", action="store_true", help="train in mixed precision")
    parser.add_argument("--networks", type=int, default=2, help="how many are learnt from")
    parser.add_argument("--batch", type=int, default=240, help="events of each network in a step")
    parser.add_argument("--steps", type=int, default=3, help="timed steps")
    parser.add_argument("--pairs", type=int, default=1000, help="pairs that are asked about")
    parser.add_argument("--json", type=Path, metavar="PATH", help="write the result to a file as well")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    graphs = {f"stream {n}": FlipStream(f"stream_{n}", events=20_000, seed=n).load("events") for n in range(3)}
    target = graphs.popitem()[1]
    graphs = {name: graphs[name] for name in list(graphs)[: chosen.networks]}
    rows = {}
    for name, decoder in (("encoder alone", "none"), ("CrossLink", "transformer")):
        rows[name] = measure(
            CrossLink(**SIZES[chosen.sizes], decoder=decoder, batch_size=chosen.batch), graphs, target, chosen
        )
        print(f"{name:14}" + "".join(f"{key}: {value:,.0f}   " for key, value in rows[name].items()))
    alone, whole = rows["encoder alone"], rows["CrossLink"]
    ratios = {
        "training costs": alone["training pairs/s"] / whole["training pairs/s"],
        "inference reaches": whole["inference pairs/s"] / alone["inference pairs/s"],
    }
    print("   ".join(f"{key} {value:.2f} of the encoder's" for key, value in ratios.items()))
    if chosen.sizes == "paper":
        ratios["days of the paper's pre-training"] = days = days_of_pre_training(whole["training pairs/s"])
        print(f"the paper's pre-training, {PAPER_PAIRS:,} pairs, at this speed: {days:,.1f} days for one seed")
    if chosen.json:
        about = {"sizes": chosen.sizes, "device": chosen.device, "bf16": chosen.bf16, "batch": chosen.batch}
        chosen.json.write_text(json.dumps({**about, "rows": rows, "ratios": ratios}, indent=1) + "\n")


def days_of_pre_training(pairs_per_second: float) -> float:
    """What the paper's 50 passes over its six million events would take."""
    return PAPER_PAIRS / pairs_per_second / 86_400


def measure(model: CrossLink, graphs: dict, target, chosen: argparse.Namespace) -> dict[str, float]:
    """Pairs per second and memory of one model."""
    torch.manual_seed(0)
    trainer = Timed(chosen.device, 1, chosen.steps, chosen.bf16)
    model.fit(Mixture(graphs, 10_000), None, trainer)
    past, later = target.events(0, 15_000), target.events(15_000, 20_000)
    model.condition(past)
    model.study(draw_examples(past, model.sequence - 1, seed=0))
    model.observe(later)
    asked = Queries(*(part[: chosen.pairs] for part in (later.src, later.dst, later.time)))
    model.score(asked)
    started = now(trainer.device)
    model.score(asked)
    asking = now(trainer.device) - started
    pairs = 2 * chosen.batch * len(graphs) * chosen.steps
    if chosen.device == "cpu":
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    else:
        memory = torch.cuda.max_memory_allocated() / 2**20
    return {
        "training pairs/s": pairs / trainer.seconds,
        "inference pairs/s": len(asked) / asking,
        "MiB": memory,
    }


if __name__ == "__main__":
    main()

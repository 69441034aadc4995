"""Time event-stream models on the work that is left to do: ``python scripts/bench_stream.py``.

Every model trains through the Trainer on batches of 200 events with one negative each, at the published widths and the
settings that the published comparison found best on this data. Beside its speed stands what the machine's bare matrix
product achieves in the same process: arithmetic of the model times events per second, over that rate, is the share of
the machine that the model uses. Memory models read an epoch from its start, the others batches from all over it.

Seconds by the clock are what a quiet machine is asked for. On a machine that others use as well, the clock says little,
and seconds of the processors more; on a GPU only the clock counts.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import resource
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import torch
from bench_stream_others import geometric_tgn
from torch.utils.flop_counter import FlopCounterMode

from dynbench.config.compose import choice_path
from dynbench.contract import Queries
from dynbench.data import DataUnavailable, Locations, cards
from dynbench.engine.heap import keep_freed_memory
from dynbench.engine.trainer import Trainer
from dynbench.graph import TemporalGraph
from dynbench.graph.neighbors import TemporalNeighbors
from dynbench.models.stream.base import StreamModel
from dynbench.models.stream.cawn import CAWN
from dynbench.models.stream.dygformer import DyGFormer
from dynbench.models.stream.dyrep import DyRep
from dynbench.models.stream.graphmixer import GraphMixer
from dynbench.models.stream.jodie import JODIE
from dynbench.models.stream.memory import MemoryModel
from dynbench.models.stream.tcl import TCL
from dynbench.models.stream.tgat import TGAT
from dynbench.models.stream.tgn import TGN
from dynbench.protocols.temporal_events import TemporalEvents

# Settings of the published comparison for these messages.
MODELS: dict[str, tuple[type[StreamModel], dict]] = {
    "jodie": (JODIE, {"dropout": 0.4}),
    "dyrep": (DyRep, {"dropout": 0.0}),
    "tgn": (TGN, {}),
    "tgat": (TGAT, {}),
    "tcl": (TCL, {"dropout": 0.0}),
    "graphmixer": (GraphMixer, {"dropout": 0.4}),
    "dygformer": (DyGFormer, {}),
    "cawn": (CAWN, {"walks": 64}),
}
SMALL = {"node_dim": 16, "edge_dim": 16, "time_dim": 8}
SIZES = (10_000, 100_000, 1_000_000)
# Operators that a profile names.
OPERATORS = 12


def draw_stream(events: int, seed: int = 0) -> TemporalGraph:
    """Events among a thirtieth as many nodes, some of them busy; half of them with whom a node always meets."""
    draw = torch.Generator().manual_seed(seed)
    nodes = max(20, events // 30)
    src = (torch.rand(events, generator=draw) ** 2 * nodes).long()
    other = torch.randint(nodes, (events,), generator=draw)
    dst = torch.where(torch.rand(events, generator=draw) < 0.5, (src + 1) % nodes, other)
    gaps = torch.randint(120, (events,), generator=draw)
    return TemporalGraph.from_events(src, dst, gaps.cumsum(0), nodes)


def load(name: str) -> TemporalGraph:
    """A dataset's events, or a drawn stream of the size of CollegeMsg where they are not at hand."""
    if name.isdigit():
        return draw_stream(int(name))
    try:
        return cards.build(cards.read_card(choice_path("data", name)), Locations.from_settings(offline=True)).load(
            "events"
        )
    except DataUnavailable as error:
        print(f"{error}\nA drawn stream takes its place.")
        return draw_stream(59_835)


def clocks() -> np.ndarray:
    """Seconds by the clock and on processors; waits for a GPU first."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return np.array([time.perf_counter(), time.process_time()])


def timed(call: Callable) -> tuple:
    """What a call returns, and its seconds by the clock and on processors."""
    before = clocks()
    result = call()
    return result, clocks() - before


def product_rate(device: torch.device, precision: str) -> np.ndarray:
    """GFLOP per second by the clock and of processors, of the product of two square matrices; the best of a few."""
    size = 1024 if device.type == "cpu" else 8192
    kind = torch.bfloat16 if precision == "bf16-mixed" else torch.float
    x = torch.randn(size, size, device=device).to(kind)
    x @ x
    repeats = [timed(lambda: [x @ x for _ in range(4)])[1] for _ in range(5)]
    return 4 * 2 * size**3 / 1e9 / np.min(repeats, axis=0)


class Sampled:
    """A Trainer that takes as many steps of a fit as fit into a time, and measures them.

    Args:
        trainer: Which runs them.
        seconds: How long they may take, about.
        profile: Whether some more steps are watched for what takes their time.
    """

    def __init__(self, trainer: Trainer, seconds: float, profile: bool = False):
        self.trainer, self.budget, self.device, self.profile = trainer, seconds, trainer.device, profile
        self.spent, self.events, self.gflop = np.zeros(2), 0, 0.0
        self.shares: dict[str, float] = {}

    def train(self, model: StreamModel, steps: int, selection=None) -> None:
        """Train on some batches of an epoch."""
        whole = model.training_step
        in_order = isinstance(model, MemoryModel)
        order = np.arange(steps) if in_order else np.random.default_rng(0).permutation(steps)
        size, length, done = model.batch_size, len(model._train), min(2, steps)
        model.training_step = lambda batch, batch_idx: whole(batch, int(order[batch_idx]))
        self.trainer.train(model, done)
        _, one = timed(lambda: self.trainer.train(model, 1))
        order = order[done:] if len(order) > done else order
        count = int(np.clip(self.budget / one[0], 2, len(order)))
        _, self.spent = timed(lambda: self.trainer.train(model, count))
        self.events = sum(min(size, length - place * size) for place in order[:count].tolist())
        if self.profile:
            self.shares = shares_of(lambda: self.trainer.train(model, min(3, count)))
        # The arithmetic of one step more, from the middle of what was measured.
        place = int(order[count // 2])
        with FlopCounterMode(display=False) as counter:
            model.train()
            model.to(self.device)
            whole(place, place).backward()
        self.gflop = counter.get_total_flops() / 1e9 / min(size, length - place * size)
        model.training_step = whole


def shares_of(call: Callable) -> dict[str, float]:
    """Shares of the processors' time that the operators of a call take by themselves, the largest first."""
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as watched:
        call()
    spent = {one.key: one.self_cpu_time_total for one in watched.key_averages()}
    largest = sorted(spent, key=lambda key: -spent[key])[:OPERATORS]
    return {key: spent[key] / sum(spent.values()) for key in largest}


def measure(name: str, options: dict) -> dict[str, float]:
    """All figures of one model."""
    trainer = _begin(options)
    kind, settings = MODELS[name]
    graph = load(options["data"])
    split = TemporalEvents().split(graph)
    torch.manual_seed(0)
    model = kind(**{**settings, **(SMALL if options["quick"] else {}), "epochs": 1})
    sampled = Sampled(trainer, options["seconds"], options["profile"])
    rate = product_rate(trainer.device, options["precision"])
    model.fit(split.train, None, sampled)
    rate = np.maximum(rate, product_rate(trainer.device, options["precision"]))
    speed = sampled.events / sampled.spent
    evaluation = _evaluation(model, split, trainer.device, options["seconds"] / 4)
    which = 0 if trainer.on_gpu else 1
    return {
        "s per epoch": len(split.train) / speed[0],
        "events/s": speed[0],
        "events per processor second": speed[1],
        "GFLOP/event": sampled.gflop,
        "product, GFLOP/s": rate[0],
        "product, GFLOP per processor second": rate[1],
        "share of the product": sampled.gflop * speed[which] / rate[which],
        "evaluation, events/s": evaluation[0],
        "evaluation, events per processor second": evaluation[1],
        "peak memory (MiB)": _peak(trainer),
        "events measured": sampled.events,
        **{f"time in {key}": value for key, value in sampled.shares.items()},
    }


def _evaluation(model: StreamModel, split, device: torch.device, seconds: float) -> np.ndarray:
    """Events per second that are revealed and asked about with one negative each, in batches as in training."""
    model.to(device)
    model.condition(split.known)
    events, size = split.validation, model.batch_size
    others = events.dst[torch.randperm(len(events), generator=torch.Generator().manual_seed(0))]

    def ask(start: int) -> None:
        batch = events.events(start, start + size)
        model.observe(batch)
        both = torch.cat([batch.dst, others[start : start + size]])
        model.score(Queries(batch.src.repeat(2), both, batch.time.repeat(2)).to(device)).cpu()

    ask(0)
    spent, asked = np.zeros(2), 0
    for start in range(size, len(events), size):
        spent += timed(lambda start=start: ask(start))[1]
        asked += min(size, len(events) - start)
        if spent[0] > seconds:
            break
    return asked / spent


def lookups(options: dict) -> dict[str, float]:
    """Milliseconds for 600 queries of 20 neighbours, and for building the index."""
    trainer = _begin(options)
    graph = load(options["data"])
    TemporalNeighbors(graph.events(0, 100), device=trainer.device)  # compiles
    index, built = timed(lambda: TemporalNeighbors(graph, device=trainer.device))
    draw = torch.Generator().manual_seed(0)
    nodes = torch.randint(graph.num_nodes, (600,), generator=draw)
    times = graph.time[torch.randint(len(graph), (600,), generator=draw)]
    nodes, times = nodes.to(trainer.device), times.to(trainer.device)
    index.before(nodes, times, 20)
    spent = np.array([timed(lambda: index.before(nodes, times, 20))[1] for _ in range(100)])
    return {
        "600 look-ups of 20 (ms), best": spent[:, 0].min() * 1e3,
        "600 look-ups of 20 (ms), median": float(np.median(spent[:, 0])) * 1e3,
        "building the index (ms)": built[0] * 1e3,
    }


def at_size(events: int, options: dict) -> dict[str, float]:
    """Index and one epoch of TGN on a drawn stream: what precedes the batches in full, and batches from the end."""
    trainer = _begin(options)
    graph = draw_stream(events)
    before = _peak(trainer)
    TemporalNeighbors(graph.events(0, 100), device=trainer.device)  # compiles
    _, built = timed(lambda: TemporalNeighbors(graph, device=trainer.device))
    torch.manual_seed(0)
    model = TGN(epochs=1, **SMALL)
    batches = -(-len(graph) // model.batch_size)
    few = min(batches, 3 if options["quick"] else 40)
    spent = np.zeros(2)

    class Tail:
        device = trainer.device

        def train(self, model, steps, selection=None):
            whole = model.training_step
            model.before_batch(0)
            model.training_step = lambda batch, batch_idx: whole(batch, steps - few + batch_idx)
            trainer.train(model, few)
            nonlocal spent
            spent = timed(lambda: trainer.train(model, few))[1]

    _, everything = timed(lambda: model.fit(graph, None, Tail()))
    # The measured batches and their warm-up are in it; what is left over grows with the stream, not with them.
    rest = np.maximum(everything - 2 * spent, 0)
    epoch = rest + spent / few * batches
    return {
        "events": events, "index (s)": built[1 - trainer.on_gpu], "epoch (s)": epoch[1 - trainer.on_gpu],
        "memory (MiB)": _peak(trainer) - before,
    }  # fmt: skip


def slope(sizes: list[float], values: list[float]) -> float:
    """Exponent of a power law through the points, by least squares in logarithms."""
    return float(np.polyfit(np.log(sizes), np.log(np.maximum(values, 1e-9)), 1)[0])


def growth(options: dict) -> dict:
    """Cost against size, and its exponents."""
    points = []
    for size in options["sizes"]:
        points.append(alone(at_size, size, options))
        print("  " + ", ".join(f"{name} {value:,.3g}" for name, value in points[-1].items()), flush=True)
    sizes = [point["events"] for point in points]
    names = [name for name in points[0] if name != "events"]
    slopes = {name: slope(sizes, [point[name] for point in points]) for name in names} if len(sizes) > 1 else {}
    return {"points": points, "exponents": slopes}


def _begin(options: dict) -> Trainer:
    torch.set_num_threads(options["threads"])
    gpu = options["device"] == "gpu"
    if not gpu:
        keep_freed_memory()
    return Trainer(
        accelerator="gpu" if gpu else "cpu", precision=options["precision"], threads=options["threads"]
    )  # fmt: skip


def _peak(trainer: Trainer) -> float:
    if trainer.on_gpu:
        return torch.cuda.max_memory_allocated() / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def alone(call: Callable, *arguments):
    """What a call returns, in a process of its own, with memory and threads of its own, unless it is to be quick."""
    if arguments[-1]["quick"]:
        return call(*arguments)
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(call, *arguments).result()


def beside(options: dict) -> dict[str, float]:
    """TGN of torch_geometric on the same events with the same sizes."""
    trainer = _begin(options)
    train = TemporalEvents().split(load(options["data"])).train
    step, count = geometric_tgn(train, trainer.device, **(SMALL if options["quick"] else {}))
    done, spent = 0, np.zeros(2)
    for number in range(count):
        events, took = timed(lambda number=number: step(number))
        if number >= 2:  # the first ones are slower
            done, spent = done + events, spent + took
        if spent[0] > options["seconds"]:
            break
    return {"events/s": done / spent[0], "events per processor second": done / spent[1]}


def main() -> None:
    """Print a table, and perhaps write it."""
    parser = argparse.ArgumentParser(description=__doc__.partition(":")[0])
    parser.add_argument("--models", nargs="*", default=list(MODELS), choices=list(MODELS), help="which ones")
    parser.add_argument("--data", default="collegemsg", help="a dataset, or a number of events to draw")
    parser.add_argument("--threads", type=int, default=2, help="threads of either side")
    parser.add_argument("--precision", default="32-true", choices=["32-true", "bf16-mixed"], help="of training")
    parser.add_argument("--device", default="cpu", choices=["cpu", "gpu"], help="where models are")
    parser.add_argument("--seconds", type=float, default=20.0, help="training that is measured, for each model")
    parser.add_argument("--sizes", nargs="*", type=int, default=list(SIZES), help="streams that are drawn")
    parser.add_argument("--large", action="store_true", help="draw one of ten million events as well")
    parser.add_argument("--profile", action="store_true", help="say which operators take the time of training, too")
    parser.add_argument("--quick", action="store_true", help="small models and streams, to see that all of it runs")
    parser.add_argument("--json", type=Path, metavar="PATH", help="write the result to a file as well")
    options = vars(parser.parse_args())
    if options["quick"]:
        options |= {"data": "3000", "seconds": 0.2, "sizes": [2000, 8000]}
    options["sizes"] = options["sizes"] + [10_000_000] * options["large"]
    result: dict = {"options": {key: value for key, value in options.items() if key != "json"}, "models": {}}
    for name in options["models"]:
        found = result["models"][name] = alone(measure, name, options)
        print(f"{name:<12}" + ", ".join(f"{key} {value:,.4g}" for key, value in found.items()), flush=True)
    result["neighbours"] = alone(lookups, options)
    print("neighbours  " + ", ".join(f"{key} {value:,.3g}" for key, value in result["neighbours"].items()), flush=True)
    try:
        result["torch_geometric"] = alone(beside, options)
        print("torch_geometric's TGN: " + ", ".join(f"{k} {v:,.4g}" for k, v in result["torch_geometric"].items()))
    except ImportError as error:
        print(f"torch_geometric's TGN is not measured ({error}): pip install 'dynbench[bench]'")
    if options["sizes"]:
        print("cost against size:", flush=True)
        result["growth"] = growth(options)
        print("exponents: " + ", ".join(f"{key} {value:.2f}" for key, value in result["growth"]["exponents"].items()))
    if options["json"]:
        options["json"].write_text(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()

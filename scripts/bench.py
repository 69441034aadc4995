"""Measure speed beside plain references in the same process: ``python scripts/bench.py --json bench.json``.

A benchmark, not a test: it asserts no speed. It does check, before it times anything, that package and reference
compute the same numbers.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import bench_reference as reference
import numpy as np
import pytorch_lightning as pl
import torch

from dynbench.config.compose import choice_path
from dynbench.contract import Queries
from dynbench.data import DataUnavailable, Locations, cards
from dynbench.engine import environment
from dynbench.engine.trainer import Trainer
from dynbench.graph import TemporalGraph
from dynbench.models.counting.neighborhood import AdamicAdar
from dynbench.models.latent.nlsm import NLSM
from dynbench.protocols.pairs import PairSplitter
from dynbench.sampling.pairs import EdgeSampler

ROOT = Path(__file__).resolve().parents[1]

# Nodes, snapshots and links of the graphs that are drawn where the real ones are not at hand.
SIZES = {"enron": (143, 16, 2347), "uci": (1809, 13, 16822), "tiny": (30, 4, 120)}


@dataclass
class Row:
    """One line of the result."""

    group: str
    what: str
    unit: str
    package: float
    reference: float | None = None
    note: str = ""

    @property
    def ratio(self) -> float | None:
        """How many times better the package is than the reference."""
        if self.reference is None or not self.package or not self.reference:
            return None
        return self.package / self.reference if self.unit == "1/s" else self.reference / self.package


@dataclass
class Effort:
    """How long to measure."""

    seconds: float  # per comparison
    repeats: int  # at least
    trainer_steps: int


FULL, SMOKE = Effort(8.0, 5, 1000), Effort(0.0, 1, 3)


def main(arguments: list[str] | None = None) -> int:
    """Run the benchmark, print its table and perhaps write it."""
    parser = argparse.ArgumentParser(description=__doc__.partition(":")[0])
    parser.add_argument("--json", type=Path, metavar="PATH", help="write the result to a file as well")
    parser.add_argument("--no-run", action="store_true", help="leave out the run of run.py from start to end")
    parser.add_argument("--threads", type=int, help="threads of torch (default: torch's own choice)")
    parser.add_argument("--smoke", action="store_true", help="tiny sizes, no repeats: shows that the benchmark works")
    parser.add_argument("--peak", help=argparse.SUPPRESS)  # a child process that reports its memory
    options = parser.parse_args(arguments)
    if options.threads:
        torch.set_num_threads(options.threads)
    warnings.filterwarnings("ignore")
    if options.peak:
        print(json.dumps(peak_here(*options.peak.split(":"))))
        return 0
    about = describe()
    print("\n".join(f"{key:<10}{value}" for key, value in about.items()))
    print("medians after warm-up; ratio above 1: better than the plain reference")
    rows = []
    effort = SMOKE if options.smoke else FULL
    for row in measure(["tiny"] if options.smoke else ["enron", "uci"], effort, not options.no_run, options.threads):
        if not rows or rows[-1].group != row.group:
            print(f"\n{row.group:<46}{'dynbench':>11}{'reference':>11}{'ratio':>8}")
        rows.append(row)
        print(line(row), flush=True)
    if options.json:
        content = {"environment": about, "rows": [{**asdict(row), "ratio": row.ratio} for row in rows]}
        options.json.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return 0


def describe() -> dict[str, str]:
    """Where this was measured."""
    found = environment.describe()
    return {
        "device": environment.device_name(torch.device("cpu")),
        "threads": str(torch.get_num_threads()),
        "python": f"{found['python']} on {found['platform']}",
        "packages": ", ".join(f"{name} {version}" for name, version in found["packages"].items()),
        "revision": found["revision"] or "unknown",
        "date": time.strftime("%Y-%m-%d"),
    }


def line(row: Row) -> str:
    """A row as text."""
    numbers = [_number(row.package), "" if row.reference is None else _number(row.reference)]
    ratio = "" if row.ratio is None else f"{row.ratio:.1f}x"
    text = f"  {f'{row.what} ({row.unit})':<44}{numbers[0]:>11}{numbers[1]:>11}{ratio:>8}"
    return f"{text}   {row.note}".rstrip()


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


def measure(names: list[str], effort: Effort, with_run: bool, threads: int | None) -> Iterator[Row]:
    """All rows, as they are measured."""
    graphs = {name: find_graph(name) for name in names}
    for name, (graph, origin) in graphs.items():
        yield from fit_steps(name, graph, origin, effort)
    yield from trainer_overhead(effort)
    largest = names[-1]
    yield from pairs(largest, graphs[largest][0], effort)
    for name in names:
        yield peak(name, threads)
    if with_run:
        yield from whole_run(names[0], graphs[names[0]][1])


# ---- graphs ------------------------------------------------------------------------------------------------


def find_graph(name: str) -> tuple[TemporalGraph, str]:
    """The real graph where it is at hand, one of its size otherwise; and which of the two it is."""
    if name != "tiny":
        card = cards.read_card(choice_path("data", name))
        try:
            return cards.build(card, Locations.from_settings(offline=True)).load("snapshots"), "real"
        except DataUnavailable:
            pass
    return draw_graph(*SIZES[name]), "generated"


def draw_graph(nodes: int, steps: int, links: int, seed: int = 0) -> TemporalGraph:
    """A snapshot graph of a given size whose nodes differ in activity as people do."""
    draw = np.random.default_rng(seed)
    activity = 1 / np.arange(1, nodes + 1) ** 0.7
    keys: set[tuple[int, int, int]] = set()
    while len(keys) < links:
        ends = np.sort(draw.choice(nodes, size=(links, 2), p=activity / activity.sum()), axis=1)
        times = draw.integers(steps, size=links)
        drawn = ((int(t), int(i), int(j)) for t, (i, j) in zip(times, ends, strict=True) if i != j)
        keys |= set(list(drawn)[: links - len(keys)])
    time_, src, dst = np.array(sorted(keys)).T
    return TemporalGraph.from_events(src, dst, time_, nodes, directed=False, num_steps=steps)


# ---- NLSM --------------------------------------------------------------------------------------------------


class Probe:
    """Stands in for the Trainer and hands the module, ready to be trained, to a function."""

    device = torch.device("cpu")

    def __init__(self, function: Callable[[NLSM], None]):
        self._function = function

    def train(self, module: NLSM, steps: int, batches=None) -> None:
        """Call the function in place of training."""
        module.trainer = SimpleNamespace(world_size=1, global_rank=0)
        self._function(module)


def fit_steps(name: str, graph: TemporalGraph, origin: str, effort: Effort) -> Iterator[Row]:
    """Gradient steps of the last and longest fit: the package's, the plain one, and the package's in its Trainer."""
    group = f"NLSM on {name}: {graph.num_nodes} nodes, {graph.num_steps} snapshots ({origin})"
    plain = reference.PlainNLSM(graph)
    found = {}

    def compare(model: NLSM) -> None:
        found["difference"] = loss_difference(model, plain)
        found["seconds"] = medians([stepper(model), plain.step], effort)

    torch.manual_seed(0)
    NLSM().fit(graph, None, Probe(compare))
    if found["difference"] > 1e-4:
        raise SystemExit(f"package and reference disagree on the loss (relative difference {found['difference']:.1e})")
    package, slow = found["seconds"]
    note = f"losses agree to {found['difference']:.0e}"
    yield Row(group, "fit step", "ms", 1e3 * package, 1e3 * slow, note)
    yield Row(group, "fit steps", "1/s", 1 / package, 1 / slow)
    steps = max(effort.repeats, int(effort.seconds / 2 / package))
    whole = fit_in_trainer(graph, steps)
    yield Row(
        group, "fit step in the Trainer", "ms", 1e3 * whole / steps, note=f"{steps} steps, logs and checkpoints on"
    )


def loss_difference(model: NLSM, plain: reference.PlainNLSM) -> float:
    """Relative difference of the two losses for the same parameters and the same draws."""
    plain.copy_from(model)
    state = torch.get_rng_state()
    ours = float(model.training_step(0, 0).detach())
    torch.set_rng_state(state)
    theirs = float(plain.loss(*same_draws(model, plain)).detach())
    return abs(ours - theirs) / abs(theirs)


def same_draws(model: NLSM, plain: reference.PlainNLSM) -> tuple[list, torch.Tensor, torch.Tensor]:
    """What the package's training step draws from the present random state, in the form the reference takes."""
    step, src, dst = model.sampler.non_edges(model.sampler.edges(None)[0])
    non_edges = [(src[step == t], dst[step == t]) for t in range(plain.steps)]
    node_noise = torch.randn(plain.steps, len(plain.rows), plain.node_start.shape[2])
    return non_edges, node_noise, torch.randn(plain.steps, *plain.matrix_start.shape[1:])


def stepper(module: pl.LightningModule) -> Callable[[], float]:
    """A bare gradient step of a module."""
    optimizer = module.configure_optimizers()

    def step() -> float:
        optimizer.zero_grad()
        loss = module.training_step(0, 0)
        loss.backward()
        optimizer.step()
        return float(loss.detach())

    return step


def fit_in_trainer(graph: TemporalGraph, steps: int) -> float:
    """Seconds of a fit as a run makes it."""
    with tempfile.TemporaryDirectory() as folder:
        trainer = prepared_trainer(Path(folder))
        NLSM(epochs=steps).fit(graph, None, trainer)
        return trainer.seconds


def prepared_trainer(folder: Path) -> Trainer:
    """A Trainer that logs and keeps checkpoints, as in a run."""
    from pytorch_lightning.loggers import CSVLogger

    trainer = Trainer()
    trainer.prepare(folder=folder, logger=CSVLogger(folder, name="log"))
    return trainer


# ---- Trainer -----------------------------------------------------------------------------------------------


class Trivial(pl.LightningModule):
    """One linear layer on a fixed batch: all that is measured is what stands around it."""

    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(16, 16)
        self.register_buffer("batch", torch.randn(32, 16))

    def training_step(self, batch: int, batch_idx: int) -> torch.Tensor:
        """Mean square of the output."""
        return self.layer(self.batch).square().mean()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Plain gradient descent."""
        return torch.optim.SGD(self.parameters(), lr=0.01)


def trainer_overhead(effort: Effort) -> Iterator[Row]:
    """What a step costs more in a Trainer than in a bare loop, and what a fit costs before its first step."""
    group = "Trainer, around a step of one linear layer"
    steps = effort.trainer_steps
    bare, ours, defaults = medians(
        [lambda: bare_loop(steps), lambda: in_trainer(steps), lambda: in_lightning(steps)],
        Effort(0.0, min(3, effort.repeats), steps),
    )
    ours_start, defaults_start = medians([lambda: in_trainer(1), lambda: in_lightning(1)], Effort(0.0, 3, 1))
    per_step = [1e3 * (whole - bare) / steps for whole in (ours, defaults)]
    note = f"target: 1 ms at most; bare step {1e3 * bare / steps:.3g} ms; reference: Lightning's default Trainer"
    yield Row(group, "overhead per step", "ms", *per_step, note)
    yield Row(group, "fit of one step", "ms", 1e3 * ours_start, 1e3 * defaults_start)


def bare_loop(steps: int) -> None:
    """The loop without a Trainer."""
    step = stepper(Trivial())
    for _ in range(steps):
        step()


def in_trainer(steps: int) -> None:
    """The package's Trainer as a run sets it up."""
    with tempfile.TemporaryDirectory() as folder:
        prepared_trainer(Path(folder)).train(Trivial(), steps)


def in_lightning(steps: int) -> None:
    """Lightning's Trainer as it comes: its progress bar, logger and checkpoints."""
    nowhere = io.StringIO()
    with (
        tempfile.TemporaryDirectory() as folder,
        contextlib.redirect_stdout(nowhere),
        contextlib.redirect_stderr(nowhere),
    ):
        trainer = pl.Trainer(max_steps=steps, default_root_dir=folder, accelerator="cpu")
        trainer.fit(Trivial(), list(range(steps)))


# ---- pairs -------------------------------------------------------------------------------------------------


def pairs(name: str, graph: TemporalGraph, effort: Effort) -> Iterator[Row]:
    """Splits, non-edges and neighbourhood scores, beside loops over pairs."""
    group = f"pairs of {name}: {len(graph)} links"
    links = reference.link_sets(graph)
    first_seen = graph.first_seen()
    nodes_by = [(first_seen <= step).nonzero().squeeze(1).tolist() for step in range(graph.num_steps)]
    short = Effort(effort.seconds / 4, effort.repeats, effort.trainer_steps)

    target = max(range(1, graph.num_steps), key=lambda step: len(graph.step(step)))
    splitter = PairSplitter(graph, seed=0)
    known = splitter.known(target - 1)
    wanted = list(zip(*(ends.tolist() for ends in splitter.links(target, known)), strict=True))
    package, slow = medians(
        [
            lambda: splitter.split(target, target - 1),
            lambda: reference.split(wanted, links[target], nodes_by[target - 1]),
        ],
        short,
    )
    yield Row(group, "evaluation pairs of a snapshot", "ms", 1e3 * package, 1e3 * slow, f"{2 * len(wanted)} pairs")

    sampler = EdgeSampler(graph, graph.num_steps)
    counts = sampler.num_edges.tolist()
    package, slow = medians(
        [
            lambda: sampler.non_edges(sampler.step),
            lambda: [reference.non_edges(*part) for part in zip(links, nodes_by, counts, strict=True)],
        ],
        short,
    )
    yield Row(group, "non-edges of a fit step", "ms", 1e3 * package, 1e3 * slow, f"{sum(counts)} draws")

    model, neighbors = AdamicAdar(), reference.neighborhoods(graph.before(target))
    model.condition(graph.before(target))
    test = splitter.split(target, target - 1)["test"].queries(target)
    known = known.nonzero().squeeze(1)
    many = known[torch.randint(len(known), (2, 50_000 if effort.repeats > 1 else 50))]
    for what, questions in (("test pairs", test), ("random pairs", Queries.pairs(*many, target))):
        asked = list(zip(questions.src.tolist(), questions.dst.tolist(), strict=True))
        difference = np.abs(model.score(questions).numpy() - np.array(reference.adamic_adar(neighbors, asked))).max()
        if difference > 1e-4:
            raise SystemExit(f"package and reference disagree on Adamic-Adar by {difference:.1e}")
        functions = [partial(model.score, questions), partial(reference.adamic_adar, neighbors, asked)]
        package, slow = medians(functions, short)
        yield Row(group, f"Adamic-Adar of {what}", "ms", 1e3 * package, 1e3 * slow, f"{len(asked)} pairs")


# ---- memory and a whole run --------------------------------------------------------------------------------


def peak(name: str, threads: int | None) -> Row:
    """Memory of fit steps, each kind in a fresh process."""
    found = {}
    for kind in ("package", "reference"):
        command = [sys.executable, __file__, "--peak", f"{name}:{kind}"]
        command += ["--threads", str(threads)] if threads else []
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        found[kind] = json.loads(done.stdout)
    before = round(found["package"]["before"])
    used = [found[kind]["peak"] - found[kind]["before"] for kind in ("package", "reference")]
    return Row("peak memory", f"NLSM fit steps on {name}", "MiB", *used, f"above the {before} MiB of imports and data")


def peak_here(name: str, kind: str) -> dict[str, float]:
    """Peak memory of this process before and after three fit steps."""
    graph, _ = find_graph(name)
    before = environment.peak_memory_mb()
    if kind == "reference":
        plain = reference.PlainNLSM(graph)
        for _ in range(3):
            plain.step()
    else:

        def three_steps(model: NLSM) -> None:
            step = stepper(model)
            for _ in range(3):
                step()

        NLSM().fit(graph, None, Probe(three_steps))
    return {"before": before, "peak": environment.peak_memory_mb()}


def whole_run(name: str, origin: str) -> Iterator[Row]:
    """``run.py`` from the command to the record."""
    data, budget = (name, "quick") if origin == "real" else ("nlsm_process", "smoke" if name == "tiny" else "quick")
    group = f"run.py model=nlsm data={data} budget={budget}"
    with tempfile.TemporaryDirectory() as folder:
        folders = [f"results_dir={folder}/results", f"work_dir={folder}/runs"]
        command = [sys.executable, str(ROOT / "run.py"), "model=nlsm", f"data={data}", f"budget={budget}", *folders]
        started = time.perf_counter()
        subprocess.run(command, capture_output=True, check=True)
        seconds = time.perf_counter() - started
        record = json.loads(next(Path(folder).glob("runs/records/*/*.json")).read_text(encoding="utf-8"))
    fit = record["seconds"]["fit"]
    yield Row(
        group, "from start to end", "s", seconds, note=f"{fit:.1f} s of fits, {record['sizes']['fit_steps']} steps"
    )
    yield Row(group, "peak memory", "MiB", record["peak_memory_mb"])


def medians(functions: list[Callable[[], object]], effort: Effort) -> list[float]:
    """Median seconds of some functions, called in turns, so that all meet the same weather."""
    for function in functions:
        function()
    times: list[list[float]] = [[] for _ in functions]
    started = time.perf_counter()
    while len(times[0]) < effort.repeats or time.perf_counter() - started < effort.seconds:
        for function, own in zip(functions, times, strict=True):
            before = time.perf_counter()
            function()
            own.append(time.perf_counter() - before)
    return [statistics.median(own) for own in times]


if __name__ == "__main__":
    sys.exit(main())

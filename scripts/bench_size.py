"""What a large graph costs: ``python scripts/bench_size.py``, and ``--nodes 10000 --events 50000`` for a small one.

Draws a stream of events, a third of which repeat an earlier pair, between nodes of very different activity, writes it
as a user would have it, and plays whole command lines on it, each in a process of its own with one thread: seconds from
its start to its end, those that it had a core, which do not depend on what else the machine does, and its highest
resident memory. The first run of a view of the data also parses the files; the others find the graph in the cache.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
# What is played: the words of a run, and how the stream is cut.
RUNS = {
    "read the files": ("model=none", "protocol=statistics"),
    "decayed counts": ("model=decayed_count", "protocol=temporal_split"),
    "EdgeBank": ("model=edgebank", "protocol=temporal_split"),
    "EdgeBank, stream": ("model=edgebank", "protocol=temporal_events"),
    "Adamic-Adar": ("model=adamic_adar", "protocol=temporal_split"),
    "UASE": ("model=uase", "protocol=embeddings", "data.directed=false"),
    "NLSM": ("model=nlsm", "protocol=temporal_split"),
    "GAE": ("model=gae", "protocol=temporal_split"),
}


def draw(nodes: int, events: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sources, destinations and ascending times below 10,000, each ``(E,)``; every node may occur."""
    generator = np.random.default_rng(seed)
    # Activity falls with the square root of a node's rank; ranks are dealt out at random.
    rank = generator.permutation(nodes)
    src, dst = (rank[(nodes * generator.random(events) ** 2).astype(np.int64)] for _ in range(2))
    again = np.flatnonzero(generator.random(events) < 1 / 3)
    earlier = (again * generator.random(len(again))).astype(np.int64)
    src[again], dst[again] = src[earlier], dst[earlier]
    dst = np.where(src == dst, (dst + 1) % nodes, dst)
    return src, dst, np.sort(generator.integers(0, 10_000, events))


def write(folder: Path, nodes: int, events: int) -> None:
    """The stream as ``edges.csv``, and the nodes beside it."""
    folder.mkdir(parents=True)
    rows = np.stack(draw(nodes, events), axis=1)
    for name, header, content in (("edges", "src,dst,t", rows), ("nodes", "id", np.arange(nodes)[:, None])):
        np.savetxt(folder / f"{name}.csv", content, fmt="%d", delimiter=",", header=header, comments="")


def play(words: tuple[str, ...], folder: Path) -> dict[str, float | int | str]:
    """What a run took, and how it ended."""
    one = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    places = (f"results_dir={folder / 'results'}", f"work_dir={folder / 'runs'}", f"cache_dir={folder / 'cache'}")
    began = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "run.py"), *words, *places, "logger=none", "progress=false", "budget=smoke"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, **one},
    )
    said = process.stdout.read().strip()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    kilobyte = 1 if sys.platform == "darwin" else 1024
    return {
        "seconds": time.monotonic() - began,
        "busy": usage.ru_utime + usage.ru_stime,
        "gigabytes": usage.ru_maxrss * kilobyte / 1e9,
        "exit": process.returncode,
        "said": said.splitlines()[-1] if said else "",
    }


def main(arguments: list[str] | None = None) -> int:
    """Play all runs, or those that are named, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.partition(":")[0])
    parser.add_argument("--nodes", type=int, default=1_000_000)
    parser.add_argument("--events", type=int, default=5_000_000)
    parser.add_argument("--steps", type=int, default=10, help="snapshots that the stream is cut into")
    parser.add_argument("--only", nargs="*", choices=RUNS, default=list(RUNS), help="runs to play")
    parser.add_argument("--folder", type=Path, help="keep graph, cache and records there")
    parser.add_argument("--json", type=Path, help="write the figures there, too")
    options = parser.parse_args(arguments)
    found = []
    with tempfile.TemporaryDirectory(prefix="size-") as temporary:
        folder = options.folder or Path(temporary)
        graph = folder / f"graph-{options.nodes}-{options.events}"
        if not graph.is_dir():
            write(graph, options.nodes, options.events)
        data = ("data=custom", f"data.path={graph}", "data.seconds=null", f"data.window={10_000 // options.steps}")
        print(f"{options.nodes:,} nodes, {options.events:,} events, {options.steps} snapshots, one core")
        for name in options.only:
            row = play((*RUNS[name], *data, "force=true"), folder)
            found.append({"run": name, **row})
            line = "{seconds:7.1f} s, {busy:6.1f} s busy, {gigabytes:5.2f} GB".format(**row)
            print(f"{name:18s}{line}  {row['said'] if row['exit'] else ''}".rstrip(), flush=True)
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n", "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())

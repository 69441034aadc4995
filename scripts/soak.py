"""Kill, damage, double and mislead runs, and count what is lost: ``python scripts/soak.py --kills 300 --flips 1000``.

Every part plays small runs in processes that are forked from this one, and compares what is left with undisturbed
runs. Nothing outside a temporary folder is touched. Exits with 1 if anything was lost, wrong, or told as a traceback.
"""

from __future__ import annotations

import argparse
import importlib
import logging
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from dynbench import cli
from dynbench.config.check import check
from dynbench.config.compose import choices, compose, read_choice
from dynbench.config.source import read_class
from dynbench.data import FileDataset, Locations
from dynbench.engine import session  # noqa: F401 - so that forked processes need not load Lightning, which takes seconds
from dynbench.errors import DynbenchError
from dynbench.graph import TemporalGraph
from dynbench.graph.union import UnionGraph
from dynbench.records import Record, Store, identify

SMALL = ("budget=smoke", "logger=none", "progress=false", "checkpoint_seconds=1e-6")
GRAPH = ("data=nlsm_process", "data.nodes=20", "data.steps=4", "data.density=0.2")
STREAM = ("protocol=temporal_events", "data=flip_stream", "data.events=400")
# One of each way to be taken up again: gradient steps, sweeps of a sampler, kept answers alone, memory with validation.
SCENARIOS = (
    ("model=nlsm", "model.dim=4", *GRAPH),
    ("model=dmmg", *GRAPH),
    ("model=decayed_count", *GRAPH),
    ("model=tgn", *STREAM),
)
BAD = ("0", "-1", "0.5", "1", "2", "1.0", "nan", "inf", "-inf", "100000000000", "1e300", "null", "[]", "[nan]", "[0]",
       "{}", "''", "x", "../x", "/abs", "a/b", "true", "???", "${seed}", "${nothing}", "'a b'", "é")  # fmt: skip
# Seconds after which a run is stopped whose settings ask for much, and bytes that it may take.
PATIENCE, MEMORY = 20.0, 3_000_000_000


@dataclass
class Tally:
    """What was done, and what went wrong, by kind."""

    done: Counter[str] = field(default_factory=Counter)
    wrong: dict[str, list[str]] = field(default_factory=lambda: {"lost": [], "wrong": [], "tracebacks": []})

    def count(self, what: str) -> None:
        """Note that something was done; now and then, tell how far it is."""
        self.done[what] += 1
        if self.done[what] % 50 == 0:
            print(self.told(), file=sys.stderr, flush=True)

    def complain(self, kind: str, what: str) -> None:
        """Note that something went wrong."""
        self.wrong[kind].append(what)
        print(f"{kind}: {what}", file=sys.stderr, flush=True)

    def told(self) -> str:
        """All counts in one line each."""
        done = ", ".join(f"{count} {name}" for name, count in self.done.items())
        return f"done: {done}\n" + ", ".join(f"{len(found)} {kind}" for kind, found in self.wrong.items())


@dataclass(frozen=True)
class Places:
    """Where a run writes."""

    folder: Path

    def words(self, *words: str) -> tuple[str, ...]:
        """What to type."""
        own = (f"results_dir={self.folder / 'results'}", f"work_dir={self.folder / 'runs'}")
        return (*SMALL, *words, *own, f"cache_dir={self.folder / 'cache'}")

    def record(self, *words: str) -> Record | None:
        """The record of a run, if there is one that can be read."""
        values = check(compose(self.words(*words)))
        return Store(values["results_dir"], values["work_dir"]).find(identify(values))

    def said(self) -> str:
        """What the last run printed."""
        return (self.folder / "said").read_text("utf-8", "replace")


def numbers(record: Record | None) -> Any:
    """What must not depend on what happened on the way."""
    if record is None or not record.finished:
        return None
    return record.metrics, record.steps, record.checksums


def start(words: tuple[str, ...], folder: Path, memory: int | None = None, name: str = "said") -> int:
    """Play a command line in a forked process whose words go to a file; returns its number."""
    folder.mkdir(parents=True, exist_ok=True)
    sys.stdout.flush()
    process = os.fork()
    if process:
        _ended.pop(process, None)  # numbers of processes are used again
        return process
    code = 70  # of an error that nobody caught
    try:
        out = os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(out, 1)
        os.dup2(out, 2)
        if memory:
            import resource

            resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))
        os.chdir(folder)
        sys.argv = ["run.py", *words]
        cli.main()
        code = 0
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else 0 if stop.code is None else 1
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def finish(process: int, patience: float, kill: bool = True) -> int | None:
    """The exit code of a process, negative for a signal; ``None`` if it took too long and was killed, if so wished."""
    if process in _ended:
        return _ended[process]
    deadline = time.monotonic() + patience
    while True:
        ended, status = os.waitpid(process, os.WNOHANG)
        if ended:
            return _ended.setdefault(process, os.waitstatus_to_exitcode(status))
        if time.monotonic() >= deadline:
            break
        time.sleep(0.005)
    if not kill:
        return None
    os.kill(process, signal.SIGKILL)
    os.waitpid(process, 0)
    return None


# The exit codes of processes that were asked about.
_ended: dict[int, int] = {}


def load() -> None:
    """Import what the scenarios need, so that forked processes find it there."""
    typed = {word.partition("=")[::2] for words in SCENARIOS for word in words}
    for group, name in sorted(typed):
        if group in ("model", "data", "protocol"):
            importlib.import_module(read_choice(group, name)["_target_"].rpartition(".")[0])
    UnionGraph(TemporalGraph.from_events([0], [1], [0]))  # brings compiled loops from the disk


# ---- the parts ------------------------------------------------------------------------------------------------


class Soak:
    """A campaign below a folder; every part draws from its own seed."""

    def __init__(self, folder: Path, seed: int):
        self.folder, self.seed, self.tally = folder, seed, Tally()
        self.expected: dict[tuple[str, ...], Any] = {}
        self.seconds: dict[tuple[str, ...], float] = {}

    def reference(self, words: tuple[str, ...]) -> Any:
        """The numbers of an undisturbed run."""
        if words not in self.expected:
            places = Places(self.folder / f"whole-{len(self.expected)}")
            began = time.monotonic()
            code = finish(start(places.words(*words), places.folder), 600)
            self.seconds[words] = time.monotonic() - began
            self.expected[words] = numbers(places.record(*words)) if code == 0 else None
            if self.expected[words] is None:
                raise SystemExit(f"{' '.join(words)} cannot be played here: {places.said()}")
        return self.expected[words]

    def kills(self, count: int) -> None:
        """Kill runs at drawn moments until one ends, over and over."""
        draw = random.Random(self.seed)
        for trial in range(10**9):
            if self.tally.done["kills"] >= count:
                return
            words = SCENARIOS[trial % len(SCENARIOS)]
            expected = self.reference(words)
            places = Places(self.folder / f"kill-{trial}")
            for _ in range(6):
                process = start(places.words(*words), places.folder)
                code = finish(process, draw.uniform(0, 1.1) * self.seconds[words])
                if code is not None:
                    break
                self.tally.count("kills")
                self._no_half_record(places, words)
            else:
                code = finish(start(places.words(*words), places.folder), 600)
            self._compare(places, words, code, expected, "killed")

    def flips(self, count: int) -> None:
        """Flip bits of what a killed run has left, and of cached graphs, and go on."""
        draw = random.Random(self.seed + 1)
        self._flipped_caches(count // 2, draw)
        left = [(words, self._left_behind(words, number)) for number, words in enumerate(SCENARIOS)]
        for trial in range(count - count // 2):
            words, folder = left[trial % len(left)]
            places = Places(self.folder / "flip")
            shutil.rmtree(places.folder, ignore_errors=True)
            shutil.copytree(folder, places.folder)
            kept = sorted(
                path for path in places.folder.rglob("*") if path.suffix in (".pt", ".ckpt", ".sweeps", ".npz")
            )
            if not kept:
                raise SystemExit(f"{' '.join(words)} has left nothing to damage")
            path = draw.choice(kept)
            content = bytearray(path.read_bytes())
            content[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
            path.write_bytes(content)
            code = finish(start(places.words(*words), places.folder), 600)
            self.tally.count("flips of kept files")
            self._compare(places, words, code, self.reference(words), f"flipped {path.name}")

    def twins(self, count: int) -> None:
        """Start the same run twice at once; every other time, one of the two is killed."""
        draw = random.Random(self.seed + 2)
        for trial in range(count):
            words = SCENARIOS[trial % len(SCENARIOS)]
            expected = self.reference(words)
            places = Places(self.folder / f"twins-{trial}")
            both = [start(places.words(*words), places.folder, name=name) for name in ("said", "other")]
            if trial % 2:
                finish(both.pop(draw.randrange(2)), draw.random() * self.seconds[words])
            codes = [finish(process, 600) for process in both]
            self.tally.count("twins")
            self._compare(places, words, max(map(abs, map(_number, codes))), expected, "twins")

    def settings(self, count: int) -> None:
        """Send settings values that they should not have: one line, or a run that ends with finite numbers."""
        draw = random.Random(self.seed + 3)
        own = list(_settings())
        for trial in range(count):
            choice, key = draw.choice(own)
            words = (*choice, f"{key}={draw.choice(BAD)}")
            places = Places(self.folder / f"setting-{trial}")
            code = finish(start(places.words(*words), places.folder, MEMORY), PATIENCE)
            self.tally.count("settings")
            said = places.said()
            typed = " ".join(words)
            if code is None:
                self.tally.count("of which stopped as too long")
            elif "Traceback" in said or code not in (0, 1, 2):
                last = said.strip().splitlines()[-1:] or [""]
                self.tally.complain("tracebacks", f"{typed}: exit {code}: {last[0]}")
            elif code:
                lines = [line for line in said.splitlines() if line.startswith("error: ")]
                self.tally.count("of which refused")
                if len(lines) != 1:
                    self.tally.complain("wrong", f"{typed}: {len(lines)} lines say what is wrong")
            if code is not None:
                shutil.rmtree(places.folder, ignore_errors=True)

    # ---- pieces ---------------------------------------------------------------------------------------------

    def _compare(self, places: Places, words: tuple[str, ...], code: int | None, expected: Any, what: str) -> None:
        typed, said = " ".join(words), places.said()
        found = numbers(places.record(*words))
        if "Traceback" in said:
            self.tally.complain("tracebacks", f"{what}, {typed}: {said.strip().splitlines()[-1]}")
        elif code != 0 or found is None:
            self.tally.complain("lost", f"{what}, {typed}: exit {code}: {said.strip()[-300:]}")
        elif found != expected:
            self.tally.complain("wrong", f"{what}, {typed}: other numbers")
        shutil.rmtree(places.folder, ignore_errors=True)

    def _no_half_record(self, places: Places, words: tuple[str, ...]) -> None:
        try:
            places.record(*words)
        except DynbenchError as error:
            self.tally.complain("wrong", f"killed, {' '.join(words)}: {error}")

    def _left_behind(self, words: tuple[str, ...], number: int) -> Path:
        """A folder with kept files in it: that of a run that was killed soon after it had written some."""
        for trial in range(50):
            places = Places(self.folder / f"left-{number}-{trial}")
            process = start(places.words(*words), places.folder)
            while not _kept(places.folder) and finish(process, 0.0, kill=False) is None:
                time.sleep(0.002)
            if finish(process, 0.02 * trial) is None and _kept(places.folder):
                return places.folder
        raise SystemExit(f"{' '.join(words)} could not be killed half-way")

    def _flipped_caches(self, count: int, draw: random.Random) -> None:
        folder = self.folder / "graph"
        folder.mkdir()
        lines = [f"{draw.randrange(40)},{draw.randrange(40)},{time}" for time in range(300)]
        (folder / "edges.csv").write_text("src,dst,t\n" + "\n".join(lines) + "\n", "utf-8")
        where = Locations([], self.folder / "cache", offline=True)
        expected = FileDataset("own", path=str(folder), where=where).load("events").checksum()
        (stored,) = where.graphs().iterdir()
        content = stored.read_bytes()
        logging.disable(logging.WARNING)
        for _ in range(count):
            damaged = bytearray(content)
            damaged[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
            stored.write_bytes(damaged)
            self.tally.count("flips of caches")
            try:
                found = FileDataset("own", path=str(folder), where=where).load("events").checksum()
            except Exception as error:
                self.tally.complain("tracebacks", f"flipped cache: {type(error).__name__}: {error}")
                continue
            if found != expected:
                self.tally.complain("wrong", "flipped cache: another graph")
        logging.disable(logging.NOTSET)


def _settings() -> Iterator[tuple[tuple[str, ...], str]]:
    """Every setting of what can be played on the small graphs, each with the other words of a run that has it."""
    for key in ("seed", "checkpoint_seconds", "force", "save_embeddings", "data_dir", "progress", "offline"):
        yield ("model=decayed_count", *GRAPH), key
    for group, names in {
        "data": ["nlsm_process", "flip_stream"],
        "trainer": ["cpu"],
        "protocol": choices("protocol"),
        "model": choices("model"),
    }.items():
        for name in names:
            for key, one in read_class(read_choice(group, name)["_target_"]).parameters.items():
                if key != "where" and (one.types or one.choices):
                    yield _company(group, name), f"{group}.{key}"


def _company(group: str, name: str) -> tuple[str, ...]:
    """The words of a run that a choice has a part in."""
    target = read_class(read_choice(group, name)["_target_"]).attributes
    if group == "data":
        return ("model=decayed_count", *GRAPH) if name == "nlsm_process" else ("model=edgebank", *STREAM)
    if group == "model":
        return (f"model={name}", *(STREAM if "events" in target.get("needs", ()) else GRAPH))
    if group == "protocol":
        model = "uase" if target.get("asks") == "embed" else "decayed_count"
        data = STREAM[1:] if target.get("view") == "events" else GRAPH
        return (f"protocol={name}", "model=edgebank" if data is not GRAPH else f"model={model}", *data)
    return "model=nlsm", f"{group}={name}", *GRAPH


def _kept(folder: Path) -> list[Path]:
    """The files that a run goes on from."""
    return sorted(path for path in folder.rglob("*") if path.suffix in (".pt", ".ckpt", ".sweeps"))


def _number(code: int | None) -> int:
    return 99 if code is None else code


def main(words: list[str] | None = None) -> int:
    """Carry out a campaign and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parts: dict[str, Callable[[Soak, int], None]] = {
        "kills": Soak.kills, "flips": Soak.flips, "twins": Soak.twins, "settings": Soak.settings
    }  # fmt: skip
    for part, usual in {"kills": 300, "flips": 1000, "twins": 40, "settings": 500}.items():
        parser.add_argument(f"--{part}", type=int, default=usual, help=f"how many (default: {usual})")
    parser.add_argument("--seed", type=int, default=0, help="of all draws")
    options = parser.parse_args(words)
    torch.set_num_threads(1)
    load()
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        soak = Soak(Path(folder), options.seed)
        for part, play in parts.items():
            if getattr(options, part):
                play(soak, getattr(options, part))
                print(f"after {part}, {time.monotonic() - began:.0f} s:", soak.tally.told(), sep="\n", flush=True)
    return int(any(soak.tally.wrong.values()))


if __name__ == "__main__":
    sys.exit(main())

"""What cannot fit is refused before it is taken, with the settings that it follows from."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from dynbench.config.check import resolved
from dynbench.config.compose import compose
from dynbench.data import FileDataset, Locations
from dynbench.engine import memory, session
from dynbench.errors import DataError, RunError
from dynbench.graph import TemporalGraph
from dynbench.testing.stage import make

ROOT = Path(__file__).resolve().parents[2]
VALUES = {group: {"name": name} for group, name in {"model": "m", "data": "d", "protocol": "p"}.items()}


def load(folder, view="events", **settings):
    return FileDataset("own", path=str(folder), where=Locations([], folder / "cache", offline=True), **settings).load(
        view
    )


FACTS = "subject,relation,object,t\n"
EDGES = "src,dst,t\n0,1,0\n1,2,5\n"
HUGE = {
    "nodes": ({"edges.csv": EDGES, "nodes.csv": "id\n0\n1\n2\n2000000000\n"}, "node 2,000,000,000 is far beyond"),
    "edges": ({"edges.csv": EDGES + "0,2000000000,7\n"}, "node 2,000,000,000 is far beyond the at most 6 nodes"),
    "relations": ({"edges.csv": "src,dst,t,rel\n0,1,0,0\n1,2,5,2000000000\n"}, "relation 2,000,000,000 is far"),
    "snapshots": ({"edges.csv": "src,dst,t,snapshot\n0,1,0,0\n1,2,5,2000000000\n"}, "snapshot 2,000,000,000; at most"),
    "steps": ({"snapshots.csv": "src,dst,t\n0,1,0\n1,2,2000000000\n"}, "snapshot 2,000,000,000; at most"),
    "labels": ({"edges.csv": "src,dst\n0,1\n", "labels.csv": "id,label\n0,1\n2000000000,1\n"}, "2,000,000,000 is far"),
    "entities": (
        {
            "train.csv": "subject,relation,object,t\n0,0,2000000000,0\n",
            "test.csv": "subject,relation,object,t\n0,0,1,1\n",
        },
        "object 2,000,000,000 is far beyond",
    ),
}


@pytest.mark.parametrize("kind", HUGE)
def test_ids_far_beyond_what_is_used_are_refused(tmp_path, kind):
    content, message = HUGE[kind]
    for name, text in content.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(DataError, match=message) as caught:
        load(tmp_path, "snapshots" if kind == "steps" else "events")
    assert "\n" not in str(caught.value)


def test_gaps_in_ids_and_silent_nodes_are_no_slip(tmp_path):
    (tmp_path / "edges.csv").write_text(EDGES + "0,90000,7\n")
    assert load(tmp_path).num_nodes == 90_001
    (tmp_path / "nodes.csv").write_text("id\n" + "\n".join(map(str, range(95_000))) + "\n")
    assert load(tmp_path).num_nodes == 95_000


def large(directed: bool = False) -> TemporalGraph:
    """A million nodes, of which hardly any have an event."""
    return TemporalGraph.from_events([0, 1], [1, 2], [0, 19], 1_000_000, directed=directed, num_steps=20)


@pytest.mark.parametrize("name", ["nlsm", "bas", "gae", "graphsage", "nglp", "omni"])
def test_a_million_nodes_are_counted_before_they_are_held(monkeypatch, name):
    monkeypatch.setattr(memory, "available", lambda: 2_000_000_000)
    settings = ["model.dim=64", *(["model.solver=dense"] if name == "omni" else [])]
    with pytest.raises(
        RunError, match=r"^model=m on data=d needs about [\d.]+ GB of memory, 2.0 GB are free: model\."
    ) as caught:
        memory.require(make("model", name, *settings), make("protocol", "single_step_nlsm"), large(), VALUES)
    assert "1,000,000 nodes" in str(caught.value) or "1,000,000 × 1,000,000" in str(caught.value)


def test_all_pairs_of_a_million_nodes_are_too_many(monkeypatch):
    monkeypatch.setattr(memory, "available", lambda: 2_000_000_000)
    with pytest.raises(RunError, match=r"^protocol=p on data=d needs about \d+.\d GB .*ask sampled pairs"):
        memory.require(make("model", "decayed_count"), make("protocol", "single_step_allpairs"), large(), VALUES)


def test_small_graphs_are_never_refused(monkeypatch):
    monkeypatch.setattr(memory, "available", lambda: 500_000_000)
    graph = TemporalGraph.from_events([0, 1], [1, 2], [0, 9], 500, directed=False, num_steps=10)
    for name in ("nlsm", "gae", "uase", "omni"):
        memory.require(make("model", name), make("protocol", "single_step_allpairs"), graph, VALUES)


def test_an_allocation_beyond_the_machine_is_told_in_one_line():
    """In a process of its own, whose limit does not bind the other tests."""
    program = (
        "import numpy, torch\nfrom dynbench.engine import memory\nfrom dynbench.errors import RunError\n"
        f"memory.limit()\nvalues = {VALUES!r}\n"
        "for action in (lambda: numpy.ones(10**13, numpy.int8), lambda: torch.ones(10**13, dtype=torch.int8)):\n"
        "    try:\n        with memory.told(values): action()\n"
        "    except RunError as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, timeout=120)
    lines = done.stdout.splitlines()
    assert len(lines) == 2, done.stderr
    assert all(line.startswith("model=m, data=d, protocol=p: the memory does not suffice (") for line in lines)


def test_other_errors_come_through():
    with pytest.raises(RuntimeError, match="shapes"), memory.told(VALUES):
        raise RuntimeError("shapes differ")


def test_what_is_free_is_at_most_what_there_is():
    assert 0 < memory.available() <= os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.parametrize("name", ["nlsm_process", "synthetic_1", "synthetic_1_runs", "overlapping_blocks"])
def test_generated_data_are_refused_before_they_are_drawn(monkeypatch, name):
    values = resolved(compose([f"data={name}", "data.nodes=3000", "model=none", "protocol=statistics"]))
    monkeypatch.setattr(memory, "available", lambda: 50_000_000)
    with pytest.raises(RunError, match=rf"data={name} needs at least .* GB of memory, 0.1 GB are free: .*data.nodes"):
        session.load(values, "snapshots")

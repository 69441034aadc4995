"""Time the ranking of all test queries beside the bare product of matrices: ``python scripts/bench_ranking.py``.

A bilinear scorer with random tables of width 200 stands in for any embedding model. Before anything is timed, the
evaluator's whole numbers are compared with those of a reference that takes one query at a time.
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from pathlib import Path

import torch
from torch import Tensor

from dynbench.config.compose import choice_path
from dynbench.contract import Block, Exam, Queries
from dynbench.data import DataUnavailable, Locations, cards
from dynbench.engine.loop import RANKED_CPU
from dynbench.graph import TemporalGraph
from dynbench.graph.facts import with_inverses
from dynbench.protocols.windowed_kg import WindowedKG

# Nodes, relations, steps and facts per step of the graph that is drawn where the real one is not at hand.
SIZES = {"yago": (10_623, 10, 189, 1_064), "wiki": (12_554, 24, 232, 2_888)}


class Bilinear:
    """Scores ``(s, r, o)`` as ``(e_s * w_r) . e_o``: one product of matrices per batch."""

    def __init__(self, nodes: int, relations: int, width: int):
        draw = torch.Generator().manual_seed(0)
        self.entities = torch.randn(nodes, width, generator=draw)
        self.relations = torch.randn(2 * relations, width, generator=draw)

    def rank(self, queries: Queries) -> Tensor:
        """``(Q, N)`` scores."""
        return (self.entities[queries.src] * self.relations[queries.relation]) @ self.entities.T


def main() -> None:
    """Print a table, and perhaps write it."""
    parser = argparse.ArgumentParser(description=__doc__.partition(":")[0])
    parser.add_argument("--data", default="yago", choices=list(SIZES), help="whose queries are ranked")
    parser.add_argument("--width", type=int, default=200, help="width of the scorer")
    parser.add_argument("--slow", type=int, default=500, help="queries of the one-at-a-time reference, scaled up")
    parser.add_argument("--repeats", type=int, default=3, help="the best of so many is taken")
    parser.add_argument("--json", type=Path, metavar="PATH", help="write the result to a file as well")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    graph = _graph(arguments.data)
    model = Bilinear(graph.num_nodes, graph.num_relations, arguments.width)
    protocol = WindowedKG(validation_queries=0)
    started = time.process_time()
    (episode,) = protocol.episodes(graph, 0)
    built = time.process_time() - started
    (exam,) = episode.exams
    blocks = list(exam.blocks())
    _compare(exam, graph, blocks[0], min(50, arguments.slow))
    queries = sum(len(block.queries) for block in blocks)
    # Processor time of one thread, by turns: on a machine that others use as well, the clock on the wall says little.
    bare, whole = [], []
    for _ in range(arguments.repeats):
        bare.append(_bare(model, graph, blocks))
        whole.append(_whole(model, exam, graph, blocks))
    started = time.process_time()
    one_at_a_time(model, graph, blocks[0].queries[: arguments.slow], blocks[0].answers[: arguments.slow])
    slow = (time.process_time() - started) * queries / min(arguments.slow, len(blocks[0].queries))
    result = {
        "queries": queries,
        "candidates": graph.num_nodes,
        "filters built (s)": built,
        "bare product (s)": min(bare),
        "evaluator, raw + static + time (s)": min(whole),
        "ratio, best of each": min(whole) / min(bare),
        "ratio, best turn": min(w / b for w, b in zip(whole, bare, strict=True)),
        "one query at a time, extrapolated (s)": slow,
        "peak memory (MiB)": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }
    for name, value in result.items():
        print(f"{name:<40}{value:>12,.2f}" if isinstance(value, float) else f"{name:<40}{value:>12,}")
    if arguments.json:
        arguments.json.write_text(json.dumps({"data": arguments.data, "width": arguments.width, **result}, indent=1))


def _graph(name: str) -> TemporalGraph:
    """The real facts, or random ones of the same size."""
    try:
        card = cards.read_card(choice_path("data", name))
        return cards.build(card, Locations.from_settings(offline=True)).load()
    except DataUnavailable as error:
        print(f"{error}\nA random graph of the same size takes its place.")
    nodes, relations, steps, facts = SIZES[name]
    draw = torch.Generator().manual_seed(0)
    src, dst = (torch.randint(0, nodes, (steps * facts,), generator=draw) for _ in range(2))
    relation = torch.randint(0, relations, (steps * facts,), generator=draw)
    time_ = torch.arange(steps).repeat_interleave(facts)
    return TemporalGraph.from_events(
        src, dst, time_, nodes, relation=relation, num_relations=relations, num_steps=steps
    )


def _chunks(graph: TemporalGraph, blocks: list[Block]):
    """The blocks in the parts in which the loop asks them."""
    size = max(1, RANKED_CPU // graph.num_nodes)
    for block in blocks:
        for start in range(0, len(block.queries), size):
            yield block[start : start + size]


def _bare(model: Bilinear, graph: TemporalGraph, blocks: list[Block]) -> float:
    """Processor seconds for the scores alone, in the same parts."""
    started = time.process_time()
    for part in _chunks(graph, blocks):
        model.rank(part.queries)
    return time.process_time() - started


def _whole(model: Bilinear, exam: Exam, graph: TemporalGraph, blocks: list[Block]) -> float:
    """Processor seconds for scores, three ranks of each query, and the metrics."""
    metric = exam.metric()
    started = time.process_time()
    for part in _chunks(graph, blocks):
        metric.update(part, model.rank(part.queries))
    metric.compute()
    return time.process_time() - started


def one_at_a_time(model: Bilinear, graph: TemporalGraph, queries: Queries, answers: Tensor) -> list[list[int]]:
    """Counts above and level, raw, static and time-filtered, with a mask over all nodes for every query."""
    head, relation, answer, step = with_inverses(graph)
    known: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for h, r, o, t in zip(*(part.tolist() for part in (head, relation, answer, step)), strict=True):
        known.setdefault((h, r), []).append((o, t))
    rows = []
    for number, target in enumerate(answers.tolist()):
        query = queries[number : number + 1]
        scores = model.rank(query)[0]
        true = known.get((int(query.src), int(query.relation)), [])
        now = int(query.time)
        row = []
        for out in ((), {o for o, _ in true}, {o for o, t in true if t == now}):
            kept = torch.ones(len(scores), dtype=torch.bool)
            kept[[o for o in out if o != target]] = False
            left = scores[kept]
            row += [int((left > scores[target]).sum()), int((left == scores[target]).sum())]
        rows.append(row)
    return rows


def _compare(exam: Exam, graph: TemporalGraph, block: Block, count: int) -> None:
    """Refuse to time an evaluator that counts otherwise than the reference."""
    # Whole-number tables make every product exact, so that the batch's size cannot move a score.
    exact = Bilinear(graph.num_nodes, graph.num_relations, 8)
    exact.entities, exact.relations = exact.entities.round(), exact.relations.round()
    asked, metric = block[:count], exam.metric()
    metric.update(asked, exact.rank(asked.queries))
    found = metric.arrays()["ranks"][:, 3:].tolist()
    if found != one_at_a_time(exact, graph, asked.queries, asked.answers):
        raise SystemExit("the evaluator and the reference count differently")


if __name__ == "__main__":
    main()

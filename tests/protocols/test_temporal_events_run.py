"""Whole runs over streams: EdgeBank's published values, exams that do not disturb each other, the command line."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from test_temporal_events import real, stream

from dynbench.engine.loop import Loop
from dynbench.engine.trainer import Trainer
from dynbench.graph import TemporalGraph
from dynbench.models.counting.edgebank import EdgeBank
from dynbench.models.counting.neighborhood import AdamicAdar
from dynbench.protocols.temporal_events import TemporalEvents


def results(model, graph, folder, protocol=None, **settings) -> dict[str, float]:
    folder.mkdir(exist_ok=True)
    loop = Loop(model, protocol or TemporalEvents(**settings), Trainer(), folder)
    loop.play(graph, 0)
    return loop.results()[0]


@pytest.mark.parametrize(
    ("data", "memory", "exam", "ap", "auc", "tolerance"),
    [
        ("dgb_uci", "unlimited", "", 76.20, 77.30, 0.005),
        ("dgb_enron", "recent", "", 83.53, 87.05, 0.005),
        # Drawn from the same candidates in another order.
        ("dgb_uci", "interval", "inductive", 57.43, None, 0.5),
    ],
)
def test_edgebank_as_published(tmp_path, data, memory, exam, ap, auc, tolerance):
    settings = {"nodes": ["all"], "strategies": [exam or "random"]}
    found = results(EdgeBank(memory=memory, filled_from="train"), real(data), tmp_path, **settings)
    prefix = f"{exam}_" if exam else ""
    assert 100 * found[f"{prefix}ap"] == pytest.approx(ap, abs=tolerance)
    if auc is not None:
        assert 100 * found[f"{prefix}auc"] == pytest.approx(auc, abs=tolerance)


@pytest.mark.parametrize("model", [EdgeBank, AdamicAdar])
def test_exams_do_not_disturb_each_other(tmp_path, model):
    graph = stream()
    together = results(model(), graph, tmp_path / "all", ranking=5)
    for nodes, strategy, name in (("all", "inductive", "inductive"), ("new_any", "historical", "new_historical")):
        alone = results(model(), graph, tmp_path / name, nodes=[nodes], strategies=[strategy])
        assert alone[f"{name}_ap"] == together[f"{name}_ap"]
    ranked = results(model(), graph, tmp_path / "ranking", nodes=["all"], strategies=["random"], ranking=5)
    assert ranked["ranking_mrr"] == together["ranking_mrr"]


class Alternating(TemporalEvents):
    """The same exam three times: after validation, from the fitted state, and after validation once more."""

    def episodes(self, graph, seed):
        for episode in super().episodes(graph, seed):
            exam = episode.exams[0]
            exams = [
                dataclasses.replace(exam, name=name, start=start)
                for name, start in (("one", "after_validation"), ("two", "fitted"), ("three", "after_validation"))
            ]
            yield dataclasses.replace(episode, exams=exams)


def test_validation_is_told_again_where_a_model_went_back(tmp_path):
    found = results(EdgeBank(), stream(), tmp_path, Alternating())
    assert found["one_ap"] == found["three_ap"] != found["two_ap"]


def test_the_bank_that_was_learnt_lacks_nodes_held_out(tmp_path):
    graph = stream()
    split = TemporalEvents().split(graph)
    for source, part in (("train", split.train), ("context", split.known)):
        bank = EdgeBank(filled_from=source)
        bank.fit(split.train, None, Trainer())
        bank.condition(split.known)
        fresh = EdgeBank(filled_from=source)
        if state := bank.state_dict():
            fresh.load_state_dict(state)
        fresh.condition(split.known)
        for one in (bank, fresh):
            pairs = torch.stack(one.bank.table.pairs)
            assert torch.equal(
                pairs[:, one.bank.find(graph.src, graph.dst)[0]], torch.stack([graph.src, graph.dst])[:, 0]
            )
            assert one.bank.events == len(part)


@pytest.mark.parametrize("batch", [1, 10_000])
def test_batches_of_one_event_and_of_all(tmp_path, batch):
    found = results(EdgeBank(), stream(), tmp_path, batch=batch, ranking=5)
    assert all(0 <= value <= 1 for name, value in found.items() if name.endswith(("ap", "auc", "mrr")))
    if (
        batch == 1
    ):  # a batch is one pair of each kind: what is remembered wins, and ties and losses have an AP of a half
        assert found["ap"] < found["auc"] + 0.25
        assert found["ap"] != pytest.approx(found["pooled_ap"])
    else:  # one batch holds everything
        assert found["ap"] == pytest.approx(found["pooled_ap"])
        assert found["new_auc"] == pytest.approx(found["new_pooled_auc"])


def test_odd_streams_of_a_user(tmp_path):
    """Out of order, with negative and huge times, and nodes that first come in the test part."""
    count = 400
    times = [(-1) ** k * 10**14 * (k % 97) for k in range(count)]
    src, dst = [k % 9 for k in range(count)], [20 + k % 7 for k in range(count)]
    late = sorted(range(count), key=lambda k: times[k])[-30:]
    for k in late:
        src[k] = 10 + k % 5
    graph = TemporalGraph.from_events(src, dst, times, 30)
    found = results(EdgeBank(), graph, tmp_path, hold_out=0.0)
    assert found["new_pooled_ap"] <= found["pooled_ap"]
    assert all(0 <= value <= 1 for name, value in found.items() if name.endswith(("ap", "auc")))

"""The benchmark of CrossLink runs, and says what the paper's pre-training would cost."""

from __future__ import annotations

import json
import sys

import pytest
import torch


def test_what_pre_training_would_cost(bench):
    assert bench.days_of_pre_training(600_000_000 / 86_400) == pytest.approx(1.0)


@pytest.mark.parametrize("sizes", ["small", pytest.param("paper", marks=pytest.mark.long)])
def test_it_runs(bench, tmp_path, capsys, monkeypatch, sizes):
    threads, found = torch.get_num_threads(), tmp_path / "found.json"
    words = ["--networks", "2", "--batch", "120", "--steps", "1", "--pairs", "20", "--sizes", sizes]
    monkeypatch.setattr(sys, "argv", ["bench_crosslink.py", *words, "--json", str(found)])
    try:
        bench.main()
    finally:
        torch.set_num_threads(threads)
    result = json.loads(found.read_text())
    assert set(result["rows"]) == {"encoder alone", "CrossLink"}
    assert min(value for row in result["rows"].values() for value in row.values()) > 0
    assert ("days of the paper's pre-training" in result["ratios"]) == (sizes == "paper")
    assert ("pre-training" in capsys.readouterr().out) == (sizes == "paper")

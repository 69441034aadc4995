"""A run that broke off between its last episode and its record."""

from __future__ import annotations

import numpy as np
import torch

from dynbench.data.overlapping import OverlappingBlocks
from dynbench.engine.loop import Loop
from dynbench.engine.trainer import Trainer
from dynbench.models.static.sbm import SBM
from dynbench.protocols.static_links import StaticLinks


def test_what_came_out_is_there_again(tmp_path):
    graph, found = OverlappingBlocks("toy").load(), []
    for _ in range(2):
        torch.manual_seed(len(found))
        loop = Loop(SBM(blocks=(3,), starts=1), StaticLinks(), Trainer(), tmp_path)
        loop.play(graph, 0)
        found.append((loop.results(), loop.arrays(), loop.trainer.steps))
    (first, arrays, steps), (second, again, later) = found
    assert first == second
    assert first[0]["blocks"] == 3
    assert steps == later
    assert arrays.keys() == again.keys() >= {"z", "links"}
    assert all(np.array_equal(arrays[name], again[name]) for name in arrays)

"""Rows of pairs beside a dictionary: growth, going back, and the cost of a batch."""

from __future__ import annotations

import time

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dynbench.graph.pair_table import PairTable

pairs_ = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=60)


def ends(pairs) -> tuple[torch.Tensor, torch.Tensor]:
    return tuple(torch.tensor([pair[k] for pair in pairs], dtype=torch.long) for k in range(2))


@settings(max_examples=80, deadline=None)
@given(st.lists(pairs_, max_size=5), pairs_, st.booleans())
def test_beside_a_dictionary(batches, asked, symmetric):
    table, known, sizes = PairTable(10, symmetric), {}, []

    def key(pair):
        return tuple(sorted(pair)) if symmetric else pair

    for batch in batches:
        sizes.append(len(known))
        expected = [known.setdefault(key(pair), len(known)) for pair in batch]
        assert table.add(*ends(batch)).tolist() == expected
        assert table.find(*ends(asked)).tolist() == [known.get(key(pair), -1) for pair in asked]
    assert list(zip(*(part.tolist() for part in table.pairs), strict=True)) == list(known)
    for size in reversed(sizes):
        table.forget(size)
        known = dict(list(known.items())[:size])
        assert len(table) == size
        assert table.find(*ends(asked)).tolist() == [known.get(key(pair), -1) for pair in asked]
    assert table.add(*ends(asked)).tolist() == [known.setdefault(key(pair), len(known)) for pair in asked]


def test_forgetting_more_than_there_is_forgets_nothing():
    table = PairTable(4)
    table.add(*ends([(0, 1), (2, 3)]))
    table.forget(7)
    assert len(table) == 2


@pytest.mark.parametrize("known", [20_000, 400_000])
def test_a_batch_costs_what_it_is_long(known):
    table = PairTable(3000)
    generator = torch.Generator().manual_seed(0)
    table.add(*torch.randint(0, 3000, (2, known), generator=generator))
    batches = torch.randint(0, 3000, (200, 2, 200), generator=generator)
    started = time.process_time()
    for src, dst in batches:
        table.add(src, dst)
    assert (time.process_time() - started) / 200 < 0.001

"""Layers of event-stream models beside torch's own, or beside their plain form."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from dynbench.nn.co_occurrence import co_occurrences
from dynbench.nn.dropout import dropout
from dynbench.nn.memory_cell import MemoryCell
from dynbench.nn.parts import PartLinear
from dynbench.nn.short_lstm import ShortBiLSTM
from dynbench.nn.temporal_attention import TemporalAttention, _Attend
from dynbench.nn.time_encoding import TimeEncoding
from dynbench.nn.transformer import Attention, Packing


def gradients(loss, *tensors):
    return torch.autograd.grad(loss, tensors, retain_graph=True)


def same(ones, others, **tolerance):
    for one, other in zip(ones, others, strict=True):
        torch.testing.assert_close(one, other, **tolerance)


# ---- time -------------------------------------------------------------------------------------------------------


def test_time_encodings_are_cosines_with_their_gradients():
    torch.manual_seed(0)
    encode = TimeEncoding(5)
    with torch.no_grad():
        encode.phase += torch.randn(5)
    delta, weight = torch.rand(4, 3) * 100, torch.randn(4, 3, 5)
    plain = torch.cos(delta[..., None] * encode.frequency + encode.phase)
    ours = encode(delta)
    torch.testing.assert_close(ours, plain)
    same(*(gradients((x * weight).sum(), encode.frequency, encode.phase) for x in (ours, plain)), rtol=1e-4, atol=1e-3)
    torch.testing.assert_close(encode.now(), encode(torch.zeros(1))[0])


def test_frequencies_fall_by_nine_orders_of_magnitude_and_whole_times_are_exact():
    encode = TimeEncoding(10, trained=False)
    torch.testing.assert_close(encode.frequency, 10.0 ** -torch.arange(10.0))
    assert not list(encode.parameters())
    assert not encode.state_dict()
    # A month in seconds: the first cosine still tells neighbouring seconds apart.
    month = torch.tensor([2_592_000, 2_592_001])
    torch.testing.assert_close(encode(month)[:, 0], month.double().cos().float())


def test_time_encodings_stay_precise_under_half_precision():
    encode = TimeEncoding(10)
    with torch.autocast("cpu", torch.bfloat16):
        half = encode(torch.tensor([100_003.0]))
    assert half.dtype == torch.float
    torch.testing.assert_close(half, encode(torch.tensor([100_003.0])))


# ---- linear parts and dropout -----------------------------------------------------------------------------------


@pytest.mark.parametrize("rows", [(7,), (2, 5)])
def test_parts_that_are_zero_narrow_or_shared_are_multiplied_as_if_they_were_whole(rows):
    torch.manual_seed(0)
    layer = PartLinear((4, 3, 5), 6)
    x, narrow, shared = torch.randn(*rows, 4), torch.randn(*rows, 2), torch.randn(5)
    whole = torch.cat([x, narrow, torch.zeros(*rows, 1), shared.expand(*rows, 5)], dim=-1)
    torch.testing.assert_close(layer(x, narrow, shared), nn.functional.linear(whole, layer.weight, layer.bias))
    whole = torch.cat([torch.zeros(*rows, 4), narrow, torch.zeros(*rows, 6)], dim=-1)
    torch.testing.assert_close(layer(None, narrow, None), nn.functional.linear(whole, layer.weight, layer.bias))
    torch.testing.assert_close(layer(None, None, None), layer.bias)
    torch.testing.assert_close(layer(None, None, shared), layer.weight[:, 7:] @ shared + layer.bias)


@pytest.mark.parametrize("dtype", [torch.float, torch.bfloat16, torch.double])
def test_dropout_drops_alike_in_every_precision(dtype):
    """Also what lies in memory in another order."""
    x = torch.rand(7, 33).T.to(dtype).requires_grad_()
    torch.manual_seed(0)
    mask = dropout(torch.ones(33, 7), 0.3, True) > 0
    torch.manual_seed(0)
    y = dropout(x, 0.3, True)
    torch.testing.assert_close(y.double(), x.double() * mask / 0.7, rtol=1e-2, atol=1e-4)
    weight = torch.rand(7, 33).T.to(dtype)
    (found,) = torch.autograd.grad((y * weight).sum(), x)
    torch.testing.assert_close(found.double(), weight.double() * mask / 0.7, rtol=1e-2, atol=1e-4)


def test_dropout_drops_its_share_and_keeps_the_mean():
    torch.manual_seed(0)
    x = torch.ones(1000, 401, requires_grad=True)
    y = dropout(x, 0.3, True)
    assert abs(float((y == 0).float().mean()) - 0.3) < 0.005
    assert abs(float(y.detach().mean()) - 1) < 0.01
    y.sum().backward()
    torch.testing.assert_close(x.grad, y.detach())
    rows, columns = (y == 0).float().mean(1), (y == 0).float().mean(0)
    assert rows.std() < 0.035  # 0.023 is expected of independent draws
    assert columns.std() < 0.022  # 0.0145
    assert dropout(x, 0.3, False) is x
    torch.manual_seed(0)
    assert torch.equal(dropout(x, 0.3, True), y)


@pytest.mark.parametrize("dtype", [torch.float, torch.bfloat16])
def test_threads_share_the_work_and_change_nothing(dtype):
    """A number of entries that no part is whole for, more than are worth one thread."""
    x, threads, answers = torch.rand(3, 70_001).to(dtype), torch.get_num_threads(), []
    try:
        for count in (1, 3):
            torch.set_num_threads(count)
            torch.manual_seed(0)
            answers += [dropout(x, 0.4, True), dropout(x, 0.4, True)]
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(answers[0], answers[2])
    assert torch.equal(answers[1], answers[3])
    both = ((answers[0] == 0) & (answers[1] == 0)).float().mean()
    assert abs(float(both) - 0.16) < 0.005  # one call tells nothing of the next
    gone = (answers[0] == 0).flatten().float()
    for lag in (1, 2, 3, 4, 4096):
        assert abs(float((gone[lag:] * gone[:-lag]).mean()) - 0.16) < 0.005


def test_dropout_of_bfloat16_rounds_as_torch_does():
    torch.manual_seed(0)
    x = torch.randn(10_000).bfloat16()
    y = dropout(x, 0.25, True)
    assert torch.equal(y[y != 0], (x * (65536 / (65536 - 16384)))[y != 0])


# ---- recurrent cells --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["gru", "rnn"])
@pytest.mark.parametrize("edge", [0, 2, 3])
def test_memory_cells_are_torchs_cells(kind, edge):
    torch.manual_seed(0)
    ours = MemoryCell((6, 6, 4, 3), kind)
    theirs = {"gru": nn.GRUCell, "rnn": nn.RNNCell}[kind](19, 6)
    theirs.load_state_dict(ours.state_dict())
    state, partner, since, row = torch.randn(5, 6), torch.randn(5, 6), torch.randn(5, 4), torch.randn(5, edge)
    message = torch.cat([state, partner, since, row, torch.zeros(5, 3 - edge)], dim=1)
    mine, plain = ours(state, partner, since, row if edge else None), theirs(message, state)
    torch.testing.assert_close(mine, plain)
    weight = torch.randn(5, 6)
    same(gradients((mine * weight).sum(), *ours.parameters()), gradients((plain * weight).sum(), *theirs.parameters()))


def test_short_lstms_are_torchs_lstms_at_the_last_step():
    torch.manual_seed(0)
    ours = ShortBiLSTM((3, 2), 4)
    first, owner = torch.randn(3, 5), torch.tensor([0, 2, 2, 1])
    second = torch.randn(4, 5)
    begun = ours.begin(first[:, :3], first[:, 3:])
    both = torch.stack([first[owner], second], dim=1)
    torch.testing.assert_close(begun.alone, ours.lstm(first[:, None])[0][:, -1])
    read, plain = ours.follow(begun, owner, second[:, :3], second[:, 3:]), ours.lstm(both)[0][:, -1]
    torch.testing.assert_close(read, plain)
    weight = torch.randn(4, 8)
    trained = [parameter for parameter in ours.parameters() if parameter.requires_grad]
    same(*(gradients((x * weight).sum(), *trained) for x in (read, plain)))
    first[:, :3] = 0
    second[:, :3] = 0
    read = ours.follow(ours.begin(None, first[:, 3:]), owner, None, second[:, 3:])
    torch.testing.assert_close(read, ours.lstm(torch.stack([first[owner], second], dim=1))[0][:, -1])


# ---- attention --------------------------------------------------------------------------------------------------


def test_folded_attention_is_attention_with_projected_keys_and_values():
    """Beside torch's scaled dot product; the slow models check it one query at a time."""
    torch.manual_seed(0)
    layer = TemporalAttention(6, 3, 4, heads=2, dropout=0.0)
    own, now = torch.randn(5, 6), torch.rand(4)
    near = torch.randn(5, 7, 6), torch.randn(5, 7, 2), torch.randn(5, 7, 4)
    mask = torch.rand(5, 7) < 0.7
    mask[2] = False
    keys = torch.cat([near[0], near[1], torch.zeros(5, 7, 1), near[2]], dim=2)
    query = torch.cat([own, now.expand(5, 4)], dim=1)
    q, k, v = (
        nn.functional.linear(x, y.weight).unflatten(2, (2, 5)).transpose(1, 2)
        for x, y in ((query[:, None], layer.query), (keys, layer.key), (keys, layer.value))
    )
    away = torch.zeros(5, 1, 1, 7).masked_fill(~mask[:, None, None], -1e10)
    found = nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=away).transpose(1, 2).flatten(2)[:, 0]
    plain, folded = layer.norm(layer.out(found) + query), layer(own, now, near, mask)
    torch.testing.assert_close(folded, plain)
    # Through a mask that is added a gradient reaches scores that are all padding; through ours it does not.
    weight = torch.randn(5, 10) * mask.any(1, keepdim=True)
    same(*(gradients((x * weight).sum(), *layer.parameters()) for x in (folded, plain)), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("asking", [1, 5])
def test_attention_with_dropout_has_the_gradient_of_its_formula(asking):
    torch.manual_seed(0)
    asked, x = torch.randn(asking, 2, 4, requires_grad=True), torch.randn(5, 3, 4, requires_grad=True)
    mask, kept = torch.rand(5, 3) < 0.7, (torch.rand(5, 2, 3) < 0.8) / 0.8
    mask[2] = False
    score = (torch.einsum("qhd,qkd->qhk", asked.expand(5, 2, 4), x) * 0.5).masked_fill(~mask[:, None], -1e10)
    plain = torch.einsum("qhk,qkd->qhd", score.softmax(2) * kept, x)
    found = _Attend.apply(asked, x, mask, kept, 0.5)
    torch.testing.assert_close(found, plain)
    weight = torch.randn(5, 2, 4)
    same(*(gradients((y * weight).sum(), asked, x) for y in (found, plain)), rtol=1e-4, atol=1e-5)


def test_sequences_without_padding_are_attended_to_as_with_a_mask_and_copies_count():
    torch.manual_seed(0)
    layer = Attention(8, heads=2, dropout=0.0)
    theirs = nn.MultiheadAttention(8, 2, batch_first=True)
    theirs.in_proj_weight, theirs.in_proj_bias = layer.project.weight, layer.project.bias
    theirs.out_proj.weight, theirs.out_proj.bias = layer.out.weight, layer.out.bias
    mask = torch.tensor([[True, True, False, False], [True, True, True, True], [True, False, False, True]])
    x = torch.randn(3, 4, 8) * mask[..., None]
    packing = Packing(mask)
    plain, _ = theirs(x, x, x, key_padding_mask=~mask)
    torch.testing.assert_close(layer(packing.gather(x), packing), packing.gather(plain))
    torch.testing.assert_close(packing.spread(packing.gather(x)), x)
    assert packing.first.tolist() == [0, 2, 6]
    assert packing.owner.tolist() == [0, 0, 1, 1, 1, 1, 2, 2]
    twice = Packing(mask[:1, :2], torch.tensor([3, 1]))
    copies = x[0, [0, 0, 0, 1]][None]
    torch.testing.assert_close(layer(x[0, :2], twice), theirs(copies, copies, copies)[0][0, 2:])


def test_halves_attend_to_each_other():
    torch.manual_seed(0)
    layer = Attention(8, heads=2, dropout=0.0)
    mask = torch.tensor([[True, True, False], [True, True, True], [True, False, False], [False, True, True]])
    packing = Packing(mask)
    x = torch.randn(int(mask.sum()), 8)
    across = packing.spread(layer.across(x, packing, only_first=False))
    for one, other in ((0, 2), (1, 3), (2, 0), (3, 1)):
        both = torch.cat([packing.spread(x)[one][mask[one]], packing.spread(x)[other][mask[other]]])
        count = int(mask[one].sum())
        q, k, v = layer.project(both).chunk(3, dim=1)
        heads = [part.unflatten(1, (2, 4)).transpose(0, 1) for part in (q[:count], k[count:], v[count:])]
        plain = layer.out(nn.functional.scaled_dot_product_attention(*heads).transpose(0, 1).flatten(1))
        torch.testing.assert_close(across[one][mask[one]], plain)
    first = layer.across(x, packing, only_first=True)
    torch.testing.assert_close(first, packing.gather(across)[packing.first])


def test_co_occurrences_are_counts():
    generator = torch.Generator().manual_seed(0)
    nodes = torch.randint(6, (9, 11), generator=generator)
    weight = torch.randint(4, (9, 11), generator=generator)
    side = (torch.arange(11) >= 5).long()
    counts = co_occurrences(nodes, side, weight, num_nodes=6)
    for pair in range(9):
        for place in range(11):
            for which in range(2):
                there = (nodes[pair] == nodes[pair, place]) & (side == which)
                assert counts[pair, place, which] == weight[pair][there].sum()

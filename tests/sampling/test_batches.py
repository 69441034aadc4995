"""Batches of an epoch: everything once, in another order each time, and found again from the step alone."""

import torch

from dynbench.sampling.batches import ShuffledBatches


def test_an_epoch_holds_everything_once():
    torch.manual_seed(0)
    batches = ShuffledBatches(10, 4, epochs=3)
    assert batches.per_epoch == 3
    epochs = [torch.cat([batches.at(3 * epoch + number) for number in range(3)]) for epoch in range(3)]
    assert all(sorted(epoch.tolist()) == list(range(10)) for epoch in epochs)
    assert not torch.equal(epochs[0], epochs[1])
    torch.manual_seed(0)
    again = ShuffledBatches(10, 4, epochs=3)
    torch.rand(5)
    assert torch.equal(again.at(7), epochs[2][4:8])

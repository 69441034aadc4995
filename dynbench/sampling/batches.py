"""Things in batches, shuffled anew in each epoch, and the same again after an interruption."""

from __future__ import annotations

import torch
from torch import Tensor


class ShuffledBatches:
    """Batches of the numbers ``0 .. count - 1``, found from the number of a step alone.

    Args:
        count: Things per epoch.
        size: Things per batch.
        epochs: How many; their seeds are drawn at once, from torch's global generator.
    """

    def __init__(self, count: int, size: int, epochs: int):
        self.count, self.size = count, size
        self.per_epoch = max(1, -(-count // size))
        self._seeds = torch.randint(2**62, (max(epochs, 1),)).tolist()
        self._epoch, self._order = -1, torch.empty(0, dtype=torch.long)

    def at(self, step: int) -> Tensor:
        """``(B,) long`` the batch of a step."""
        epoch, number = divmod(step, self.per_epoch)
        if epoch != self._epoch:
            generator = torch.Generator().manual_seed(self._seeds[epoch % len(self._seeds)])
            self._epoch, self._order = epoch, torch.randperm(self.count, generator=generator)
        return self._order[number * self.size : (number + 1) * self.size]

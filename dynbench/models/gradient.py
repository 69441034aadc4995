"""What models that are trained by gradient share: sizes that come with the data, a device's share, an optimiser."""

from __future__ import annotations

from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor

from dynbench.models.base import Model


class GradientModel(pl.LightningModule, Model):
    """A Lightning module whose parameters are created when it first meets data, or when a saved state is loaded.

    A subclass implements :meth:`build` and, for the Trainer, ``training_step``. ``fit`` calls :meth:`create`.

    Attributes:
        sizes: What the parameters were created for; empty before.
        learning_rate, weight_decay: Of Adam.
    """

    learning_rate: float = 1e-3
    weight_decay: float = 0.0

    def __init__(self) -> None:
        super().__init__()
        self.sizes: dict[str, int] = {}

    def create(self, **sizes: int) -> None:
        """Create the parameters anew, and remember their sizes beside them."""
        self.sizes = {name: int(size) for name, size in sizes.items()}
        self.build(**self.sizes)

    def build(self, **sizes: int) -> None:
        """Create the parameters."""

    # ---- training -------------------------------------------------------------------------------------------

    @property
    def world(self) -> int:
        """Devices that train together."""
        return 1 if self._trainer is None else self.trainer.world_size

    def share(self, *parts: Tensor) -> Any:
        """This device's share of a batch that all devices have drawn alike: every ``world``-th row.

        Gradients are averaged over devices, so a sum over a share counts ``world``-fold, a mean over equal shares once.
        """
        mine = tuple(part[self.global_rank :: self.world] for part in parts) if self.world > 1 else parts
        return mine if len(mine) > 1 else mine[0]

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Adam on what is to be trained; created anew for each call of the Trainer."""
        chosen = [parameter for parameter in self.parameters() if parameter.requires_grad]
        return torch.optim.Adam(chosen, lr=self.learning_rate, weight_decay=self.weight_decay, fused=True)

    # ---- keeping --------------------------------------------------------------------------------------------

    def get_extra_state(self) -> dict[str, int]:
        """The sizes travel with the parameters."""
        return dict(self.sizes)

    def set_extra_state(self, state: dict[str, int]) -> None:
        """Sizes were read before the parameters were."""

    def load_state_dict(self, state: dict[str, Any], strict: bool = True, assign: bool = False) -> Any:
        """Restore a fitted model, creating its parameters first where their sizes are other ones."""
        sizes = state.get("_extra_state", {})
        if sizes and sizes != self.sizes:
            device = self.device
            with torch.random.fork_rng(devices=[]):  # initial values that are overwritten draw no number
                self.create(**sizes)
            self.to(device)
        return super().load_state_dict(state, strict=strict, assign=assign)

    def num_parameters(self) -> int:
        """Trainable numbers."""
        return sum(parameter.numel() for parameter in self.parameters())

"""Random: DyGFormer as it was born, the row that shows what training is worth.

Paper:
    The row "Random" of CrossLink's Table 1 is an untrained network, not the toss of a coin: its average precision
    scatters around 50 by several points, and by more where counts of common neighbours shine through random weights.

Idea:
    Create a network, do not train it, ask it.

Deviations:
    The paper does not say whose network it is. Here it is DyGFormer's.

Reproduction:
    Not measured yet.
"""

from __future__ import annotations

from typing import Any

from dynbench.models.stream.dygformer import DyGFormer


class UntrainedNetwork(DyGFormer):
    """A network that is not trained; see :class:`~dynbench.models.stream.dygformer.DyGFormer` for the settings.

    Args:
        **settings: As of DyGFormer; those of training do not matter.
    """

    selects = False

    def __init__(self, **settings: Any):
        super().__init__(**settings)
        self.epochs = 0

    def build(self, **sizes: int) -> None:
        """Create the parameters, and leave them as they are."""
        super().build(**sizes)
        self.requires_grad_(False)

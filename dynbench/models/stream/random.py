"""Random: DyGFormer as it was born, the row that shows what training is worth.

Paper:
    The row "Random" of CrossLink's Table 1 is an untrained network, not the toss of a coin: its average precision
    scatters around 50 by several points, and by more where counts of common neighbours shine through random weights.

Idea:
    Create a network, do not train it, ask it.

Deviations:
    The paper does not say whose network it is. Here it is DyGFormer's.

Reproduction:
    Average precision in percent against each kind of negatives, and on test events with a new node against random
    ones; mean and deviation over the number of seeds in brackets::

                      random         historical     inductive      new nodes
        UCI (3)       47.88 ± 12.68  57.97 ± 17.10  55.77 ± 12.10  48.86 ± 10.62
        Wikipedia (3) 49.46 ± 3.93   64.31 ± 23.28  68.57 ± 26.82  47.53 ± 5.41
        MOOC (1)      52.96          46.13          47.43          53.40
        Enron (3)     56.17 ± 13.88  47.50 ± 4.41   48.17 ± 5.49   54.87 ± 10.17

    Where a network's random weights happen to rank well or badly decides, so that seeds lie far apart and below one
    half as easily as above.
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

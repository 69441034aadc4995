"""How long a fit takes, over all processes that worked on it."""

from __future__ import annotations

import time

from pytorch_lightning.callbacks import Callback


class Clock(Callback):
    """Seconds of a fit, those of processes that were interrupted in it included.

    Attributes:
        earlier: Seconds until the checkpoint from which this process goes on.
    """

    def __init__(self) -> None:
        self.earlier, self._started = 0.0, time.monotonic()

    @property
    def seconds(self) -> float:
        """Seconds of all processes."""
        return self.earlier + time.monotonic() - self._started

    def state_dict(self) -> dict[str, float]:
        """The seconds, for a checkpoint."""
        return {"seconds": self.seconds}

    def load_state_dict(self, state: dict[str, float]) -> None:
        """The seconds of a checkpoint."""
        self.earlier = state["seconds"]

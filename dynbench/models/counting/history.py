"""What all counting models share: they keep what is known and read their scores off it."""

from dynbench.models.history import HistoryModel

__all__ = ["HistoryModel"]

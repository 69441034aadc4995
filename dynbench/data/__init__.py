"""Where graphs come from: the user's folders, the cache, a download, or a generator.

Every dataset is described by a card, ``conf/data/<name>.yaml``, whose ``_target_`` is one of the classes below.
Nothing heavy is imported before one of these names is used.
"""

from __future__ import annotations

import importlib

_HOMES = {
    "DataUnavailable": "locations",
    "DynamicSBM": "generators",
    "FileDataset": "dataset",
    "Locations": "locations",
    "NLSMProcess": "generators",
    "RawEvents": "events",
}

__all__ = sorted(_HOMES)


def __getattr__(name: str):
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)

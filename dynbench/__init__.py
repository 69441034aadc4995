"""dynbench: a harness in which the papers of dynamic networks are reproduced.

From Python::

    import dynbench

    graph = dynbench.load("uci", window="10d")
    found = dynbench.run(model="nlsm", data="uci", seeds=range(5))
    found.to_frame()
    dynbench.results(data="uci", protocol="temporal_split").to_frame()

Nothing heavy is imported before one of these names is used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dynbench.api.results import Results, results
    from dynbench.api.running import cut, load, run
    from dynbench.graph import TemporalGraph

__version__ = "0.2.0"

_HOMES = {
    "Results": "api.results",
    "TemporalGraph": "graph",
    "cut": "api.running",
    "load": "api.running",
    "results": "api.results",
    "run": "api.running",
}

__all__ = ["Results", "TemporalGraph", "__version__", "cut", "load", "results", "run"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})

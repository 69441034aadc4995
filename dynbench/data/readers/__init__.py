"""Readers of upstream formats.

A reader is a function ``(files: list[Path]) -> RawEvents``. The ones below are known by name; any other is found as
``module.function``.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path

from dynbench.data.events import RawEvents
from dynbench.errors import DataError

Reader = Callable[[list[Path]], RawEvents]

READERS = {
    "canonical": "dynbench.data.canonical.read_canonical",
    "snap_from_one": "dynbench.data.readers.snap.read_from_one",
    "snap_ranked": "dynbench.data.readers.snap.read_ranked",
    "jodie": "dynbench.data.readers.streams.read_jodie",
    "dgb": "dynbench.data.readers.streams.read_dgb",
    "tgb": "dynbench.data.readers.streams.read_tgb",
    "enron_json": "dynbench.data.readers.enron.read_enron",
    "opsahl": "dynbench.data.readers.opsahl.read_opsahl",
    "movielens_tags": "dynbench.data.readers.movielens.read_tags",
    "renet": "dynbench.data.readers.renet.read_renet",
}


def find_reader(name: str) -> Reader:
    """The reader of that name.

    Args:
        name: A key of ``READERS``, or ``module.function`` for one's own.

    Raises:
        DataError: If there is no such reader.
    """
    module, _, function = READERS.get(name, name).rpartition(".")
    if not module:
        raise DataError(f"no reader '{name}'; known: {', '.join(READERS)}, or give your own as module.function")
    try:
        return getattr(importlib.import_module(module), function)
    except ModuleNotFoundError as error:
        cure = "is its folder named in DYNBENCH_PLUGINS?"
        raise DataError(f"reader '{name}': no module '{error.name}'; {cure}") from error
    except AttributeError as error:
        raise DataError(f"reader '{name}': module '{module}' has no function '{function}'") from error

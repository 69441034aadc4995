"""Parsed graphs, kept sealed. Whatever is wrong with a kept one, it is built again; a cache never stops a run."""

from __future__ import annotations

import io
import logging
from contextlib import suppress
from pathlib import Path

from dynbench import files
from dynbench.graph import TemporalGraph

log = logging.getLogger(__name__)


def load(path: Path) -> TemporalGraph | None:
    """A parsed graph from the cache; a damaged file is removed and counts as absent."""
    try:
        return TemporalGraph.load(io.BytesIO(files.unseal(path)))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except Exception as error:  # whatever it is: what can be parsed again stops no run
        log.warning("removing a damaged graph from the cache: %s (%s)", path, error)
        with suppress(OSError):
            path.unlink(missing_ok=True)
        return None


def store(graph: TemporalGraph, path: Path) -> None:
    """Keep a parsed graph. The cache is a convenience: a full or read-only disk must not stop a run."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        buffer = io.BytesIO()
        graph.write(buffer)
        files.seal(path, buffer.getbuffer())
    except OSError as error:
        log.warning("cannot write the cache %s (%s); set cache_dir to a folder that can be written", path.parent, error)

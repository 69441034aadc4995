"""Memory: what a run will need is estimated before it is taken, and what cannot be had is refused in one line."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from dynbench.data.base import Dataset
from dynbench.errors import RunError
from dynbench.graph import TemporalGraph

_GROUP = Path("/sys/fs/cgroup")
# What torch says on a CPU; its error for a GPU has a class of its own.
_EXHAUSTED = re.compile(r"not enough memory|can't allocate memory|out of memory", re.IGNORECASE)


def require(model: Any, protocol: Any, graph: TemporalGraph, values: Mapping[str, Any], on_gpu: bool = False) -> None:
    """Compare what a model and a protocol say they will need with what is free.

    Raises:
        RunError: Naming what needs how much, and the settings that it follows from.
    """
    free = available()
    for group, one in (("model", model), ("protocol", protocol)):
        needed, because = one.bytes_needed(graph)
        if group == "model" and on_gpu:
            continue  # a GPU's memory says so itself, at once
        if needed > free:
            raise RunError(
                f"{group}={values[group]['name']} on data={values['data']['name']} needs about {_size(needed)} of "
                f"memory, {_size(free)} are free: {because}"
            )


def require_for_data(dataset: Dataset) -> None:
    """Compare what a dataset says it will need to be made with what is free.

    Raises:
        RunError: Naming the dataset, how much it needs, and the settings that it follows from.
    """
    needed, because = dataset.bytes_needed()
    if needed > (free := available()):
        raise RunError(
            f"data={dataset.name} needs at least {_size(needed)} of memory, {_size(free)} are free: {because}"
        )


def available() -> int:
    """Bytes that this process can still take, as far as the system tells."""
    found = [_meminfo("MemAvailable")]
    limit, used = _number(_GROUP / "memory.max"), _number(_GROUP / "memory.current")
    if limit is not None and used is not None:
        # What a group has cached of files is given back when it is asked for.
        found.append(limit - used + _cached())
    return max(0, min((one for one in found if one is not None), default=2**62))


def limit() -> None:
    """Make an allocation that the machine can never satisfy an error of its own, instead of the end of the process."""
    total = min((one for one in (_meminfo("MemTotal"), _number(_GROUP / "memory.max")) if one), default=None)
    with suppress(ImportError, ValueError, OSError):
        import resource

        soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
        known = [one for one in (total, soft, hard) if one is not None and one != resource.RLIM_INFINITY]
        if known:
            resource.setrlimit(resource.RLIMIT_DATA, (min(known), hard))


@contextmanager
def told(values: Mapping[str, Any]) -> Iterator[None]:
    """Say in one line that memory did not suffice, and for what.

    Raises:
        RunError: In the place of what numpy and torch raise then.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not isinstance(error, MemoryError) and not _EXHAUSTED.search(str(error)):
            raise
        names = ", ".join(f"{group}={values[group]['name']}" for group in ("model", "data", "protocol"))
        said = " ".join(str(error).split())[:160]
        raise RunError(
            f"{names}: the memory does not suffice ({said or 'MemoryError'}); choose smaller sizes of the model, a "
            "smaller graph, or a machine with more memory"
        ) from error


def _size(count: int) -> str:
    return f"{count / 1e9:.1f} GB"


def _meminfo(key: str) -> int | None:
    with suppress(OSError, ValueError, IndexError):
        return 1024 * int(Path("/proc/meminfo").read_text("utf-8").partition(f"{key}:")[2].split()[0])
    with suppress(OSError, ValueError, AttributeError):
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return None


def _number(path: Path) -> int | None:
    with suppress(OSError, ValueError):
        return int(path.read_text("utf-8"))
    return None


def _cached() -> int:
    with suppress(OSError, ValueError, IndexError):
        return int((_GROUP / "memory.stat").read_text("utf-8").partition("\nfile ")[2].split()[0])
    return 0

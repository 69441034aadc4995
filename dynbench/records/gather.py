"""All runs that can be seen from here: spooled, published, and those that come with dynbench."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

from dynbench.config import compose
from dynbench.errors import RunError
from dynbench.records.published import Published
from dynbench.records.record import Record, newest, read

_log = logging.getLogger(__name__)


def shipped() -> Path:
    """The folder with the runs that come with dynbench: within an installed package, or the checkout's results."""
    inside = Path(__file__).resolve().parents[1] / "published"
    return inside if inside.is_dir() else compose.CONF.parent / "results"


def gather(
    results_dir: str | Path = "results", work_dir: str | Path = "runs", with_shipped: bool = True
) -> list[Record]:
    """Every run once, the newest record of each, in the order of their names.

    Args:
        results_dir: Published runs.
        work_dir: The user's own runs, below ``records``.
        with_shipped: Whether the runs that come with dynbench count.
    """
    folders = dict.fromkeys([Path(results_dir).resolve(), *([shipped().resolve()] if with_shipped else [])])
    found: dict[str, list[Record]] = {}
    for record in [*_spooled(Path(work_dir)), *(one for folder in folders for one in Published(folder).all())]:
        found.setdefault(str(record.name), []).append(record)
    return [newest(records) if len(records) > 1 else records[0] for _, records in sorted(found.items())]


def _spooled(work_dir: Path) -> Iterator[Record]:
    for path in sorted((work_dir / "records").glob("*/*.json")):
        try:
            record = read(path)
        except RunError as error:
            _log.warning("set aside: %s", error)
            continue
        if record is not None:
            yield record

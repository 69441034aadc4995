"""The two places where records lie: the spool of a work folder, and what was published of it.

Every run, a user's own and a failed one too, leaves its full record in the spool, which no checkout tracks. What a
paper's table uses is published from there. A run is finished if either place has it.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from pathlib import Path

from dynbench.errors import RunError
from dynbench.records.identity import Identity
from dynbench.records.published import Published
from dynbench.records.record import Record, newest, read, write

_log = logging.getLogger(__name__)


class Store:
    """The records of a results folder and a work folder."""

    def __init__(self, results_dir: str | Path = "results", work_dir: str | Path = "runs"):
        self.results_dir, self.work_dir = Path(results_dir), Path(work_dir)
        self.published = Published(results_dir)

    def path(self, identity: Identity) -> Path:
        """Where the spooled record of a run lies."""
        return identity.path(self.work_dir)

    def place(self, identity: Identity) -> Path:
        """Where to look for a run's record: its own file, or the one that its published line stands in."""
        path = self.path(identity)
        return path if path.is_file() else self.published.path(identity)

    def spooled(self, identity: Identity) -> Record | None:
        """The spooled record of a run; one that cannot be read is set aside with a word in the log."""
        try:
            record = read(self.path(identity))
        except RunError as error:
            _log.warning("set aside: %s", error)
            return None
        if record is not None and record.name != identity:
            _log.warning("set aside: %s is the record of %s", self.path(identity), record.name)
            return None
        return record

    def find(self, identity: Identity) -> Record | None:
        """The record of a run: a finished one of either place, else that of its failure, else ``None``."""
        published = self.published.find(identity) if self.published.holds(identity) else None
        found = [one for one in (self.spooled(identity), published) if one is not None]
        return newest(found) if found else None

    def write(self, record: Record) -> Path:
        """Spool a record.

        Raises:
            RunError: If the folder cannot be written, or a metric of a finished run is NaN.
        """
        return write(record, self.path(record.name))

    def publish(self, wanted: Mapping[Identity, Collection[str]]) -> int:
        """Publish the finished runs among ``wanted`` that were spooled here.

        Args:
            wanted: Runs, each with the metrics whose values per step are to be kept.

        Returns:
            How many lines are new or differ.
        """
        found = ((self.spooled(identity), tested) for identity, tested in wanted.items())
        return self.published.add((record, tested) for record, tested in found if record and record.finished)

"""Records that stand: those of runs on the data of today.

A user's own graph may have been replaced since it was measured. Its runs then count as not made, as ``run.py`` takes
them, until they are made again. What a card pins by checksums cannot be replaced unnoticed, and is not looked at.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from typing import Any

from dynbench.config.source import read_class
from dynbench.data.locations import Locations
from dynbench.data.sameness import KnownSums, is_pinned, is_same
from dynbench.errors import DataError
from dynbench.records import Record

_log = logging.getLogger(__name__)


class Standing:
    """Tells records of the data of today from those of earlier ones; looks at files once."""

    def __init__(self) -> None:
        self._told: dict[str, bool] = {}
        self._pinned: dict[int, tuple[bool, Any]] = {}
        self._sums: dict[str, KnownSums] = {}

    def holds(self, record: Record, values: Mapping[str, Any]) -> bool:
        """Whether a record is of the data that its settings lead to today; if it is not, one line says so.

        Args:
            record: Of a finished run.
            values: The configuration of the run, as it is composed today.
        """
        data = values.get("data")
        if not data or self._is_pinned(data):
            return True
        view = read_class(values["protocol"]["_target_"]).attributes.get("view", "snapshots")
        kept, graph = record.provenance.get("files"), record.checksums.get("graph")
        key = json.dumps([data, view, kept, graph], sort_keys=True, default=str)
        if key not in self._told:
            self._told[key] = self._looked(record, values, view, kept, graph)
        return self._told[key]

    def _is_pinned(self, data: Mapping[str, Any]) -> bool:
        # Groups are shared by the cells of all tables, and are kept here so that no other takes their place in memory.
        if id(data) not in self._pinned:
            self._pinned[id(data)] = is_pinned(data), data
        return self._pinned[id(data)][0]

    def _looked(self, record: Record, values: Mapping[str, Any], view: str, kept: Any, graph: str | None) -> bool:
        where = Locations.from_settings(values.get("data_dir"), values.get("cache_dir"), offline=True)
        sums = self._sums.setdefault(str(where.cache_dir), KnownSums(where))
        why = "another graph"
        try:
            if is_same(values["data"], where, view, kept, graph, sums):
                return True
        except DataError as error:
            why = " ".join(str(error).split())
        finally:
            sums.save()
        _log.warning(
            "data=%s is not what it was on %s (%s); its runs of then count as not measured",
            record.data,
            record.created or "the day of its runs",
            why,
        )
        return False

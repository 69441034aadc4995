"""What every dataset offers, and the comparison with its card."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

from dynbench.errors import DataError
from dynbench.graph import TemporalGraph
from dynbench.graph.statistics import statistics

log = logging.getLogger(__name__)

View = Literal["snapshots", "events"]
LinkRule = Literal["sum_over_steps", "distinct_over_time"]

# Names used in a card's `expected`, by view, and the statistic that each is compared with. The second group only
# holds for the card's own cut, so a user's window, span or direction switches it off.
_ALWAYS = {"snapshots": {"nodes": "nodes", "relations": "relations", "classes": "classes"}}
_ALWAYS["events"] = {**_ALWAYS["snapshots"], "events": "events"}
_PARTS = {name: name for name in ("train_events", "valid_events", "test_events")}
_NATIVE = {
    "snapshots": {"steps": "steps", "snapshot_events": "events", **_PARTS},
    "events": {"pairs": "links_distinct"},
}
_LINKS = {"sum_over_steps": "links_per_step_sum", "distinct_over_time": "links_distinct"}
OTHER_FILES = "these are not the files of the card; replace them, or load your own graph with data=custom data.path=…"
KNOWN_STATISTICS = (
    *("nodes", "relations", "classes", "events", "pairs", "steps", "links", "snapshot_events", "edge_features"),
    "content",  # SHA-256 of what the files say, by part: see dynbench.data.content
    *_PARTS,
)


class Dataset(ABC):
    """A source of one temporal graph.

    Attributes:
        name: Name of the card.
        several: Whether it gives a :class:`~dynbench.graph.collection.GraphCollection` instead, for protocols that ask
            about several graphs.
        exam_settings: Settings that change what is asked about, and not what is learnt from.
    """

    several: ClassVar[bool] = False
    exam_settings: ClassVar[frozenset[str]] = frozenset()

    name: str
    _origin: dict[str, Any] | None = None

    @abstractmethod
    def load(self, view: View = "snapshots") -> TemporalGraph:
        """Return the graph as snapshots or as events in continuous time."""

    def bytes_needed(self) -> tuple[int, str]:
        """Memory at least that making the graph takes, where it follows from settings, and from which ones."""
        return 0, ""

    def provenance(self) -> dict[str, Any]:
        """Where the graph came from: ``source``, ``files`` with SHA-256, and the arguments that shaped it.

        Raises:
            DataError: Before :meth:`load`.
        """
        if self._origin is None:
            raise DataError(f"dataset '{self.name}' has not been loaded yet, so it has no provenance")
        return dict(self._origin)


def check_view(view: str) -> None:
    """Raise ``DataError`` unless ``view`` is one of the two views."""
    if view not in ("snapshots", "events"):
        raise DataError(f"no such view of a dataset: {view!r}; use 'snapshots' or 'events'")


def check_expected(
    graph: TemporalGraph,
    name: str,
    expected: Mapping[str, Any],
    view: View,
    native: bool,
    links: LinkRule = "sum_over_steps",
    cure: str = OTHER_FILES,
) -> None:
    """Compare a loaded graph with the statistics of its card.

    Args:
        graph: What was loaded.
        name: Dataset, for the message.
        expected: The card's statistics; see ``KNOWN_STATISTICS``.
        view: How ``graph`` was loaded.
        native: Whether it was cut as the card says.
        links: How the card counts links.
        cure: What a mismatch means, for the message.

    Raises:
        DataError: Naming the first statistic that differs, what was expected and what was found.
    """
    unknown = [key for key in expected if key not in KNOWN_STATISTICS]
    if unknown:
        raise DataError(f"card of '{name}': unknown statistic '{unknown[0]}'; known: {', '.join(KNOWN_STATISTICS)}")
    compared = dict(_ALWAYS[view])
    if native:
        compared.update(_NATIVE[view])
        if view == "snapshots":
            compared["links"] = _LINKS[links]
    wanted = {key: expected[key] for key in compared if expected.get(key) is not None}
    found = statistics(graph) if wanted else {}
    for key, value in wanted.items():
        counted = found.get(compared[key], 0)
        if counted != value:
            raise DataError(f"dataset '{name}': the card promises {value:,} {key}, the data have {counted:,}; {cure}")
    if view == "events" and expected.get("edge_features"):
        _check_features(graph, name, expected["edge_features"], cure)


def _check_features(graph: TemporalGraph, name: str, width: int, cure: str) -> None:
    """Some copies of a dataset come without features of events: they can be used, but not compared with print."""
    if graph.edge_features is None:
        log.warning(
            "dataset '%s': these files have no features of events, the published ones have %d columns; "
            "results are not comparable with published ones",
            name,
            width,
        )
    elif graph.edge_features.shape[1] != width:
        found = graph.edge_features.shape[1]
        raise DataError(
            f"dataset '{name}': the card promises {width} features of events, the data have {found}; {cure}"
        )


def plain(value: Any) -> Any:
    """Copy a config node into plain dictionaries, lists and values."""
    if isinstance(value, Mapping):
        return {str(key): plain(part) for key, part in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, (str, bytes)):
        return [plain(part) for part in value]
    return value

"""Several datasets at once: some to learn from, others to be asked about."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any, Literal

from dynbench.config.compose import choice_path
from dynbench.data import cards
from dynbench.data.base import Dataset, View, check_view, plain
from dynbench.data.locations import Locations
from dynbench.errors import ConfigError, DataError
from dynbench.graph import TemporalGraph
from dynbench.graph.collection import GraphCollection, plain_graph
from dynbench.ranges import Count, Name

log = logging.getLogger(__name__)

# Beyond this ratio between the mean gaps of two graphs, their times are surely in other units.
_UNITS = 1e6


class Mixture(Dataset):
    """Named datasets to learn from, and others to be asked about, all without features.

    A name is that of a card, or the path of a CSV file or folder of one's own in the project's format, which is known
    by the name of the file.

    Args:
        name: Name of the dataset.
        train: Datasets that are learnt from.
        test: Datasets that are asked about.
        seen: Those of ``train`` that are asked about, too.
        equalise: Events that each graph contributes to an epoch: as many as the largest (``max``) or the ``mean`` one
            has to learn from, or a number. Smaller graphs are repeated, larger ones sub-sampled anew in each epoch.
        card: Title, origin, licence and citation; for people.
        where: Folders to look in.
    """

    several = True
    exam_settings = frozenset({"test", "seen"})

    def __init__(
        self,
        name: Name,
        train: list,
        test: list,
        seen: list | None = None,
        equalise: Literal["max", "mean"] | Count = "mean",
        card: dict | None = None,
        where: Locations | None = None,
    ) -> None:
        self.name, self.equalise, self.card = name, equalise, plain(card or {})
        self.train, self.test, self.seen = plain(train), plain(test), plain(seen or [])
        self.where = where if where is not None else Locations.from_settings()

    def load(self, view: View = "events") -> GraphCollection:
        """Load all datasets.

        Raises:
            ConfigError: If a name is unknown or stands where it must not.
            DataUnavailable: If a dataset cannot be had.
            DataError: If one is damaged, or has no events.
        """
        check_view(view)
        if view != "events":
            raise ConfigError(f"data={self.name} is several graphs in continuous time; use protocol=cross_domain")
        self._check()
        self._sources: dict[str, Any] = {}
        train = {_called(name): self._loaded(name) for name in self.train}
        targets = {
            _called(name): train[_called(name)] if _called(name) in train else self._loaded(name)
            for name in (*self.seen, *self.test)
        }
        collection = GraphCollection(train, targets, self.equalise)
        self._compare_units(collection.graphs)
        arguments = {"view": view, "train": self.train, "test": self.test, "equalise": self.equalise}
        self._origin = {"source": "several datasets", "files": self._sources, "arguments": arguments}
        return collection

    def _check(self) -> None:
        for key in ("train", "test"):
            names = [_called(name) for name in getattr(self, key)]
            double = sorted({name for name in names if names.count(name) > 1})
            if double:
                raise ConfigError(f"data.{key} names {double[0]} twice")
        if not self.train:
            raise ConfigError("data.train is empty; name the datasets to learn from, e.g. data.train=[mooc,wikipedia]")
        if not self.test and not self.seen:
            raise ConfigError("data.test is empty; name the datasets to be asked about, e.g. data.test=[dgb_uci]")
        both = [name for name in self.test if name in self.train]
        if both:
            raise ConfigError(
                f"data.test names {both[0]}, which is learnt from: this would not be a graph never seen. Leave it out "
                f"of one of the two, or ask about its last part on purpose, with data.seen=[{both[0]}]"
            )
        strange = [name for name in self.seen if name not in self.train]
        if strange:
            raise ConfigError(f"data.seen names {strange[0]}, which is not in data.train; name it in data.test")

    def _loaded(self, name: str) -> TemporalGraph:
        called = _called(name)
        if _is_path(name):
            card = {"_target_": "dynbench.data.dataset.FileDataset", "name": called, "path": name}
        else:
            card = cards.read_card(choice_path("data", name))
        try:
            dataset = cards.build(card, self.where)
        except TypeError as error:
            raise ConfigError(f"data={self.name}: {name} cannot be part of a mixture ({error})") from error
        if dataset.several:
            raise ConfigError(f"data={self.name}: {name} is several graphs itself; name its parts")
        graph = dataset.load("events")
        if not len(graph):
            raise DataError(f"dataset '{name}' has no events")
        self._sources[called] = dataset.provenance().get("files", {})
        return plain_graph(graph)

    def _compare_units(self, graphs: dict[str, TemporalGraph]) -> None:
        """Say so where times cannot be in the same unit; models that read raw differences would not know."""
        gaps = {name: _mean_gap(graph) for name, graph in graphs.items()}
        known = {name: gap for name, gap in gaps.items() if gap > 0}
        slow, fast = (pick(known, key=known.get, default="") for pick in (max, min))
        if known and known[slow] / known[fast] > _UNITS:
            log.warning(
                "events of %s are %.3g times as far apart as those of %s: their times are hardly in one unit. Models "
                "that read time differences as they are (all but crosslink) cannot apply to one what they learn on "
                "the other",
                slow, known[slow] / known[fast], fast,
            )  # fmt: skip


def _mean_gap(graph: TemporalGraph) -> float:
    """Mean time between two events."""
    return float(graph.time[-1] - graph.time[0]) / max(1, len(graph) - 1)


def _is_path(name: str) -> bool:
    return "/" in name or name.endswith(".csv") or name.endswith(".csv.gz")


def _called(name: str) -> str:
    """What a dataset is called in results."""
    return Path(name).name.split(".")[0] if _is_path(name) else name

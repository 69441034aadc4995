"""``Results``: runs as one asks for them, and what came out as a table or a data frame."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from dynbench.errors import ConfigError
from dynbench.records import Record
from dynbench.records.gather import gather

# Fields of a record that a run can be asked for by, beside its settings.
_FIELDS = ("model", "data", "protocol", "budget", "seed", "status", "comparable", "fit", "identity")
_GROUPS = ("model", "data", "protocol", "trainer")


def results(
    *, results_dir: str | Path = "results", work_dir: str | Path = "runs", shipped: bool = True, **wanted: Any
) -> Results:
    """The finished runs that can be seen from here: one's own, and those that come with dynbench.

    Args:
        results_dir, work_dir: Where published runs and one's own lie.
        shipped: Whether the runs that come with dynbench count.
        **wanted: What they must be, see :meth:`Results.where`: ``results(data="uci", model=["nlsm", "bas"])``.
    """
    found = Results(gather(results_dir, work_dir, shipped))
    return found.where(**{"status": "finished", **wanted})


class Results(Sequence[Record]):
    """Some runs, each a :class:`dynbench.records.Record`.

    Args:
        records: The runs.
        failures: What could not be run, with the reason.
    """

    def __init__(self, records: Sequence[Record] = (), failures: Mapping[str, str] | None = None):
        self.records = list(records)
        self.failures = dict(failures or {})

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, index):
        """One run, or some of them."""
        return Results(self.records[index]) if isinstance(index, slice) else self.records[index]

    def __iter__(self) -> Iterator[Record]:
        return iter(self.records)

    def where(self, **wanted: Any) -> Results:
        """The runs that are as wanted.

        Args:
            **wanted: A value, or several of which one must hold, for a field (``model``, ``data``, ``protocol``,
                ``budget``, ``seed``, …) or a setting: ``where(data="uci", **{"model.dim": [32, 64]})``.

        Raises:
            ConfigError: For what is neither.
        """
        for key in wanted:
            if key not in _FIELDS and key.partition(".")[0] not in _GROUPS:
                raise ConfigError(
                    f"there is no field '{key}'; fields are {', '.join(_FIELDS)}, or a setting: model.dim"
                )
        kept = [record for record in self.records if all(_holds(record, key, value) for key, value in wanted.items())]
        return Results(kept, self.failures)

    # ---- numbers ----------------------------------------------------------------------------------------------

    @property
    def metrics(self) -> list[str]:
        """The metrics that some run has."""
        return list(dict.fromkeys(name for record in self.records for name in record.metrics))

    def values(self, metric: str) -> list[float]:
        """A metric of every run that has it.

        Raises:
            ConfigError: If none has it.
        """
        found = [record.metrics[metric] for record in self.records if metric in record.metrics]
        if not found:
            raise ConfigError(f"no run has the metric '{metric}'; there are {', '.join(self.metrics) or 'no runs'}")
        return found

    def mean(self, metric: str) -> float:
        """The mean of a metric over the runs."""
        return statistics.fmean(self.values(metric))

    def sd(self, metric: str) -> float | None:
        """The sample's standard deviation of a metric; ``None`` for one run."""
        values = self.values(metric)
        return statistics.stdev(values) if len(values) > 1 else None

    # ---- tables -----------------------------------------------------------------------------------------------

    def to_dicts(self) -> list[dict[str, Any]]:
        """A row per run: what was run, the settings that differ between runs of one choice, metrics, seconds."""
        varying = self._varying()
        rows = []
        for record in self.records:
            row: dict[str, Any] = {
                name: getattr(record, name) for name in ("model", "data", "protocol", "budget", "seed")
            }
            row |= {key: _setting(record, key) for key in varying}
            row |= record.metrics
            row |= {f"seconds_{name}": value for name, value in record.seconds.items() if name in ("fit", "evaluate")}
            rows.append(row | {"comparable": record.comparable, "identity": record.identity})
        return rows

    def to_frame(self) -> Any:
        """:meth:`to_dicts` as a ``pandas.DataFrame``."""
        return _pandas().DataFrame(self.to_dicts())

    def steps(self) -> Any:
        """The metrics of single steps as a ``pandas.DataFrame``: a row per run and step."""
        rows = [
            {"model": record.model, "data": record.data, "protocol": record.protocol, "seed": record.seed, **step}
            for record in self.records
            for step in record.steps
        ]
        return _pandas().DataFrame(rows)

    def summary(self, metric: str | None = None) -> list[dict[str, Any]]:
        """A row per configuration: mean, standard deviation and number of runs.

        Args:
            metric: One of :attr:`metrics`; the first when omitted.
        """
        if not self.records:
            return []
        metric = metric or self.metrics[0]
        varying = self._varying()
        groups: dict[tuple, list[Record]] = {}
        for record in self.records:
            settings = tuple(repr(_setting(record, key)) for key in varying)
            groups.setdefault((record.model, record.data, record.protocol, record.budget, *settings), []).append(record)
        rows = []
        for own in groups.values():
            some = Results(own)
            if metric in some.metrics:
                row = {name: getattr(own[0], name) for name in ("model", "data", "protocol", "budget")}
                row |= {key: _setting(own[0], key) for key in varying}
                rows.append(row | {"metric": metric, "mean": some.mean(metric), "sd": some.sd(metric), "n": len(own)})
        return rows

    def _varying(self) -> list[str]:
        """Settings that differ between runs of one choice."""
        seen: dict[tuple[str, str], dict[str, str]] = {}
        varying: dict[str, None] = {}
        for record in self.records:
            for group in _GROUPS:
                settings = record.config.get(group, {})
                first = seen.setdefault((group, str(settings.get("name"))), {})
                for key, value in settings.items():
                    if key not in ("_target_", "name") and first.setdefault(key, repr(value)) != repr(value):
                        varying[f"{group}.{key}"] = None
        return sorted(varying)

    def __repr__(self) -> str:
        if not self.records:
            return "Results(no runs)"
        lines = [f"Results({len(self.records)} runs)"]
        for row in self.summary():
            spread = "" if row["sd"] is None else f" ± {row['sd']:.4f}"
            names = [str(row[name]) for name in ("model", "data", "protocol", "budget")]
            settings = [f"{key}={value}" for key, value in row.items() if "." in key and value is not None]
            what = ", ".join([*names, *settings])
            lines.append(f"  {what}: {row['metric']} {row['mean']:.4f}{spread} (n={row['n']})")
        return "\n".join([*lines, *(f"  failed: {what}: {reason}" for what, reason in self.failures.items())])


def _setting(record: Record, key: str) -> Any:
    group, _, name = key.partition(".")
    return record.config.get(group, {}).get(name)


def _holds(record: Record, key: str, wanted: Any) -> bool:
    value = _setting(record, key) if "." in key else getattr(record, key)
    several = isinstance(wanted, (list, tuple, set, frozenset, range))
    return value in wanted if several and not isinstance(value, list) else value == wanted


def _pandas() -> Any:
    try:
        import pandas
    except ImportError as error:
        raise ConfigError("data frames need pandas: pip install pandas; to_dicts() needs nothing") from error
    return pandas

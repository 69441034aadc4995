"""Load graphs and carry out runs from Python, with the same checks, records and numbers as the command line."""

from __future__ import annotations

import itertools
import json
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from dynbench.api.results import Results
from dynbench.config.check import check, check_group, resolved
from dynbench.config.compose import compose, program, read_choice
from dynbench.errors import ConfigError, DynbenchError, RunError
from dynbench.graph import TemporalGraph
from dynbench.records import Store, identify

Choice = str | Mapping[str, Any]


def load(data: str, *, view: str = "snapshots", offline: bool = False, **settings: Any) -> TemporalGraph:
    """A dataset of the catalogue, found in one's folders or the cache, or downloaded.

    Args:
        data: Its name, as after ``data=``.
        view: ``snapshots``, or ``events`` in continuous time.
        offline: Never touch the network.
        **settings: Settings of the dataset: ``load("uci", window="10d")``.

    Raises:
        DynbenchError: If there is no such dataset or setting, or the data cannot be had.
    """
    from dynbench.data import cards
    from dynbench.data.locations import Locations

    words = [f"data={data}", *(f"++data.{key}={_written(value)}" for key, value in settings.items())]
    values = resolved(compose(words))["data"]
    check_group("data", values)
    where = Locations.from_settings(offline=offline)
    return cards.build_settings(values, where).load(view)


def cut(graph: TemporalGraph, window: str | float, span: str | float | None = None, directed: bool | None = None):
    """Snapshots of equal length, counted from the first event.

    Args:
        graph: In continuous time.
        window: ``10d``, ``12h``, …; a plain number counts units of time.
        span: Only events within this time from the first one.
        directed: Whether ``(i, j)`` and ``(j, i)`` stay apart; as in the graph when omitted.

    Raises:
        DataError: If a length cannot be read or exceeds the data.
    """
    from dynbench.data import cutting

    return cutting.cut(graph, window, span, graph.directed if directed is None else directed)


def run(
    model: Choice | Sequence[Choice],
    data: Choice | TemporalGraph | Sequence[Choice | TemporalGraph] = "nlsm_process",
    protocol: Choice | Sequence[Choice] | None = None,
    seeds: Iterable[int] = (0,),
    *,
    budget: str = "quick",
    overrides: Sequence[str] = (),
    name: str = "mine",
    results_dir: str | Path = "results",
    work_dir: str | Path = "runs",
    force: bool = False,
    progress: bool = False,
    collect: bool = False,
) -> Results:
    """Carry out every combination of models, datasets, protocols and seeds; what is finished already is only read.

    Args:
        model: Name of a model, or a mapping with ``name`` and settings: ``{"name": "nlsm", "dim": 32}``; or several.
        data: The same for datasets; a :class:`TemporalGraph` is a dataset, too.
        protocol: The same for protocols; what the model's paper asks when omitted.
        seeds: One run for each.
        budget: ``smoke``, ``quick`` or ``paper``.
        overrides: Anything else, as on the command line: ``["trainer=gpu", "recipe=renet_mean"]``.
        name: What a graph of one's own is called in records.
        results_dir, work_dir: Where results are kept.
        force: Run again what is finished.
        progress: Show progress bars.
        collect: Go on after a failure, and keep its reason in ``failures``.

    Raises:
        DynbenchError: If a combination is impossible or fails, unless failures are collected.
    """
    places = [f"results_dir={_written(str(results_dir))}", f"work_dir={_written(str(work_dir))}"]
    more = [f"budget={budget}", *overrides, *places, f"force={_written(force)}", f"progress={_written(progress)}"]
    found, failures = [], {}
    for one, graph, asked, seed in itertools.product(_listed(model), _listed(data), _listed(protocol), seeds):
        own = isinstance(graph, TemporalGraph)
        words = [
            *_words("model", one),
            *(_words_of_graph(graph, name, Path(work_dir)) if own else _words("data", graph)),
            *([] if asked is None else _words("protocol", asked)),
            *more,
            f"seed={int(seed)}",
        ]
        try:
            found.append(_play(words))
        except DynbenchError as error:
            if not collect:
                raise
            failures[f"{one}, {name if own else graph}, {asked or 'its protocol'}, seed {seed}"] = str(error)
    return Results(found, failures)


def _play(words: list[str]):
    values = check(compose(words))
    if values["trainer"]["devices"] * values["trainer"].get("num_nodes", 1) == 1:
        from dynbench import runner

        return runner.run(values, words).record
    # The processes of a distributed run repeat the command that started them, which must be dynbench's own.
    done = subprocess.run([*program(), *words], capture_output=True, text=True, check=False)
    record = Store(values["results_dir"], values["work_dir"]).find(identify(values))
    if done.returncode or record is None:
        raise RunError((done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1])
    return record


def _words(group: str, choice: Choice) -> list[str]:
    """What to type for a choice and its settings."""
    if isinstance(choice, str):
        return [f"{group}={choice}"]
    if not (isinstance(choice, Mapping) and isinstance(choice.get("name"), str)):
        raise ConfigError(f"{group} is {choice!r}; give a name, or a mapping with 'name' and settings")
    name, settings = choice["name"], {key: value for key, value in choice.items() if key != "name"}
    known = read_choice(group, name)
    # A key that the file of the choice leaves out is checked against the constructor like any other.
    return [
        f"{group}={name}",
        *(f"{'' if key in known else '+'}{group}.{key}={_written(value)}" for key, value in settings.items()),
    ]


def _words_of_graph(graph: TemporalGraph, name: str, work_dir: Path) -> list[str]:
    """A graph at hand becomes a folder of the work folder, named by its content."""
    from dynbench.data.writing import write_folder

    folder = work_dir / "graphs" / f"{name}-{graph.checksum()[:12]}"
    if not (folder / "nodes.csv.gz").is_file():
        write_folder(graph, folder)
    settings = {"path": str(folder), "directed": graph.directed, "bipartite": graph.bipartite}
    unit = {} if graph.num_steps is not None else {"seconds": graph.seconds}
    return [*_words("data", {"name": "custom", **settings, **unit}), f"data.name={name}"]


def _listed(choice: Any) -> list[Any]:
    several = isinstance(choice, Sequence) and not isinstance(choice, (str, TemporalGraph))
    return list(choice) if several else [choice]


def _written(value: Any) -> str:
    """A value in Hydra's grammar."""
    if isinstance(value, str):
        return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{key}:{_written(part)}" for key, part in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ",".join(map(_written, value)) + "]"
    return json.dumps(value)

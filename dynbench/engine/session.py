"""A checked configuration carried out: build what it names, load the graph, play the loop, and say what came out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from hydra.errors import InstantiationException
from hydra.utils import instantiate

from dynbench.config.source import read_class
from dynbench.data.locations import Locations
from dynbench.engine import environment, memory
from dynbench.engine.logger import Logger
from dynbench.engine.loop import Loop
from dynbench.engine.trainer import Trainer
from dynbench.errors import ConfigError, DataError, DynbenchError
from dynbench.graph import TemporalGraph
from dynbench.graph.collection import GraphCollection
from dynbench.models.base import Model
from dynbench.protocols.base import Protocol


@dataclass
class Result:
    """What came out of a run; fields have the names and meanings that they have in a record.

    ``arrays`` are kept beside it. ``is_main`` says whether this is the process that writes.
    """

    metrics: dict[str, float] = field(default_factory=dict)
    steps: list[dict[str, Any]] = field(default_factory=list)
    sizes: dict[str, int] = field(default_factory=dict)
    checksums: dict[str, str] = field(default_factory=dict)
    provenance: dict[str, Any] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    peak_memory_mb: float = 0.0
    environment: dict[str, Any] = field(default_factory=dict)
    arrays: dict[str, np.ndarray] = field(default_factory=dict)
    is_main: bool = True


def start(values: Mapping[str, Any]) -> Trainer:
    """The Trainer of a checked run, which knows whether this is the process that evaluates and writes.

    Raises:
        DynbenchError: If its devices are not there.
    """
    # Callbacks have a state: every fit gets its own.
    callbacks = {
        name: {**one, "_partial_": True} for name, one in (values["trainer"].get("callbacks") or {}).items() if one
    }
    trainer: Trainer = build({**values["trainer"], "callbacks": callbacks or None})
    environment.use_threads(trainer.threads)
    if not trainer.on_gpu:
        memory.limit()
    return trainer


def carry_out(values: Mapping[str, Any], name: str, fit: str, trainer: Trainer) -> Result:
    """Carry out a checked run; see :func:`_carried_out`. Where memory does not suffice, one line says so."""
    with memory.told(values):
        return _carried_out(values, name, fit, trainer)


def _carried_out(values: Mapping[str, Any], name: str, fit: str, trainer: Trainer) -> Result:
    """Carry out a checked run.

    Args:
        values: The resolved configuration.
        name: Of the run; its folder below ``work_dir``.
        fit: Key of its fits; their folder below ``work_dir/fits``.
        trainer: Made by :func:`start`.

    Raises:
        DynbenchError: If the data, the device or the numbers fail.
    """
    where = environment.describe()
    protocol: Protocol = build(values["protocol"])
    model: Model = build(values["model"])
    graph, provenance = load(values, protocol.view)
    check_needs(model, graph, values)
    memory.require(model, protocol, graph, values, trainer.on_gpu)
    owner = graph.checksum()
    # What is asked about besides does not make a fit another one.
    learnt = graph.checksum_of("train") if isinstance(graph, GraphCollection) else owner
    folder, fits = Path(values["work_dir"]) / name, Path(values["work_dir"]) / "fits" / fit
    for place in (folder, fits):
        place.mkdir(parents=True, exist_ok=True)
    logger: Logger = build(values["logger"], folder=str(folder), run=name)
    trainer.prepare(
        folder=fits,
        logger=(logger.start(values) if trainer.is_main else []) or False,
        log_every=values["logger"]["log_every"],
        checkpoint_seconds=values["checkpoint_seconds"],
        progress=values["progress"],
        owner=learnt,
    )
    loop = Loop(model, protocol, trainer, folder, fits, resume=not values["force"], owner=owner, learnt=learnt)
    loop.play(graph, values["seed"])
    result = Result(provenance=provenance, environment=where, sizes=_sizes(graph), seconds=_seconds(loop))
    result.is_main = trainer.is_main
    if trainer.is_main:
        result.metrics, result.steps = loop.results()
        result.arrays = loop.arrays()
    result.metrics |= protocol.describe(graph)
    result.metrics |= protocol.summary(result.metrics)
    if trainer.is_main:
        logger.finish(result.metrics, result.steps)
    result.sizes |= {"queries": loop.queries, "parameters": model.num_parameters()}
    if trainer.steps:
        result.sizes["fit_steps"] = trainer.steps
    result.checksums = {"graph": owner, "queries": loop.fingerprint}
    result.environment["device"] = environment.device_name(trainer.device)
    result.peak_memory_mb = environment.peak_memory_mb()
    loop.clear()
    return result


def build(group: Mapping[str, Any], **extra: Any) -> Any:
    """Instantiate a config group; keys that only name the choice are kept from constructors that do not take them."""
    accepted = read_class(group["_target_"]).parameters
    unwanted = [key for key in group if not key.startswith("_") and key not in accepted]
    try:
        return instantiate({key: value for key, value in group.items() if key not in unwanted}, **extra)
    except InstantiationException as error:
        # Hydra wraps what a constructor raises; the user's own mistake should come out as it was said.
        if isinstance(error.__cause__, DynbenchError):
            raise error.__cause__ from None
        raise


def load(values: Mapping[str, Any], view: str) -> tuple[TemporalGraph, dict[str, Any]]:
    """The graph that a configuration names, in the wanted view, and where it came from."""
    where = Locations.from_settings(values["data_dir"], values["cache_dir"], values["offline"], values["progress"])
    takes_where = "where" in read_class(values["data"]["_target_"]).parameters
    dataset = build(values["data"], **({"where": where} if takes_where else {}))
    memory.require_for_data(dataset)
    graph = dataset.load(view)
    if not len(graph):
        raise DataError(f"dataset '{dataset.name}' has no events left; widen data.span or data.window")
    return graph, dataset.provenance()


def check_needs(model: Model, graph: TemporalGraph, values: Mapping[str, Any]) -> None:
    """Refuse a graph that lacks what a model declares it needs.

    Raises:
        ConfigError: Naming model, dataset, what is lacking, and the setting that would bring it.
    """
    offers = {
        "snapshots": graph.num_steps is not None,
        "events": graph.num_steps is None,
        "undirected": not graph.directed,
        "relations": graph.relation is not None,
        "features": graph.node_features is not None or graph.edge_features is not None,
    }
    lacking = [need for need in sorted(model.needs) if not offers[need]]
    if lacking:
        names = {group: values[group]["name"] for group in ("model", "data", "protocol")}
        raise ConfigError(
            f"model={names['model']} needs {', '.join(lacking)}, which data={names['data']} does not offer under "
            f"protocol={names['protocol']}; set data.window for snapshots, data.directed=false for an undirected graph"
        )


def _sizes(graph: TemporalGraph) -> dict[str, int]:
    sizes = {"nodes": graph.num_nodes, "events": len(graph), "relations": graph.num_relations}
    return sizes if graph.num_steps is None else {**sizes, "steps": graph.num_steps}


def _seconds(loop: Loop) -> dict[str, float]:
    """Wall-clock seconds of the parts of a run."""
    parts = {name: round(value, 3) for name, value in loop.timer.seconds.items()}
    seconds = {**parts, "total": round(sum(parts.values()), 3)}
    if loop.trainer.steps:
        seconds["per_fit_step"] = round(loop.trainer.seconds / loop.trainer.steps, 6)
    return seconds

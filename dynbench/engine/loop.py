"""Play a run: load the graph, let the model learn and answer episode by episode, measure, fill in the record."""

from __future__ import annotations

import dataclasses
import hashlib
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from hydra.errors import InstantiationException
from hydra.utils import instantiate
from omegaconf import DictConfig
from torch import Tensor, nn

from dynbench import records
from dynbench.config.source import read_class
from dynbench.contract import Block, Episode
from dynbench.data.locations import Locations
from dynbench.engine import environment
from dynbench.engine.processes import is_main_process
from dynbench.engine.trainer import Trainer, save_tensors
from dynbench.errors import ConfigError, DataError, DynbenchError, RunError
from dynbench.graph import TemporalGraph
from dynbench.metrics.base import StepMetrics
from dynbench.models.base import Model
from dynbench.protocols.base import Protocol
from dynbench.records import Identity, Record


def play(config: DictConfig, values: dict[str, Any], identity: Identity, record: Record) -> None:
    """Carry out a checked run and write what came out into ``record``.

    Raises:
        DynbenchError: If the data, the device or the numbers fail.
    """
    record.environment = environment.describe()
    trainer: Trainer = build(config.trainer)
    protocol: Protocol = build(config.protocol)
    model: Model = build(config.model)
    graph = _load(config, values, protocol.view, record)
    _check_needs(model, graph, identity)
    folder = _prepare(trainer, config, values, identity)
    story = Story(model, protocol, trainer, folder, resume=not values["force"])
    story.tell(graph, values["seed"])
    story.report(record, protocol.describe(graph))
    if is_main_process() and (arrays := story.metrics.arrays()):
        records.write_arrays(arrays, identity.arrays_path(values["results_dir"]))
    record.environment["device"] = environment.device_name(trainer.device)
    record.peak_memory_mb = environment.peak_memory_mb()
    _clear(folder)


def embed(config: DictConfig, values: dict[str, Any], identity: Identity, record: Record) -> dict[str, np.ndarray]:
    """Let the model learn from all snapshots of a graph, without its labels, and embed each of them.

    The draws are those of the first episode of a run with this seed.

    Returns:
        ``embedding (T, N, D)`` and, where the graph has them, ``labels``; ``record`` says how they came about.

    Raises:
        DynbenchError: If the data, the device or the numbers fail.
    """
    record.environment = environment.describe()
    trainer: Trainer = build(config.trainer)
    model: Model = build(config.model)
    graph = _load(config, values, "snapshots", record)
    _check_needs(model, graph, identity)
    folder = _prepare(trainer, config, values, identity)
    pl.seed_everything(_episode_seed(values["seed"], 0), verbose=False)
    trainer.stage("all snapshots", "episode-0")
    started = time.monotonic()
    model.fit(dataclasses.replace(graph, node_labels=None), (), trainer)
    embedding = model.embed(torch.arange(graph.require_steps()).to(trainer.device)).detach().cpu()
    record.seconds = {"fit": round(time.monotonic() - started, 3)}
    record.environment["device"] = environment.device_name(trainer.device)
    record.peak_memory_mb = environment.peak_memory_mb()
    if not bool(torch.isfinite(embedding).all()):
        raise RunError("the embeddings hold NaN or infinite values; the model has diverged")
    _clear(folder)
    labels = {} if graph.node_labels is None else {"labels": graph.node_labels.numpy()}
    return {"embedding": embedding.float().numpy(), **labels}


def _prepare(trainer: Trainer, config: DictConfig, values: dict[str, Any], identity: Identity) -> Path:
    """Tell the trainer what the user set; returns the run's folder."""
    folder = Path(values["work_dir"]) / str(identity)
    folder.mkdir(parents=True, exist_ok=True)
    trainer.prepare(
        folder=folder,
        logger=_logger(config, folder, identity),
        log_every=values["logger"]["log_every"],
        checkpoint_seconds=values["checkpoint_seconds"],
        progress=values["progress"],
    )
    return folder


def build(group: DictConfig, **extra: Any) -> Any:
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


class Story:
    """The episodes of a run, played one after the other and kept after each, so that a run can be taken up again.

    Args:
        model: Learns and answers.
        protocol: Asks and measures.
        trainer: Handed to the model's fit.
        folder: For what is kept between episodes.
        resume: Whether to go on from what an earlier process kept.
    """

    def __init__(self, model: Model, protocol: Protocol, trainer: Trainer, folder: Path, resume: bool = True):
        self.model, self.protocol, self.trainer, self.folder = model, protocol, trainer, folder
        self.metrics: StepMetrics = protocol.metrics()
        self.metrics.scale = model.scale
        self.done = 0
        self.queries = 0
        self.seconds = {"fit": 0.0, "evaluate": 0.0, "total": 0.0}
        self._told = time.monotonic()
        self.fingerprint = ""
        if not resume:
            _clear(folder)
        self._restore()

    def tell(self, graph: TemporalGraph, seed: int) -> None:
        """Play all episodes that are not done yet."""
        self._num_nodes = graph.num_nodes
        for number, episode in enumerate(self.protocol.episodes(graph, seed)):
            if number < self.done:
                continue
            pl.seed_everything(_episode_seed(seed, number), verbose=False)
            self.trainer.stage(episode.name, f"episode-{number}")
            self._play(episode)
            self.done = number + 1
            self._keep()

    def _play(self, episode: Episode) -> None:
        if not len(episode.history):
            raise DataError(f"there is nothing to learn from before {episode.name}; widen data.window")
        started = time.monotonic()
        self.model.fit(episode.history, episode.validation, self.trainer)
        fitted = time.monotonic()
        self.seconds["fit"] += fitted - started
        if not is_main_process():
            return  # training may use several devices, evaluation uses one
        if isinstance(self.model, nn.Module):
            self.model.to(self.trainer.device)
        for fold, blocks in (("validation", episode.validation), ("test", episode.test)):
            for block in blocks:
                if len(block.queries) and (fold == "test" or self.protocol.measures_validation):
                    self._ask(block, fold)
                if block.reveal is not None:
                    self.model.observe(block.reveal)
        self.seconds["evaluate"] += time.monotonic() - fitted

    def _count_time(self) -> None:
        """Add the time since the last call to the total, which spans all processes that worked on the run."""
        now = time.monotonic()
        self.seconds["total"] += now - self._told
        self._told = now

    def _ask(self, block: Block, fold: str) -> None:
        self.fingerprint = _chained(self.fingerprint, block)
        more = {"fold": fold, "groups": block.groups} if self.protocol.measures_validation else {}
        for part in self.protocol.portions(block, self.trainer.device, self._num_nodes):
            answer = self.protocol.read(part, self._answer(part).detach()).cpu()
            if answer.shape[:1] != part.answers.shape[:1]:
                raise RunError(f"{type(self.model).__name__} gave {len(answer)} answers to {len(part.answers)} queries")
            self.metrics.update(part.step, answer, part.answers, **more)
        self.queries += len(block.queries)

    def _answer(self, block: Block) -> Tensor:
        queries = block.queries.to(self.trainer.device)
        if self.protocol.asks == "embed":
            return self.model.embed(queries.time.unique())
        return getattr(self.model, self.protocol.asks)(queries)

    def report(self, record: Record, described: dict[str, float]) -> None:
        """Write the results into the record."""
        if self.done and is_main_process():
            record.metrics, record.steps = self.metrics.compute(), self.metrics.per_step()
        self._count_time()
        record.metrics |= described
        record.sizes |= {"queries": self.queries, "parameters": self.model.num_parameters()}
        record.checksums["queries"] = self.fingerprint
        record.seconds = {name: round(value, 3) for name, value in self.seconds.items()}
        if self.trainer.steps:
            record.sizes["fit_steps"] = self.trainer.steps
            record.seconds["per_fit_step"] = round(self.trainer.seconds / self.trainer.steps, 6)

    # ---- taking up an interrupted run -----------------------------------------------------------------------

    @property
    def _path(self) -> Path:
        return self.folder / "story.pt"

    def _keep(self) -> None:
        if not is_main_process():
            return
        self._count_time()
        content = {
            "done": self.done,
            "queries": self.queries,
            "seconds": self.seconds,
            "trained": [self.trainer.steps, self.trainer.seconds],
            "fingerprint": self.fingerprint,
            "model": dict(self.model.state_dict()),
            "metrics": {name: [part.cpu() for part in parts] for name, parts in self.metrics.metric_state.items()},
        }
        save_tensors(content, self._path)
        for stale in self.folder.glob("episode-*"):
            stale.unlink()

    def _restore(self) -> None:
        if not self._path.is_file():
            return
        kept = torch.load(self._path, weights_only=True)
        self.done, self.queries, self.seconds = kept["done"], kept["queries"], kept["seconds"]
        self.trainer.steps, self.trainer.seconds = kept["trained"]
        self.fingerprint = kept["fingerprint"]
        self.model.load_state_dict(kept["model"])
        for name, parts in kept["metrics"].items():
            setattr(self.metrics, name, parts)


def _chained(fingerprint: str, block: Block) -> str:
    """The hash of all that was asked, one block longer; equal hashes prove that two runs met the same negatives."""
    digest = hashlib.sha256(fingerprint.encode())
    for part in (*block.queries._parts(), block.answers):
        if part is not None:
            digest.update(part.contiguous().numpy().tobytes())
    return digest.hexdigest()


def _load(config: DictConfig, values: dict[str, Any], view: str, record: Record) -> TemporalGraph:
    where = Locations.from_settings(values["data_dir"], values["cache_dir"], values["offline"], values["progress"])
    dataset = build(config.data, where=where) if _takes_where(config) else build(config.data)
    graph = dataset.load(view)
    if not len(graph):
        raise DataError(f"dataset '{dataset.name}' has no events left; widen data.span or data.window")
    record.provenance = dataset.provenance()
    record.checksums["graph"] = graph.checksum()
    record.sizes = {"nodes": graph.num_nodes, "events": len(graph), "relations": graph.num_relations}
    if graph.num_steps is not None:
        record.sizes["steps"] = graph.num_steps
    return graph


def _takes_where(config: DictConfig) -> bool:
    return "where" in read_class(config.data["_target_"]).parameters


def _check_needs(model: Model, graph: TemporalGraph, identity: Identity) -> None:
    offers = {"snapshots": graph.num_steps is not None, "undirected": not graph.directed}
    lacking = [need for need in sorted(model.needs) if not offers[need]]
    if lacking:
        raise ConfigError(
            f"model={identity.model} needs {', '.join(lacking)}, which data={identity.data} does not offer under "
            f"protocol={identity.protocol}; set data.window for snapshots, data.directed=false for an undirected graph"
        )


def _logger(config: DictConfig, folder: Path, identity: Identity) -> Any:
    return build(config.logger, folder=str(folder), run=str(identity)).lightning() if is_main_process() else False


def _episode_seed(seed: int, number: int) -> int:
    """Every episode has a stream of its own, so that a resumed run draws as an uninterrupted one does."""
    return int(np.random.SeedSequence([seed, number]).generate_state(1)[0])


def _clear(folder: Path) -> None:
    """Remove what was kept for resuming; logs stay."""
    for pattern in ("episode-*", "story.pt"):
        for path in folder.glob(pattern):
            path.unlink()

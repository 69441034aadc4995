"""The loop: let a model learn, tell it what is known, ask it, reveal, measure; keep what was done.

Models and protocols meet here and nowhere else. A model is handed copies of what it may know and questions in a drawn
order, in undirected graphs with the smaller node first; the truth, filters, labels and folds stay on this side.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from dynbench import journal
from dynbench.contract import Block, Episode, Exam, Examples, Queries, Selector
from dynbench.engine.fits import FitStore, Timer
from dynbench.engine.kept import load_tensors, save_tensors
from dynbench.engine.trainer import Trainer
from dynbench.errors import DataError, RunError
from dynbench.graph import TemporalGraph
from dynbench.graph.collection import Mixture
from dynbench.metrics.base import BlockMetric
from dynbench.models.base import Model
from dynbench.protocols.base import Protocol

# Scores held at once. A few passes over a ranking stay in a CPU's cache, and a GPU is kept busy. Measured; no number
# depends on it.
RANKED_CPU, RANKED_GPU, SCORED = 2_720_000, 40_000_000, 200_000


class Loop:
    """The episodes of a run, played one after the other and kept after each, so that a run can be taken up again.

    Args:
        model: Learns and answers.
        protocol: Asks.
        trainer: Handed to the model's fit.
        folder: For what is kept between episodes.
        fits: Where fitted models are kept; below ``folder`` when omitted.
        resume: Whether to go on from what an earlier process kept, and to use fits that are there.
        owner: What is kept belongs to this, the checksum of the graph; of another owner nothing is taken up.
        learnt: The same for fits, where only a part of the data is learnt from; ``owner`` when omitted.
    """

    def __init__(
        self, model: Model, protocol: Protocol, trainer: Trainer, folder: Path, fits: Path | None = None,
        resume: bool = True, owner: str = "", learnt: str | None = None,
    ):  # fmt: skip
        self.model, self.protocol, self.trainer, self.folder = model, protocol, trainer, folder
        self.fits = FitStore(folder if fits is None else fits, owner if learnt is None else learnt)
        self._owner = owner
        self.metrics: dict[str, BlockMetric] = {}
        self.done = self.queries = 0
        self.timer = Timer(fit=0.0, evaluate=0.0)
        self.fingerprint = ""
        self._kept: dict[str, Any] = {}
        self._fitted_until = 0
        self._learnt: TemporalGraph | None = None
        if not resume:
            self.clear()
            self.fits.clear()
        self._restore()

    # ---- the episodes -----------------------------------------------------------------------------------------

    def play(self, graph: TemporalGraph, seed: int) -> None:
        """Play all episodes that are not done yet."""
        self._graph, self._seed = graph, seed
        for number, episode in enumerate(self.protocol.episodes(graph, seed)):
            self._open(episode)
            if number < self.done:
                continue
            self._number = number
            self._catch_up()
            pl.seed_everything(derived_seed(seed, number), verbose=False)
            self.trainer.stage(episode.name, f"episode-{number}")
            earlier = self.trainer.earlier
            with self.timer("fit"):
                self._fit(episode)
            self.timer.seconds["fit"] += self.trainer.earlier - earlier  # what other processes spent on it
            journal.note("%s: learnt after %d steps", episode.name, self.trainer.steps)
            with self.timer("evaluate"):
                self._examine(episode)
            journal.note("%s: asked", episode.name)
            self.done = number + 1
            self._keep()
        if self.done and not self._fitted_until:
            # All was played by an earlier process, which broke off before it wrote what came out.
            self._fitted_until = self.done
            self.fits.load(self.done - 1, self.model, Trainer())

    def _open(self, episode: Episode) -> None:
        """A metric for each exam that was not met before, with what an earlier process measured.

        What there is to learn from is noted, for figures.
        """
        if self._graph.num_steps is not None:
            self._learnt = episode.context if self.model.learns == "context" else next(iter(episode.train.values()))
        for exam in self._measured(episode):
            if exam.name not in self.metrics:
                self.metrics[exam.name] = self._metric(exam, self._kept.get(exam.name))

    def _measured(self, episode: Episode) -> list[Exam]:
        """The exams; what a model could be selected by is measured, too, where it has a name, and is not a test.

        It is left out where the model has learnt from its answers: from a context that is more than the train part.
        """
        chosen_by = episode.validation
        more = not any(episode.context is graph for graph in episode.train.values())
        unfit = chosen_by is None or not chosen_by.name or (self.model.learns == "context" and more)
        exams = [exam for exam in episode.exams if self.model.studies or not exam.study]
        return exams if unfit else [*exams, chosen_by]

    def _fit(self, episode: Episode) -> None:
        """Learn, or take the fit that was kept."""
        learns = {"": episode.context} if self.model.learns == "context" else episode.train
        if not any(len(graph) for graph in learns.values()):
            raise DataError(f"there is nothing to learn from before {episode.name}; widen data.window")
        with self.fits.alone() if self.trainer.is_main else nullcontext():
            # All processes that train together learn, or none: another run may just have finished this fit.
            found = self.fits.load(self._number, self.model, self.trainer)
            if not self.trainer.agreed(found):
                self._learn(episode, learns)
            elif not found:  # it came after this process had looked
                self.fits.load(self._number, self.model, self.trainer)

    def _learn(self, episode: Episode, learns: Mapping[str, TemporalGraph]) -> None:
        """Fit the model, and keep what it learnt."""
        steps, seconds = self.trainer.steps, self.trainer.seconds
        graphs = _all_copied(learns)
        several = self.model.several or len(graphs) > 1
        self.model.fit(graphs if several else next(iter(graphs.values())), self._selector(episode), self.trainer)
        if self.trainer.is_main:
            self.fits.save(self._number, self.model, self.trainer.steps - steps, self.trainer.seconds - seconds)

    def _catch_up(self) -> None:
        """Bring back the last fit before this episode, from which a warm start goes on, if another process made it."""
        if self.done and not self._fitted_until:
            self.fits.load(self.done - 1, self.model, Trainer())  # what it took is counted already
        self._fitted_until = self._number + 1

    def _selector(self, episode: Episode) -> Selector | None:
        """What plays the validation exam for a model that is being fitted."""
        exam = episode.validation
        if exam is None or not self.model.selects or self.model.learns == "context":
            return None
        context = copied(episode.context if exam.context is None else exam.context)

        def select(model: Model) -> Mapping[str, float]:
            model.condition(context)
            before = _noted(model.running_state())
            metric = self._metric(exam)
            for block in exam.blocks():
                self._ask(exam, block, metric, everywhere=True)  # all processes must come to the same choice
            model.restore(before)
            values = metric.compute()
            return {name: values[name] for name in exam.select}

        return select

    def _examine(self, episode: Episode) -> None:
        """Ask the fitted model all that the episode holds."""
        if isinstance(self.model, nn.Module):
            self.model.to(self.trainer.device)
            self.model.eval()
        exams = self._measured(episode)
        fitted: dict[str, Tensor] | None = None
        revealed: dict[str, Tensor] | None = None
        for exam in exams:
            if exam.context is not None:
                self.model.condition(copied(exam.context))
                revealed = None
            elif fitted is None:
                self.model.condition(copied(episode.context))
                fitted = _noted(self.model.running_state()) if len(exams) > 1 else {}
            elif exam.start == "fitted" or revealed is None:
                self.model.restore(fitted)
                revealed = None  # a model goes back, and from there no longer forward: validation is told again
            self.model.study(None if exam.examples is None else _examples_copied(exam.examples))
            if exam.start == "after_validation":
                revealed = self._after_validation(episode, revealed)
            for block in exam.blocks():
                if exam is not episode.validation:
                    self.fingerprint = chained(self.fingerprint, block)
                    self.queries += len(block.queries)
                self._ask(exam, block, self.metrics[exam.name])
            if exam.context is not None:
                fitted = revealed = None

    def _after_validation(self, episode: Episode, state: dict[str, Tensor] | None) -> dict[str, Tensor]:
        """Reveal the truth of the validation exam, or go back to where that was done."""
        if state is not None:
            self.model.restore(state)
            return state
        for block in episode.validation.blocks():
            if block.reveal is not None:
                self.model.observe(copied(block.reveal))
        return _noted(self.model.running_state())

    # ---- asking -----------------------------------------------------------------------------------------------

    def _metric(self, exam: Exam, kept: dict[str, list[Tensor]] | None = None) -> BlockMetric:
        metric: BlockMetric = exam.metric()
        metric.scale = self.model.scale
        for name, parts in (kept or {}).items():
            setattr(metric, name, parts)
        return metric

    @torch.no_grad()
    def _ask(self, exam: Exam, block: Block, metric: BlockMetric, everywhere: bool = False) -> None:
        """Ask a block, measure the answers, and reveal its truth.

        Unless it is to be asked ``everywhere``, other processes than the main one only see it revealed.
        """
        ahead = self.model.looks == "before_time"
        if ahead and block.reveal is not None:
            self.model.observe(copied(block.reveal))
        if len(block.queries) and (everywhere or self.trainer.is_main):
            for part, answer in self._answers(block):
                metric.update(part, answer if exam.readout is None else exam.readout(part, answer))
        if not ahead and block.reveal is not None:
            self.model.observe(copied(block.reveal))

    def _answers(self, block: Block) -> Iterator[tuple[Block, Tensor]]:
        """A block, or parts of it that fit into memory, with the model's answers."""
        device, asks = self.trainer.device, self.protocol.asks
        if asks == "embed":
            yield block, self.model.embed(block.queries.time.unique().to(device)).detach().cpu()
            return
        order = torch.randperm(len(block.queries), generator=self._generator(block))
        if asks == "rank":
            size = max(1, (RANKED_CPU if device.type == "cpu" else RANKED_GPU) // self._graph.num_nodes)
            for chunk in order.split(size):
                part = block[chunk]
                yield part, self._complete(self.model.rank(part.queries.to(device)).detach(), len(chunk))
            return
        asked = block.queries if self._graph.directed else block.queries.oriented()
        answers = [self.model.score(asked[chunk].to(device)).detach().cpu() for chunk in order.split(SCORED)]
        scores = self._complete(torch.cat(answers), len(order))
        yield block, torch.empty_like(scores).index_copy_(0, order, scores)

    def _complete(self, answers: Tensor, count: int) -> Tensor:
        """The answers, if there is one to each of ``count`` queries."""
        if len(answers) != count:
            raise RunError(f"{type(self.model).__name__} gave {len(answers)} answers to {count} queries")
        return answers

    def _generator(self, block: Block) -> torch.Generator:
        """Decides the order of a block's questions; the same in every exam, run and process."""
        return torch.Generator().manual_seed(derived_seed(self._seed, block.step & 0xFFFFFFFF))

    # ---- what came out ----------------------------------------------------------------------------------------

    def results(self) -> tuple[dict[str, float], list[dict[str, Any]]]:
        """Metrics by name, those of a named exam with its name in front, and the steps of the main exam."""
        found: dict[str, float] = {}
        for name, metric in self.metrics.items():
            found |= {f"{name}_{key}" if name else key: value for key, value in metric.compute().items()}
        steps = self.metrics[""].per_step() if "" in self.metrics else []
        return found | self.model.describe(), steps

    def arrays(self) -> dict[str, np.ndarray]:
        """What the metrics keep for figures, those of a named exam with its name in front, and what the model keeps.

        Beside the latter stand the links that it learnt from: ``links (3, E)``, snapshot, source and destination.
        """
        own = {name: value.detach().cpu().numpy() for name, value in self.model.arrays().items()}
        links, seen = {}, self._learnt
        if own and seen is not None:
            links["links"] = torch.stack([seen.time.long(), seen.src, seen.dst]).numpy()
        return {**own, **links} | {
            f"{name}_{key}" if name else key: value
            for name, metric in self.metrics.items()
            for key, value in metric.arrays().items()
        }

    # ---- taking up an interrupted run -------------------------------------------------------------------------

    @property
    def _path(self) -> Path:
        return self.folder / "story.pt"

    def _keep(self) -> None:
        if not self.trainer.is_main:
            return
        content = {
            "done": self.done,
            "stateful": self.fits.path(self._number).is_file(),
            "queries": self.queries,
            "seconds": self.timer.seconds,
            "trained": [self.trainer.steps, self.trainer.seconds],
            "fingerprint": self.fingerprint,
            "metrics": {
                exam: {name: [part.cpu() for part in parts] for name, parts in metric.metric_state.items()}
                for exam, metric in self.metrics.items()
            },
        }
        save_tensors(content, self._path, self._owner)

    def _restore(self) -> None:
        kept = load_tensors(self._path, self._owner)
        if kept is None:
            return
        if kept["stateful"] and not self.fits.holds(kept["done"] - 1):
            return  # its fits were deleted or damaged: a warm start has nothing to go on from
        self.done, self.queries, self.fingerprint = kept["done"], kept["queries"], kept["fingerprint"]
        self.timer.seconds |= kept["seconds"]
        self.trainer.steps, self.trainer.seconds = kept["trained"]
        self._kept = kept["metrics"]

    def clear(self) -> None:
        """Remove what was kept for resuming; fits and logs stay."""
        if self.trainer.is_main:
            self._path.unlink(missing_ok=True)


def derived_seed(*numbers: int) -> int:
    """A seed of its own for every episode and block, so that a resumed run draws as an uninterrupted one does."""
    return int(np.random.SeedSequence([number & 0xFFFFFFFFFFFFFFFF for number in numbers]).generate_state(1)[0])


def copied(graph: TemporalGraph) -> TemporalGraph:
    """The same graph on arrays of its own: nothing lies behind them, and what is written there stays there."""
    tensors = {f.name: value for f in dataclasses.fields(graph) if isinstance(value := getattr(graph, f.name), Tensor)}
    return dataclasses.replace(graph, **{name: value.clone() for name, value in tensors.items()})


def _all_copied(graphs: Mapping[str, TemporalGraph]) -> Mapping[str, TemporalGraph]:
    """Copies of all graphs; a mixture stays one."""
    if isinstance(graphs, Mixture):
        return graphs.mapped(copied)
    return {name: copied(graph) for name, graph in graphs.items()}


def _examples_copied(examples: Examples) -> Examples:
    parts = (None if part is None else part.clone() for part in examples.queries.parts())
    return Examples(copied(examples.graph), Queries(*parts), examples.answers.clone())


def chained(fingerprint: str, block: Block) -> str:
    """The hash of all that was asked, one block longer; equal hashes prove that two runs met the same negatives."""
    digest = hashlib.sha256(fingerprint.encode())
    for part in (*block.queries.parts(), block.answers):
        if part is not None:
            digest.update(part.contiguous().numpy().tobytes())
    return digest.hexdigest()


def _noted(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """A running state that later events do not reach."""
    return {name: part.clone() for name, part in state.items()}

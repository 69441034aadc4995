"""A laboratory of its own: tiny configs and fabricated records, so that no test here needs torch or a dataset."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import dedent

import pytest

from dynbench.config import compose
from dynbench.config.source import read_class
from dynbench.records import Identity, Record, Store, fit_key, identify, identity_config, versions
from dynbench.reporting import make, plan
from dynbench.reporting.composer import Composer
from dynbench.reporting.make import prepare
from dynbench.reporting.process_pool import ProcessPool
from dynbench.reporting.results import Cell
from dynbench.reporting.table import Table

CLASSES = """
class Scorer:
    answers = frozenset({"score"})
    def __init__(self, *, dim: int = 8, epochs: int = 10, weights: str = "plain"): ...

class Still:
    answers = frozenset({"score"})
    draws = False
    def __init__(self, *, dim: int = 8): ...

class Embedder:
    answers = frozenset({"embed"})
    def __init__(self, *, dim: int = 8): ...

class Pairs:
    version = 1
    asks = "score"
    exam_settings = frozenset({"asked"})
    seeds = frozenset({"split_seed"})
    def __init__(self, *, share: float = 0.6, asked: str = "all", split_seed: int | None = None): ...

class Data:
    def __init__(self, *, window: str | None = None, unavailable: str | None = None): ...

class Trainer:
    def __init__(self, *, precision: int = 1): ...
"""

FILES = {
    "config": """
        defaults: [{data: alpha}, {protocol: pairs}, {model: good}, {budget: quick}, {trainer: cpu},
                   {logger: none}, _self_]
        seed: 0
        data_dir: null
        """,
    "budget/smoke": "{name: smoke, seeds: [0]}",
    "budget/quick": "{name: quick, seeds: [0, 1, 2]}",
    "budget/paper": "{name: paper, seeds: [0, 1, 2, 3]}",
    "model/good": """
        name: good
        _target_: labclasses.Scorer
        dim: 8  # width of all vectors
        epochs: ${budgeted:1,3,10}  # passes over the links
        weights: plain
        """,
    "model/still": "{name: still, _target_: labclasses.Still, dim: 8}",
    "model/embedder": "{name: embedder, _target_: labclasses.Embedder, dim: 8}",
    "protocol/pairs": "{name: pairs, _target_: labclasses.Pairs, share: 0.6, asked: all, split_seed: null}",
    "data/alpha": "{name: alpha, _target_: labclasses.Data, window: null}",
    "data/beta": "{name: beta, _target_: labclasses.Data, window: null}",
    "data/lost": "{name: lost, _target_: labclasses.Data, window: null, unavailable: nobody kept it}",
    "trainer/cpu": "{name: cpu, _target_: labclasses.Trainer, precision: 1}",
    "logger/none": "{}",
    "table/lab_table1": """
        paper: lab
        table: 1
        title: Laboratory_table, 100 % & more
        unit: percent
        runs: {paper: 10}
        overrides: [protocol=pairs]
        metrics: {auc: {label: AUC}, ap: {label: AP}}
        columns:
          - {name: alpha, label: Alpha, overrides: [data=alpha]}
          - {name: beta, label: Beta, overrides: [data=beta], note: beta is small}
          - {name: lost, label: Lost, overrides: [data=lost]}
        rows:
          - {name: good, label: Good, overrides: [model=good]}
          - {name: heavy, label: Heavy_one, overrides: [model=good, model.weights=heavy], note: "see [5] | <b>"}
          - {name: future, label: Future, overrides: [model=future]}
          - {name: embedder, label: Embedder, overrides: [model=embedder]}
        skip:
          - {row: heavy, column: beta, budget: [quick], reason: it takes a day}
        cells:
          - {row: good, column: beta, overrides: [model.dim=16], note: wider here}
        published:
          good:
            alpha: {auc: [87.05, 0.3], ap: 80}
            beta: {auc: not_reported, ap: {value: 70.5, note: read from a figure}}
          future:
            alpha: {auc: [99.5, 0.1]}
        """,
}


# Composing is what these tests would spend their time on; the files are the same in most of them.
_COMPOSERS: dict[tuple, Composer] = {}


@dataclass
class Lab:
    """The laboratory: where things lie, and shortcuts."""

    conf: Path
    results: Path
    work: Path
    files: dict[str, str] = field(default_factory=dict)

    def composer(self) -> Composer:
        """One for every set of files."""
        return _COMPOSERS.setdefault(tuple(sorted(self.files.items())), Composer())

    @property
    def store(self) -> Store:
        """Where its records lie."""
        return Store(self.results, self.work)

    def put(self, group: str, name: str, text: str) -> None:
        """Write one YAML file."""
        path = self.conf / group / f"{name}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text), encoding="utf-8")
        compose.read_choice.cache_clear()
        if group != "table":
            self.files[f"{group}/{name}"] = text

    def add(self, key: str, *entries: str) -> None:
        """Put entries before the others of a list of the table."""
        text = (self.conf / "table" / "lab_table1.yaml").read_text(encoding="utf-8")
        added = "".join(f"\n  - {{{entry}}}" for entry in entries)
        self.put("table", "lab_table1", text.replace(f"{key}:\n", f"{key}:{added}\n", 1))

    def change(self, old: str, new: str) -> None:
        """Change the text of the table."""
        text = (self.conf / "table" / "lab_table1.yaml").read_text(encoding="utf-8")
        assert old in text
        self.put("table", "lab_table1", text.replace(old, new))

    def values(self, *overrides: str) -> dict:
        """The resolved configuration of a command line."""
        return self.composer().values(overrides)

    def identity(self, *overrides: str) -> Identity:
        """What a command line would be known by."""
        return identify(self.values(*overrides))

    def record(
        self, *overrides: str, reason: str = "", metrics: dict | None = None, publish: bool = True, **more
    ) -> Path:
        """Leave the record of a run: finished, or failed if there is a reason."""
        values = self.values(*overrides)
        one = identify(values)
        record = Record(
            identity=one.digest,
            model=one.model,
            data=one.data,
            protocol=one.protocol,
            budget=one.budget,
            seed=one.seed,
            status="failed" if reason else "finished",
            fit=fit_key(values),
            reason=reason,
            metrics=metrics or {},
            config=identity_config(values),
            versions=versions(values),
            **more,
        )
        path = self.store.write(record)
        if publish:
            self.store.publish({one: ("auc", "ap", "nmi")})
        return path

    def cells(self, name: str = "lab_table1", budget: str = "quick") -> dict[tuple[str, str, str], Cell]:
        """The measured cells of a table."""
        table, cells = self.measured(name, budget)
        assert table.name == name
        return {(cell.row.name, cell.column.name, cell.metric.name): cell for cell in cells}

    def measured(self, name: str = "lab_table1", budget: str = "quick") -> tuple[Table, list[Cell]]:
        """A table with its measured cells."""
        made = prepare([name], budget, self.store)
        return made.tables[name], made.measure(name)


@pytest.fixture
def lab(tmp_path, monkeypatch):
    """A laboratory in place of the project's configs."""
    built = Lab(tmp_path / "conf", tmp_path / "results", tmp_path / "runs")
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "labclasses.py").write_text(CLASSES, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path / "code"))
    monkeypatch.setattr(compose, "CONF", built.conf)
    read_class.cache_clear()
    for module in (make, plan):
        monkeypatch.setattr(module, "Composer", built.composer)
    for name in ("DYNBENCH_DATA", "DYNBENCH_PLUGINS"):
        monkeypatch.delenv(name, raising=False)
    for name, text in FILES.items():
        group, _, stem = name.rpartition("/")
        built.put(group, stem, text)
    yield built
    compose.read_choice.cache_clear()
    read_class.cache_clear()


class FakeRuns:
    """Stands in for the processes: leaves the record that a run of the same command line would leave."""

    def __init__(self, lab):
        self.lab, self.commands, self.behaviour = lab, [], {}
        self.single_thread = set()
        self.metrics = {"auc": 0.9, "ap": 0.8}

    def run(self, command, single_thread):
        overrides = [word for word in command[2:] if not word.startswith(("results_dir", "work_dir", "progress"))]
        identity = self.lab.identity(*overrides)
        self.commands.append(command)
        self.single_thread.add(single_thread)
        what = next((do for part, do in self.behaviour.items() if part in str(identity)), None)
        if isinstance(what, BaseException):
            raise what
        if isinstance(what, int):
            return what, "some words\nerror: the disk is full\n"
        self.lab.record(*overrides, reason=what or "", metrics={} if what else self.metrics)
        return (1 if what else 0), ""


@pytest.fixture
def fake(lab, monkeypatch):
    """Runs that cost nothing."""
    runs, lock = FakeRuns(lab), threading.Lock()

    def run(self, command, single_thread):
        # Only one configuration can be composed at a time.
        with lock:
            return runs.run(command, single_thread)

    monkeypatch.setattr(ProcessPool, "run", run)
    return runs

"""Runs that the papers' tables use, kept small enough to be reviewed and cloned.

Below a results folder lie ``runs/<protocol>/<data>.jsonl``, one sorted line per run, and beside them what many runs
share, once and by content: ``configs.jsonl`` (the settings of a dataset, model, protocol or trainer),
``environments.jsonl`` (versions, revision, device) and ``sources.jsonl`` (where the data came from). Values of single
steps are kept only for the metrics that a table tests on. What is written depends on the set of runs alone, not on
their order, so that several processes may publish, and several branches may be merged line by line.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dynbench.records.files import write_text
from dynbench.records.identity import GROUPS, VERSIONED, Identity
from dynbench.records.record import SCHEMA_VERSION, Record, from_json, newest

_log = logging.getLogger(__name__)

FOLDER = "runs"
_KINDS = ("configs", "environments", "sources")
# Typed words that the line says by itself, or that move no number.
_UNSAID = ("seed=", "budget=", "progress=", "results_dir=", "work_dir=", "data_dir=", "cache_dir=")
# Seconds that a process waits for others that publish.
_PATIENCE = 120


class Published:
    """The published runs below a results folder."""

    def __init__(self, results_dir: str | Path):
        self.folder = Path(results_dir) / FOLDER
        self._files: dict[Path, dict[Identity, Record]] = {}
        self._parts: dict[str, dict[str, Any]] | None = None

    def path(self, identity: Identity) -> Path:
        """The file that a run's line stands in."""
        return self.folder / identity.protocol / f"{identity.data}.jsonl"

    def find(self, identity: Identity) -> Record | None:
        """The record of a published run, or ``None``."""
        return self.read(self.path(identity)).get(identity)

    def holds(self, identity: Identity) -> bool:
        """Whether a run may be published, told without reading more than one file's text."""
        path = self.path(identity)
        return path.is_file() and identity.digest in path.read_text(encoding="utf-8")

    def read(self, path: Path) -> dict[Identity, Record]:
        """All runs of one file. Lines that are no records are set aside, with one line in the log."""
        if path not in self._files:
            self._files[path], odd = {}, []
            for number, line in enumerate(_lines(path), 1):
                try:
                    record = self._expand(json.loads(line), path)
                    twice = self._files[path].get(record.name)
                    self._files[path][record.name] = newest([record, twice]) if twice else record
                except (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError) as error:
                    odd.append(f"line {number}: {error}")
            if odd:
                _log.warning("%s: %d lines are set aside; %s", path, len(odd), odd[0])
        return self._files[path]

    def all(self) -> Iterator[Record]:
        """Every published run."""
        for path in self._run_files():
            yield from self.read(path).values()

    def add(self, records: Iterable[tuple[Record, Collection[str]]]) -> int:
        """Publish finished runs, each with the metrics whose values per step are to be kept.

        Returns:
            The number of lines that are new or differ.
        """
        by_path: dict[Path, list[tuple[Record, Collection[str]]]] = {}
        for record, tested in records:
            by_path.setdefault(self.path(record.name), []).append((record, tested))
        if not by_path:
            return 0
        changed = 0
        with self._locked():
            parts = {kind: self._read_parts(kind) for kind in _KINDS}
            before = {kind: len(part) for kind, part in parts.items()}
            texts = {}
            for path, own in by_path.items():
                lines, odd = _by_identity(_lines(path))
                old = dict(lines)
                for record, tested in own:
                    known = lines.get(record.identity)
                    line = _compact(record, {*tested, *((known or {}).get("steps") or ())}, parts)
                    lines[record.identity] = line if known is None else max(known, line, key=_rank)
                count = sum(old.get(key) != line for key, line in lines.items())
                if count:
                    texts[path] = _text(lines, odd)
                    changed += count
            # What lines refer to comes first: a reader never meets a line without it.
            self._write_parts({kind: part for kind, part in parts.items() if texts and len(part) != before[kind]})
            for path, text in texts.items():
                write_text(path, text)
        self._forget()
        return changed

    def prune(self, wanted: Collection[Identity]) -> int:
        """Remove runs that are not wanted, lines that are no records, and what no run refers to any more.

        Returns:
            The number of lines removed.
        """
        removed = 0
        used: dict[str, set[str]] = {kind: set() for kind in _KINDS}
        with self._locked():
            for path in self._run_files():
                keep = {identity.digest for identity in self.read(path) if identity in wanted}
                lines, odd = _by_identity(_lines(path))
                kept = {key: line for key, line in lines.items() if key in keep}
                removed += len(lines) - len(kept) + len(odd)
                for line in kept.values():
                    used["configs"].update(line["config"])
                    used["environments"].add(line["environment"])
                    used["sources"].add(line["source"])
                if not kept:
                    path.unlink()
                elif len(kept) != len(lines) or odd:
                    write_text(path, _text(kept, []))
            parts = {kind: self._read_parts(kind) for kind in _KINDS}
            self._write_parts({k: {key: v for key, v in part.items() if key in used[k]} for k, part in parts.items()})
        self._forget()
        return removed

    # ---- files ----------------------------------------------------------------------------------------------

    def _run_files(self) -> list[Path]:
        return sorted(self.folder.glob("*/*.jsonl"))

    def _read_parts(self, kind: str) -> dict[str, Any]:
        found = {}
        for number, line in enumerate(_lines(self.folder / f"{kind}.jsonl"), 1):
            try:
                content = json.loads(line)
                found[content["key"]] = content["values"]
            except (ValueError, LookupError, TypeError) as error:
                _log.warning("%s, line %d is set aside: %s", self.folder / f"{kind}.jsonl", number, error)
        return found

    def _write_parts(self, parts: Mapping[str, Mapping[str, Any]]) -> None:
        for kind, part in parts.items():
            lines = [_dump({"key": key, "values": part[key]}) for key in sorted(part)]
            write_text(self.folder / f"{kind}.jsonl", "".join(line + "\n" for line in lines))

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Alone with the files; what was read before may be stale."""
        from filelock import FileLock

        self.folder.mkdir(parents=True, exist_ok=True)
        with FileLock(self.folder / ".lock", timeout=_PATIENCE):
            self._forget()
            yield

    def _forget(self) -> None:
        self._files.clear()
        self._parts = None

    def _expand(self, line: dict[str, Any], path: Path) -> Record:
        """A record from its line and what it refers to."""
        if line.get("schema") != SCHEMA_VERSION:
            raise ValueError(f"its schema is {line.get('schema')!r}, this version reads {SCHEMA_VERSION}")
        if self._parts is None:
            self._parts = {kind: self._read_parts(kind) for kind in _KINDS}
        source = self._parts["sources"][line["source"]]
        config = [self._parts["configs"][key] for key in line["config"]]
        queries = {"queries": line["queries"]} if "queries" in line else {}
        columns = line.get("steps", {})
        steps = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
        own = {key: line[key] for key in _COPIED if key in line}
        return from_json(
            {
                **{"data": path.stem, "protocol": path.parent.name, "status": "finished", **own},
                "comparable": line.get("comparable", True),
                "versions": dict(zip(VERSIONED, line["versions"], strict=True)),
                "config": dict(zip(GROUPS, config, strict=True)),
                "steps": steps,
                "checksums": {**source["checksums"], **queries},
                "provenance": source["provenance"],
                "environment": self._parts["environments"][line["environment"]],
                "peak_memory_mb": line.get("memory", 0.0),
                "schema_version": SCHEMA_VERSION,
            }
        )


# Fields of a record that stand in its line under their own name, in the order of the line.
_COPIED = ("model", "budget", "seed", "metrics", "identity", "fit", "created", "overrides", "changed", "cuts", "sizes",
           "seconds", "threads")  # fmt: skip


def _compact(record: Record, tested: Collection[str], parts: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """The line of a record; what it shares with others goes into ``parts``."""
    line: dict[str, Any] = {key: getattr(record, key) for key in _COPIED}
    line["overrides"] = [text for text in record.overrides if not text.startswith(_UNSAID)]
    line["memory"] = record.peak_memory_mb
    checksums = dict(record.checksums)
    line["queries"] = checksums.pop("queries", "")
    line["comparable"] = None if record.comparable else False
    line["versions"] = [record.versions.get(group, 1) for group in VERSIONED]
    if len(tested):
        names = [name for name in ("step", "n", *sorted({*tested} - {"step", "n"})) if name in _names(record.steps)]
        line["steps"] = {name: [row.get(name) for row in record.steps] for name in names}
    line["config"] = [_refer(parts["configs"], record.config[group]) for group in GROUPS]
    line["environment"] = _refer(parts["environments"], record.environment)
    line["source"] = _refer(parts["sources"], {"checksums": checksums, "provenance": record.provenance})
    line["schema"] = SCHEMA_VERSION
    # As it will be read again, so that two lines can be compared.
    kept = {key: value for key, value in line.items() if value not in ({}, [], "", None)}
    return json.loads(_dump(kept))


def _names(steps: list[dict[str, Any]]) -> set[str]:
    return {name for row in steps for name in row}


def _refer(part: dict[str, Any], content: Any) -> str:
    text = json.dumps(content, sort_keys=True, default=str)
    key = hashlib.sha256(text.encode()).hexdigest()[:10]
    part.setdefault(key, json.loads(text))
    return key


def _by_identity(texts: Iterable[str]) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """Lines by identity, and those that are none of this version, which are left as they are."""
    lines: dict[str, dict[str, Any]] = {}
    odd = []
    for text in texts:
        try:
            line = json.loads(text)
            key = line["identity"]
            if line["schema"] != SCHEMA_VERSION:
                raise ValueError("another schema")
        except (ValueError, LookupError, TypeError):
            odd.append(text)
            continue
        # A merge of two branches can leave two lines of one run.
        lines[key] = max(lines[key], line, key=_rank) if key in lines else line
    return lines, odd


def _rank(line: dict[str, Any]) -> tuple[Any, ...]:
    """Of two lines of one run the higher one is kept: the later, then the one that says more."""
    return line.get("created", ""), len(line.get("steps", ())), _dump(line)


def _text(lines: Mapping[str, dict[str, Any]], odd: Iterable[str]) -> str:
    def place(line: dict[str, Any]) -> tuple[Any, ...]:
        return line["model"], line["budget"], line["config"], line["seed"], line["identity"]

    return "".join(text + "\n" for text in (*map(_dump, sorted(lines.values(), key=place)), *sorted(odd)))


def _dump(content: Any) -> str:
    return json.dumps(content, separators=(",", ":"), default=str)


def _lines(path: Path) -> list[str]:
    try:
        return [line for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    except (FileNotFoundError, NotADirectoryError):
        return []

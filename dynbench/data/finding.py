"""Where the files of a dataset are: with the user, in the cache, or behind a URL. Knows no graph and no torch."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dynbench.data import canonical, facts
from dynbench.data.download import fetch, sha256_of, verify
from dynbench.data.events import RawEvents
from dynbench.data.locations import DataUnavailable, Locations
from dynbench.data.readers import find_reader, renet
from dynbench.errors import DataError

log = logging.getLogger(__name__)

# Gives the SHA-256 of a file.
Summed = Callable[[Path], str]


@dataclass(frozen=True)
class Source:
    """Files that were found, and how to read them."""

    kind: str
    files: list[Path]
    reader: Callable[[list[Path]], RawEvents]

    @property
    def canonical(self) -> bool:
        """Whether they are in the project's own format."""
        return self.reader is canonical.read_canonical

    @property
    def own_format(self) -> bool:
        """Whether they are in the project's own format, be it that of knowledge graphs."""
        return self.reader in (canonical.read_canonical, facts.read_facts)

    def sums(self, sum_of: Summed = sha256_of) -> dict[str, str]:
        """SHA-256 of each file."""
        return {file.name: sum_of(file) for file in self.files}


@dataclass
class Finder:
    """Looks for the files of a dataset; fields as the arguments of :class:`dynbench.data.dataset.FileDataset`."""

    name: str
    reader: str
    path: str | None
    folder: str | None
    files: list[dict[str, Any]]
    card: dict[str, Any]
    unavailable: str | None
    where: Locations

    def __post_init__(self) -> None:
        for file in self.files:
            name = file.get("name") if isinstance(file, Mapping) else file
            if not isinstance(name, str) or not name.strip(".") or set(name) & set("/\\\0\n"):
                raise DataError(f"dataset '{self.name}': files: {name!r} is no name of a file within a folder")

    @property
    def folders(self) -> list[str]:
        """Names of folders that are looked for."""
        return [self.name, *([self.folder] if self.folder else [])]

    def find(self) -> Source:
        """The files.

        Raises:
            DataUnavailable: If they are nowhere, saying where they were looked for and what to do.
            DataError: If they are damaged or not those of the card.
        """
        if self.path is not None:
            return self._at_path(Path(self.path).expanduser())
        for folder in self._user_folders():
            if canonical.is_canonical(folder):
                files = canonical.files_of(folder)
                return Source("user folder", files, canonical.reader_of(files))
            if found := self._upstream_files(folder):
                for path, file in zip(found, self.files, strict=True):
                    verify(path, file)
                return Source("user folder", found, find_reader(self.reader))
        if found := self._downloaded():
            return Source("cache", found, find_reader(self.reader))
        return Source("download", self._download(), find_reader(self.reader))

    def _user_folders(self) -> list[Path]:
        return [found for name in self.folders for found in self.where.user_folders(name)]

    def _at_path(self, path: Path) -> Source:
        if not path.exists():
            raise DataUnavailable(f"dataset '{self.name}': data.path={path} does not exist")
        if self.reader != "canonical":
            return Source("user folder", _files_at(path), find_reader(self.reader))
        if renet.is_renet(path):
            return Source("user folder", renet.files_of(path), renet.read_renet)
        files = canonical.files_of(path)
        if not files or not (path.is_file() or canonical.is_canonical(path)):
            raise DataUnavailable(
                f"dataset '{self.name}': {path} holds neither edges.csv.gz nor edges.csv, nor the parts of a "
                "knowledge graph, train and test (.csv or .txt)"
            )
        return Source("user folder", files, canonical.reader_of(files))

    def _upstream_files(self, folder: Path) -> list[Path]:
        """All upstream files in a folder, packed or not; empty unless complete."""
        found = []
        for file in self.files:
            names = (file["name"], f"{file['name']}.gz")
            found.append(next((folder / name for name in names if (folder / name).is_file()), None))
        return found if found and None not in found else []

    def _downloaded(self) -> list[Path]:
        """Upstream files in the cache. Damaged ones are removed, so that they are fetched again."""
        found = self._upstream_files(self.where.downloads(self.name))
        for path, file in zip(found, self.files, strict=False):
            try:
                verify(path, file)
            except DataError as error:
                log.warning("removing a damaged file from the cache: %s", error)
                path.unlink(missing_ok=True)
                return []
        return found

    def _download(self) -> list[Path]:
        if self.unavailable or self.where.offline or not self.files or not all(f.get("url") for f in self.files):
            raise DataUnavailable(self._nowhere())
        folder = self.where.downloads(self.name)
        return [fetch(self.name, file, folder, self.where.progress) for file in self.files]

    def _nowhere(self) -> str:
        folders = [*self._user_folders(), self.where.downloads(self.name)]
        looked = f"dataset '{self.name}' is not available; looked in {', '.join(map(str, folders))}."
        if self.unavailable:
            return f"{looked} It cannot be downloaded: {self.unavailable}"
        urls = [str(file["url"]) for file in self.files if file.get("url")]
        homepage = f" (see {self.card['homepage']})" if self.card.get("homepage") else ""
        names = " and ".join(file["name"] for file in self.files) or "edges.csv.gz"
        by_hand = f"put {names}{homepage} into <data_dir>/{self.name}/, with data_dir set or DYNBENCH_DATA exported"
        if urls and self.where.offline:
            return f"{looked} Set offline=false to download {', '.join(urls)}, or {by_hand}."
        return f"{looked} There is nothing to download it from: {by_hand}."


def sums_at_hand(values: Mapping[str, Any], where: Locations, sum_of: Summed = sha256_of) -> dict[str, str] | None:
    """SHA-256 of the files that a dataset's settings lead to today, without loading or downloading anything.

    Args:
        values: Settings of a dataset that is read from files.
        where: Folders to look in.
        sum_of: Gives the SHA-256 of a file.

    Returns:
        Sums by name, or ``None`` where the files are not at hand.

    Raises:
        DataError: If files at hand are not those of the card.
    """
    fields = {field.name: values.get(field.name) for field in dataclasses.fields(Finder)}
    plain = {"reader": fields["reader"] or "canonical", "files": fields["files"] or [], "card": fields["card"] or {}}
    offline = Locations(where.data_dirs, where.cache_dir, offline=True)
    try:
        return Finder(**{**fields, **plain, "where": offline}).find().sums(sum_of)
    except DataUnavailable:
        return None


def _files_at(path: Path) -> list[Path]:
    """The files of a folder, or one file and arrays of the same name beside it."""
    if path.is_dir():
        return sorted(file for file in path.iterdir() if file.is_file())
    arrays = path.with_suffix(".npy")
    return [path, arrays] if arrays.is_file() and arrays != path else [path]

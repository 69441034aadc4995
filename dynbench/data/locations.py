"""Where to look for data, and what to say when it is nowhere."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from dynbench.errors import DataError


class DataUnavailable(DataError):
    """A dataset was found neither in the user's folders nor in the cache, and could not be downloaded."""


class Locations:
    """The folders that a dataset may use.

    A plain class on purpose: Hydra would turn a dataclass into a node of the config when it is passed to a target.

    Attributes:
        data_dirs: Folders of the user, searched in order; each holds one folder per dataset.
        cache_dir: Downloads and parsed graphs; may be deleted at any time.
        offline: Never touch the network.
        progress: Show a progress bar while downloading.
    """

    def __init__(
        self, data_dirs: Sequence[Path | str], cache_dir: Path | str, offline: bool = False, progress: bool = False
    ) -> None:
        self.data_dirs = tuple(Path(folder).expanduser() for folder in data_dirs)
        self.cache_dir = Path(cache_dir).expanduser()
        self.offline = bool(offline)
        self.progress = bool(progress)

    def __repr__(self) -> str:
        return f"Locations({[str(d) for d in self.data_dirs]}, {str(self.cache_dir)!r}, offline={self.offline})"

    @classmethod
    def from_settings(
        cls, data_dir: str | None = None, cache_dir: str | None = None, offline: bool = False, progress: bool = False
    ) -> Locations:
        """Combine settings with the environment.

        Args:
            data_dir: Folder(s) searched first, separated as in ``PATH``; those of ``DYNBENCH_DATA`` follow.
            cache_dir: Replaces ``DYNBENCH_CACHE``, which replaces ``~/.cache/dynbench``.
            offline: Never touch the network.
            progress: Show a progress bar while downloading.
        """
        named = [data_dir or "", os.environ.get("DYNBENCH_DATA", "")]
        folders = [part for text in named for part in str(text).split(os.pathsep) if part.strip()]
        cache = cache_dir or os.environ.get("DYNBENCH_CACHE") or _default_cache()
        return cls(list(dict.fromkeys(folders)), cache, offline, progress)

    def user_folders(self, name: str) -> list[Path]:
        """The folders in which the user may have put dataset ``name``."""
        return [folder / name for folder in self.data_dirs]

    def downloads(self, name: str) -> Path:
        """The folder in which downloaded files of dataset ``name`` are kept."""
        return self.cache_dir / "downloads" / name

    def graphs(self) -> Path:
        """The folder in which parsed graphs are kept."""
        return self.cache_dir / "graphs"


def _default_cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "dynbench"

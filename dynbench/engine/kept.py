"""Tensors that are kept from one process to the next: sealed, so that what is damaged is never gone on from."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning.plugins.io import TorchCheckpointIO

from dynbench import files


def save_tensors(content: dict[str, Any], path: Path, owner: str = "") -> None:
    """Write tensors and plain values, whole or not at all.

    Args:
        content: What; :func:`load_tensors` gives it back.
        path: Where.
        owner: What it was computed from, such as the checksum of a graph.
    """
    files.seal_as_written(path, lambda file: torch.save(content, file), owner)


def load_tensors(path: Path | None, owner: str = "", map_location: Any = "cpu") -> dict[str, Any] | None:
    """What :func:`save_tensors` wrote, or ``None`` if there is no such file.

    A file that is damaged, or that belongs to another owner, is set aside with one line and counts as absent.
    """
    try:
        return None if path is None else _read(path, owner, map_location)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except Exception as error:  # torch has a dozen words for a file that it cannot read
        files.set_aside(path, error)
        return None


def is_whole(path: Path | None, owner: str = "") -> bool:
    """Whether there is such a file. A damaged one is set aside and counts as absent."""
    try:
        return path is not None and files.unseal(path, owner) is not None
    except (FileNotFoundError, NotADirectoryError):
        return False
    except (files.Damaged, OSError) as error:
        files.set_aside(path, error)
        return False


class SealedCheckpoints(TorchCheckpointIO):
    """Lightning's checkpoints as sealed files."""

    def __init__(self, owner: str):
        self._owner = owner

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Write a checkpoint, whole or not at all."""
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        save_tensors(checkpoint, Path(path), self._owner)

    def load_checkpoint(self, path: Any, map_location: Any = "cpu", weights_only: bool | None = None) -> dict[str, Any]:
        """Read a checkpoint that :func:`is_whole`; code in it is never run."""
        return _read(Path(path), self._owner, map_location)


def _read(path: Path, owner: str, map_location: Any) -> dict[str, Any]:
    content = files.unseal(path, owner)
    return torch.load(io.BytesIO(content), map_location=map_location, weights_only=True)

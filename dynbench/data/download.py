"""Fetching upstream files: to a temporary place, verified, and only then under their own name."""

from __future__ import annotations

import gzip
import hashlib
import os
import shutil
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dynbench.data.locations import DataUnavailable
from dynbench.errors import DataError

_TIMEOUT = 30  # seconds without a byte before a server counts as silent


def sha256_of(path: Path, unpacked: bool = False) -> str:
    """SHA-256 of a file.

    Args:
        path: The file.
        unpacked: Sum up the content of a ``.gz`` file instead of its packed bytes.

    Raises:
        DataError: If the file cannot be read or is not complete gzip.
    """
    opener = gzip.open if unpacked and path.suffix == ".gz" else open
    digest = hashlib.sha256()
    try:
        with opener(path, "rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    except (EOFError, zlib.error, OSError) as error:
        raise DataError(f"{path}: cannot be read or is incomplete ({error}); copy or download it again") from error
    return digest.hexdigest()


def accepted_sums(file: Mapping[str, Any]) -> list[str]:
    """The SHA-256 sums that a card accepts for a file; none where the card does not know it."""
    sums = file.get("sha256")
    return [sums] if isinstance(sums, str) else list(sums or [])


def verify(path: Path, file: Mapping[str, Any]) -> None:
    """Compare a file's (unpacked) content with its card.

    Raises:
        DataError: If the sums differ.
    """
    sums = accepted_sums(file)
    found = sha256_of(path, unpacked=True) if sums else None
    if sums and found not in sums:
        raise DataError(
            f"{path}: SHA-256 is {found}, the card expects {' or '.join(sums)}; the file is damaged or of another "
            "version. Remove it, or load it as your own graph with data=custom data.path=…"
        )


def fetch(name: str, file: Mapping[str, Any], folder: Path, progress: bool = False) -> Path:
    """Download one file of a card, unpack it and put it into ``folder``.

    Args:
        name: Dataset, for messages.
        file: Entry of the card's ``files`` with ``name``, ``url``, and where known ``sha256`` (of the unpacked
            content), ``member`` (its path inside an archive, or its name if only one file has it) and ``archive_hash``.
        folder: Where it shall lie in the end.
        progress: Show a progress bar.

    Raises:
        DataUnavailable: If the server cannot be reached or refuses.
        DataError: If what arrived is damaged or cannot be stored. Nothing is left behind.
    """
    target = folder / file["name"]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".part-", dir=folder) as scratch:
            packed = _retrieve(name, file, Path(scratch), progress)
            content = _unpack(packed, file, Path(scratch) / "content")
            _verify_download(name, file, content)
            os.replace(content, target)
    except OSError as error:
        reason = error.strerror or error
        raise DataError(f"cannot write to {folder} ({reason}); set cache_dir to another folder") from error
    return target


def _retrieve(name: str, file: Mapping[str, Any], scratch: Path, progress: bool) -> Path:
    import pooch  # imported here: most runs download nothing
    import requests

    pooch.get_logger().setLevel("ERROR")
    url = file["url"]
    try:
        path = pooch.retrieve(
            url,
            known_hash=file.get("archive_hash"),
            fname="packed",
            path=scratch,
            downloader=pooch.HTTPDownloader(progressbar=progress, timeout=_TIMEOUT),
        )
    except requests.exceptions.RequestException as error:
        raise DataUnavailable(
            f"dataset '{name}': downloading {url} failed ({_reason(error)}); try again later, or put "
            f"'{file['name']}' into <data_dir>/{name}/ by hand"
        ) from error
    except ValueError as error:
        raise DataError(f"dataset '{name}': {url} arrived damaged or has changed ({_first_line(error)})") from error
    return Path(path)


def _unpack(packed: Path, file: Mapping[str, Any], target: Path) -> Path:
    """Take the wanted content out of a download: a member of an archive, a gzip stream, or the file itself."""
    member, url = file.get("member"), file["url"]
    try:
        if member and zipfile.is_zipfile(packed):
            with zipfile.ZipFile(packed) as archive, target.open("wb") as out:
                content = archive.open(_find_member(archive.namelist(), member))
                shutil.copyfileobj(content, out)
        elif member:
            with tarfile.open(packed) as archive, target.open("wb") as out:
                content = archive.extractfile(_find_member(archive.getnames(), member))
                shutil.copyfileobj(content, out)
        elif url.endswith(".gz"):
            with gzip.open(packed) as content, target.open("wb") as out:
                shutil.copyfileobj(content, out)
        else:
            return packed
    except (EOFError, KeyError, gzip.BadGzipFile, tarfile.TarError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(f"{url}: what arrived cannot be unpacked ({error}); try again later") from error
    return target


def _find_member(names: list[str], member: str) -> str:
    """The path of a member that may be given by its name alone."""
    if member in names:
        return member
    found = [name for name in names if name.rsplit("/", 1)[-1] == member]
    if len(found) != 1:
        raise KeyError(f"{len(found) or 'no'} files called {member}")
    return found[0]


def _verify_download(name: str, file: Mapping[str, Any], content: Path) -> None:
    sums = accepted_sums(file)
    found = sha256_of(content)
    if sums and found not in sums:
        raise DataError(
            f"dataset '{name}': what {file['url']} sent has SHA-256 {found}, the card expects {' or '.join(sums)}; "
            "the download is damaged or the file has changed upstream. Nothing was kept; try again later"
        )


def _reason(error: Exception) -> str:
    """Why a request failed, in a few words: the library's own text wraps it in layers of its internals."""
    import requests

    if isinstance(error, requests.exceptions.HTTPError) and error.response is not None:
        return f"the server answered {error.response.status_code} {error.response.reason}"
    if isinstance(error, requests.exceptions.Timeout):
        return f"no answer within {_TIMEOUT} seconds"
    if isinstance(error, requests.exceptions.ConnectionError):
        return "the server cannot be reached; is there a network?"
    return _first_line(error)


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__

"""Reading columns of numbers from text, fast, with the line number of whatever is wrong."""

from __future__ import annotations

import csv
import gzip
import io
import warnings
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from dynbench.errors import DataError

# Beyond this, a double no longer holds every whole number.
_EXACT = 2**53


def read_bytes(path: Path) -> bytes:
    """The content of a file, unpacked if its name ends in ``.gz``.

    Raises:
        DataError: If the file cannot be read, is empty, or is not complete gzip.
    """
    try:
        content = path.read_bytes()
        if path.suffix == ".gz" and content:
            content = gzip.decompress(content)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{path}: not a complete gzip file ({error}); copy or download it again") from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error})") from error
    if not content.strip():
        raise DataError(f"{path}: the file is empty; copy or download it again")
    return content


def read_text(path: Path) -> str:
    """As :func:`read_bytes`, decoded as UTF-8."""
    try:
        return read_bytes(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise DataError(f"{path}, line {line}: not UTF-8 text; save the file as UTF-8") from error


class Columns:
    """Numeric columns of one text file, and the way back from a row to its line.

    Args:
        path: File the text came from, for messages.
        text: Its content.
        names: Names of the columns to read.
        where: Their positions.
        delimiter: Between fields; ``None`` for runs of white space.
        skip: Lines before the data.
        comment: Lines that start with this are skipped.

    Raises:
        DataError: If a line has too few fields or a field is not a number.
    """

    def __init__(
        self,
        path: Path,
        text: str,
        names: Sequence[str],
        where: Sequence[int],
        delimiter: str | None = ",",
        skip: int = 0,
        comment: str | None = None,
    ) -> None:
        self.path, self._text, self._names, self._where = path, text, list(names), list(where)
        self._delimiter, self._skip, self._comment = delimiter, skip, comment
        self._values = self._parse()
        if not len(self._values):
            raise DataError(f"{path}: no data lines; the file holds nothing but its header")

    def __len__(self) -> int:
        """Number of data lines."""
        return len(self._values)

    def __contains__(self, name: str) -> bool:
        return name in self._names

    def integers(self, name: str, lowest: int | None = 0, count: int | None = None, of: str = "") -> np.ndarray:
        """``(rows,) int64`` whole numbers not below ``lowest``.

        Args:
            name: The column.
            lowest: Smallest legal value; ``None`` for no bound.
            count: Number of legal ids, if the values are ids.
            of: Where that number comes from, for the message.

        Raises:
            DataError: Naming the first line that holds anything else.
        """
        values = self.floats(name)
        self._refuse(np.abs(values) > _EXACT, name, "is too large; rescale it below 2^53")
        self._refuse(values != np.floor(values), name, "is not a whole number")
        if lowest is not None:
            self._refuse(values < lowest, name, f"is below {lowest}; ids and steps count from 0")
        if count is not None:
            self._refuse(values >= count, name, f"does not fit the {count:,} ids of {of} (they count from 0)")
        return values.astype(np.int64)

    def floats(self, name: str) -> np.ndarray:
        """``(rows,) float64`` finite numbers.

        Raises:
            DataError: Naming the first line that holds anything else.
        """
        values = self._values[:, self._names.index(name)]
        self._refuse(~np.isfinite(values), name, "is not a finite number")
        return values

    def times(self, name: str) -> np.ndarray:
        """``(rows,)`` times: ``int64`` when every one is whole, else ``float64``."""
        values = self.floats(name)
        self._refuse(np.abs(values) > _EXACT, name, "is too large to be kept exactly; use seconds, not nanoseconds")
        return values.astype(np.int64) if bool((values == np.floor(values)).all()) else values

    def _parse(self) -> np.ndarray:
        try:
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", message="loadtxt: input contained no data")
                return np.loadtxt(
                    io.StringIO(self._text),
                    dtype=np.float64,
                    comments=self._comment,
                    delimiter=self._delimiter,
                    skiprows=self._skip,
                    usecols=self._where,
                    ndmin=2,
                    quotechar='"',
                )
        except ValueError as error:
            # The fast parser does not know line numbers; a second, slow pass over the lines finds the culprit.
            self._raise_for_bad_line()
            raise DataError(f"{self.path}: {error}") from error

    def _data_lines(self):
        for number, line in enumerate(self._text.splitlines(), start=1):
            if number > self._skip and line.strip() and not (self._comment and line.startswith(self._comment)):
                yield number, line

    def _split(self, line: str) -> list[str]:
        return next(csv.reader([line])) if self._delimiter == "," else line.split(self._delimiter)

    def _raise_for_bad_line(self) -> None:
        for number, line in self._data_lines():
            fields = self._split(line)
            for name, position in zip(self._names, self._where, strict=True):
                if position >= len(fields):
                    raise DataError(
                        f"{self.path}, line {number}: no field for '{name}' (column {position + 1} of {len(fields)}); "
                        "complete the line"
                    )
                if not _is_number(fields[position]):
                    raise DataError(
                        f"{self.path}, line {number}: '{name}' is {fields[position].strip()!r}, which is not a number"
                    )

    def _refuse(self, bad: np.ndarray, name: str, reason: str) -> None:
        if not bad.any():
            return
        row = int(np.argmax(bad))
        number, line = next(pair for at, pair in enumerate(self._data_lines()) if at == row)
        field = self._split(line)[self._where[self._names.index(name)]].strip()
        raise DataError(f"{self.path}, line {number}: '{name}' is {field}, which {reason}")


def _is_number(text: str) -> bool:
    try:
        float(text.strip().strip('"'))
    except ValueError:
        return False
    return True


def read_table(path: Path, required: Sequence[str], optional: Sequence[str] = ()) -> Columns:
    """Read named columns of a CSV file with a header line; other columns are ignored.

    Args:
        path: ``.csv`` or ``.csv.gz`` file.
        required: Columns that must be there.
        optional: Columns that are read if they are there.

    Raises:
        DataError: If a required column is missing, or a value is not a number.
    """
    text = read_text(path)
    lead = len(text) - len(text.lstrip())
    header_line = text[:lead].count("\n") + 1
    header = [field.strip().strip('"') for field in text[lead:].split("\n", 1)[0].split(",")]
    missing = [name for name in required if name not in header]
    if missing:
        raise DataError(
            f"{path}, line {header_line}: no column '{missing[0]}'; the header must name "
            f"{', '.join(required)} (found {', '.join(header)})"
        )
    names = [*required, *(name for name in optional if name in header)]
    return Columns(path, text, names, [header.index(name) for name in names], skip=header_line)


def column_names(path: Path) -> set[str]:
    """The fields of the first line of a CSV file that is not empty; none if the file cannot be read."""
    try:
        opener = gzip.open if path.suffix == ".gz" else open
        with opener(path, "rt", encoding="utf-8-sig") as file:
            first = next((line for line in file if line.strip()), "")
    except (OSError, EOFError, UnicodeDecodeError, zlib.error):
        return set()
    return {field.strip().strip('"') for field in first.split(",")}


def read_columns(path: Path, names: Sequence[str], where: Sequence[int], comment: str | None = None) -> Columns:
    """Read columns of a file without header whose fields are separated by white space.

    Args:
        path: Text file, possibly ``.gz``.
        names: What to call the columns.
        where: Their positions from 0.
        comment: First character of lines to skip.
    """
    return Columns(path, read_text(path), names, where, delimiter=None, comment=comment)

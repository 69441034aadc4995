"""What a run leaves in its own folder beside curves and checkpoints: ``config.yaml`` and ``run.log``.

The record holds all that is needed to make a run again. These two are for whoever looks into the folder.
"""

from __future__ import annotations

import logging
import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from dynbench import __version__
from dynbench.files import replace

# What happens in a run is told to this logger; it reaches files only.
NAME = "dynbench.run"
_FORM = "%(asctime)s %(levelname)s %(message)s"


def note(message: str, *parts: Any) -> None:
    """Write a line into the log of the run that is being carried out, if there is one."""
    logging.getLogger(NAME).info(message, *parts)


@contextmanager
def kept(folder: Path, values: Mapping[str, Any], overrides: Sequence[str], fit: str) -> Iterator[None]:
    """Keep a journal of a run. What was typed and what is configured come first; a failure is told with its frames.

    Args:
        folder: Of the run.
        values: The resolved configuration.
        overrides: What was typed.
        fit: Name of the folder below ``work_dir/fits`` that holds what is learnt.
    """
    folder.mkdir(parents=True, exist_ok=True)
    typed = shlex.join(["dynbench", *overrides])
    text = f"# {typed}\n{yaml.safe_dump(dict(values), sort_keys=False, allow_unicode=True, width=120)}"
    replace(folder / "config.yaml", lambda file: file.write(text.encode()))
    file = logging.FileHandler(folder / "run.log", encoding="utf-8", delay=True)
    file.setFormatter(logging.Formatter(_FORM))
    root, own = logging.getLogger(), logging.getLogger(NAME)
    own.propagate = False
    own.setLevel(logging.INFO)  # by this method: loggers remember what they were not to tell
    # Where nobody listens, warnings reach the terminal by Python's last resort, and they shall go on to.
    listeners = [_Warnings(file), *([] if root.handlers else [logging.lastResort])]
    for handler in listeners:
        root.addHandler(handler)
    own.addHandler(file)
    try:
        note("dynbench %s: %s", __version__, typed)
        note("what is learnt is kept in %s", Path(str(values["work_dir"])) / "fits" / fit)
        yield
        note("finished")
    except BaseException as error:
        own.error("%s: %s", type(error).__name__, error, exc_info=True)
        raise
    finally:
        own.removeHandler(file)
        for handler in listeners:
            root.removeHandler(handler)
        file.close()


class _Warnings(logging.Handler):
    """Hands warnings of everybody on to the log of the run."""

    def __init__(self, file: logging.Handler):
        super().__init__(logging.WARNING)
        self._file = file

    def emit(self, record: logging.LogRecord) -> None:
        """Write it."""
        self._file.handle(record)

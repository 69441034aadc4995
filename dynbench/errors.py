"""The one family of errors that are the user's to mend.

Every message names the culprit and the cure. The command line prints them without a traceback; anything else
that is raised is a bug of dynbench and keeps its traceback.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Sequence


class DynbenchError(Exception):
    """Base of all errors that a user can mend."""


class ConfigError(DynbenchError):
    """A setting is unknown, of the wrong type, or does not fit the other settings."""


class DataError(DynbenchError):
    """A dataset is absent, malformed, or not what its card says."""


class RunError(DynbenchError):
    """A run could not go on: no such device, NaN in a loss or a score, a folder that cannot be written."""


def answered(command: Callable[..., None]) -> Callable[..., int]:
    """A command that returns an exit code: 0, or 2 after a user's mistake, which it tells in one line."""

    @functools.wraps(command)
    def main(arguments: Sequence[str] | None = None) -> int:
        try:
            command(arguments)
        except DynbenchError as error:
            print(f"error: {error}", file=sys.stderr)
            return 2
        return 0

    return main


def require_positive(**values: float | None) -> None:
    """Refuse settings that must be positive and are not; ``None`` stands for "not set" and passes.

    Raises:
        ConfigError: Naming the first such setting.
    """
    for name, value in values.items():
        if value is not None and not value > 0:
            raise ConfigError(f"{name}={value} must be greater than 0")

"""Processes for ``run.py`` that have imported torch and Lightning already.

Importing takes seconds, and a hundred tests start the command. So one process per worker of pytest imports once, and
every command is a copy of it: with arguments, environment, folder and streams of its own, and as killable as any.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).resolve().parents[1]
# What every run needs; a command imports the rest itself.
IMPORTED = ("hydra", "dynbench.runner", "dynbench.engine.session", "dynbench.reporting.summary")


class Process:
    """A started command, with what the tests need of :class:`subprocess.Popen`."""

    def __init__(self, pid: int, folder: TemporaryDirectory):
        self.pid, self._folder = pid, folder

    def poll(self) -> int | None:
        """The exit code, or ``None`` while it runs; of a killed process minus the signal."""
        try:
            return int(Path(self._folder.name, "code").read_text())
        except FileNotFoundError:
            return None

    def wait(self, timeout: float = 300.0) -> int:
        """The exit code, waited for."""
        end = time.monotonic() + timeout
        while (code := self.poll()) is None:
            if time.monotonic() > end:
                self.kill()
                raise subprocess.TimeoutExpired("run.py", timeout)
            time.sleep(0.01)
        return code

    def send_signal(self, number: int) -> None:
        """Send a signal, unless the process has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """Kill it, unless it has ended."""
        self.send_signal(signal.SIGKILL)

    @property
    def output(self) -> str:
        """What it has printed, errors last."""
        return "".join(Path(self._folder.name, name).read_text() for name in ("out", "err"))


def start(words: Sequence[str], environment: Mapping[str, str], folder: Path) -> Process:
    """Start what ``python`` would: ``FILE …``, ``-m MODULE …`` or ``-c PROGRAM …``."""
    place = TemporaryDirectory()
    asked = {"words": list(words), "environment": dict(environment), "folder": str(folder), "place": place.name}
    server = _server()
    server.stdin.write(json.dumps(asked) + "\n")
    server.stdin.flush()
    return Process(int(server.stdout.readline()), place)


def run(words: Sequence[str], environment: Mapping[str, str], folder: Path, code: int = 0) -> str:
    """What a command prints, which must end with a code."""
    process = start(words, environment, folder)
    assert process.wait() == code, process.output
    return process.output


@cache
def _server() -> subprocess.Popen:
    """Ends with this process, whose end of its standard input is closed then."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment, cwd=ROOT
    )


# ---- in the process that is copied ------------------------------------------------------------------------------


def _serve() -> None:
    import importlib

    sys.path.insert(0, str(ROOT))
    for name in IMPORTED:
        importlib.import_module(name)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody asks how the copies ended
    while line := sys.stdin.readline():
        if os.fork() == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            _watch(json.loads(line))


def _watch(asked: dict) -> None:
    """Start the copy that becomes the command, tell its number, and write down how it ended."""
    if (pid := os.fork()) == 0:
        _become(asked)
    os.write(1, f"{pid}\n".encode())
    place = Path(asked["place"])
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if place.is_dir():
        (place / "code.part").write_text(str(code))
        (place / "code.part").replace(place / "code")
    os._exit(0)


def _become(asked: dict) -> None:
    import atexit
    import runpy
    import threading
    import traceback

    place, code = Path(asked["place"]), 0
    for number, target in ((0, os.devnull), (1, place / "out"), (2, place / "err")):
        os.dup2(os.open(target, os.O_RDWR | os.O_CREAT), number)
    # A shell's background jobs, and the tests among them, are started deaf to Ctrl-C.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ.clear()
    os.environ.update(asked["environment"])
    os.chdir(asked["folder"])
    first, *rest = asked["words"]
    sys.argv = [first, *rest] if first.endswith(".py") else [first, *rest[1:]]
    sys.path[0] = str(Path(first).resolve().parent) if first.endswith(".py") else asked["folder"]
    try:
        if first == "-c":
            exec(compile(rest[0], "<string>", "exec"), {"__name__": "__main__"})
        elif first == "-m":
            runpy.run_module(rest[0], run_name="__main__", alter_sys=True)
        else:
            runpy.run_path(first, run_name="__main__")
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
        code = 1
    threading._shutdown()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    _serve()

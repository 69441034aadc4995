"""Run processes whose end is waited for, and stop them all when the user asks."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import threading
from collections.abc import Sequence

from dynbench import lifeline

_LAST_WORDS = 4000


class ProcessPool:
    """The processes that are running now. Used from several threads."""

    def __init__(self):
        self._running: set[subprocess.Popen] = set()
        self._lock = threading.Lock()
        self._stopped = False

    def run(self, command: Sequence[str], single_thread: bool) -> tuple[int, str]:
        """Run a command to its end.

        Args:
            command: Program and arguments.
            single_thread: Whether its numerical libraries should use one thread, since others run beside it.

        Returns:
            The exit code (negative: the signal that ended it) and the end of what it printed.
        """
        environment = {**os.environ, "OMP_NUM_THREADS": "1"} if single_thread else dict(os.environ)
        with tempfile.TemporaryFile() as output:
            process = self._start(command, environment, output)
            try:
                code = process.wait()
            finally:
                process.stdin.close()
                with self._lock:
                    self._running.discard(process)
            size = output.seek(0, os.SEEK_END)
            output.seek(max(0, size - _LAST_WORDS))
            return code, output.read().decode(errors="replace")

    @property
    def stopped(self) -> bool:
        """Whether the user asked for the end."""
        return self._stopped

    def stop(self) -> None:
        """End all processes, gently first, and start no more."""
        with self._lock:
            self._stopped = True
            running = list(self._running)
        for process in running:
            process.send_signal(signal.SIGINT)
        for process in running:
            try:
                process.wait(lifeline.GRACE)
            except subprocess.TimeoutExpired:
                lifeline.end(process)

    def _start(self, command: Sequence[str], environment: dict[str, str], output) -> subprocess.Popen:
        with self._lock:
            if self._stopped:
                raise OSError("stopped by the user")
            # A process group of its own: Ctrl-C reaches this process only, which then ends the others in order.
            # It ends with this process also where that is killed.
            process = lifeline.start(command, environment, stdout=output, stderr=subprocess.STDOUT)
            self._running.add(process)
            return process


def describe(code: int, last_words: str) -> str:
    """Why a process that left no reason ended: its signal, or the last line that it printed."""
    if code < 0:
        try:
            name = signal.Signals(-code).name
        except ValueError:
            name = str(-code)
        hint = " (out of memory?)" if name == "SIGKILL" else ""
        return f"the process was ended by {name}{hint}"
    lines = [line.strip() for line in last_words.splitlines() if line.strip()]
    said = f": {lines[-1].removeprefix('error: ')}" if lines else ""
    return f"the process ended with exit code {code}{said}"

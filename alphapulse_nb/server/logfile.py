"""Where log lines go: a bounded queue, a thread that writes, a file that rotates.

A log must never stop or slow the server that it tells about. Whoever logs only puts a line into
the queue; where that is full, the line is lost. A file that cannot be written (the disk is full,
its folder is gone) is said once on standard error, and each line is tried again, so that the log
goes on by itself. Lost lines are counted.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import queue
import stat
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, Protocol

MOST_BYTES: Final = 10_000_000
"""Size from which the file is put aside."""
KEPT: Final = 5
"""Files that are kept beside the current one, as `name.1` (the newest) to `name.5`."""

_WAITING: Final = 10_000
_SAY_EVERY: Final = 60.0
"""Seconds between two complaints: a disk that is nearly full takes one line and refuses another."""
_LOOK_EVERY: Final = 1.0
"""Seconds between looks whether the file was removed or moved."""


class Target(Protocol):
    """Something that takes a line. Raises `OSError` where it cannot."""

    name: str

    def write(self, line: bytes) -> None: ...
    def close(self) -> None: ...


class StandardError:
    """The process's standard error, whatever that is now."""

    name = "standard error"

    def write(self, line: bytes) -> None:
        stream = sys.stderr
        if stream is None or stream.closed:
            raise OSError("it is closed")
        stream.write(line.decode(errors="backslashreplace"))
        stream.flush()

    def close(self) -> None:
        """Nothing to do: it is not ours."""


class LogFile:
    """A file that only its owner reads, rotated by size; reopened when removed or moved.

    Lines are written whole: of a line that no longer fits nothing stays. Raises `OSError`.
    """

    def __init__(self, path: Path, most_bytes: int = MOST_BYTES, kept: int = KEPT) -> None:
        self.name = str(path)
        self._path = path
        self._most_bytes = most_bytes
        self._kept = kept
        self._file: int | None = None
        self._looked = 0.0

    def open(self) -> None:
        """Open the file, unless it is open."""
        if self._file is not None:
            return
        how = os.O_WRONLY | os.O_APPEND | os.O_CREAT
        if os.name != "posix":
            self._file = os.open(self._path, how, 0o600)
            return
        # Non-blocking, since opening a pipe without a reader would wait for one.
        self._file = os.open(self._path, how | os.O_CLOEXEC | os.O_NONBLOCK, 0o600)
        os.set_blocking(self._file, True)
        if stat.S_ISREG(os.fstat(self._file).st_mode):
            # One that was there may be another user's, or on a disk without modes.
            with contextlib.suppress(OSError):
                os.fchmod(self._file, 0o600)

    def write(self, line: bytes) -> None:
        self._follow()
        self.open()
        if self._file is None:
            return
        found = os.fstat(self._file)
        ordinary = stat.S_ISREG(found.st_mode)
        if ordinary and found.st_size and found.st_size + len(line) > self._most_bytes:
            # Where the folder may not be changed, a long file is better than none.
            with contextlib.suppress(OSError):
                self._rotate()
            self.open()
        written = os.write(self._file, line)
        if written < len(line):
            if ordinary:
                os.ftruncate(self._file, os.fstat(self._file).st_size - written)
            raise OSError("no room for a whole line")

    def close(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _follow(self) -> None:
        """Let go of a file that is no longer at its path."""
        if self._file is None or time.monotonic() - self._looked < _LOOK_EVERY:
            return
        self._looked = time.monotonic()
        try:
            there = self._path.stat()
        except FileNotFoundError:
            self.close()
            return
        if not os.path.samestat(there, os.fstat(self._file)):
            self.close()

    def _rotate(self) -> None:
        aged = [self._path.with_name(f"{self._path.name}.{age + 1}") for age in range(self._kept)]
        for newer, aside in reversed(list(itertools.pairwise([self._path, *aged]))):
            with contextlib.suppress(FileNotFoundError):
                newer.replace(aside)
        self.close()


class Sink:
    """Takes lines from any thread without waiting, and writes them in one of its own.

    Parameters
    ----------
    target: where to.
    lost: told of lines that were not written, by number.
    resumed: makes the line that says, after an outage, how many were lost.
    """

    def __init__(
        self,
        target: Target,
        lost: Callable[[int], None] = lambda _: None,
        resumed: Callable[[int], str] | None = None,
    ) -> None:
        self._target = target
        self._lost = lost
        self._resumed = resumed
        self._missing = 0
        self._said = -_SAY_EVERY
        self._queue: queue.Queue[str | threading.Event | None] = queue.Queue(_WAITING)
        self._thread = threading.Thread(target=self._run, name="alphapulse-log", daemon=True)
        self._thread.start()

    def put(self, line: str) -> None:
        """Write a line (without its end) soon. Never waits, never raises."""
        try:
            self._queue.put_nowait(line)
        except queue.Full:
            self._lost(1)

    def flush(self, seconds: float = 2.0) -> bool:
        """Wait until all that was put is written or lost; False when that took too long."""
        done = threading.Event()
        try:
            self._queue.put(done, timeout=seconds)
        except queue.Full:
            return False
        return done.wait(seconds)

    def close(self) -> None:
        """Write what waits, and stop."""
        if not self._thread.is_alive() or not self.flush():
            return
        self._queue.put(None)
        self._thread.join(2)
        self._target.close()

    def _run(self) -> None:
        while (item := self._queue.get()) is not None:
            if isinstance(item, threading.Event):
                item.set()
            else:
                self._write(item)

    def _write(self, line: str) -> None:
        try:
            if self._missing and self._resumed is not None:
                self._target.write(_encoded(self._resumed(self._missing)))
                self._missing = 0
            self._target.write(_encoded(line))
        except OSError as error:
            self._failed(error)
        else:
            self._missing = 0

    def _failed(self, error: OSError) -> None:
        self._lost(1)
        self._missing += 1
        now = time.monotonic()
        again = self._missing > 1 or now - self._said < _SAY_EVERY
        if again or isinstance(self._target, StandardError):
            return
        self._said = now
        reason = error.strerror or str(error)
        said = f"alphapulse: the log {self._target.name} cannot be written: {reason}. Lines are "
        with contextlib.suppress(OSError):
            StandardError().write((said + "dropped until it can.\n").encode())


def _encoded(line: str) -> bytes:
    return line.encode(errors="backslashreplace") + b"\n"

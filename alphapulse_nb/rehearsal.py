"""What `alphapulse demo` runs beside the server: the desk's process, and the words in the terminal.

The desk writes in a child process, since in a thread it would share the interpreter with the
server. The child ends with us: it reads our end of a pipe, which closes whatever ends us.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
import webbrowser
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, Self

from alphapulse_nb.errors import AlphaPulseError

if TYPE_CHECKING:
    from alphapulse_nb.settings import Settings

_END_SECONDS = 15.0
_PLAIN_STEP = 0.25
"""The share of the history after which a log, which shows no bar, gets another line."""


class Meter(Protocol):
    """Shows how much of the history is written."""

    def show(self, done: float, text: str) -> None: ...

    def close(self) -> None: ...


class Desk:
    """The desk's process. A context manager: it ends with the block, at the latest with us."""

    def __init__(self, settings: Settings, days: int) -> None:
        command = [sys.executable, "-P", "-m", "alphapulse_nb.demo.process"]
        command += ["--days", str(days), "--seed", str(settings.seed)]
        if settings.data_dir is not None:
            command += ["--data-dir", str(settings.data_dir.expanduser().resolve())]
        self._process = subprocess.Popen(  # noqa: S603 - our own module
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._started = threading.Event()
        self._closing = False
        self._written = False
        self._error = ""
        self._done, self._text = (1.0, "") if days == 1 else (0.0, "")
        self._meter: Meter | None = None
        self._lock = threading.Lock()
        self._listener = threading.Thread(target=self._listen, name="demo desk", daemon=True)
        self._listener.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._closing = True
        if self._process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.close()
        try:
            self._process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
        self._listener.join(_END_SECONDS)
        self._close_meter()

    def wait(self) -> None:
        """Return once the newest day is written; raise what kept the desk from it."""
        self._started.wait()
        if not self._written:
            raise AlphaPulseError(self._error or "the demo desk ended without a word")

    def announce(self, address: str, browser: bool) -> None:
        """Say where the dashboard is, open it, and from now on show the history's progress."""
        print(f"AlphaPulse demo: {address}\nThe market is synthetic. Ctrl-C ends it.", flush=True)
        if browser and _has_screen():
            threading.Thread(target=_open, args=(address,), daemon=True).start()
        with self._lock:
            if self._done < 1:
                self._meter = _Bar() if sys.stdout.isatty() else _Lines()
                self._meter.show(self._done, self._text)

    def _listen(self) -> None:
        for line in self._process.stdout or ():
            self._hear(json.loads(line))
        self._close_meter()
        if not self._closing and self._written:
            code = self._process.wait()
            _warn(f"the demo desk ended (exit code {code}); the page shows what it wrote until now")
        self._started.set()

    def _hear(self, news: dict[str, Any]) -> None:
        if "error" in news:
            self._error = news["error"]
            if self._written:
                _warn(self._error)
        if "ready" in news:
            self._written = True
            self._started.set()
        if "done" in news:
            with self._lock:
                self._done, self._text = news["done"], news["text"]
                if self._meter is not None:
                    self._meter.show(self._done, self._text)
            if self._done >= 1:
                self._close_meter()

    def _close_meter(self) -> None:
        with self._lock:
            meter, self._meter = self._meter, None
            if meter is not None:
                meter.close()


class _Bar:
    """A progress bar in a terminal."""

    def __init__(self) -> None:
        from rich.progress import BarColumn, Progress, TextColumn

        self._progress = Progress(
            TextColumn("Writing history"), BarColumn(), TextColumn("{task.description}")
        )
        self._task = self._progress.add_task("", total=1.0)
        self._progress.start()

    def show(self, done: float, text: str) -> None:
        self._progress.update(self._task, completed=done, description=text)

    def close(self) -> None:
        self._progress.stop()


class _Lines:
    """A few plain lines, for a log."""

    def __init__(self) -> None:
        self._next = _PLAIN_STEP

    def show(self, done: float, text: str) -> None:
        if done >= self._next:
            print(f"History: {text}", flush=True)
            self._next = min(done + _PLAIN_STEP, 1.0)

    def close(self) -> None:
        pass


def _has_screen() -> bool:
    """Whether a browser could show itself; a text browser would take over the terminal."""
    if not sys.platform.startswith("linux"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def _open(address: str) -> None:
    # The address is on the terminal; whoever has no browser here opens it elsewhere.
    with contextlib.suppress(webbrowser.Error, OSError):
        webbrowser.open(address)


def _warn(text: str) -> None:
    print(f"alphapulse: {text}", file=sys.stderr, flush=True)

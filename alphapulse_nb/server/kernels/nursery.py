"""The server's side of the zygote: starts it, asks it for kernels, replaces it when it dies.

A thread keeps it: starts it beside the server's own start, waits until it ends, starts the next.
One that ends soon after its start is followed after a pause, twice as long each time. Requests go
through another thread, one at a time, so that the server's loop never waits.
"""

from __future__ import annotations

import asyncio
import enum
import logging
import os
import re
import select
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from alphapulse_nb.server.kernels import link
from alphapulse_nb.server.kernels.process import Forked, bury, ended_children, ending, obstacle

PRELOAD: Final = (
    "alphapulse_nb.grammar:postpone",  # before whatever imports jsonschema
    "nbformat",
    *("IPython.core.completerlib", "IPython.core.debugger", "ipykernel.ipkernel"),
    *("zmq.utils.garbage", "tornado.platform.asyncio", "pandas.core.methods.to_dict"),
    "alphapulse_nb.warmup:warm",
)
"""What kernels and the dashboard's notebook import, and a function that does what they do first."""

_SECRET: Final = re.compile(
    r"^(DASHBOARD|DATABASE|DB|PG)_?|PASSW|TOKEN|SECRET|CREDENTIAL|API_?KEY", re.IGNORECASE
)
"""Names in an environment whose values only a kernel's request may bring."""

_PROGRAM: Final = "alphapulse_nb.server.kernels.zygote"

_START_SECONDS: Final = 15.0
"""How long a request waits for a zygote that starts."""
_IMPORT_SECONDS: Final = 120.0
"""How long a zygote may import, on a cold disk."""
_ANSWER_SECONDS: Final = 5.0
"""How long a fork may take: it takes milliseconds."""
_SOON: Final = 30.0
"""A zygote that lives shorter than this is not replaced at once."""
_LONGEST_PAUSE: Final = 60.0
_BURY_SECONDS: Final = 5.0

log = logging.getLogger(__name__)


class State(enum.StrEnum):
    """What the zygote can do now."""

    STARTING = "starting"
    UP = "up"
    DOWN = "down"


class NotForkedError(Exception):
    """The zygote made no kernel; the message says why."""


class Nursery:
    """Keeps a zygote at hand.

    Parameters
    ----------
    preload: the modules that it imports; `module:function` is also called.
    environment: what it starts with; by default ours without secrets.
    """

    def __init__(
        self, preload: Sequence[str] = PRELOAD, environment: Mapping[str, str] | None = None
    ) -> None:
        self._preload = preload
        self._environment = _plain(os.environ if environment is None else environment)
        self._changed = threading.Condition()
        self._state = State.STARTING
        self._reason = ""
        self._restarts = 0
        self._closing = threading.Event()
        self._talking = threading.Lock()
        self._asker = ThreadPoolExecutor(1, "alphapulse-nursery")
        self._process: subprocess.Popen[bytes] | None = None
        self._link: socket.socket | None = None
        self._told: set[str] = set()
        self._born: dict[int, Forked] = {}
        self._keeper = threading.Thread(target=self._keep, name="alphapulse-zygote", daemon=True)

    @property
    def state(self) -> tuple[State, str]:
        """What it can do, and why it cannot do more."""
        with self._changed:
            return self._state, self._reason

    @property
    def pid(self) -> int | None:
        """The zygote's process, while there is one."""
        process = self._process
        return None if process is None else process.pid

    @property
    def restarts(self) -> int:
        """Times that a zygote had ended and was followed by another."""
        return self._restarts

    def is_news(self, reason: str) -> bool:
        """Whether nobody has been told this reason yet."""
        known = reason in self._told
        self._told.add(reason)
        return not known

    def start(self) -> None:
        """Begin, without waiting for the zygote. Where there can be none, say why."""
        reason = obstacle()
        if reason is not None:
            self._set(State.DOWN, reason)
            return
        self._keeper.start()

    async def fork(self, cwd: str, environment: Mapping[str, str], connection_file: str) -> Forked:
        """A new kernel, running. Raises `NotForkedError` where there is none within seconds."""
        request = {
            "cwd": cwd,
            "environment": dict(environment),
            "connection": connection_file,
            "parent": os.getpid(),
        }
        if self._closing.is_set():
            raise NotForkedError("the server is closing")
        deadline = time.monotonic() + _START_SECONDS
        loop = asyncio.get_running_loop()
        asked = loop.run_in_executor(self._asker, self._ask, request, deadline)
        try:
            return await asyncio.shield(asked)
        except asyncio.CancelledError:
            asked.add_done_callback(_unwanted)
            raise

    async def close(self) -> None:
        """End the zygote. Kernels go on."""
        self._closing.set()
        self._set(State.DOWN, "the server is closing")
        self._end()
        if self._keeper.is_alive():
            await asyncio.to_thread(self._keeper.join)
        self._asker.shutdown(wait=False)

    def _ask(self, request: link.Message, deadline: float) -> Forked:
        with self._changed:
            self._changed.wait_for(
                lambda: self._state is not State.STARTING, max(0.0, deadline - time.monotonic())
            )
            if self._state is not State.UP or self._link is None:
                raise NotForkedError(self._reason or "the zygote takes too long to start")
            ours = self._link
        try:
            with self._talking:
                born = _deliver(ours, request)
        except (OSError, KeyError, ValueError) as error:
            # An answer that came later would be taken for the next one's.
            self._end()
            raise NotForkedError(f"the zygote gave no kernel: {error or type(error)}") from None
        self._born = {pid: kernel for pid, kernel in self._born.items() if kernel.running}
        self._born[born.pid] = born
        return born

    def _keep(self) -> None:
        pause = 0.0
        while not self._closing.wait(pause):
            begun = time.monotonic()
            reason = self._one_life()
            if self._closing.is_set():
                return
            soon = time.monotonic() - begun < _SOON
            pause = min(max(1.0, 2 * pause), _LONGEST_PAUSE) if soon else 0.0
            self._restarts += 1
            log.warning("the zygote has ended: %s; the next one starts in %g s", reason, pause)
            self._set(State.DOWN if soon else State.STARTING, reason)

    def _one_life(self) -> str:
        """Start a zygote and stay until it has ended; why it did."""
        try:
            process, ours = self._spawn()
        except OSError as error:
            return str(error)
        self._process, self._link = process, ours
        if self._closing.is_set():
            self._end()
        try:
            failed = _first_words(ours)
            if failed is None:
                self._set(State.UP, "")
                self._stay(process)
        finally:
            process.kill()
            code = process.wait()
            self._process = self._link = None
            with self._talking:
                ours.close()
        return failed or ending(code)

    def _spawn(self) -> tuple[subprocess.Popen[bytes], socket.socket]:
        ours, theirs = socket.socketpair()
        with theirs:
            number = str(theirs.fileno())
            process = subprocess.Popen(  # noqa: S603 - our own module
                [sys.executable, "-m", _PROGRAM, number, *self._preload],
                stdin=subprocess.DEVNULL,
                env=self._environment,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )
        return process, ours

    def _stay(self, process: subprocess.Popen[bytes]) -> None:
        """Wait until the zygote ends; meanwhile bury what nobody else does."""
        pidfd = os.pidfd_open(process.pid)
        seen: set[int] = set()
        try:
            while not select.select([pidfd], [], [], _BURY_SECONDS)[0]:
                ended = ended_children() - self._born.keys()
                # Whoever started a child has had these seconds to ask for its exit code.
                bury(ended & seen)
                seen = ended
        finally:
            os.close(pidfd)

    def _end(self) -> None:
        process = self._process
        if process is not None:
            process.kill()

    def _set(self, state: State, reason: str) -> None:
        with self._changed:
            if not self._closing.is_set() or state is State.DOWN:
                self._state, self._reason = state, reason
            self._changed.notify_all()


def _first_words(ours: socket.socket) -> str | None:
    """Wait for what the zygote says when it has imported: None, or why it cannot work."""
    ours.settimeout(_IMPORT_SECONDS)
    try:
        said, _ = link.receive(ours)
    except OSError as error:
        return f"it did not start: {error}"
    failed: str | None = said.get("failed")
    return failed


def _unwanted(asked: asyncio.Future[Forked]) -> None:
    """Nobody waits for this kernel any more."""
    if not asked.cancelled() and asked.exception() is None:
        asked.result().kill()


def _deliver(ours: socket.socket, request: link.Message) -> Forked:
    """Have a kernel forked, and let it go on once it is known to be our child.

    A kernel waits at its gate, and ends when the gate closes: none is left when we give up.
    """
    waiting, gate = os.pipe()
    try:
        ours.settimeout(_ANSWER_SECONDS)
        link.send(ours, request, waiting)
        answer, _ = link.receive(ours)
        born = Forked(int(answer["pid"]))
        os.write(gate, b"!")
    finally:
        os.close(waiting)
        os.close(gate)
    return born


def _plain(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment without secrets: it stays readable in /proc for as long as a kernel lives."""
    kept = {name: text for name, text in environment.items() if not _SECRET.search(name)}
    # One thread, or the zygote could not fork; one malloc arena, or each thread has its own pages.
    return kept | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "1"}

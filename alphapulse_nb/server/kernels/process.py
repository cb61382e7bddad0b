"""A forked kernel as its server sees it: a process that it did not start, but that is its child.

The server adopts orphans below it (`PR_SET_CHILD_SUBREAPER`), which kernels are on purpose. A pidfd
stands for exactly one process: no signal can reach another that was given the same number.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import select
import signal
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Final

_PR_SET_PDEATHSIG: Final = 1
_PR_SET_NAME: Final = 15
_PR_SET_CHILD_SUBREAPER: Final = 36

ZYGOTE: Final = "ap-zygote"
KERNEL: Final = "ap-kernel"
"""What the processes are called."""


def obstacle() -> str | None:
    """Why kernels cannot be forked here; None where they can be."""
    if sys.platform != "linux" or not hasattr(os, "pidfd_open"):
        return f"{sys.platform} has no pidfd"
    try:
        os.close(os.pidfd_open(os.getpid()))
        adopt_orphans()
    except OSError as error:
        return f"the system refuses: {error.strerror}"
    return None


def adopt_orphans(adopt: bool = True) -> None:
    """Become the parent of every orphan below this process, or no longer. Raises `OSError`."""
    _prctl(_PR_SET_CHILD_SUBREAPER, int(adopt))


def die_with_parent() -> None:
    """Get SIGKILL as soon as the parent has ended, however it did. Raises `OSError`."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def call_this(name: str) -> None:
    """Give this process a name for `ps` and `top`, of at most 15 letters: forks look alike."""
    _prctl(_PR_SET_NAME, ctypes.c_char_p(name.encode()))


def _prctl(option: int, value: int | ctypes.c_char_p) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    argument = ctypes.c_ulong(value) if isinstance(value, int) else value
    if libc.prctl(option, argument, 0, 0, 0) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


class Forked:
    """A kernel's process, with those methods of `subprocess.Popen` that a provisioner calls.

    Raises `OSError` where `pid` is no child of ours.
    """

    stdin = stdout = stderr = None

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._pidfd = os.pidfd_open(pid)

    @property
    def running(self) -> bool:
        """Whether nobody knows yet that it has ended."""
        return self.returncode is None

    def poll(self) -> int | None:
        """None while it runs; its exit code, or the negative number of the signal that ended it."""
        if self.returncode is None:
            ended = os.waitid(os.P_PIDFD, self._pidfd, os.WEXITED | os.WNOHANG)
            if ended is not None:
                by_itself = ended.si_code == os.CLD_EXITED
                self.returncode = ended.si_status if by_itself else -ended.si_status
                os.close(self._pidfd)
        return self.returncode

    def wait(self) -> int:
        """Block until it has ended; its exit code."""
        while (code := self.poll()) is None:
            select.select([self._pidfd], [], [])
        return code

    async def ended(self) -> int:
        """Its exit code, once it has ended."""
        if self.poll() is None:
            loop, over = asyncio.get_running_loop(), asyncio.Event()
            own = os.dup(self._pidfd)
            loop.add_reader(own, over.set)
            try:
                await over.wait()
            finally:
                loop.remove_reader(own)
                os.close(own)
        return self.wait()

    def send_signal(self, number: int) -> None:
        """Signal its whole group, in which its own children are too. Nothing happens when it ended.

        Its number, and so its group's, cannot be given away before we have asked for its exit code.
        """
        if self.poll() is None:
            try:
                os.killpg(self.pid, number)
            except ProcessLookupError:
                # So young that it has no group yet.
                signal.pidfd_send_signal(self._pidfd, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def ending(code: int) -> str:
    """An exit code in words."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"signal {-code} ({signal.Signals(-code).name})"
    except ValueError:
        return f"signal {-code}"


def ended_children() -> set[int]:
    """Our children that have ended and whose exit code nobody has asked for."""
    children: set[int] = set()
    for task in Path("/proc/self/task").iterdir():
        with contextlib.suppress(OSError):
            children |= {int(pid) for pid in (task / "children").read_text().split()}
    return {pid for pid in children if _state(pid) == "Z"}


def bury(pids: Iterable[int]) -> None:
    """Ask for exit codes that nobody wants.

    Orphans that we adopt, such as a database that a notebook started, else stay as zombies.
    """
    for pid in pids:
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)


def _state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return ""

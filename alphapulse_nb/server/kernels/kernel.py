"""A forked child becomes a kernel: with a session, environment, streams and random numbers of its
own, it is what `python -m ipykernel_launcher` makes, less what a viewer's page has no use for.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import logging
import os
import random
import signal
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, Final, NoReturn

import ipywidgets
import numpy as np
from ipykernel import ipkernel
from ipykernel.kernelapp import IPKernelApp
from traitlets.config import Config

from alphapulse_nb.server.kernels import process

_CONFIG: Final = Config(
    {
        # Files, a thread and an import for what a viewer never asks for.
        "HistoryManager": {"enabled": False},
        "IPKernelApp": {"log_level": logging.CRITICAL},
    }
)


@dataclass(frozen=True)
class Birth:
    """What a child shall be: the server's request, and the gate to wait at."""

    request: dict[str, Any]
    gate: int


def import_without_debugger() -> None:
    """Import ipykernel as where no debugger is installed: it costs 10 MB and 0.1 s."""
    sys.modules["debugpy"] = None  # type: ignore[assignment]
    try:
        importlib.import_module("ipykernel.debugger")
    finally:
        del sys.modules["debugpy"]


class _Application(IPKernelApp):
    """ipykernel's, whose options were read before the fork: they are the same for each."""

    def parse_command_line(self, argv: Any = None) -> None:
        """There is no command line."""


def application() -> IPKernelApp:
    """What each kernel runs; it has opened nothing yet."""
    app = _Application.instance(config=_CONFIG)
    app.default_extensions = []
    return app


def live(birth: Birth, app: IPKernelApp) -> NoReturn:
    """Be the kernel that was asked for, until it is shut down."""
    code = 1
    try:
        _leave_home(birth)
        _enter(birth.request)
        _open(app, str(birth.request["connection"]))
        gc.enable()
        app.start()  # type: ignore[no-untyped-call]
        # It may still be telling of the shutdown, for which it waits ten seconds once those who
        # carry it have ended.
        app.control_thread.stop()
        app.control_thread.join()
        code = 0
    except Exception:  # noqa: BLE001 - the server's log has it, as an ordinary kernel's
        traceback.print_exc(file=sys.__stderr__)
    finally:
        # Without the interpreter's own end, which visits and thereby copies all that is shared.
        try:
            atexit._run_exitfuncs()
        finally:
            os._exit(code)


def _leave_home(birth: Birth) -> None:
    os.setsid()
    process.call_this(process.KERNEL)
    if not os.read(birth.gate, 1):
        os._exit(0)
    process.die_with_parent()
    if os.getppid() != birth.request["parent"]:
        os._exit(0)
    # Its other end is closed by now: a kernel's standard input is at its end, as an ordinary one's.
    os.dup2(birth.gate, 0)
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208
        if int(name) > 2:
            with suppress(OSError):
                os.close(int(name))
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _enter(request: dict[str, Any]) -> None:
    os.environ.clear()
    os.environ.update(request["environment"])
    time.tzset()
    os.chdir(request["cwd"])
    random.seed()
    np.random.seed()


def _open(app: IPKernelApp, connection: str) -> None:
    """Let the application have its sockets, threads and shell."""
    app.connection_file = connection
    with _no_modules():
        app.initialize([])  # type: ignore[no-untyped-call]
    # What importing ipywidgets does where there is a kernel already.
    ipywidgets.register_comm_target()


@contextmanager
def _no_modules() -> Iterator[None]:
    """Let a new kernel see no loaded modules.

    It lists their files for the debugger that it does not have. To look at a module is to write to
    it, since it counts its references: 1,400 modules were 5 MB that no two kernels shared.
    """
    ours = SimpleNamespace(**{**vars(sys), "modules": {}})
    setattr(ipkernel, "sys", ours)  # noqa: B010
    try:
        yield
    finally:
        setattr(ipkernel, "sys", sys)  # noqa: B010

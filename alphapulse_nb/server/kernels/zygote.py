"""The zygote: a process that has imported what a dashboard's kernel needs, and forks when asked.

    python -m alphapulse_nb.server.kernels.zygote <descriptor of its socket> <module>...

A fork costs milliseconds and shares the imported memory, where a fresh interpreter spends over half
a second of CPU and 80 MB. Only one thread survives a fork, and a copied socket or event loop serves
two masters: so nothing here may start a thread or open anything. That is checked before the first
request is taken, and nothing but forking is done afterwards.

It forks twice and the process between ends at once. The kernel is thereby an orphan, which falls
to the server (a subreaper): kernels are the server's children and outlive the zygote. The zygote
itself ends with its socket, that is, with the server, however that ends.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import signal
import socket
import sys
from collections.abc import Sequence
from typing import Final

from alphapulse_nb.server.kernels import kernel, link, process

_STANDARD: Final = frozenset({0, 1, 2})


def main(arguments: Sequence[str]) -> None:
    """Import, tell the server, fork until it is gone; in a forked child, be a kernel."""
    server = socket.socket(fileno=int(arguments[0]))
    gc.disable()
    process.call_this(process.ZYGOTE)
    try:
        warm(arguments[1:])
        app = kernel.application()
        check(server)
    except Exception as error:
        link.send(server, {"failed": f"{type(error).__name__}: {error}"})
        raise
    gc.freeze()
    link.send(server, {"ready": os.getpid()})
    birth = serve(server)
    if birth is not None:
        kernel.live(birth, app)


def warm(modules: Sequence[str]) -> None:
    """Import what a kernel needs, and do once what every kernel would do."""
    kernel.import_without_debugger()
    for name in modules:
        module, _, function = name.partition(":")
        imported = importlib.import_module(module)
        if function:
            getattr(imported, function)()


def check(server: socket.socket) -> None:
    """Raise `RuntimeError` unless this is one thread with nothing open but the standard streams.

    An event loop, a zmq context with a socket or a connection each hold a descriptor.
    """
    threads = os.listdir("/proc/self/task")  # noqa: PTH208 - entries of /proc have no use as paths
    if len(threads) != 1:
        raise RuntimeError(f"{len(threads)} threads run before the fork")
    opened = {
        number: name
        for number, name in _descriptors().items()
        if number not in _STANDARD and number != server.fileno()
    }
    if opened:
        raise RuntimeError(f"open before the fork: {', '.join(sorted(opened.values()))}")


def _descriptors() -> dict[int, str]:
    """What is open, by descriptor; the one that lists them is gone when it is looked at."""
    found = {}
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208
        with contextlib.suppress(FileNotFoundError):
            found[int(name)] = os.readlink(f"/proc/self/fd/{name}")  # noqa: PTH115
    return found


def serve(server: socket.socket) -> kernel.Birth | None:
    """Fork as asked until the server is gone. Returns in each child too, with what it shall be."""
    while True:
        try:
            request, gate = link.receive(server)
        except ConnectionError:
            return None
        if gate is None:
            raise link.BrokenLinkError("a request without a gate")
        pid = _fork_twice()
        if pid == 0:
            return kernel.Birth(request, gate)
        os.close(gate)
        link.send(server, {"pid": pid})


def _fork_twice() -> int:
    """The pid of a grandchild that is an orphan by now; 0 in the grandchild itself."""
    reading, writing = os.pipe()
    between = os.fork()
    if between == 0:
        child = os.fork()
        if child:
            os.write(writing, str(child).encode())
            os._exit(0)
        os.close(reading)
        os.close(writing)
        return 0
    os.close(writing)
    os.waitpid(between, 0)
    with os.fdopen(reading, "rb") as said:
        return int(said.read())


if __name__ == "__main__":
    for number in (signal.SIGINT, signal.SIGTERM):
        # It ends with the server, which may be told to stop by a signal to all its processes.
        signal.signal(number, signal.SIG_IGN)
    # Broken: the server ended while we imported.
    with contextlib.suppress(BrokenPipeError):
        main(sys.argv[1:])

"""Where kernels report their refreshes: a Unix datagram socket in a folder of the server's own.

Nobody else can enter the folder. What comes is a stranger's all the same: limited in size, read
strictly, and no more than a hundred at a time, so that a kernel that floods the socket fills it and
delays nothing else.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
from pathlib import Path
from typing import Final

from alphapulse_nb import reports
from alphapulse_nb.errors import InputError
from alphapulse_nb.server import temporary
from alphapulse_nb.server.figures import Figures

LATE: Final = 1.0
"""Seconds after its time from which a refresh counts as late."""

_AT_ONCE: Final = 100
_ROOM: Final = 1 << 20
"""Bytes of reports that may wait, as far as the system allows."""


class Mailbox:
    """Takes reports from kernels and counts them.

    Use `open()` on the running loop; `path` goes to kernels under the name `reports.VARIABLE`.
    """

    def __init__(self, figures: Figures) -> None:
        self.path: Path | None = None
        self._figures = figures
        self._socket: socket.socket | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def open(self) -> Path | None:
        """Begin to listen; the socket's path, or None where the system has no such sockets."""
        if not hasattr(socket, "AF_UNIX") or os.name != "posix":
            return None
        self.path = temporary.folder() / "reports"
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _ROOM)
        self._socket.bind(str(self.path))
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._socket, self._take)
        return self.path

    def close(self) -> None:
        """Stop listening and remove the socket."""
        if self._socket is None or self._loop is None or self.path is None:
            return
        if not self._loop.is_closed():
            self._loop.remove_reader(self._socket)
        self._socket.close()
        self._socket = None
        shutil.rmtree(self.path.parent, ignore_errors=True)

    def _take(self) -> None:
        if self._socket is None:
            return
        for _ in range(_AT_ONCE):
            try:
                datagram = self._socket.recv(reports.MOST_BYTES + 1)
            except BlockingIOError:
                return
            self._count(datagram)

    def _count(self, datagram: bytes) -> None:
        try:
            refresh = reports.decode(datagram)
        except InputError:
            self._figures.count("reports_refused")
            return
        self._figures.count("reports")
        count_refresh(self._figures, refresh)


def count_refresh(figures: Figures, refresh: reports.Refresh) -> None:
    """Count a refresh, of a page's charts or of a feed."""
    figures.count("refreshes")
    figures.observe("refresh_seconds", refresh.seconds)
    figures.observe("refresh_late_seconds", refresh.late)
    if refresh.late > LATE:
        figures.count("refreshes_late")
    for load in refresh.loads:
        figures.observe("load_seconds", load.seconds, query=load.name)
        figures.count("loads", query=load.name, outcome=load.outcome)
        count_query(figures, load.name, load.query, load.rows, load.outcome)


def count_query(
    figures: Figures, name: str, seconds: float, rows: int, outcome: str = "ok"
) -> None:
    """Count what one chart or answer read from the database, if it asked."""
    if not seconds:
        return
    figures.observe("query_seconds", seconds, query=name)
    figures.count("queries", query=name, outcome=outcome)
    figures.count("rows_read", rows)

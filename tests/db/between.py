"""A way to the embedded Postgres on which things get lost, as they do on a real one.

The server's messages are taken apart (a type, a length, the rest). Notifications can be left out,
as a pooler does that hands out connections; or everything can, as where a machine on the way has
forgotten the connection. Neither end is told.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from types import TracebackType
from typing import Self

import sqlalchemy as sa

NOTIFICATION = b"A"


class Between:
    """Carries connections to the server at `url`. Use as a context manager.

    While `deaf` no notification comes through; while `silent` nothing does, and is lost for good.
    """

    def __init__(self, url: sa.URL) -> None:
        self._socket = f"{url.query['host']}/.s.PGSQL.{url.query['port']}"
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._take, daemon=True)]
        port = self._listening.getsockname()[1]
        self.url = url.set(host="127.0.0.1", port=port, query={"sslmode": "disable"})
        self.deaf = False
        self.silent = False

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._threads[0].join(5)
        self.cut()
        for thread in self._threads:
            thread.join(5)
        for one in (self._listening, *self._open):
            one.close()

    def cut(self) -> None:
        """End every connection."""
        for one in self._open:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def _take(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listening.accept()
                far = socket.socket(socket.AF_UNIX)
                self._open += [near, far]
                far.connect(self._socket)
                for carry, source, sink in ((self._out, near, far), (self._back, far, near)):
                    self._threads.append(
                        threading.Thread(target=carry, args=(source, sink), daemon=True)
                    )
                    self._threads[-1].start()

    def _out(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while part := source.recv(1 << 16):
                if not self.silent:
                    sink.sendall(part)
            sink.shutdown(socket.SHUT_RDWR)

    def _back(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError), source.makefile("rb") as stream:
            while head := stream.read(5):
                rest = stream.read(int.from_bytes(head[1:], "big") - 4)
                if not self.silent and not (self.deaf and head[:1] == NOTIFICATION):
                    sink.sendall(head + rest)
            sink.shutdown(socket.SHUT_RDWR)

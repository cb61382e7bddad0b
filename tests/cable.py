"""The way to a server, which a test can pull out and plug in again.

A cable that is held carries nothing for a while and loses nothing, as when packets are lost and
sent again. A cable that is cut never carries those connections again and tells neither end, as when
a machine on the way forgets them; what connects later gets through once it is mended.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import urlsplit

_PART: Final = 1 << 16


class Cable:
    """Carries connections to the server at `url`. Use as a context manager; safe in any thread."""

    def __init__(self, url: str) -> None:
        self._target = urlsplit(url)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._refused: set[str] = set()
        self._paths: dict[asyncio.StreamWriter, str] = {}
        self._mended = asyncio.Event()
        self._held = asyncio.Event()

    def __enter__(self) -> Self:
        self._thread.start()
        self._held.set()
        self._mended.set()
        starting = asyncio.run_coroutine_threadsafe(
            asyncio.start_server(self._take, "127.0.0.1", 0), self._loop
        )
        self._server = starting.result(10)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    @property
    def url(self) -> str:
        """Where to connect instead of at the server."""
        port = self._server.sockets[0].getsockname()[1]
        return f"http://127.0.0.1:{port}{self._target.path}"

    def hold(self) -> None:
        """Carry nothing until `release()`."""
        self._do(self._held.clear)

    def release(self) -> None:
        """Carry what was held, and what comes."""
        self._do(self._held.set)

    def cut(self) -> None:
        """Lose every connection that there is; whoever connects before `mend()` waits."""
        self._do(self._cut)

    def mend(self) -> None:
        """Let connections through again that are made from now on."""
        self._do(self._mended.set)

    def refuse(self, path: str) -> None:
        """Close the connections that began with a request for a path like this, and make none."""
        self._do(lambda: self._refuse(path))

    def allow(self, path: str) -> None:
        """Let them through again."""
        self._do(lambda: self._refused.discard(path))

    def _refuse(self, path: str) -> None:
        self._refused.add(path)
        for writer, begun in self._paths.items():
            if begun.startswith(path):
                writer.transport.abort()

    def _do(self, call: Callable[[], Any]) -> None:
        done = threading.Event()
        self._loop.call_soon_threadsafe(lambda: (call(), done.set()))
        assert done.wait(10)

    def _cut(self) -> None:
        self._mended.clear()
        for task in self._tasks:
            task.cancel()

    async def _end(self) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for writer in self._writers:
            writer.transport.abort()

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        try:
            await self._mended.wait()
            first = await reader.read(_PART)
            path = first.partition(b" ")[2].partition(b" ")[0].decode("latin-1")
            if any(path.startswith(refused) for refused in self._refused):
                writer.write(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")
                writer.close()
                return
            self._paths[writer] = path
            host, port = self._target.hostname, self._target.port
            far_reader, far_writer = await asyncio.open_connection(host, port)
        except OSError:
            writer.transport.abort()
            return
        except asyncio.CancelledError:
            return
        self._writers.add(far_writer)
        far_writer.write(first)
        for source, sink in ((reader, far_writer), (far_reader, writer)):
            carrying = asyncio.ensure_future(self._carry(source, sink))
            self._tasks.add(carrying)
            carrying.add_done_callback(self._tasks.discard)

    async def _carry(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        """Carry one direction until one end closes, which closes the other."""
        try:
            while part := await source.read(_PART):
                await self._held.wait()
                sink.write(part)
                await sink.drain()
        except asyncio.CancelledError:
            return
        except OSError:
            pass
        sink.close()

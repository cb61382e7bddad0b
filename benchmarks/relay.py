"""A way to a server that can go dead: bytes stop, and neither end is told."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Self

_PART = 1 << 16


class Relay:
    """Passes connections on to `host` and `port`. Use as an async context manager."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._take, "127.0.0.1", 0)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
        self._server.close()
        for writer in self._writers:
            writer.close()
        await self._server.wait_closed()

    @property
    def address(self) -> tuple[str, int]:
        """Where to connect instead."""
        host, port = self._server.sockets[0].getsockname()
        return host, port

    def stop(self) -> None:
        """Pass on nothing any more. The connections stay open at both ends."""
        for task in self._tasks:
            task.cancel()

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection(*self._target)
        self._writers |= {writer, far_writer}
        for source, sink in ((reader, far_writer), (far_reader, writer)):
            task = asyncio.create_task(_pass(source, sink))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)


async def _pass(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    """Pass on until one side ends, which then ends the other too."""
    try:
        while part := await source.read(_PART):
            sink.write(part)
            await sink.drain()
    except ConnectionError:
        return
    finally:
        if not _cancelled():
            sink.close()


def _cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0

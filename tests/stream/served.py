"""A server with the stream and the API, on a thread of its own, that can be stopped and started."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from typing import Any, TypeVar

import tornado.web
from tornado.netutil import bind_sockets
from websockets.asyncio.client import ClientConnection, connect

from alphapulse_nb.catalog import catalog
from alphapulse_nb.db.connection import Database
from alphapulse_nb.events import Kinds
from alphapulse_nb.server import api
from alphapulse_nb.server.access import Access, Rules
from alphapulse_nb.server.attempts import Attempts
from alphapulse_nb.server.connections import Connections
from alphapulse_nb.server.figures import Figures
from alphapulse_nb.server.handler import NotFound
from alphapulse_nb.server.proxy import Proxies, Server
from alphapulse_nb.server.shared import Shared
from alphapulse_nb.server.stream.hub import Hub
from alphapulse_nb.server.stream.socket import StreamSocket
from alphapulse_nb.server.stream.stream import Stream
from alphapulse_nb.state import State, Users
from tests.stream.tails import MemoryTail

KEY = "a key of forty characters, for tests only"
T = TypeVar("T")


class Streaming:
    """See the top of this file. The log of events outlives a stop, as a database does."""

    def __init__(
        self,
        db: Database,
        rules: Rules | None = None,
        tail: MemoryTail | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        has_api: bool = True,
    ) -> None:
        self.tail = tail or MemoryTail()
        self.has_stream = True
        self.port = 0
        self._db, self._rules, self._clock, self._has_api = db, rules, clock, has_api
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def url(self) -> str:
        """Ends with a slash."""
        return f"http://127.0.0.1:{self.port}/"

    def start(self) -> None:
        """Serve, on the port of the last time."""
        started = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve(started)))
        self._thread.start()
        assert started.wait(20)

    def stop(self) -> None:
        """Stop, telling the clients."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._stopped.set)
            self._thread.join(20)
            assert not self._thread.is_alive()
            self._loop = None

    def call(self, what: Callable[[], T]) -> T:
        """Do something on the server's loop, and wait for it."""

        async def whole() -> T:
            return what()

        assert self._loop is not None
        return asyncio.run_coroutine_threadsafe(whole(), self._loop).result(20)

    def add(self, kind: str = "signal", count: int = 1, **data: Any) -> None:
        """More events; while the server is stopped, they come to its log alone."""
        if self._loop is None:
            self.tail.add(kind, count, **data)
        else:
            self.call(lambda: self.tail.add(kind, count, **data))

    def stream_count(self) -> int:
        """How many clients there are."""
        return len(self.stream)

    async def _serve(self, started: threading.Event) -> None:
        self._loop, self._stopped = asyncio.get_running_loop(), asyncio.Event()
        with self._made() as app:
            sockets = bind_sockets(self.port, "127.0.0.1")
            self.port = sockets[0].getsockname()[1]
            server = Server(
                app,
                proxies=self.shared.access.proxies,
                connections=Connections(1_000),
                max_body_size=1 << 20,
            )
            server.add_sockets(sockets)
            self.stream.start()
            started.set()
            await self._stopped.wait()
            server.stop()
            self.stream.close("the server is stopping")
            await server.close_all_connections()

    @contextmanager
    def _made(self) -> Iterator[tornado.web.Application]:
        state = State(self._db)
        access = Access(self._rules or Rules(key=KEY), Users(state), Proxies(), Attempts())
        self.stream = Stream(self.tail, Kinds({"fill": None}), Hub(self._db, self._clock))
        visits: Any = None  # No kernel here.
        self.shared = Shared(
            self._db, self._clock, access, visits, Figures(catalog()), stream=self.stream
        )
        means = api.Means()
        routes = api.routes("/", means) if self._has_api else []
        yield tornado.web.Application(
            [*routes, ("/stream", StreamSocket if self.has_stream else NotFound)],
            alphapulse=self.shared,
            cookie_secret=KEY,
            compress_response=True,
            login_url="/login",
            log_function=lambda _handler: None,
            xsrf_cookies=True,
        )
        means.close()
        access.close()
        state.close()


@contextmanager
def serving(db: Database, **more: Any) -> Iterator[Streaming]:
    """A server; `more` as for `Streaming`."""
    server = Streaming(db, **more)
    server.start()
    try:
        yield server
    finally:
        server.stop()


@asynccontextmanager
async def listening(
    url: str, headers: Mapping[str, str] | None = None, **more: Any
) -> AsyncIterator[ClientConnection]:
    """A plain websocket to the stream of a server."""
    address = url.replace("http", "ws", 1) + "stream"
    async with connect(
        address, additional_headers=headers, close_timeout=1, proxy=None, max_size=None, **more
    ) as socket:
        yield socket

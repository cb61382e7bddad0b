"""`/stream`: the websocket of pages and programs that follow the desk without a kernel."""

from __future__ import annotations

import asyncio
from typing import Any

import tornado.iostream
import tornado.websocket

from alphapulse_nb.people import Person
from alphapulse_nb.server import log
from alphapulse_nb.server.access import Refused
from alphapulse_nb.server.handler import JsonErrors, access
from alphapulse_nb.server.shared import shared, stream
from alphapulse_nb.server.stream import protocol
from alphapulse_nb.server.stream.session import HEARTBEAT_SECONDS, Session, Why

_log = log.get(__name__)


class StreamSocket(JsonErrors, tornado.websocket.WebSocketHandler):
    """One client of the stream. Whoever may see the dashboard may follow it."""

    _session: Session | None = None
    _writer: asyncio.Task[None] | None = None
    _counted = False

    @property
    def max_message_size(self) -> int:
        """Bytes; twice what is taken, so that a little too much is answered and not cut off."""
        return 2 * protocol.LARGEST

    async def prepare(self) -> None:
        await super().prepare()
        person = await access(self).person(self)
        if person is None:
            words = "Sign in, or send a token in the Authorization header."
            raise Refused(401, words, why="access")
        self.person: Person = person

    def check_origin(self, origin: str) -> bool:  # noqa: ARG002 - `prepare` has checked it
        return True

    async def open(self, *_: str, **__: str) -> None:
        joined = stream(self)
        self.set_nodelay(True)
        self._session = Session(joined.tail, joined.kinds, self, joined.hub)
        self._session.greet(
            {
                "person": self.person.name,
                "role": self.person.role.value,
                "types": list(joined.kinds),
                "heartbeat": HEARTBEAT_SECONDS,
            }
        )
        shared(self).figures.count("streams_opened")
        joined.join(self._session)
        self._writer = asyncio.create_task(self._session.run())

    async def on_message(self, message: str | bytes) -> None:
        if self._session is not None:
            await self._session.take(message)

    def on_close(self) -> None:
        self._count("left")
        if self._writer is not None:
            self._writer.cancel()
        if self._session is not None:
            stream(self).leave(self._session)
            self._session.close()

    async def send(self, data: bytes) -> None:
        """Frames to the client; returns when they have left. Raises `OSError`."""
        connection: Any = self.ws_connection
        if connection is None:
            raise ConnectionError("the client has gone")
        try:
            await connection.stream.write(data)
        except tornado.iostream.StreamClosedError:
            raise ConnectionError("the client has gone") from None

    def drop(self, why: Why, code: int, reason: str) -> None:
        """End the connection, telling the client why as far as it still listens."""
        self._count(why)
        if why == "slow":
            _log.warning("stream client does not read", client=self.request.remote_ip)
        self.close(code, reason)
        connection: Any = self.ws_connection
        if why == "slow" and connection is not None:
            connection.stream.close()

    def _count(self, why: Why) -> None:
        if not self._counted and self._session is not None:
            self._counted = True
            shared(self).figures.count("streams_closed", why=why)

"""`/stream`: the websocket of pages and programs that follow the desk without a kernel.

Whoever may see the dashboard may follow it, for as long as they may: of those who were let in it is
asked again within a minute. A client that answers no ping is gone, however its connection looks.
"""

from __future__ import annotations

import asyncio
import random
from typing import Any, Final

import tornado.iostream
import tornado.websocket

from alphapulse_nb.notify.telling import reader_of
from alphapulse_nb.people import Person
from alphapulse_nb.server import cookies, log
from alphapulse_nb.server.access import Refused
from alphapulse_nb.server.handler import JsonErrors, access
from alphapulse_nb.server.shared import shared, stream
from alphapulse_nb.server.stream import protocol
from alphapulse_nb.server.stream.session import HEARTBEAT_SECONDS, Session, Why

ASK_SECONDS: Final = (15.0, 45.0)
"""It is asked again this often whether somebody may still listen; spread, not all at once."""
PING_SECONDS: Final = 20.0
_AGAIN: Final = 1013
_UNWELCOME: Final = 4003

_log = log.get(__name__)


class StreamSocket(JsonErrors, tornado.websocket.WebSocketHandler):
    """One client of the stream."""

    _session: Session | None = None
    _tasks: tuple[asyncio.Task[None], ...] = ()
    _counted = False

    @property
    def max_message_size(self) -> int:
        """Bytes; twice what is taken, so that a little too much is answered and not cut off."""
        return 2 * protocol.LARGEST

    @property
    def ping_interval(self) -> float:
        return PING_SECONDS

    @property
    def ping_timeout(self) -> float:
        return PING_SECONDS

    def get_compression_options(self) -> None:
        """None: a frame is made once for all clients, and a compressor costs each 300 kB."""

    async def prepare(self) -> None:
        await super().prepare()
        person = await access(self).person(self)
        if person is None:
            words = "Sign in, or send a token in the Authorization header."
            raise Refused(401, words, why="access")
        self.person: Person = person
        stream(self).places.check(person, self._address)

    async def get(self, *args: Any, **kwargs: Any) -> None:
        if self.request.headers.get("Upgrade", "").lower() != "websocket":
            raise Refused(400, "This address speaks websocket only.")
        await super().get(*args, **kwargs)

    def check_origin(self, origin: str) -> bool:  # noqa: ARG002 - `prepare` has checked it
        return True

    async def open(self, *_: str, **__: str) -> None:
        joined = stream(self)
        try:
            joined.places.check(self.person, self._address)
        except Refused as refused:  # others came while it was looked up who this is
            self.close(_AGAIN, refused.words)
            return
        self.set_nodelay(True)
        session = self._session = Session(
            joined.tail, joined.kinds, self, joined.hub, reader_of(self.person)
        )
        session.greet(
            {
                "person": self.person.name,
                "role": self.person.role.value,
                "types": list(joined.kinds),
                "heartbeat": HEARTBEAT_SECONDS,
            }
        )
        shared(self).figures.count("streams_opened")
        joined.join(session)
        joined.places.take(self.person, self._address)
        writer = asyncio.create_task(session.run())
        writer.add_done_callback(self._written)
        self._tasks = (writer, asyncio.create_task(self._ask(session)))

    async def on_message(self, message: str | bytes) -> None:
        if self._session is not None:
            await self._session.take(message)

    def on_close(self) -> None:
        self._count("left")
        for task in self._tasks:
            task.cancel()
        if self._session is not None:
            stream(self).leave(self._session)
            stream(self).places.leave(self.person, self._address)
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
        connection: Any = self.ws_connection
        self.close(code, reason)
        if why == "slow" and connection is not None:
            connection.stream.close()

    @property
    def _address(self) -> str:
        return str(self.request.remote_ip)

    async def _ask(self, session: Session) -> None:
        """End the connection of somebody who would not be let in any more."""
        held = self._proof()
        while True:
            await asyncio.sleep(random.uniform(*ASK_SECONDS))  # noqa: S311 - no secret
            if not await access(self).is_still(self.person, held):
                session.end("refused", _UNWELCOME, "you are not signed in any more")

    def _proof(self) -> cookies.Session | None:
        """The session that let them in; None where a token or a proxy did."""
        ours = access(self)
        if "Authorization" in self.request.headers:
            return None
        if ours.rules.remote_user_header and ours.proxies.vouched(self.request):
            return None
        return cookies.session(self)

    def _written(self, writer: asyncio.Task[None]) -> None:
        """A writer that failed would leave its client waiting for ever."""
        error = None if writer.cancelled() else writer.exception()
        if error is not None and self._session is not None:
            _log.error("a stream client cannot be written to", error=repr(error))
            self._session.end("stopped", 1011, "something went wrong on our side")

    def _count(self, why: Why) -> None:
        if not self._counted and self._session is not None:
            self._counted = True
            shared(self).figures.count("streams_closed", why=why)

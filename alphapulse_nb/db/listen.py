"""Hearing what Postgres notifies, on an asyncio loop.

A `Listener` has a connection of its own that stays open. It is made in a thread (names are looked
up, servers keep silent) and is then one more descriptor that the loop reads. Three things go wrong
with such a connection, and each is found:

- it is cut: the loop reads its end;
- it is half dead, as behind a firewall that forgot it: a `SELECT 1` now and then is not answered;
- it is *deaf*, as behind a pooler that gives each transaction another connection: a notification
  that we send from beside it does not arrive. A deaf connection is not kept.

Then it is made again, later and later, at moments that differ between servers.
"""

from __future__ import annotations

import asyncio
import enum
import logging
import random
import secrets
import selectors
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import psycopg2
from psycopg2 import extensions, sql

from alphapulse_nb.db.connection import Database, parameters, reason
from alphapulse_nb.errors import EmbeddedError

if TYPE_CHECKING:
    from psycopg2.extensions import connection as RawConnection  # noqa: N812

_GLANCE_SECONDS: Final = 0.2
"""How often a thread that waits for the server looks whether it still should."""
_PARAMETERS: Final = {
    "application_name": "alphapulse-nb",
    "keepalives": 1,
    "keepalives_idle": 15,
    "keepalives_interval": 5,
    "keepalives_count": 3,
}

log = logging.getLogger(__name__)


class State(enum.StrEnum):
    """Whether notifications arrive."""

    UP = "up"
    DOWN = "down"
    DEAF = "deaf"


@dataclass(frozen=True)
class Standing:
    """The state of a listener, and why it is that; without anything secret."""

    state: State
    reason: str = ""


@dataclass(frozen=True)
class Pauses:
    """The listener's patience, in seconds."""

    first: float = 0.2
    """Before the second attempt; each later pause is twice as long."""
    longest: float = 30.0
    deaf: float = 60.0
    """Before a server that did not pass on our notification is tried again."""
    quiet: float = 30.0
    """Between two looks whether a connection still lives."""
    answer: float = 5.0
    """For connecting, and for each statement."""


class Listener:
    """Calls `heard(channel, payload)` on the loop for each notification.

    Parameters
    ----------
    db: whose server, reached without a pooler; an embedded server that died is brought back.
    channels: what to listen to.
    heard: what to call; what it raises is logged.
    changed: called on the loop with each new standing. When it is `UP`, look for yourself: what
        was notified before is lost.
    """

    def __init__(
        self,
        db: Database,
        channels: Iterable[str],
        heard: Callable[[str, str], None],
        changed: Callable[[Standing], None] = lambda _: None,
        *,
        pauses: Pauses | None = None,
    ) -> None:
        self._db = db
        self._channels = tuple(channels)
        self._heard = heard
        self._changed = changed
        self._pauses = pauses or Pauses()
        self._standing = Standing(State.DOWN, "not connected yet")
        self._closed = threading.Event()
        self._connection: RawConnection | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def standing(self) -> Standing:
        """How it does."""
        return self._standing

    def start(self) -> None:
        """Begin on the running loop."""
        self._task = asyncio.get_running_loop().create_task(self._run(), name="listener")

    async def close(self) -> None:
        """End it; the connection is closed."""
        self._closed.set()
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        if self._connection is not None:
            self._connection.close()
        self._standing = Standing(State.DOWN, "closed")

    async def _run(self) -> None:
        attempts = 0
        while True:
            attempts += 1
            try:
                found = await self._in_a_thread(self._connected)
                if not isinstance(found, Standing):
                    found, attempts = Standing(State.DOWN, await self._listen(found)), 1
            except Exception:
                # Whatever it was, whoever relies on us must hear of the next notification.
                log.exception("listening to the database has failed")
                found = Standing(State.DOWN, "it failed")
            self._stand(found)
            await asyncio.sleep(self._pause(attempts))

    def _pause(self, attempts: int) -> float:
        if self._standing.state is State.DEAF:
            return self._pauses.deaf
        grown = self._pauses.first * 2.0 ** min(attempts - 1, 30)
        # Not all servers at the same moment, after the database was away.
        return min(grown, self._pauses.longest) * random.uniform(0.5, 1)  # noqa: S311

    def _stand(self, found: Standing) -> None:
        before, self._standing = self._standing, found
        if found.state is not before.state or found.reason != before.reason:
            log.info("listening to the database: %s %s", found.state, found.reason)
        _guarded(self._changed, found)

    async def _in_a_thread(self, call: Callable[[], Any]) -> Any:
        """What the call returns. Not in a pool: nobody waits at exit for a name to be found."""
        done: Future[Any] = Future()
        done.set_running_or_notify_cancel()

        def run() -> None:
            try:
                done.set_result(call())
            except BaseException as error:  # noqa: BLE001 - raised where it is awaited
                done.set_exception(error)

        threading.Thread(target=run, name="alphapulse-listener", daemon=True).start()
        return await asyncio.wrap_future(done)

    async def _listen(self, connection: RawConnection) -> str:
        """Pass on what comes until the connection is lost; the reason."""
        loop = asyncio.get_running_loop()
        lost: asyncio.Future[str] = loop.create_future()
        descriptor = connection.fileno()
        loop.add_reader(descriptor, self._read, connection, lost)
        try:
            self._stand(Standing(State.UP))
            self._read(connection, lost)
            return await self._watched(connection, lost)
        finally:
            loop.remove_reader(descriptor)
            connection.close()

    async def _watched(self, connection: RawConnection, lost: asyncio.Future[str]) -> str:
        """Ask the quiet connection now and then, until it is lost or does not answer."""
        while True:
            await asyncio.wait([lost], timeout=self._pauses.quiet)
            if lost.done():
                return lost.result()
            # Named, since it must live until its answer has come.
            cursor = connection.cursor()
            try:
                cursor.execute("SELECT 1")
            except psycopg2.Error as error:
                return f"the connection was lost{reason(error)}"
            await asyncio.wait([lost], timeout=self._pauses.answer)
            if not lost.done() and connection.isexecuting():
                return "the connection is dead: it does not answer"

    def _read(self, connection: RawConnection, lost: asyncio.Future[str]) -> None:
        """Take what has arrived and pass it on; called by the loop."""
        try:
            connection.poll()
        except psycopg2.Error as error:
            if not lost.done():
                lost.set_result(f"the connection was lost{reason(error)}")
        while connection.notifies:
            said = connection.notifies.pop(0)
            if said.channel in self._channels:
                _guarded(self._heard, said.channel, said.payload)

    def _connected(self) -> RawConnection | Standing:
        """A connection that listens and hears, or why there is none. Takes its time."""
        try:
            connection = self._opened()
        except EmbeddedError as error:
            return Standing(State.DOWN, str(error))
        except (psycopg2.Error, OSError) as error:
            return Standing(State.DOWN, f"it cannot be reached{reason(error)}")
        self._connection = connection
        try:
            if self._hears(connection) and not self._closed.is_set():
                return connection
            found = Standing(State.DEAF, "a notification to ourselves did not arrive")
        except (psycopg2.Error, OSError) as error:
            found = Standing(State.DOWN, f"it cannot be listened to{reason(error)}")
        connection.close()
        return found

    def _opened(self) -> RawConnection:
        try:
            return self._open()
        except psycopg2.OperationalError:
            if self._db.embedded is None:
                raise
            self._db.embedded.ensure_running()
            return self._open()

    def _open(self) -> RawConnection:
        options: dict[str, Any] = _PARAMETERS | parameters(self._db.url) | {"async_": True}
        connection: RawConnection = psycopg2.connect(**options)
        try:
            self._finish(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _hears(self, connection: RawConnection) -> bool:
        """Listen; whether what we notify from beside arrives."""
        # One's own statement would bring it along even through a pooler, so it comes from beside.
        own = f"alphapulse_{secrets.token_hex(8)}"
        for channel in (*self._channels, own):
            self._execute(connection, sql.SQL("LISTEN {}").format(sql.Identifier(channel)))
        beside = self._open()
        try:
            self._execute(beside, sql.SQL("NOTIFY {}").format(sql.Identifier(own)))
        finally:
            beside.close()
        deadline = time.monotonic() + self._pauses.answer
        while not any(said.channel == own for said in connection.notifies):
            try:
                self._wait(connection, extensions.POLL_READ, deadline)
            except TimeoutError:
                return False
            connection.poll()
        return True

    def _execute(self, connection: RawConnection, statement: sql.Composable) -> None:
        with connection.cursor() as cursor:
            cursor.execute(statement)
            self._finish(connection)

    def _finish(self, connection: RawConnection) -> None:
        """Wait until what was begun is done. Raises `TimeoutError`."""
        deadline = time.monotonic() + self._pauses.answer
        while (wanted := connection.poll()) != extensions.POLL_OK:
            self._wait(connection, wanted, deadline)

    def _wait(self, connection: RawConnection, wanted: int, deadline: float) -> None:
        """Wait for the connection's descriptor. Raises `TimeoutError`, also when we are closed."""
        reading = wanted == extensions.POLL_READ
        with selectors.DefaultSelector() as selector:
            selector.register(
                connection, selectors.EVENT_READ if reading else selectors.EVENT_WRITE
            )
            while time.monotonic() < deadline and not self._closed.is_set():
                if selector.select(_GLANCE_SECONDS):
                    return
        raise TimeoutError


def _guarded(call: Callable[..., None], *arguments: Any) -> None:
    try:
        call(*arguments)
    except Exception:
        log.exception("what a notification of the database is for has failed")

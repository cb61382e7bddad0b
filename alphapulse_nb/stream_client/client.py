"""`StreamClient`: what happens on the desk, in a notebook or a script.

    async with StreamClient("https://desk.example", token=token) as stream:
        async for event in stream:
            print(event.type, event.data)

Whoever iterates sets the pace: the client stops reading while too many events wait, and the server
keeps the place. Handlers never do, see `handler`. How it follows is told in `follower`.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self, TypeVar

from alphapulse_nb.errors import InputError
from alphapulse_nb.events import Event, Wanted
from alphapulse_nb.stream_client.address import address
from alphapulse_nb.stream_client.backoff import Backoff
from alphapulse_nb.stream_client.follower import Follower, Way
from alphapulse_nb.stream_client.handler import Handler
from alphapulse_nb.stream_client.outlet import Items, Outlet
from alphapulse_nb.stream_client.place import Place
from alphapulse_nb.stream_client.record import Record
from alphapulse_nb.stream_client.status import Gap, State, Status
from alphapulse_nb.stream_client.wish import Names, wanted

Call = TypeVar("Call", bound=Callable[..., Any])


def _now() -> datetime:
    return datetime.now(UTC)


class StreamClient:
    """Follows the events of a server. Use as an async context manager, or `start` and `close`.

    Parameters
    ----------
    url: the address of the dashboard or of its stream: https, http, wss or ws, below any path.
    token: goes into the `Authorization` header and nowhere else.
    types, symbols: what to subscribe to, one or several; None for all.
    after, log: go on after this number of this log, as `seq` and `log` of an earlier client said.
    api: the address of the dashboard where the stream is a server of its own.
    tls: what certificates to trust, where the system's are not the ones.
    buffer: events that may wait for whoever iterates.
    poll_every: seconds between two looks at the API while there is no stream; 0 for none.
    backoff: the waits between attempts.
    clock: what time it is, for the status.

    Raises `InputError` for arguments that are wrong. All of it belongs to one event loop.
    """

    def __init__(
        self,
        url: str,
        *,
        token: str = "",
        types: Names = None,
        symbols: Names = None,
        after: int | None = None,
        log: str | None = None,
        api: str | None = None,
        tls: ssl.SSLContext | None = None,
        buffer: int = 1_000,
        poll_every: float = 10.0,
        backoff: Backoff | None = None,
        clock: Callable[[], datetime] = _now,
    ) -> None:
        if not token.isprintable() or not token.isascii():
            raise InputError("the token holds a line break or a character that no header may have")
        if buffer < 1:
            raise InputError(f"buffer is {buffer}; one event at least has to wait somewhere")
        self._way = Way(
            address(url, api),
            {"Authorization": f"Bearer {token}"} if token else {},
            tls,
            backoff or Backoff(),
            poll_every,
        )
        self._record = Record(clock)
        self._outlet = Outlet(buffer)
        self._follower = Follower(
            self._way, wanted(types, symbols), Place(after, log), self._outlet, self._record
        )
        self._task: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        held = self._follower.wanted or Wanted(frozenset(), frozenset())
        types, symbols = (
            None if names is None else sorted(names) for names in (held.types, held.symbols)
        )
        return f"StreamClient({self._way.address.stream!r}, types={types!r}, symbols={symbols!r})"

    @property
    def seq(self) -> int | None:
        """The number up to which everything has come; None before the first connection."""
        return self._follower.place.seq

    @property
    def log(self) -> str | None:
        """The name of the log that `seq` counts."""
        return self._follower.place.log

    @property
    def status(self) -> Status:
        """How it stands now."""
        return self._record.status(self._outlet.handlers)

    async def __aenter__(self) -> Self:
        return await self.start()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def start(self) -> Self:
        """Begin; returns after the first attempt to connect, whether or not it succeeded.

        Raises `StreamRefused` where no attempt will: wrong credentials, an unknown type.
        """
        if self._task is not None or self._record.state is State.CLOSED:
            raise InputError("a client is started once; make another one")
        task = self._task = asyncio.create_task(self._follower.run(), name=repr(self))
        task.add_done_callback(self._ended)
        for handler in self._outlet.handlers:
            handler.start()
        tried = asyncio.create_task(self._follower.tried.wait())
        try:
            await asyncio.wait({tried, task}, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            await self.close()
            raise
        finally:
            tried.cancel()
        if task.done():
            await self.close()
            task.result()
        return self

    async def close(self) -> None:
        """End; events that wait for handlers are dropped. Closing twice is no error."""
        self._record.change(State.CLOSED)
        self._outlet.mailbox.close()
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})
        for handler in self._outlet.handlers:
            await handler.stop()

    async def run(self) -> None:
        """Let the handlers work until cancelled; raises `StreamRefused` where there is no hope."""
        if not self._outlet.handlers:
            raise InputError("there is no handler to run; register one with @stream.on(…)")
        is_ours = self._task is None
        try:
            if is_ours:
                await self.start()
            if self._task is not None:
                await asyncio.wait({self._task})
                if not self._task.cancelled():
                    self._task.result()
        finally:
            if is_ours:
                await self.close()

    def on(self, types: Names = None, *, symbols: Names = None) -> Callable[[Call], Call]:
        """Have a function called with each event of these types and symbols; None for all.

        It may be a coroutine function, or a plain one, which then runs in a thread of its own. It
        is called with one event at a time, in order. What it raises is logged and counted.
        """
        chosen = wanted(types, symbols)
        return self._registered(lambda item: isinstance(item, Event) and item in chosen)

    def on_gap(self, call: Call) -> Call:
        """Have a function called with each `Gap`."""
        return self._registered(lambda item: isinstance(item, Gap))(call)

    async def subscribe(self, types: Names = None, symbols: Names = None) -> None:
        """Have these types and symbols, too; None for all.

        Without a connection it holds from the next one on. Raises `InputError` for an unknown type.
        """
        await self._follower.add(wanted(types, symbols))

    async def unsubscribe(self, types: Names = None, symbols: Names = None) -> None:
        """Have these types and symbols no more; without any, no events at all."""
        await self._follower.take_away(wanted(types, symbols))

    def items(self) -> Items[Event | Gap]:
        """Iterate over events and gaps.

        Where there are handlers, events are kept for an iteration once this was called, which may
        be before the start.
        """
        return self._outlet.items(lambda _: True)

    def __aiter__(self) -> Items[Event]:
        return self._outlet.items(lambda item: isinstance(item, Event))

    def _registered(self, chosen: Callable[[Event | Gap], bool]) -> Callable[[Call], Call]:
        def register(call: Call) -> Call:
            handler = Handler(call, chosen)
            self._outlet.handlers.append(handler)
            if self._task is not None:
                handler.start()
            return call

        return register

    def _ended(self, task: asyncio.Task[None]) -> None:
        """The task that follows is over: whoever iterates is told why."""
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self._record.ended(error)
        self._outlet.mailbox.close(error if isinstance(error, Exception) else None)

"""The task that follows the stream: it connects, goes on where it was, and starts anew when lost.

It remembers the number of the last event, so that after whatever broke the connection no event is
missed and none comes twice. While connecting fails, another task asks the API for new rows, and
each of these, too, comes once.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from alphapulse_nb.errors import InputError, StreamRefused
from alphapulse_nb.events import Event, Wanted
from alphapulse_nb.stream_client import wish
from alphapulse_nb.stream_client.address import Address
from alphapulse_nb.stream_client.backoff import Backoff
from alphapulse_nb.stream_client.line import Line
from alphapulse_nb.stream_client.lost import Lost
from alphapulse_nb.stream_client.outlet import Outlet
from alphapulse_nb.stream_client.place import Place
from alphapulse_nb.stream_client.poller import Poller
from alphapulse_nb.stream_client.record import Record
from alphapulse_nb.stream_client.rest import Rest
from alphapulse_nb.stream_client.status import Gap, State

_PATIENCE: Final = 3
"""Failures in a row after which the API is asked instead."""
_STEADY_SECONDS: Final = 5.0
"""A connection that lived for so long, or brought an event, ends a row of failures."""


@dataclass(frozen=True)
class Way:
    """How to reach a server. `headers` hold the token."""

    address: Address
    headers: Mapping[str, str] = field(repr=False)
    tls: ssl.SSLContext | None
    backoff: Backoff
    poll_every: float


class Follower:
    """See the top of this file. `tried` is set after the first attempt."""

    def __init__(
        self, way: Way, wanted: Wanted, place: Place, outlet: Outlet, record: Record
    ) -> None:
        self.wanted: Wanted | None = wanted
        self.place = place
        self.tried = asyncio.Event()
        self._way = way
        self._outlet = outlet
        self._record = record
        self._line: Line | None = None
        self._types: tuple[str, ...] = ()
        self._poll: asyncio.Task[None] | None = None
        self._has_no_api = way.poll_every <= 0

    async def run(self) -> None:
        """Follow until cancelled. Raises `StreamRefused` where no attempt will succeed."""
        loop = asyncio.get_running_loop()
        try:
            while True:
                began, messages = loop.time(), self._record.messages
                try:
                    await self._listen()
                except Lost as lost:
                    self._note(lost, loop.time() - began, self._record.messages > messages)
                    await self._pause(lost.after)
                self._check_hope()
        finally:
            await self._stop_polling()

    async def add(self, asked: Wanted) -> None:
        """Subscribe to more."""
        await self._wish("subscribe", asked, wish.more(self.wanted, asked))

    async def take_away(self, gone: Wanted) -> None:
        """Subscribe to less."""
        await self._wish("unsubscribe", gone, wish.less(self.wanted, gone, self._types))

    async def _wish(self, kind: str, asked: Wanted, then: Wanted | None) -> None:
        before, self.wanted = self.wanted, then
        if self._line is None:
            return
        try:
            with self._outlet.mailbox.unbounded():
                seq = await self._line.ask(kind, asked)
        except Lost:  # the next connection begins with what is wanted then
            return
        except InputError:
            self.wanted = before
            raise
        if before is None and seq is not None:
            self.place.advance(seq)

    async def _listen(self) -> None:
        """One connection, until it is lost."""
        way = self._way
        async with Line.open(way.address.stream, way.headers, way.tls) as line:
            await self._meet(line)
            self._line = line
            try:
                await self._stop_polling()
                self._record.change(State.LIVE)
                self.tried.set()
                while True:
                    await self._take(await line.hear())
            finally:
                self._line = None
                line.end()

    async def _meet(self, line: Line) -> None:
        """Subscribe from where we are; where that is impossible, from the log's present end."""
        welcome, place = line.welcome, self.place
        self._types = welcome.types
        after = welcome.seq if place.seq is None else place.seq
        if place.log is not None and place.log != welcome.log:
            await self._lose(welcome.seq, "it is another log now")
            after = welcome.seq
        elif after > welcome.seq:
            await self._lose(welcome.seq, "the log ends before that number")
            after = welcome.seq
        place.move(after, welcome.log)
        if self.wanted is not None:
            await line.subscribe(self.wanted, after, welcome.log)

    async def _take(self, item: Event | Gap | int) -> None:
        self._record.heard_now()
        if isinstance(item, int):
            self.place.advance(item)
        elif isinstance(item, Gap):
            await self._lose(item.until, item.reason)
            self.place.advance(item.until)
        else:
            await self._deliver(item)

    async def _deliver(self, event: Event) -> None:
        await self._outlet.room()
        # From here on nothing waits: what was seen is also delivered, whoever is cancelled.
        if self.place.is_new(event):
            self._record.delivered(event)
            self._outlet.hand(event)

    async def _lose(self, until: int, reason: str) -> None:
        """Tell of events that are gone."""
        await self._outlet.room()
        gap = Gap(self.place.seq or 0, until, reason)
        self._record.lost_events(gap)
        self._outlet.hand(gap)

    def _note(self, lost: Lost, seconds: float, brought: bool) -> None:
        was_live = self._record.state is State.LIVE
        if was_live and (brought or seconds > _STEADY_SECONDS):
            self._record.failures = 0
        self._record.failed(lost)
        self.tried.set()

    async def _pause(self, least: float) -> None:
        way, failures = self._way, self._record.failures
        if failures >= _PATIENCE and self._poll is None and way.poll_every > 0:
            self._poll = asyncio.create_task(self._ask_api(), name="stream polling")
        delay = max(way.backoff.delay(failures), least)
        if self._poll is None:
            await asyncio.sleep(delay)
        else:
            await asyncio.wait({self._poll}, timeout=delay)

    def _check_hope(self) -> None:
        """Raise `StreamRefused` where the API refuses us, or neither it nor a stream was ever."""
        if self._poll is not None and self._poll.done():
            self._poll.result()
        record, lost = self._record, self._record.last_lost
        if record.failures < _PATIENCE or record.was_live or not self._has_no_api:
            return
        if lost is not None and lost.missing:
            raise StreamRefused(f"there is no stream at this address: {lost}")

    async def _ask_api(self) -> None:
        way, record = self._way, self._record
        rest = Rest(way.address.api, way.headers, way.tls)
        poller = Poller(
            rest, lambda: self.wanted, self._deliver, self._looked, record, way.poll_every
        )
        try:
            await poller.run()
        finally:
            rest.close()

    def _looked(self, lost: Lost | None) -> None:
        self._has_no_api = lost is not None and lost.missing
        self._record.polled(lost)

    async def _stop_polling(self) -> None:
        poll, self._poll = self._poll, None
        if poll is not None:
            poll.cancel()
            await asyncio.wait({poll})
            if not poll.cancelled():
                poll.exception()  # the stream is back, or tells the same

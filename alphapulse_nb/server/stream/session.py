"""One client of the stream: what it wants, how far it is, and the loop that writes to it.

A client has no queue. It has a place in the log of events and a place in each feed, and its writer
sends what lies between its place and the end whenever the last portion has been taken. So a slow
client costs no memory; one that takes nothing for half a minute is dropped; and whatever happens in
between, what it gets has neither gap nor double.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final, Literal, Protocol

from alphapulse_nb.errors import DatabaseError
from alphapulse_nb.events import Event, Kinds
from alphapulse_nb.server.answers import Fault
from alphapulse_nb.server.stream import frames, protocol
from alphapulse_nb.server.stream.protocol import (
    Interest,
    Ping,
    Refusal,
    Subscribe,
    Unsubscribe,
    Unwatch,
    Watch,
)

HEARTBEAT_SECONDS: Final = 15.0
"""A client hears something at least this often."""
STALL_SECONDS: Final = 30.0
"""A client that takes nothing for this long is dropped."""
_PORTION: Final = 64 << 10
"""Bytes that are given to the socket at a time, unless one message is larger."""
_READ: Final = 1_000
"""Events that are looked through at a time."""
_MOST_ANSWERS: Final = 100
_MOST_BAD: Final = 20
_BAD_SECONDS: Final = 60.0
"""So many messages that cannot be taken, within so long, end a connection."""
_MOST_FEEDS: Final = 30

Why = Literal["left", "slow", "refused", "stopped"]


class Tail(Protocol):
    """The end of the log of events, as this server knows it."""

    @property
    def identity(self) -> str:
        """Which log it is."""

    @property
    def newest(self) -> int:
        """The number of the last event."""

    def recent(self, after: int, most: int) -> Sequence[Event] | None:
        """What came after that number; None where that is further back than memory reaches."""

    async def after(self, seq: int, most: int) -> Sequence[Event]:
        """The same, from the log. Raises `DatabaseError`."""

    async def oldest(self) -> int:
        """The number of the first event that the log still has, 0 for none. As `after`."""


class Reader(Protocol):
    """A client's place in one feed."""

    @property
    def key(self) -> tuple[str, str, str]:
        """The feed's name, symbol and range, as its frames have them."""

    def take(self) -> bytes:
        """Frames for what is new since the last call; empty for nothing."""

    def close(self) -> None:
        """Watch no more."""


class Hub(Protocol):
    """The feeds that can be watched."""

    async def watch(self, asked: Watch, wake: Callable[[], None]) -> Reader:
        """A new place in a feed; `wake` is called when there is something to take.

        Raises `Fault` for an unknown feed, symbol or range, and when too many feeds are watched.
        """


class Sink(Protocol):
    """The way to the client."""

    async def send(self, data: bytes) -> None:
        """Send frames; returns when they have left. Raises `OSError` when the client has gone."""

    def drop(self, why: Why, code: int, reason: str) -> None:
        """End the connection."""


class Session:
    """See the top of this file. Lives on one event loop.

    `person` is whose notifications are sent, beside those for everybody.
    """

    def __init__(
        self, tail: Tail, kinds: Kinds, sink: Sink, hub: Hub | None = None, person: str = ""
    ) -> None:
        self._person = person
        self._tail = tail
        self._kinds = kinds
        self._sink = sink
        self._hub = hub
        self._interest = Interest()
        self._at = tail.newest
        self._answers: deque[str] = deque()
        self._readers: dict[tuple[str, str, str], Reader] = {}
        self._closed = False
        self._ended = False
        self._wake = asyncio.Event()
        self._bad = 0
        self._bad_since = 0.0

    def wake(self) -> None:
        """There may be something to send."""
        self._wake.set()

    def greet(self, about: dict[str, Any]) -> None:
        """Say who we are and what there is."""
        self._answer("welcome", {"log": self._tail.identity, "seq": self._tail.newest, **about})

    async def take(self, message: str | bytes) -> None:
        """Do what the client says, or tell it what is wrong."""
        if self._ended:  # it had sent more before it could know
            return
        ref: protocol.Ref = None
        try:
            said = protocol.read(message, self._kinds)
            ref = said.ref
            await self._do(said.command, ref)
        except Refusal as refusal:
            self._refuse(refusal.fault, refusal.ref)
        except Fault as fault:
            self._refuse(fault, ref)

    async def run(self) -> None:
        """Write until the connection ends. Cancel it then."""
        try:
            while not self._ended:
                data = self._gather() or await self._caught_up()
                if data and not self._ended:
                    async with asyncio.timeout(STALL_SECONDS):
                        await self._sink.send(data)
                else:
                    await self._rest()
        except TimeoutError:
            self.end("slow", 1008, "nothing was read for too long")
        except OSError:
            self.end("left", 1001, "gone")

    def end(self, why: Why, code: int, reason: str) -> None:
        """End the connection. Nothing more is taken from the client, nor sent to it."""
        self._ended = True
        self._wake.set()
        self._sink.drop(why, code, reason)

    def close(self) -> None:
        """Watch nothing more."""
        self._closed = True
        for reader in self._readers.values():
            reader.close()
        self._readers.clear()

    async def _rest(self) -> None:
        """Wait until there may be something; say something when nothing comes."""
        try:
            async with asyncio.timeout(HEARTBEAT_SECONDS):
                await self._wake.wait()
        except TimeoutError:
            self._answer("heartbeat", {})
        self._wake.clear()

    async def _do(self, command: protocol.Command, ref: protocol.Ref) -> None:
        match command:
            case Subscribe():
                self._subscribe(command, ref)
            case Unsubscribe():
                self._interest.remove(command, self._kinds)
                self._answer("unsubscribed", self._interest.data, ref)
            case Watch():
                await self._watch(command, ref)
            case Unwatch():
                self._unwatch(command, ref)
            case Ping():
                self._answer("pong", dict(command.data), ref)

    def _subscribe(self, asked: Subscribe, ref: protocol.Ref) -> None:
        if asked.after is not None:
            self._check_place(asked.after, asked.log)
        at = self._at if self._interest else self._tail.newest
        self._interest.add(asked)
        self._at = at if asked.after is None else min(at, asked.after)
        self._answer("subscribed", {**self._interest.data, "seq": self._at}, ref)

    def _check_place(self, after: int, log: str | None) -> None:
        """Refuse a number that is of another log, or of the future."""
        if log is not None and log != self._tail.identity:
            raise Fault(
                "seq_gone",
                "The numbers are of another log; what came since cannot be told.",
                field="log",
                value=log,
            )
        if after > self._tail.newest:
            raise Fault(
                "bad_parameter",
                "That number has not been given yet.",
                field="after",
                value=str(after),
                allowed={"type": "integer", "minimum": 0, "maximum": self._tail.newest},
            )

    async def _watch(self, asked: Watch, ref: protocol.Ref) -> None:
        if self._hub is None:
            raise Fault("not_found", "There are no feeds here.")
        if len(self._readers) >= _MOST_FEEDS:
            raise Fault("bad_parameter", f"At most {_MOST_FEEDS} feeds at a time.", field="feed")
        reader = await self._hub.watch(asked, self.wake)
        before = self._readers.pop(reader.key, None)
        if before is not None:
            before.close()
        if self._closed:  # the client left while its symbol was looked for
            reader.close()
            return
        self._readers[reader.key] = reader
        self._answer("watching", _named(reader.key), ref)

    def _unwatch(self, asked: Unwatch, ref: protocol.Ref) -> None:
        # A feed of the whole desk has neither symbol nor range, whatever it was asked for with.
        for key in [key for key in self._readers if _is_of(key, asked)]:
            self._readers.pop(key).close()
        self._answer("unwatched", _named((asked.feed, asked.symbol, asked.span)), ref)

    def _gather(self) -> bytes:
        """Frames for what is there and has not been sent, up to a portion."""
        parts = self._said()
        size = sum(map(len, parts))
        for reader in list(self._readers.values()):
            if size > _PORTION:
                self._wake.set()
                break
            parts.append(reader.take())
            size += len(parts[-1])
        parts += self._new_events(_PORTION - size)
        return b"".join(parts)

    def _said(self) -> list[bytes]:
        """Frames of the answers that wait."""
        parts = [frames.text(answer.encode()) for answer in self._answers]
        self._answers.clear()
        return parts

    def _new_events(self, room: int) -> list[bytes]:
        if not self._interest:
            self._at = self._tail.newest
            return []
        found = self._tail.recent(self._at, _READ)
        return [] if found is None else self._chosen(found, room)

    async def _caught_up(self) -> bytes:
        """The next portion for a client that is further back than memory reaches."""
        if not self._interest or self._tail.recent(self._at, 1) is not None:
            return b""
        try:
            oldest = await self._tail.oldest()
            found = await self._tail.after(self._at, _READ)
        except DatabaseError:
            self._answer("error", Fault("database_unavailable", after=5.0).body()["error"])
            self._at = self._tail.newest
            return b""
        if oldest > self._at + 1:
            self._lost(oldest)
        if not found:
            self._at = self._tail.newest
        return b"".join([*self._said(), *self._chosen(found, _PORTION)])

    def _lost(self, oldest: int) -> None:
        """Tell the client of a gap that the log can no longer fill."""
        fault = Fault(
            "seq_gone",
            "The log no longer has all that came since.",
            field="after",
            value=str(self._at),
            allowed={"type": "integer", "minimum": oldest - 1},
        )
        self._answers.append(protocol.error(fault))
        self._at = oldest - 1

    def _chosen(self, found: Sequence[Event], room: int) -> list[bytes]:
        """Frames of the events that are wanted, as far as there is room; the place moves on."""
        parts: list[bytes] = []
        for event in found:
            if room <= 0:
                break
            self._at = event.seq
            if event in self._interest and self._may_have(event):
                parts.append(frames.shared(event.encoded))
                room -= len(parts[-1])
        if found and self._at < self._tail.newest:
            self._wake.set()
        return parts

    def _may_have(self, event: Event) -> bool:
        recipients = event.recipients
        return recipients is None or self._person in recipients

    def _answer(self, kind: str, data: dict[str, Any], ref: protocol.Ref = None) -> None:
        seq = self._tail.newest if kind in {"welcome", "pong"} else None
        if kind == "heartbeat":
            seq = self._at  # what lies before it has been sent, so a client may go on from there
        self._answers.append(protocol.told(kind, data, ref, seq))
        self._wake.set()
        if len(self._answers) > _MOST_ANSWERS:
            self.end("slow", 1008, "answers are not read")

    def _refuse(self, fault: Fault, ref: protocol.Ref) -> None:
        now = time.monotonic()
        if now - self._bad_since > _BAD_SECONDS:
            self._bad, self._bad_since = 0, now
        # That we have no room, or no database, is nothing bad of theirs.
        self._bad += fault.status < 500
        with contextlib.suppress(ValueError):
            self._answers.append(protocol.error(fault, ref))
        self._wake.set()
        if self._bad > _MOST_BAD:
            self.end("refused", 1008, "too many messages that cannot be taken")


def _is_of(key: tuple[str, str, str], asked: Unwatch) -> bool:
    feed, symbol, span = key
    return feed == asked.feed and symbol in ("", asked.symbol) and span in ("", asked.span)


def _named(key: tuple[str, str, str]) -> dict[str, str]:
    return dict(zip(("feed", "symbol", "range"), key, strict=True))

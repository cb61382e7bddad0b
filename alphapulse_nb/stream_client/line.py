"""A connection that has been welcomed: questions and their answers, and what comes unasked."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

from alphapulse_nb.errors import InputError, StreamRefused
from alphapulse_nb.events import Event, Wanted
from alphapulse_nb.stream_client.connection import OPEN_SECONDS, Connection, connected
from alphapulse_nb.stream_client.lost import Lost
from alphapulse_nb.stream_client.message import Told, read
from alphapulse_nb.stream_client.status import Gap

_SILENCES: Final = 2.5
"""Heartbeats that may be missed, with room for one that is late."""
_LONGEST_NAME: Final = 200
_LARGEST_SEQ: Final = 2**63


@dataclass(frozen=True)
class Welcome:
    """What a server says of itself."""

    log: str
    seq: int
    types: tuple[str, ...]
    heartbeat: float


class Line:
    """See the top of this file. Everything raises `Lost` when the connection is."""

    def __init__(self, connection: Connection, welcome: Welcome) -> None:
        self.welcome = welcome
        self._connection = connection
        self._patience = _SILENCES * welcome.heartbeat
        self._asked: dict[int, asyncio.Future[Told]] = {}
        self._last = 0

    @classmethod
    @asynccontextmanager
    async def open(
        cls, url: str, headers: Mapping[str, str], tls: ssl.SSLContext | None
    ) -> AsyncIterator[Line]:
        """Connect and be welcomed. Raises `StreamRefused` for wrong credentials."""
        async with connected(url, headers, tls) as connection:
            first = read(await connection.hear(OPEN_SECONDS))
            yield cls(connection, _welcome(first))

    async def hear(self) -> Event | Gap | int:
        """The next event or gap, or the number up to which everything has been sent."""
        while True:
            said = await self._connection.hear(self._patience)
            if isinstance(said, bytes):
                continue  # a chart's, which nobody here has asked for
            item = read(said)
            found = item if isinstance(item, Event) else self._heard(item)
            if found is not None:
                return found

    async def ask(self, kind: str, wanted: Wanted) -> int | None:
        """Change what is sent, while `hear` goes on; from which number on, if the server says so.

        Raises `InputError` for what the server knows nothing of.
        """
        self._last += 1
        answer = self._asked[self._last] = asyncio.get_running_loop().create_future()
        await self._say(kind, _data(wanted), self._last)
        told = await answer
        if told.type == "error":
            raise InputError(_words(told))
        seq = told.data.get("seq")
        return seq if type(seq) is int else None

    async def subscribe(self, wanted: Wanted, after: int, log: str) -> None:
        """The first subscription. Raises `StreamRefused` for what the server knows nothing of."""
        await self._say("subscribe", _data(wanted) | {"after": after, "log": log}, 0)
        while not isinstance(told := read(await self._text()), Told) or told.ref != 0:
            if isinstance(told, Event):
                raise Lost("the server sent an event before it was asked for one")
        if told.type == "error":
            raise _refused(told)

    def end(self) -> None:
        """Whoever waits for an answer gets none."""
        for answer in self._asked.values():
            if not answer.done():
                answer.set_exception(Lost("the connection was lost"))
                answer.exception()  # seen, also where nobody waits any more
        self._asked.clear()

    async def _text(self) -> str:
        while isinstance(said := await self._connection.hear(self._patience), bytes):
            pass
        return said

    async def _say(self, kind: str, data: Mapping[str, Any], ref: int) -> None:
        await self._connection.say(json.dumps({"type": kind, "data": data, "id": ref}))

    def _heard(self, told: Told) -> Gap | int | None:
        answer = self._asked.pop(told.ref, None) if type(told.ref) is int else None
        if answer is not None:
            if not answer.done():
                answer.set_result(told)
            return None
        if told.type == "heartbeat":
            return told.seq
        return _trouble(told) if told.type == "error" else None


def _trouble(told: Told) -> Gap | None:
    """What an error means that answers nothing. Raises `Lost` where going on would lose events."""
    code = told.data.get("code")
    if code == "seq_gone":
        allowed = told.data.get("allowed")
        until = allowed.get("minimum") if isinstance(allowed, dict) else None
        after = told.data.get("value")
        if type(until) is int and isinstance(after, str) and after.isdecimal():
            return Gap(int(after), until, "the log no longer has them")
        raise Lost("the server speaks of a gap that it does not name")
    if code == "database_unavailable":
        raise Lost("the server cannot read its log now", after=2.0)
    return None


def _welcome(told: Event | Told) -> Welcome:
    if not isinstance(told, Told) or told.type != "welcome":
        raise Lost("the server does not welcome us; it may be another program's")
    log, types = told.data.get("log"), told.data.get("types")
    if not isinstance(log, str) or len(log) > _LONGEST_NAME:
        raise Lost("the server's welcome names no log")
    if not isinstance(types, list) or not all(isinstance(one, str) for one in types):
        raise Lost("the server's welcome names no types")
    seq = told.number("seq", 0, _LARGEST_SEQ)
    heartbeat = told.number("heartbeat", 0.01, 3_600)
    return Welcome(log, int(seq), tuple(types), float(heartbeat))


def _refused(told: Told) -> Lost | StreamRefused:
    status = told.data.get("status")
    if isinstance(status, int) and status < 500 and told.data.get("code") != "seq_gone":
        return StreamRefused(f"the server cannot send that: {_words(told)}")
    return Lost(f"the server cannot send that now: {_words(told)}")


def _words(told: Told) -> str:
    return str(told.data.get("message", "no reason given"))[:_LONGEST_NAME]


def _data(wanted: Wanted) -> dict[str, Any]:
    named = {"types": wanted.types, "symbols": wanted.symbols}
    return {name: sorted(names) for name, names in named.items() if names is not None}

"""The log of events: numbered, each once, for every server that reads the same database.

Numbers come from a sequence, and a sequence hands them out before its transactions commit. Readers
go on from the greatest number they saw, so a lower one that became visible later would be lost to
them. Hence each transaction that appends takes the same lock before its first number and keeps it
until it is committed: numbers become visible in their order. (They are not without holes: a
transaction that was undone leaves one.)

Where a relay stands in each table is saved with the events that it found there, in one transaction,
and only by who has seen the last saving: a relay that was paused while another one took over is
`Overtaken` and has changed nothing.
"""

from __future__ import annotations

import itertools
import threading
import uuid
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final, NamedTuple, Protocol

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from alphapulse_nb.errors import DatabaseError, InputError
from alphapulse_nb.events import Event, fitting
from alphapulse_nb.relay.gaps import Gaps, of_plain
from alphapulse_nb.relay.sources import Entry
from alphapulse_nb.state import State
from alphapulse_nb.state.tables import event_log, event_sources, event_types, events

CHANNEL: Final = "alphapulse_events"
"""Where the number of the newest event is notified, or `TYPES`."""
TYPES: Final = "types"
"""Notified when a type was registered."""
REMEMBERED: Final = 10_000
"""Events that are kept in memory."""

_LOCK: Final = sa.select(sa.func.pg_advisory_xact_lock(sa.func.hashtext("alphapulse-nb event log")))
# A process that is stopped in the middle must not keep the lock from the others.
_PATIENCE: Final = sa.select(sa.func.set_config("idle_in_transaction_session_timeout", "20s", True))


class Bounds(NamedTuple):
    """What the log has: everything from `oldest` (whether or not that number is used) to `newest`.

    Whoever saw `seq` last misses nothing if `oldest - 1 <= seq <= newest`. Empty: newest < oldest.
    """

    oldest: int
    newest: int


@dataclass(frozen=True)
class Cursor:
    """Where the relay stands in one table: see `state.tables.event_sources`."""

    name: str
    high: int
    looked_at: datetime
    gaps: Gaps = field(default_factory=Gaps)
    era: str = ""
    revised: datetime | None = None
    version: int = 0


@dataclass(frozen=True)
class Appended:
    """The entries that were new to the log, the number of the last one, and the saved cursor."""

    entries: Sequence[Entry] = ()
    newest: int = 0
    cursor: Cursor | None = None


class Overtaken(DatabaseError):  # noqa: N818
    """Somebody else has gone on from where we stood; nothing was written."""


class Log(Protocol):
    """What a log can do. Each call may wait for the database, and raises `DatabaseError`."""

    def session(self) -> AbstractContextManager[Any]:
        """Several calls are coming: keep a connection between them."""

    def identity(self) -> str:
        """Which log it is; another one has other numbers."""

    def bounds(self) -> Bounds:
        """What it has."""

    def append(self, entries: Sequence[Entry], cursor: Cursor | None = None) -> Appended:
        """Write what is new of the entries, and where their source stands now.

        Raises `Overtaken`, and writes nothing, where that is not the cursor that was saved last.
        """

    def after(self, seq: int, limit: int) -> list[Event]:
        """The first events with a higher number."""

    def cursors(self) -> dict[str, Cursor]:
        """Where each source stood when that was last saved."""

    def expire(self, before: datetime, portion: int = 1_000) -> int:
        """Remove events that were logged before that, a portion of them; how many."""

    def types(self) -> dict[str, Mapping[str, Any] | None]:
        """The schemas of registered types."""

    def register(self, name: str, schema: Mapping[str, Any] | None) -> None:
        """Keep a type, or another schema for it."""


def append(link: sa.Connection, entries: Sequence[Entry], cursor: Cursor | None = None) -> Appended:
    """The same as `Log.append`, as the last thing in a transaction of `State.writing`."""
    link.execute(_PATIENCE)
    link.execute(_LOCK)
    saved = None if cursor is None else _save(link, cursor)
    new = _unknown(link, entries)
    newest = _insert(link, new) if new else 0
    if new:
        link.execute(sa.select(sa.func.pg_notify(CHANNEL, str(newest))))
    return Appended(new, newest, saved)


def post(log: Log, kind: str, data: Mapping[str, Any], at: datetime) -> Event:
    """Append an event that comes from no row. Raises `InputError` for text that JSONB lacks."""
    told = fitting(data)
    if not _storable(told):
        raise InputError("the data holds a character that is no text: U+0000 or half a character")
    symbol = told.get("symbol")
    entry = Entry(kind, told, at, symbol if isinstance(symbol, str) else None)
    return Event(log.append([entry]).newest, kind, told, at)


def _storable(value: Any) -> bool:
    if isinstance(value, str):
        return "\0" not in value and not any("\ud800" <= char <= "\udfff" for char in value)
    if isinstance(value, Mapping):
        return all(_storable(part) for part in itertools.chain(value, value.values()))
    return not isinstance(value, list | tuple) or all(map(_storable, value))


class EventLog:
    """A `Log` in our schema."""

    def __init__(self, state: State) -> None:
        self._state = state

    def session(self) -> AbstractContextManager[Any]:
        return self._state.session()

    def identity(self) -> str:
        with self._state.reading() as link:
            return str(link.execute(sa.select(event_log.c.identity)).scalar_one())

    def bounds(self) -> Bounds:
        with self._state.reading() as link:
            gone = link.execute(sa.select(event_log.c.gone)).scalar_one()
            newest = link.execute(sa.select(sa.func.max(events.c.seq))).scalar()
        return Bounds(gone + 1, newest or gone)

    def append(self, entries: Sequence[Entry], cursor: Cursor | None = None) -> Appended:
        with self._state.writing() as link:
            return append(link, entries, cursor)

    def after(self, seq: int, limit: int) -> list[Event]:
        query = (
            sa.select(events.c.seq, events.c.type, events.c.data, events.c.at)
            .where(events.c.seq > seq)
            .order_by(events.c.seq)
            .limit(limit)
        )
        with self._state.reading() as link:
            return [Event(row.seq, row.type, row.data, row.at) for row in link.execute(query)]

    def cursors(self) -> dict[str, Cursor]:
        with self._state.reading() as link:
            rows = link.execute(sa.select(event_sources)).mappings().all()
        return {row["name"]: Cursor(**{**row, "gaps": of_plain(row["gaps"])}) for row in rows}

    def expire(self, before: datetime, portion: int = 1_000) -> int:
        old = (
            sa.select(events.c.seq)
            .where(events.c.logged_at < before)
            .order_by(events.c.logged_at)
            .limit(portion)
            .subquery()
        )
        with self._state.writing() as link:
            last = link.execute(sa.select(sa.func.max(old.c.seq))).scalar()
            if last is None:
                return 0
            # All below: a clock that was set must not leave holes in what `bounds` promises.
            done = link.execute(sa.delete(events).where(events.c.seq <= last))
            greatest = sa.func.greatest(event_log.c.gone, last)
            link.execute(sa.update(event_log).values(gone=greatest))
            return done.rowcount

    def types(self) -> dict[str, Mapping[str, Any] | None]:
        query = sa.select(event_types.c.name, event_types.c.schema).order_by(
            event_types.c.created_at
        )
        with self._state.reading() as link:
            return {name: schema for name, schema in link.execute(query)}  # noqa: C416 - rows are no pairs

    def register(self, name: str, schema: Mapping[str, Any] | None) -> None:
        insert = pg.insert(event_types).values(name=name, schema=schema)
        change = insert.on_conflict_do_update(
            index_elements=[event_types.c.name], set_={"schema": insert.excluded.schema}
        )
        with self._state.writing() as link:
            link.execute(change)
            link.execute(sa.select(sa.func.pg_notify(CHANNEL, TYPES)))


class MemoryLog:
    """A `Log` in this process, which ends with it. Any thread may call."""

    def __init__(self, most: int = REMEMBERED) -> None:
        self._identity = str(uuid.uuid4())
        self._events: deque[Event] = deque(maxlen=most)
        self._known: dict[tuple[str | None, int | None, str], None] = {}
        self._most = most
        self._newest = 0
        self._cursors: dict[str, Cursor] = {}
        self._types: dict[str, Mapping[str, Any] | None] = {}
        self._lock = threading.Lock()

    def session(self) -> AbstractContextManager[Any]:
        return nullcontext()

    def identity(self) -> str:
        return self._identity

    def bounds(self) -> Bounds:
        with self._lock:
            oldest = self._events[0].seq if self._events else self._newest + 1
            return Bounds(oldest, self._newest)

    def append(self, entries: Sequence[Entry], cursor: Cursor | None = None) -> Appended:
        with self._lock:
            if cursor is not None:
                before = self._cursors.get(cursor.name)
                if cursor.version != (before.version if before else 0):
                    raise Overtaken("another relay has gone on from here")
                cursor = self._cursors[cursor.name] = replace(cursor, version=cursor.version + 1)
            new = []
            for entry in entries:
                if entry.id is None or entry.source not in self._known:
                    self._newest += 1
                    self._events.append(Event(self._newest, entry.type, entry.data, entry.at))
                    self._known[entry.source] = None
                    new.append(entry)
            while len(self._known) > 10 * self._most:
                del self._known[next(iter(self._known))]
            return Appended(new, self._newest if new else 0, cursor)

    def after(self, seq: int, limit: int) -> list[Event]:
        with self._lock:
            return list(itertools.islice((e for e in self._events if e.seq > seq), limit))

    def cursors(self) -> dict[str, Cursor]:
        with self._lock:
            return dict(self._cursors)

    def expire(self, before: datetime, portion: int = 1_000) -> int:  # noqa: ARG002 - bounded anyway
        return 0

    def types(self) -> dict[str, Mapping[str, Any] | None]:
        with self._lock:
            return dict(self._types)

    def register(self, name: str, schema: Mapping[str, Any] | None) -> None:
        with self._lock:
            self._types[name] = schema


def _save(link: sa.Connection, cursor: Cursor) -> Cursor:
    values = {
        "name": cursor.name,
        "high": cursor.high,
        "gaps": cursor.gaps.plain(),
        "era": cursor.era,
        "revised": cursor.revised,
        "looked_at": cursor.looked_at,
        "version": cursor.version + 1,
    }
    mine = (event_sources.c.name == cursor.name) & (event_sources.c.version == cursor.version)
    change: Any
    if cursor.version:
        change = sa.update(event_sources).where(mine).values(values)
    else:
        change = pg.insert(event_sources).values(values).on_conflict_do_nothing()
    if link.execute(change.returning(event_sources.c.name)).one_or_none() is None:
        raise Overtaken("another relay has gone on from here")
    return replace(cursor, version=cursor.version + 1)


def _unknown(link: sa.Connection, entries: Iterable[Entry]) -> list[Entry]:
    """Without those that the log has, and each once.

    The unique constraint would keep them out as well, but not without spending numbers.
    """
    once = {
        entry.source if entry.id is not None else (None, number, ""): entry
        for number, entry in enumerate(entries)
    }
    by_table: dict[str, list[int]] = {}
    for table, row, _ in once:
        if table is not None and row is not None:
            by_table.setdefault(table, []).append(row)
    for table, rows in by_table.items():
        query = sa.select(events.c.source_table, events.c.source_id, events.c.revision).where(
            events.c.source_table == table,
            events.c.source_id == sa.func.any(sa.cast(rows, sa.ARRAY(sa.BigInteger))),
        )
        for known in link.execute(query):
            once.pop(tuple(known), None)
    return list(once.values())


def _insert(link: sa.Connection, entries: Sequence[Entry]) -> int:
    rows = [
        {
            "source_table": entry.table,
            "source_id": entry.id,
            "revision": entry.revision,
            "type": entry.type,
            "symbol": entry.symbol,
            "data": entry.data,
            "at": entry.at,
        }
        for entry in entries
    ]
    numbered = link.execute(sa.insert(events).returning(events.c.seq), rows)
    newest: int = max(numbered.scalars())
    return newest

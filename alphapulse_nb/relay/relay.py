"""Turning rows into events: on one server of those that share a database, in a thread of its own.

A round looks at tables and appends what is new to the log. It is begun by what the triggers notify
(the first at once, those that follow within a tenth of a second together), and for all tables by
the clock, so that without triggers, or with the listener down, the same events come later. Before
each portion is written the office is looked at again; the log itself refuses a relay that lost it
without noticing.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final, Protocol

from alphapulse_nb.db import check
from alphapulse_nb.db.connection import Database
from alphapulse_nb.db.office import Office
from alphapulse_nb.errors import AlphaPulseError, DatabaseError, DatabaseUnavailable
from alphapulse_nb.lane import Lane
from alphapulse_nb.relay import look
from alphapulse_nb.relay.log import Cursor, Log, Overtaken
from alphapulse_nb.relay.sources import SOURCES, Entry, Source

LEAST_SECONDS: Final = 0.1
"""Between the beginnings of two rounds."""
_OFFICE_SECONDS: Final = 2.0
"""How often the office is looked at, by who has it and by who would like to."""
_AGAIN: Final = timedelta(minutes=1)
"""When a table that could not be read is tried again, and a cursor saved that has not moved."""
_RETENTION: Final = timedelta(hours=1)
_PORTIONS: Final = 20
"""Portions of one table before the others have their turn."""

log = logging.getLogger(__name__)


class Figures(Protocol):
    """Where things are counted."""

    def count(self, name: str, by: float = 1, /, **labels: str) -> None:
        """Add to a counter."""

    def observe(self, name: str, seconds: float, /, **labels: str) -> None:
        """Count a duration."""


@dataclass
class _Place:
    """What the relay in office knows of one table."""

    source: Source
    cursor: Cursor | None = None
    saved: datetime | None = None
    turn: look.Turn = field(default_factory=look.Turn)
    not_before: datetime | None = None
    trouble: str = ""


class Relay:
    """Looks for new rows while it is in office.

    Parameters
    ----------
    db: the desk's tables, for reading.
    log_: where events go.
    office: who decides which relay it is; None for a log that nobody shares.
    interval: seconds after which tables are looked at without a notification.
    days: how long events are kept.
    now: the clock.
    appended: called in the relay's thread when there are new events.
    pooled: whether the way to the database is known to be a pooler.
    """

    def __init__(
        self,
        db: Database,
        log_: Log,
        office: Office | None,
        *,
        interval: float = 10.0,
        days: float = 7.0,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        appended: Callable[[], None] = lambda: None,
        pooled: Callable[[], bool] = lambda: False,
        figures: Figures | None = None,
        sources: Iterable[Source] = SOURCES,
    ) -> None:
        self._db = db
        self._log = log_
        self._office = office
        self._interval = interval
        self._kept = timedelta(days=days)
        self._now = now
        self._appended = appended
        self._pooled = pooled
        self._figures = figures
        self._places = {source.name: _Place(source) for source in sources}
        self._lane = Lane("alphapulse-relay")
        self._wanted: set[str] = set()
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._serving = False
        self._trouble = ""
        self._open = ExitStack()
        self._is_open = False
        self._looked = self._expired = datetime.min.replace(tzinfo=UTC)

    @property
    def serving(self) -> bool:
        """Whether it is the relay."""
        return self._serving

    @property
    def trouble(self) -> str:
        """Why it can do nothing at present; empty when it can."""
        return self._trouble

    @property
    def unread(self) -> dict[str, str]:
        """The tables that it cannot read, with the reasons."""
        return {name: place.trouble for name, place in self._places.items() if place.trouble}

    def start(self) -> None:
        """Begin on the running loop."""
        self._task = asyncio.get_running_loop().create_task(self._run(), name="relay")

    async def stop(self) -> None:
        """End it and give up the office. What is being written is written."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        await self._lane.end(self._leave)

    def changed(self, name: str) -> None:
        """A table has been written; other names than a table's are ignored. On the loop."""
        if name in self._places:
            self._wanted.add(name)
            self._wake.set()

    def changed_all(self) -> None:
        """Any table may have been written."""
        self._wanted |= set(self._places)
        self._wake.set()

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        polled = -self._interval
        failures = 0
        while True:
            began = loop.time()
            if began - polled >= self._interval:
                polled = began
                self._wanted |= set(self._places)
            self._wake.clear()
            due, self._wanted = self._wanted, set()
            try:
                self._wanted |= await self._lane.run(partial(self._round, due))
                failures = 0
            except AlphaPulseError as error:
                self._wanted |= due
                failures += 1
                self._failed(str(error))
            except Exception:
                # Events must go on after whatever it was; a second later, so that it cannot spin.
                log.exception("a round of the relay failed")
                failures += 1
                self._failed("a round failed; see the log")
            await self._rest(began, polled, failures)

    async def _rest(self, began: float, polled: float, failures: int) -> None:
        """Until the next round is due."""
        loop = asyncio.get_running_loop()
        if failures:
            await asyncio.sleep(min(0.5 * 2.0 ** min(failures - 1, 10), self._interval, 10.0))
            return
        if not self._wanted or not self._serving:
            due = min(polled + self._interval, began + _OFFICE_SECONDS)
            await self._woken(max(due - loop.time(), 0.0))
        await asyncio.sleep(max(began + LEAST_SECONDS - loop.time(), 0.0))

    async def _woken(self, seconds: float) -> None:
        """Wait; a relay in office is woken by what is notified."""
        if not self._serving:
            await asyncio.sleep(seconds)
            return
        try:
            # Not wait_for, which before Python 3.12 may swallow that we are to stop.
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        except TimeoutError:
            return

    def _failed(self, reason: str) -> None:
        if reason != self._trouble:
            log.warning("events are not being written: %s", reason)
        self._trouble = reason

    def _round(self, due: set[str]) -> set[str]:
        """Look at these tables, if we are in office; those to look at again. In the thread."""
        try:
            self._keep_open(bool(due))
            return self._looked_at(due)
        except DatabaseUnavailable:
            self._serving = False
            if self._db.embedded is not None:
                self._db.embedded.ensure_running()
            raise
        finally:
            if self._office is not None:
                self._serving = self._office.held

    def _keep_open(self, busy: bool) -> None:
        """Connections live as long as there is something to do."""
        if busy and not self._is_open:
            self._open.enter_context(self._db.session())
            self._open.enter_context(self._log.session())
        elif not busy:
            self._open.close()
        self._is_open = busy

    def _looked_at(self, due: set[str]) -> set[str]:
        before = self._serving
        if not self._in_office():
            self._trouble = ""
            return set()
        if not before:
            self._resume()
            due = set(self._places)
        now = self._now()
        if now - self._looked >= _AGAIN:
            self._look_around(now)
        again = {name for name in sorted(due) if self._read(self._places[name])}
        if now - self._expired >= _RETENTION:
            self._expire(now)
        if self._trouble:
            log.warning("events are being written again")
        self._trouble = ""
        return again

    def _in_office(self) -> bool:
        """Whether we are the relay."""
        return self._office is None or self._office.hold(pooled=self._pooled())

    def _resume(self) -> None:
        """Go on from what was saved last, by us or by another."""
        now = self._now()
        cursors = self._log.cursors()
        for name, place in self._places.items():
            found = cursors.get(name)
            if found is not None and found.looked_at < now:
                # In the time in which nobody looked nothing could be found.
                found = _aged(found, now)
            self._places[name] = _Place(place.source, found, now if found else None)
        self._looked = datetime.min.replace(tzinfo=UTC)
        self._serving = True
        log.info("this server turns the rows of %s into events", self._db.where)

    def _look_around(self, now: datetime) -> None:
        """Which tables there are, and whether one has begun anew."""
        with self._db.connection() as link:
            there = check.existing(link)
        for name, place in self._places.items():
            if name not in there:
                self._skip(place, now, "there is no such table or view")
            elif place.cursor is not None and not place.trouble:
                self._check_age(place, place.cursor, now)
        self._looked = now

    def _check_age(self, place: _Place, cursor: Cursor, now: datetime) -> None:
        try:
            with self._db.connection() as link:
                fresh = look.began_anew(link, place.source, cursor, now)
        except DatabaseUnavailable:
            raise
        except DatabaseError as error:
            self._skip(place, now, str(error))
            return
        if fresh is not None:
            log.warning("the table %s has begun anew: its events go on from its end", cursor.name)
            self._write(place, (), fresh, now)
            place.turn = look.Turn()

    def _read(self, place: _Place) -> bool:
        """Everything that is new in one table; whether there is more."""
        for _ in range(_PORTIONS):
            now = self._now()
            if place.not_before is not None and now < place.not_before:
                return False
            try:
                found = self._found(place, now)
            except DatabaseUnavailable:
                raise
            except DatabaseError as error:
                self._skip(place, now, str(error))
                return False
            self._well(place)
            self._write(place, found.entries, found.cursor, now)
            place.turn = found.turn
            if not found.more:
                return False
        return True

    def _found(self, place: _Place, now: datetime) -> look.Found:
        with self._db.connection() as link:
            if place.cursor is None:
                return look.Found((), look.begin(link, place.source, now))
            return look.look(link, place.source, place.cursor, place.turn, now)

    def _write(
        self, place: _Place, entries: tuple[Entry, ...], cursor: Cursor, now: datetime
    ) -> None:
        """Append to the log, and save the cursor where it has moved, or now and then."""
        still = place.cursor is not None and _same(place.cursor, cursor)
        recent = place.saved is not None and now - place.saved < _AGAIN
        if not entries and still and recent:
            place.cursor = cursor
            return
        if not self._in_office():
            self._serving = False
            raise Overtaken("another server has become the relay")
        try:
            done = self._log.append(entries, cursor)
        except Overtaken:
            self._serving = False
            if self._office is not None:
                self._office.leave()
            raise
        place.cursor, place.saved = done.cursor, now
        if done.entries:
            self._tell(done.entries, self._now())

    def _tell(self, entries: Iterable[Entry], now: datetime) -> None:
        self._appended()
        if self._figures is None:
            return
        for entry in entries:
            if entry.inserted is not None:
                self._figures.observe("event_lag_seconds", (now - entry.inserted).total_seconds())

    def _skip(self, place: _Place, now: datetime, reason: str) -> None:
        if reason != place.trouble:
            log.warning("no events from %s: %s", place.source.name, reason)
        place.trouble, place.not_before = reason, now + _AGAIN

    def _well(self, place: _Place) -> None:
        if place.trouble:
            log.warning("events from %s again", place.source.name)
        place.trouble, place.not_before = "", None

    def _expire(self, now: datetime) -> None:
        removed = 0
        while done := self._log.expire(now - self._kept):
            removed += done
            self._in_office()
        self._expired = now
        if removed:
            log.info("%d events older than %g days were removed", removed, self._kept.days)

    def _leave(self) -> None:
        self._serving = False
        self._open.close()
        if self._office is not None:
            self._office.leave()


def _aged(cursor: Cursor, now: datetime) -> Cursor:
    return replace(cursor, gaps=cursor.gaps.younger(now - cursor.looked_at))


def _same(before: Cursor, after: Cursor) -> bool:
    """Whether nothing has moved but the time of the look."""
    return replace(before, looked_at=after.looked_at) == after

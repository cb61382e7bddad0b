"""The end of the log of events, as every server knows it.

A tail follows the log by its numbers and tells whoever subscribed. It is woken by a notification,
and looks by itself every few seconds. It also runs this server's relay, which works if it is
elected. Where our schema cannot be used, that relay works for this server alone: events go to a log
in memory, which starts anew with the process, and the standing says so.

Everything happens on one asyncio loop; what waits for the database does so in a thread of its own.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final

from alphapulse_nb.db import triggers
from alphapulse_nb.db.connection import Database
from alphapulse_nb.db.listen import Listener, Pauses
from alphapulse_nb.db.listen import Standing as Heard
from alphapulse_nb.db.listen import State as Hearing
from alphapulse_nb.db.office import RELAY, Office
from alphapulse_nb.errors import (
    AlphaPulseError,
    DatabaseError,
    DatabaseUnavailable,
    InputError,
    QueryTimeout,
    SchemaError,
)
from alphapulse_nb.events import BUILT_IN, Event, Kinds
from alphapulse_nb.lane import Lane
from alphapulse_nb.relay import log as logs
from alphapulse_nb.relay.log import EventLog, Log, MemoryLog
from alphapulse_nb.relay.relay import Figures, Relay
from alphapulse_nb.relay.ring import Ring
from alphapulse_nb.state import State, prepare

UNHEARD_SECONDS: Final = 2.0
"""How often the log is looked at while nothing can be notified."""
_CARE_SECONDS: Final = 60.0
"""How often it is seen to that the log is the same, its types are known and triggers are there."""
_PORTION: Final = 1_000
_LONGEST_PAUSE: Final = 5.0

Call = Callable[[Sequence[Event]], None]

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Standing:
    """Whether events come as they should, and in a few words how, or why not."""

    ok: bool
    detail: str


class Tail:
    """Follows the log of the database that `db` reads.

    Parameters
    ----------
    state: our schema in it.
    direct: the same database without a pooler, where `db` has one.
    interval: seconds after which tables are looked at where no trigger tells of them.
    days: how long events are kept.
    now: the clock of what is posted. The relay's own is never set.
    changed: called on the loop when the database has gone or come back.
    """

    def __init__(
        self,
        db: Database,
        state: State,
        *,
        direct: Database | None = None,
        interval: float = 10.0,
        days: float = 7.0,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        figures: Figures | None = None,
        pauses: Pauses | None = None,
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        self._db = db
        self._state = state
        self._direct = direct or db
        self._interval = interval
        self._days = days
        self._now = now
        self._figures = figures
        self._listener = Listener(
            self._direct,
            (triggers.CHANNEL, logs.CHANNEL),
            self._heard,
            self._stood,
            pauses=pauses,
        )
        self._changed = changed
        self._was_heard = False
        self.kinds = Kinds()
        self._identity = ""
        self._ring = Ring()
        self._calls: dict[object, Call] = {}
        self._log: Log | None = None
        self._relay: Relay | None = None
        self._alone = ""
        self._trouble = "not started"
        self._gone = False
        self._triggers = 0
        self._lane = Lane("alphapulse-tail")
        self._open = ExitStack()
        self._is_open = False
        self._wake = asyncio.Event()
        self._care = 0.0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def identity(self) -> str:
        """Which log it is; empty until it is known. With another one, numbers begin anew."""
        return self._identity

    @property
    def newest(self) -> int:
        """The number of the last event that was told of."""
        return self._ring.newest

    @property
    def standing(self) -> Standing:
        """How it does."""
        if self._trouble:
            return Standing(False, f"none arrive: {self._trouble}")
        if self._relay is not None and self._relay.trouble:
            return Standing(False, f"none are made here: {self._relay.trouble}")
        if self._alone:
            return Standing(False, f"kept in this process only: {self._alone}")
        heard = self._listener.standing
        if heard.state is not Hearing.UP:
            return Standing(False, f"polling: {heard.reason or heard.state}")
        if not self._triggers:
            return Standing(True, "polling; `alphapulse db install-triggers` makes them instant")
        return Standing(True, f"pushed from {self._triggers} tables")

    @property
    def relaying(self) -> bool:
        """Whether this server turns rows into events."""
        return self._relay is not None and self._relay.serving

    @property
    def listening(self) -> bool:
        """Whether notifications arrive."""
        return self._listener.standing.state is Hearing.UP

    def start(self) -> None:
        """Begin on the running loop."""
        self._loop = asyncio.get_running_loop()
        self._listener.start()
        self._task = self._loop.create_task(self._run(), name="tail")

    async def stop(self) -> None:
        """End it, and the relay with it."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        if self._relay is not None:
            await self._relay.stop()
        await self._listener.close()
        await self._lane.end(self._let_go)
        self._trouble = "stopped"

    def subscribe(self, call: Call) -> Callable[[], None]:
        """Have `call` told of new events, some at a time and in order, on the loop.

        What it raises is logged and harms no other. Returns what ends it.
        """
        key = object()
        self._calls[key] = call
        return lambda: self._calls.pop(key, None) and None

    def recent(self, after: int, most: int) -> Sequence[Event] | None:
        """The first events after a number; None where that is further back than memory reaches."""
        return self._ring.after(after, most)

    async def after(self, seq: int, most: int) -> Sequence[Event]:
        """The same from the log, as far back as that goes. Raises `DatabaseError`."""
        source = self._known_log()
        return await self._lane.run(lambda: source.after(seq, most))

    async def oldest(self) -> int:
        """Who saw the number before this one misses nothing. Raises `DatabaseError`."""
        source = self._known_log()
        return (await self._lane.run(source.bounds)).oldest

    async def post(self, kind: str, data: Mapping[str, Any], at: datetime | None = None) -> Event:
        """Append an event that comes from no table; it is told of like any other.

        Raises `InputError` for a type that is unknown, or data that its schema refuses, and
        `DatabaseError`.
        """
        self.kinds.check(kind, data)
        source, moment = self._known_log(), at or self._now()
        posted = await self._lane.run(lambda: logs.post(source, kind, data, moment))
        self._wake.set()
        return posted

    async def register(self, name: str, schema: Mapping[str, Any] | None = None) -> None:
        """Make a type known to every server. Raises what `Kinds.register` and `post` raise."""
        self.kinds.register(name, schema)
        source = self._known_log()
        await self._lane.run(lambda: source.register(name, schema))

    def _known_log(self) -> Log:
        if self._log is None:
            raise DatabaseUnavailable(f"there is no log of events yet: {self._trouble}")
        return self._log

    def _heard(self, channel: str, payload: str) -> None:
        if channel == triggers.CHANNEL and self._relay is not None:
            self._relay.changed(payload)
        elif channel == logs.CHANNEL:
            if not payload.isdecimal() or int(payload) < self._ring.newest:
                self._care = 0.0
            self._wake.set()

    def _stood(self, standing: Heard) -> None:
        """The connection that listens has come, or gone, or could not be made again."""
        self._look()
        is_heard = standing.state is Hearing.UP
        if is_heard != self._was_heard:
            self._was_heard = is_heard
            self._changed()

    def _look(self) -> None:
        """Something may have happened: on the loop."""
        self._care = 0.0
        self._wake.set()
        if self._relay is not None:
            self._relay.changed_all()

    def _appended(self) -> None:
        """Called in the relay's thread."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._wake.set)

    async def _run(self) -> None:
        failures = 0
        while True:
            self._wake.clear()
            try:
                await self._once()
                if self._trouble and failures:
                    log.warning("events arrive again")
                self._trouble, failures = "", 0
            except AlphaPulseError as error:
                failures += 1
                self._failed(str(error))
                self._gone = isinstance(error, SchemaError)
            except Exception:
                # Whoever watches must get the next event, whatever was wrong with this one.
                log.exception("following the events failed")
                failures += 1
                self._failed("it failed; see the log")
            if failures:
                self._care = 0.0
                await asyncio.sleep(min(0.25 * 2.0**failures, _LONGEST_PAUSE))
                continue
            await self._rest()

    async def _rest(self) -> None:
        pause = self._interval if self.listening else min(UNHEARD_SECONDS, self._interval)
        try:
            # Not wait_for, which before Python 3.12 may swallow that we are to stop.
            async with asyncio.timeout(pause):
                await self._wake.wait()
        except TimeoutError:
            await self._lane.run(self._let_go)

    def _failed(self, reason: str) -> None:
        if reason != self._trouble:
            log.warning("events do not arrive: %s", reason)
        self._trouble = reason

    async def _once(self) -> None:
        """Read what is new in the log and tell of it."""
        if self._log is None:
            await self._begin()
        elif self._gone:
            await self._lane.run(lambda: prepare(self._state))
            self._gone = False
        source, loop = self._known_log(), asyncio.get_running_loop()
        if loop.time() >= self._care:
            # Before it, since what is notified meanwhile asks for another.
            self._care = loop.time() + _CARE_SECONDS
            await self._take_care(source)
        while True:
            found = await self._lane.run(partial(self._read, source, self._ring.newest))
            if found:
                self._tell(found)
            if len(found) < _PORTION:
                return

    def _read(self, source: Log, place: int) -> list[Event]:
        found = source.after(place, _PORTION)
        if found and not self._is_open:
            self._open.enter_context(source.session())
            self._is_open = True
        return found

    def _let_go(self) -> None:
        """Nothing for a while: nobody needs the connection."""
        self._open.close()
        self._is_open = False

    async def _begin(self) -> None:
        """Find the log, and run the relay that goes with it."""
        found, self._alone = await self._lane.run(self._found_log)
        self._log = found
        if self._alone:
            log.warning("events are kept in this process only: %s", self._alone)
        self._relay = Relay(
            self._db,
            found,
            None if self._alone else Office(self._direct, RELAY),
            interval=self._interval,
            days=self._days,
            appended=self._appended,
            pooled=lambda: not self.listening,
            figures=self._figures,
        )
        self._relay.start()

    def _found_log(self) -> tuple[Log, str]:
        """The log in our schema; one in memory, and why, where that cannot be."""
        try:
            prepare(self._state)
        except (DatabaseUnavailable, QueryTimeout):
            raise
        except DatabaseError as error:
            return MemoryLog(), str(error)
        return EventLog(self._state), ""

    async def _take_care(self, source: Log) -> None:
        """See that the log is the one that we follow, and what goes with it."""
        identity, bounds, types = await self._lane.run(
            lambda: (source.identity(), source.bounds(), source.types())
        )
        if not self._identity:
            self._ring = Ring(bounds.newest)
        elif identity != self._identity:
            log.warning("the log of events is another one; its numbers begin anew")
            self._ring = Ring(bounds.oldest - 1)
        elif bounds.newest < self._ring.newest:
            log.warning("the log of events has lost its end, as a database put back would")
            self._ring = Ring(bounds.newest)
        self._identity = identity
        for name, schema in types.items():
            self._learn(name, schema)
        self._triggers = await self._lane.run(self._count_triggers)

    def _learn(self, name: str, schema: Mapping[str, Any] | None) -> None:
        if name in self.kinds and self.kinds.schema(name) == schema:
            return
        try:
            self.kinds.register(name, schema)
        except InputError as error:
            log.warning("a type of events in the database cannot be used: %s", error)

    def _count_triggers(self) -> int:
        found = triggers.status(self._db)
        return sum(outcome.state == "installed" for outcome in found)

    def _tell(self, events: Sequence[Event]) -> None:
        self._ring.add(events)
        if self._figures is not None:
            for event in events:
                kind = event.type if event.type in BUILT_IN else "other"
                self._figures.count("events", type=kind)
        for call in list(self._calls.values()):
            try:
                call(events)
            except Exception:
                log.exception("a subscriber of the events failed")

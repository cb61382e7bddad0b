"""The alerts of one server: evaluating rules, telling people, sending by channels, and the watchman
who says when nobody does.
"""

from __future__ import annotations

import asyncio
import functools
import logging
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Final

import sqlalchemy as sa

from alphapulse_nb.alerts import files
from alphapulse_nb.alerts.evaluator import Evaluator, Said
from alphapulse_nb.alerts.store import Store
from alphapulse_nb.db.connection import Database
from alphapulse_nb.db.office import EVALUATOR, Office
from alphapulse_nb.errors import DatabaseError
from alphapulse_nb.events import NOTIFICATION, TO, Event, fitting
from alphapulse_nb.lane import Lane
from alphapulse_nb.notify import deliveries, telling
from alphapulse_nb.notify.channels import Reach
from alphapulse_nb.notify.courier import Courier
from alphapulse_nb.notify.deliveries import Deliveries
from alphapulse_nb.notify.inbox import Inbox
from alphapulse_nb.notify.notification import Notification
from alphapulse_nb.notify.telling import Told
from alphapulse_nb.notify.watchman import Seen, Watchman
from alphapulse_nb.relay import log as logs
from alphapulse_nb.relay.log import EventLog
from alphapulse_nb.relay.sources import Entry
from alphapulse_nb.relay.tail import Tail
from alphapulse_nb.server import parts
from alphapulse_nb.state import State, prepare

log = logging.getLogger(__name__)

_DIGESTS: Final = timedelta(seconds=10)
_RETENTION: Final = timedelta(hours=1)


class Alerting:
    """See the top of this file.

    Parameters
    ----------
    tail: the events, which wake the evaluator.
    direct: the database without a pooler.
    holder: which server we are.
    days: how long notifications and alerts that are over are kept.
    local: whether channels may reach programs on this machine.
    """

    def __init__(
        self,
        db: Database,
        state: State,
        tail: Tail,
        *,
        direct: Database | None,
        holder: str,
        interval: float,
        days: float,
        local: bool,
        clock: Callable[[], datetime],
    ) -> None:
        self._state = state
        self._tail = tail
        self._clock = clock
        self._kept = timedelta(days=days)
        self._store = Store(state)
        self._inbox = Inbox(state)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._lane = Lane("alphapulse-alerting")
        self._beginning: asyncio.Task[None] | None = None
        self._unsubscribe: Callable[[], None] | None = None
        self._digested = self._expired = datetime.min.replace(tzinfo=clock().tzinfo)
        self.evaluator = Evaluator(
            db,
            state,
            EventLog(state),
            Office(direct or db, EVALUATOR),
            tail.kinds,
            holder=holder,
            now=clock,
            interval=interval,
            keep=self._keep,
            told=lambda _: self._told(),
            shipped=files.shipped(),
            chores=self._chores,
        )
        reach = Reach(local=local)
        self.courier = Courier(state, reach)
        self._watchman = Watchman(self._seen, self._tell, reach, db.where, now=clock)

    def start(self) -> None:
        """Begin on the running loop."""
        self._loop = asyncio.get_running_loop()
        self._unsubscribe = self._tail.subscribe(self._heard)
        self._watchman.start()
        self._beginning = self._loop.create_task(self._begin(), name="alerting")

    async def _begin(self) -> None:
        """Evaluate and send, once our tables are made or it is known that they cannot be."""
        try:
            await self._lane.run(functools.partial(prepare, self._state))
        except DatabaseError:
            pass  # Each part says itself what it lacks, and looks again.
        except Exception:
            # Rules must be evaluated whatever it was.
            log.exception("our tables could not be made")
        self.evaluator.start()
        self.courier.start()

    async def stop(self) -> None:
        """End it all; the office is free for another."""
        if self._unsubscribe is not None:
            self._unsubscribe()
        if self._beginning is not None and not self._beginning.done():
            self._beginning.cancel()
        await self._lane.end()
        await asyncio.gather(self._watchman.stop(), self.evaluator.stop(), self.courier.stop())

    async def look(self) -> parts.Part:
        """Whether rules are evaluated, here or elsewhere, and what is found is sent."""
        trouble = self.evaluator.trouble or self.courier.trouble
        if trouble:
            return parts.Part("alerts", parts.State.DEGRADED, trouble)
        if self._beginning is None or not self._beginning.done():
            return parts.Part("alerts", parts.State.OK, "starting")
        here = "evaluated here" if self.evaluator.serving else "another server evaluates"
        return parts.Part("alerts", parts.State.OK, here)

    def _heard(self, _: Sequence[Event]) -> None:
        self.evaluator.wake()

    def hurry(self) -> None:
        """There is something to send, or a rule has changed. Any thread may call."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._wake)

    def _wake(self) -> None:
        self.evaluator.wake()
        self.courier.wake()

    def _told(self) -> None:
        """There is something to send; called in a thread."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self.courier.wake)

    def _keep(self, link: sa.Connection, said: Sequence[Said]) -> None:
        """Write what is told, to whom, by which channels, and the events of it."""
        told = telling.keep(link, [one.notification for one in said], self._clock())
        channels = {one.notification.key: one.channels for one in said}
        deliveries.ask(link, [(one, channels[one.notification.key]) for one in told])
        _announce(link, told)

    def _tell(self, found: Notification, channels: Sequence[str]) -> None:
        with self._state.writing() as link:
            self._keep(link, [Said(found, channels)])
        self._told()

    def _seen(self) -> Seen:
        standing = self._store.standing()
        return Seen(standing.beat_at, self._store.now(), Deliveries(self._state).channels())

    def _chores(self, now: datetime) -> None:
        """What only one server does: the ends of quiet hours, and what is old."""
        if now - self._digested >= _DIGESTS:
            with self._state.writing() as link:
                _announce(link, telling.digests(link, now), "digest")
            self._digested = now
        if now - self._expired >= _RETENTION:
            while self._inbox.expire(now - self._kept):
                pass
            self._store.expire(now - self._kept)
            self._expired = now


def _announce(link: sa.Connection, told: Sequence[Told], what: str = "") -> None:
    """Events for the pages of those who are told something.

    What somebody is told in a `digest` may have been told to others when it happened.
    """
    entries = [
        Entry(
            NOTIFICATION,
            fitting({"id": one.id, **one.notification.plain(), TO: list(one.persons)}),
            one.notification.at,
            one.notification.symbol,
            "notifications",
            one.id,
            revision=" ".join([what, *one.persons]) if what else "",
        )
        for one in told
        if one.persons
    ]
    if entries:
        logs.append(link, entries)

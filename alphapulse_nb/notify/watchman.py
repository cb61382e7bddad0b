"""Says that nobody evaluates the rules, or that the database is away: alerts must not fall silent.

Every server looks. While the database can be reached, the notice is a notification like any other,
which is there once however many servers find it. While it cannot, each server sends it itself, by
the channels that it last knew: with the same key, except where two lost it on either side of the
full three minutes by which the key is made.

A server that has just begun, or whose machine slept, finds all as it was long ago. So it takes some
looks, and not only some time, until anything is said.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final

from alphapulse_nb.errors import AlphaPulseError, ChannelError, DatabaseError
from alphapulse_nb.events import stamp
from alphapulse_nb.lane import Lane
from alphapulse_nb.notify.channels import Message, Reach, delay
from alphapulse_nb.notify.courier import carry
from alphapulse_nb.notify.deliveries import Kept
from alphapulse_nb.notify.notification import Notification, Priority, Type

PATIENCE: Final = timedelta(minutes=3)
EVERY: Final = 15.0
LOOKS: Final = 5
"""Looks one after the other that must find the same."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Seen:
    """What a look at the database found: when the evaluator was last heard of (None: never), what
    time it is there, and the channels that the notice would go by.
    """

    beat_at: datetime | None
    now: datetime
    channels: Sequence[Kept]


@dataclass(frozen=True)
class _Due:
    """The notice for a channel that has not taken it yet, as in an `Attempt`."""

    kept: Kept
    at: datetime
    number: int = 1
    doubtful: bool = False


class Watchman:
    """See the top of this file.

    Parameters
    ----------
    look: looks at the database. Raises `DatabaseError`.
    tell: writes a notification that goes by these channels.
    where: the database's name, without a secret.
    now: the clock, for outages.
    """

    def __init__(
        self,
        look: Callable[[], Seen],
        tell: Callable[[Notification, Sequence[str]], None],
        reach: Reach,
        where: str,
        *,
        now: Callable[[], datetime],
        every: float = EVERY,
        patience: timedelta = PATIENCE,
    ) -> None:
        self._look = look
        self._tell = tell
        self._reach = reach
        self._where = where
        self._now = now
        self._every = every
        self._patience = patience
        self._channels: Sequence[Kept] = ()
        self._seen_at = now()
        self._failures = 0
        self._waiting: dict[str, _Due] | None = None
        self._beat: datetime | None = None
        self._looks = 0
        self._told_beat: datetime | None = None
        self._lane = Lane("alphapulse-watchman")
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin on the running loop."""
        self._task = asyncio.get_running_loop().create_task(self._run(), name="watchman")

    async def stop(self) -> None:
        """End it."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        await self._lane.end()

    def watch(self) -> None:
        """Look once, and say what there is to say. Waits for the database and for channels."""
        try:
            seen = self._look()
        except DatabaseError as error:
            self._failures += 1
            self._away(error)
            return
        self._failures = 0
        self._channels = [one for one in seen.channels if one.enabled and one.watch]
        self._back()
        self._seen_at = self._now()
        self._judge(seen)

    def _judge(self, seen: Seen) -> None:
        """Whether somebody evaluates."""
        self._looks = self._looks + 1 if seen.beat_at == self._beat else 1
        self._beat = seen.beat_at
        if seen.beat_at is None or seen.now - seen.beat_at < self._patience:
            return
        if self._looks < LOOKS or seen.beat_at == self._told_beat:
            return
        text = f"since {seen.beat_at:%Y-%m-%d %H:%M:%S} UTC nobody evaluates the rules"
        self._say(
            f"evaluator\n{stamp(seen.beat_at)}",
            "Alerts are not evaluated",
            f"In {self._where}, {text}. Is a dashboard's server or `alphapulse worker` running?",
        )
        self._told_beat = seen.beat_at

    def _back(self) -> None:
        """The database can be reached; whoever was told otherwise is told so."""
        if self._waiting is None:
            return
        self._say(
            f"database\n{self._lost()}",
            "The database can be reached again",
            f"{self._where} was away since {self._seen_at:%Y-%m-%d %H:%M:%S} UTC.",
            over=True,
        )
        self._waiting = None

    def _say(self, key: str, title: str, message: str, *, over: bool = False) -> None:
        found = Notification(
            f"watchman\n{key}",
            Type.SUCCESS if over else Type.SYSTEM,
            Priority.MEDIUM if over else Priority.URGENT,
            title,
            message,
            self._now(),
        )
        self._tell(found, [one.name for one in self._channels])

    def _lost(self) -> str:
        """When the database was lost, in full `patience`: two outages have never the same."""
        since = self._seen_at - datetime.min.replace(tzinfo=UTC)
        return stamp(self._seen_at - since % self._patience)

    def _away(self, error: DatabaseError) -> None:
        now = self._now()
        if self._failures < LOOKS or now - self._seen_at < self._patience:
            return
        if self._waiting is None:
            log.error("the database has been away for %s: %s", now - self._seen_at, error)
            self._waiting = {kept.name: _Due(kept, now) for kept in self._channels}
        for one in [due for due in self._waiting.values() if due.at <= now]:
            # Before it is sent: whatever becomes of that, it is not sent anew with each look.
            self._waiting[one.kept.name] = self._again(one, True)
            again = self._sent(one)
            if again is None:
                del self._waiting[one.kept.name]
            else:
                self._waiting[one.kept.name] = again

    def _sent(self, one: _Due) -> _Due | None:
        """Send it; what remains to be sent."""
        try:
            carry(one.kept, self._reach, self._message(one))
        except ChannelError as error:
            log.warning("%s did not take the notice: %s", one.kept.name, error)
            return self._again(one, error.unknown, error.after) if error.retry else None
        return None

    def _again(self, one: _Due, unknown: bool, after: float | None = None) -> _Due:
        at = self._now() + timedelta(seconds=delay(one.number, 0.0, after))
        return replace(one, at=at, number=one.number + 1, doubtful=one.doubtful or unknown)

    def _message(self, one: _Due) -> Message:
        since = self._seen_at
        return Message(
            key=f"watchman\naway\n{self._where}\n{self._lost()}",
            title="Alerts are not evaluated: the database is away",
            body=f"{self._where} cannot be reached since {since:%Y-%m-%d %H:%M:%S} UTC. Until it "
            "is back, no rule is evaluated and nothing else is sent.",
            type=Type.SYSTEM.value,
            priority=Priority.URGENT.value,
            at=since,
            attempt=one.number,
            repeat=one.doubtful,
        )

    async def _run(self) -> None:
        while True:
            try:
                await self._lane.run(self.watch)
            except AlphaPulseError as error:
                log.warning("the evaluator cannot be watched: %s", error)
            except Exception:
                # Nobody else watches.
                log.exception("watching the evaluator failed")
            await asyncio.sleep(self._every)

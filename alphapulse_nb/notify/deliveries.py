"""What has been sent by which channel, what waits, and what could not be delivered.

Each message to each channel is a row. Whoever takes one writes down that an attempt begins, sends
without a transaction open, and writes down how it ended. Where that is missing, because the process
ended in between, another one takes the row a little later and says in the message that it may be a
repeat: what is told arrives at least once, and twice only with a mark.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Literal, get_args

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from alphapulse_nb.errors import InputError, UnknownName
from alphapulse_nb.notify import notification as notifications
from alphapulse_nb.notify.channels import MOST_ATTEMPTS
from alphapulse_nb.notify.notification import Notification
from alphapulse_nb.notify.telling import Told
from alphapulse_nb.spelling import hint
from alphapulse_nb.state import State
from alphapulse_nb.state.notification_tables import channels, deliveries
from alphapulse_nb.state.notification_tables import notifications as told_table

MOST_CHANNELS: Final = 100
_LEASE: Final = timedelta(seconds=45)
"""How long an attempt may take before it is taken for one whose process has ended."""
_LONGEST_ERROR: Final = 500
_LONGEST_NAME: Final = 80
_NOW: Final = sa.func.now()
_WAITS: Final = deliveries.c.state == "waiting"
_DUE: Final = _WAITS & (deliveries.c.due_at <= _NOW)

State_ = Literal["waiting", "sent", "dead"]
STATES: Final[tuple[State_, ...]] = get_args(State_)

log = logging.getLogger(__name__)


class Secret(str):
    """A text that no `repr` shows."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "Secret(hidden)"


class _SecretText(sa.TypeDecorator[str]):
    """A text column whose values SQLAlchemy does not log, which it does with rows, if asked to."""

    impl = sa.Text
    cache_ok = True

    def process_result_value(self, value: str | None, dialect: Any) -> str | None:  # noqa: ARG002
        return None if value is None else Secret(value)


_CHANNELS: Final = sa.select(
    *(
        sa.type_coerce(column, _SecretText).label(column.name)
        if column.name in {"address", "secret"}
        else column
        for column in channels.c
    )
)


def checked_name(name: str) -> str:
    """The name of a channel. Raises `InputError` for one that cannot be."""
    if not (0 < len(name) <= _LONGEST_NAME and name.isprintable() and name == name.strip()):
        raise InputError(f"a channel's name has 1 to {_LONGEST_NAME} characters that can be seen")
    return name


@dataclass(frozen=True)
class Kept:
    """A channel as the database has it. Its `repr` shows no secret."""

    name: str
    address: str
    secret: str
    enabled: bool
    watch: bool
    version: int
    changed_at: datetime
    changed_by: str

    def __repr__(self) -> str:
        return f"Kept({self.name!r})"


@dataclass(frozen=True)
class Delivery:
    """A message to a channel, and how it stands."""

    id: int
    key: str
    channel: str
    notification: Notification
    state: State_
    attempts: int
    due_at: datetime
    sent_at: datetime | None
    error: str


@dataclass(frozen=True)
class Attempt:
    """A message that is being sent; `doubtful`: an earlier attempt may have succeeded."""

    id: int
    key: str
    channel: Kept
    notification: Notification
    number: int
    doubtful: bool


def ask(link: sa.Connection, told: Sequence[tuple[Told, Sequence[str]]]) -> None:
    """Have notifications sent by these channels, in the transaction that found them."""
    rows = [
        {"key": f"{one.notification.key}\n{name}", "channel": name, "notification": one.id}
        for one, names in told
        for name in names
    ]
    if rows:
        link.execute(pg.insert(deliveries).on_conflict_do_nothing(), rows)


class Deliveries:
    """The channels of a database, and what is sent by them. Each call may wait.

    All raise `DatabaseError` (see `State.reading`), and `InputError` for what there is not.
    """

    def __init__(self, state: State) -> None:
        self._state = state

    def channels(self) -> list[Kept]:
        """All channels, by name."""
        with self._state.reading() as link:
            rows = link.execute(_CHANNELS.order_by(channels.c.name)).mappings()
            return [Kept(**row) for row in rows]

    def channel(self, name: str) -> Kept:
        """The channel of that name. Raises `InputError` that suggests the nearest."""
        with self._state.reading() as link:
            return _channel(link, name)

    def save(
        self,
        name: str,
        address: str,
        secret: str = "",
        *,
        enabled: bool = True,
        watch: bool = True,
        by: str = "",
    ) -> None:
        """Keep a channel, new or instead of the one of that name. The address was checked."""
        values = {
            "name": name,
            "address": address,
            "secret": secret,
            "enabled": enabled,
            "watch": watch,
            "changed_by": by,
        }
        insert = pg.insert(channels).values(values)
        changes = values | {"changed_at": _NOW, "version": channels.c.version + 1}
        change = insert.on_conflict_do_update(index_elements=[channels.c.name], set_=changes)
        with self._state.writing() as link:
            others = sa.select(sa.func.count()).where(channels.c.name != name)
            if link.execute(others).scalar_one() >= MOST_CHANNELS:
                raise InputError(f"there are {MOST_CHANNELS} channels; remove one first")
            link.execute(change)

    def remove(self, name: str) -> None:
        """Remove a channel; what waits for it is dead. Raises `InputError` for an unknown one."""
        waits = sa.update(deliveries).where(_WAITS, deliveries.c.channel == name)
        with self._state.writing() as link:
            _channel(link, name)
            link.execute(sa.delete(channels).where(channels.c.name == name))
            link.execute(waits.values(state="dead", error="its channel was removed"))

    def take(self, most: int = 10, without: Iterable[str] = ()) -> list[Attempt]:
        """Begin to send what is due, which nobody else gets meanwhile.

        At most `most`, one for each channel, and none for those in `without`.
        """
        with self._state.writing() as link:
            _bury(link)
            on = _CHANNELS.where(channels.c.enabled, channels.c.name.not_in([*without]))
            known = {row["name"]: Kept(**row) for row in link.execute(on).mappings()}
            rows = link.execute(_next([*known], most)).all()
            begun = [_begun(link, row, known[row.channel]) for row in rows]
        return [attempt for attempt in begun if attempt is not None]

    def sent(self, attempt: Attempt) -> None:
        """It has arrived."""
        self._settle(attempt, state="sent", sent_at=_NOW, error="", doubtful=False)

    def failed(self, attempt: Attempt, error: str, doubtful: bool, wait: float | None) -> None:
        """It has not. `wait` is in seconds until the next attempt, None for no other.

        `doubtful` says that it may have arrived nevertheless.
        """
        said = {"error": error[:_LONGEST_ERROR], "doubtful": doubtful or attempt.doubtful}
        if wait is None:
            self._settle(attempt, state="dead", **said)
        else:
            self._settle(attempt, due_at=_NOW + timedelta(seconds=wait), **said)

    def listed(self, state: State_ | None = None, most: int = 100) -> list[Delivery]:
        """The newest deliveries, of one state or all."""
        query = (
            sa.select(deliveries, told_table.c.record)
            .join(told_table, told_table.c.id == deliveries.c.notification)
            .order_by(deliveries.c.id.desc())
            .limit(most)
        )
        if state is not None:
            query = query.where(deliveries.c.state == state)
        with self._state.reading() as link:
            return [_delivery(row) for row in link.execute(query)]

    def resend(self, number: int) -> None:
        """Try one again that is dead. Raises `InputError` where there is no such one."""
        change = sa.update(deliveries).where(
            deliveries.c.id == number, deliveries.c.state == "dead"
        )
        with self._state.writing() as link:
            if not link.execute(
                change.values(state="waiting", attempts=0, due_at=_NOW, error="")
            ).rowcount:
                raise UnknownName(f"there is no delivery {number} that was given up")

    def _settle(self, attempt: Attempt, **values: Any) -> None:
        # Not if another one has taken it since, because this took longer than anybody waits.
        mine = (deliveries.c.id == attempt.id) & (deliveries.c.attempts == attempt.number)
        with self._state.writing() as link:
            link.execute(sa.update(deliveries).where(mine).values(values))


def _channel(link: sa.Connection, name: str) -> Kept:
    rows: Mapping[str, Any] = {row["name"]: row for row in link.execute(_CHANNELS).mappings()}
    if name not in rows:
        raise UnknownName(f"there is no channel {name[:80]!r}{hint(name, rows)}")
    return Kept(**rows[name])


def _bury(link: sa.Connection) -> None:
    """Give up what no channel is there for, and what ends whoever sends it, or leaves no trace."""
    taken = deliveries.c.channel.in_(sa.select(channels.c.name).where(channels.c.enabled))
    hopeless = _DUE & (~taken | (deliveries.c.attempts >= MOST_ATTEMPTS))
    # What another server holds at this moment it sees to itself.
    rows = sa.select(deliveries.c.id).where(hopeless).with_for_update(skip_locked=True)
    why = sa.case(
        (taken, f"{MOST_ATTEMPTS} attempts began, and nobody knows how the last one ended"),
        else_=sa.literal("there is no channel ") + deliveries.c.channel + ", or it is off",
    )
    change = sa.update(deliveries).where(deliveries.c.id.in_(rows))
    link.execute(change.values(state="dead", error=why))


def _next(names: Sequence[str], most: int) -> sa.Select[Any]:
    """What is sent next: of each channel what has waited longest, whatever else waits for it."""
    waiting = (
        sa.select(deliveries.c.channel)
        .where(_DUE, deliveries.c.channel.in_(names))
        .group_by(deliveries.c.channel)
        .order_by(sa.func.min(deliveries.c.due_at))
        .limit(most)
        .subquery()
    )
    first = (
        sa.select(deliveries)
        .where(_DUE, deliveries.c.channel == waiting.c.channel)
        .order_by(deliveries.c.due_at, deliveries.c.id)
        .limit(1)
        .with_for_update(skip_locked=True)
        .lateral()
    )
    return (
        sa.select(first, told_table.c.record)
        .select_from(waiting)
        .join(first, sa.true())
        .join(told_table, told_table.c.id == first.c.notification)
        .order_by(first.c.id)
    )


def _begun(link: sa.Connection, row: Any, channel: Kept) -> Attempt | None:
    """Write down that an attempt begins; None for what only another release can read."""
    mine = sa.update(deliveries).where(deliveries.c.id == row.id)
    try:
        one = notifications.of_plain(row.record)
    except InputError as error:
        log.warning("the delivery %d cannot be read: %s", row.id, error)
        link.execute(mine.values(state="dead", error=f"it cannot be read: {error}"))
        return None
    number = row.attempts + 1
    link.execute(mine.values(attempts=number, doubtful=True, due_at=_NOW + _LEASE))
    return Attempt(row.id, row.key, channel, one, number, row.doubtful)


def _delivery(row: Any) -> Delivery:
    return Delivery(
        row.id,
        row.key,
        row.channel,
        notifications.of_plain(row.record),
        row.state,
        row.attempts,
        row.due_at,
        row.sent_at,
        row.error,
    )

"""Writing notifications, and deciding who is told of them.

A person is a user, by the key of their name, or all together who have none (an empty key). For each
notification it is decided per person whether they are told, and the decision is kept with its
reason: so what was held back can be seen.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from alphapulse_nb.errors import InputError
from alphapulse_nb.notify import notification as notifications
from alphapulse_nb.notify import preferences
from alphapulse_nb.notify.decide import Context, Decision, Outcome, Snooze, decide
from alphapulse_nb.notify.digest import digest
from alphapulse_nb.notify.notification import Notification
from alphapulse_nb.notify.preferences import Preferences
from alphapulse_nb.people import NAMELESS, Person
from alphapulse_nb.state.notification_tables import inbox, snoozes
from alphapulse_nb.state.notification_tables import notifications as table
from alphapulse_nb.state.notification_tables import preferences as preference_table
from alphapulse_nb.state.tables import users
from alphapulse_nb.state.users import compared

EVERYBODY: Final = ""
"""The person who stands for all who have no name of their own."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Reader:
    """Somebody who may be told something. `zone` is that of their account, snoozes are by id."""

    person: str
    zone: str
    preferences: Preferences
    snoozes: dict[int, Snooze] = field(default_factory=dict)


@dataclass(frozen=True)
class Told:
    """A notification that was new, and to whom it goes at once."""

    id: int
    notification: Notification
    persons: Sequence[str]


def reader_of(person: Person) -> str:
    """Whose inbox somebody reads: their own, or where there is no user of that name everybody's."""
    return EVERYBODY if not person.account or person.name in NAMELESS else compared(person.name)


def keep(link: sa.Connection, found: Sequence[Notification], now: datetime) -> list[Told]:
    """Write notifications that are new, and what each person is told of them.

    In the transaction of `link`; a notification whose key is known is left out. A snooze that lasts
    until an alert clears is over with the notification of that.
    """
    new = _new(link, found)
    readers = _readers(link) if new else []
    told: list[Told] = []
    rows: list[dict[str, Any]] = []
    over: list[int] = []
    for number, one in new:
        decided = [(reader.person, _decided(reader, one, now)) for reader in readers]
        rows += [_entry(person, number, decision) for person, decision in decided]
        sent = [person for person, decision in decided if decision.outcome is Outcome.SENT]
        told.append(Told(number, one, sent))
        over += [snooze for reader in readers for snooze in _woken(reader, one, now)]
    if rows:
        link.execute(sa.insert(inbox), rows)
    if over:
        link.execute(sa.delete(snoozes).where(snoozes.c.id.in_(over)))
    return told


def digests(link: sa.Connection, now: datetime) -> list[Told]:
    """Tell each person what their quiet hours kept, if these are over.

    What they have removed meanwhile is left out. In the transaction of `link`; of two at a time one
    waits for the other, and finds nothing.
    """
    query = (
        sa.select(inbox.c.person, inbox.c.notification)
        .where(inbox.c.due_at <= now, inbox.c.removed_at.is_(None))
        .order_by(inbox.c.person, inbox.c.notification)
        .with_for_update()
    )
    kept: dict[str, list[int]] = {}
    for person, number in link.execute(query):
        kept.setdefault(person, []).append(number)
    if not kept:
        return []
    for person, numbers in kept.items():
        link.execute(_of(person, numbers).values(due_at=None))
    known = _known(link, {number for numbers in kept.values() for number in numbers})
    told = [
        _digested(link, reader, {n: known[n] for n in kept[reader.person] if n in known}, now)
        for reader in _readers(link)
        if reader.person in kept
    ]
    return [one for one in told if one is not None]


def _digested(
    link: sa.Connection, reader: Reader, entries: Mapping[int, Notification], now: datetime
) -> Told | None:
    if not entries:
        return None
    one = digest([*entries.values()], now, reader.preferences.zone or reader.zone)
    if len(entries) == 1:
        link.execute(_of(reader.person, entries).values(outcome=Outcome.SENT.value))
        return Told(next(iter(entries)), one, [reader.person])
    one = replace(one, key=f"{one.key}\n{reader.person}")
    insert = pg.insert(table).on_conflict_do_update(
        index_elements=[table.c.key], set_={"key": one.key}
    )
    number = link.execute(insert.returning(table.c.id), row_of(one)).scalar_one()
    entry = _entry(reader.person, number, Decision(Outcome.SENT, "your quiet hours are over"))
    link.execute(pg.insert(inbox).values(entry).on_conflict_do_nothing())
    return Told(number, one, [reader.person])


def _new(link: sa.Connection, found: Sequence[Notification]) -> list[tuple[int, Notification]]:
    """Write notifications; those that were new, with their ids, which grow as they were found."""
    once = {one.key: one for one in found}
    if not once:
        return []
    insert = pg.insert(table).on_conflict_do_nothing().returning(table.c.id, table.c.key)
    rows = link.execute(insert, [row_of(one) for one in once.values()])
    return [(number, once[key]) for number, key in sorted(tuple(row) for row in rows)]


def row_of(one: Notification) -> dict[str, Any]:
    return {
        "key": one.key,
        "record": one.plain(),
        "type": one.type.value,
        "priority": one.priority.value,
        "symbol": one.symbol,
        "rule": one.rule,
        "alert": one.alert,
        "at": one.at,
    }


def _entry(person: str, number: int, decision: Decision) -> dict[str, Any]:
    return {
        "person": person,
        "notification": number,
        "outcome": decision.outcome.value,
        "reason": decision.reason,
        "due_at": decision.until,
    }


def _of(person: str, numbers: Iterable[int]) -> sa.Update:
    """A change of what one person has of these notifications."""
    mine = (inbox.c.person == person) & inbox.c.notification.in_(list(numbers))
    return sa.update(inbox).where(mine)


def _known(link: sa.Connection, numbers: Iterable[int]) -> dict[int, Notification]:
    """Notifications by id. One that another release wrote and this one cannot read is left out."""
    query = sa.select(table.c.id, table.c.record).where(table.c.id.in_(list(numbers)))
    found: dict[int, Notification] = {}
    for number, record in link.execute(query.order_by(table.c.id)):
        try:
            found[number] = notifications.of_plain(record)
        except InputError as error:
            log.warning("the notification %d cannot be read: %s", number, error)
    return found


def _readers(link: sa.Connection) -> list[Reader]:
    """Everybody who may be told something."""
    wanted = {row.person: _preferred(row) for row in link.execute(sa.select(preference_table))}
    resting: dict[str, dict[int, Snooze]] = {}
    for row in link.execute(sa.select(snoozes)):
        resting.setdefault(row.person, {})[row.id] = snooze_of(row)
    zones = {EVERYBODY: ""} | {
        row.key: row.zone for row in link.execute(sa.select(users.c.key, users.c.zone))
    }
    return [
        Reader(person, zone, wanted.get(person, Preferences()), resting.get(person, {}))
        for person, zone in zones.items()
    ]


def _preferred(row: Any) -> Preferences:
    """What a person prefers; the usual, where another release wrote what this one cannot read."""
    try:
        return preferences.read(row.record)
    except InputError as error:
        # Nobody else may go without their notifications for that.
        log.warning("what a person prefers cannot be read: %s", error)
        return Preferences()


def _decided(reader: Reader, one: Notification, now: datetime) -> Decision:
    context = Context(reader.zone, snoozes=[*reader.snoozes.values()])
    return decide(one, reader.preferences, context, now)


def _woken(reader: Reader, one: Notification, now: datetime) -> list[int]:
    """End the snoozes of a reader that last until the alert clears, if that is told; their ids."""
    if not one.resolved:
        return []
    open_ = replace(one, resolved=False)
    over = [
        number
        for number, snooze in reader.snoozes.items()
        if snooze.until is None and snooze.covers(open_, now)
    ]
    for number in over:
        del reader.snoozes[number]
    return over


def snooze_of(row: Any) -> Snooze:
    """A snooze as the database has it."""
    return Snooze(row.rule, row.labels, row.until, row.alert)

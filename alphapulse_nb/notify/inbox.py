"""Each person's view of the notifications: what they were told, have read, snoozed and prefer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from alphapulse_nb.errors import InputError
from alphapulse_nb.notify import imported, preferences
from alphapulse_nb.notify import notification as notifications
from alphapulse_nb.notify.decide import Outcome, Snooze
from alphapulse_nb.notify.fields import text
from alphapulse_nb.notify.notification import Notification, Priority, Type
from alphapulse_nb.notify.preferences import Preferences
from alphapulse_nb.notify.telling import snooze_of
from alphapulse_nb.state import State
from alphapulse_nb.state.alert_tables import alerts
from alphapulse_nb.state.notification_tables import inbox, shown, snoozes
from alphapulse_nb.state.notification_tables import notifications as table
from alphapulse_nb.state.notification_tables import preferences as preference_table

MOST: Final = 200
"""Notifications on a page of the history."""
_MOST_SNOOZES: Final = 200
_MOST_PAGES: Final = 100
"""Pages that show the same notification to people who share a name."""
_SHOWN_FOR: Final = timedelta(days=2)
"""How long it is known which page shows a notification. Nobody shows one that is older."""
_LARGEST: Final = 2**63 - 1
_NOW: Final = sa.func.now()
_TOLD: Final = inbox.c.outcome == Outcome.SENT.value
_THERE: Final = inbox.c.removed_at.is_(None)


@dataclass(frozen=True)
class Entry:
    """A notification as one person sees it. `acknowledged_by` is of its alert."""

    id: int
    notification: Notification
    outcome: Outcome
    reason: str
    due_at: datetime | None
    read_at: datetime | None
    acknowledged_by: str | None = None


@dataclass(frozen=True)
class Summary:
    """How much there is for one person: all, unread, of the last hour, and the greatest id.

    `newest` is 0 where there is nothing.
    """

    total: int
    unread: int
    last_hour: int
    newest: int


@dataclass(frozen=True)
class Filter:
    """What of the history is wanted; None for everything. `held` is what was not told."""

    types: Sequence[Type] | None = None
    priorities: Sequence[Priority] | None = None
    symbol: str | None = None
    rule: str | None = None
    unread: bool = False
    held: bool = False
    words: str = ""


class Inbox:
    """What there is for people to read. Each call is one short transaction, and may wait.

    All raise `DatabaseError` (see `State.reading`), and `InputError` for text that no row can hold.
    """

    def __init__(self, state: State) -> None:
        self._state = state

    def listed(
        self, person: str, wanted: Filter | None = None, before: int | None = None, most: int = 50
    ) -> list[Entry]:
        """The newest notifications of a person, `before` an id; at most `MOST`."""
        query = (
            sa.select(inbox, table.c.record, alerts.c.acknowledged_by)
            .join(table, table.c.id == inbox.c.notification)
            .outerjoin(alerts, alerts.c.key == table.c.alert)
            .where(inbox.c.person == person, _THERE)
            .where(*_conditions(wanted or Filter()))
            .order_by(inbox.c.notification.desc())
            .limit(min(most, MOST))
        )
        if before is not None:
            query = query.where(inbox.c.notification < before)
        with self._state.reading() as link:
            return [_entry(row) for row in link.execute(query)]

    def summary(self, person: str, now: datetime) -> Summary:
        """How much there is that was told."""
        recent = (table.c.created_at > now - timedelta(hours=1)) & ~imported.IMPORTED
        query = (
            sa.select(
                sa.func.count(),
                sa.func.count().filter(inbox.c.read_at.is_(None)),
                sa.func.count().filter(recent),
                sa.func.coalesce(sa.func.max(table.c.id), 0),
            )
            .select_from(inbox)
            .join(table, table.c.id == inbox.c.notification)
            .where(inbox.c.person == person, _THERE, _TOLD)
        )
        with self._state.reading() as link:
            return Summary(*link.execute(query).one())

    def mark(self, person: str, ids: Iterable[int] | None, read: bool = True) -> int:
        """Mark some as read or unread, None for all that were told; how many were changed."""
        unread = inbox.c.read_at.is_(None)
        where = _chosen(ids) & _THERE & (unread if read else ~unread)
        return self._change(person, where, read_at=_NOW if read else None)

    def remove(self, person: str, ids: Iterable[int] | None, now: datetime) -> int:
        """Take some out of a person's history, None for all that were told; how many.

        `restore` brings them back.
        """
        return self._change(person, _chosen(ids) & _THERE, removed_at=now)

    def restore(self, person: str, removed_at: datetime) -> int:
        """Bring back what was removed at that moment; how many."""
        return self._change(person, inbox.c.removed_at == removed_at, removed_at=None)

    def show(self, person: str, ids: Iterable[int], page: str = "") -> list[int]:
        """Those of the notifications that nobody shows yet, which are the caller's from now on.

        Only what is new and unread. Whoever shares a name with others gives a `page`, which says
        who of them it is.
        """
        others = sa.select(sa.func.count()).where(
            shown.c.person == person, shown.c.notification == inbox.c.notification
        )
        mine = (
            sa.select(inbox.c.person, inbox.c.notification, sa.literal(page))
            .join(table, table.c.id == inbox.c.notification)
            .where(inbox.c.person == person, _chosen(ids), _TOLD, _THERE)
            .where(inbox.c.read_at.is_(None), table.c.created_at > _NOW - _SHOWN_FOR)
            .where(others.correlate(inbox).scalar_subquery() < _MOST_PAGES)
            .order_by(inbox.c.notification)
        )
        columns = [shown.c.person, shown.c.notification, shown.c.page]
        insert = pg.insert(shown).from_select(columns, mine).on_conflict_do_nothing()
        with self._state.writing() as link:
            return sorted(link.execute(insert.returning(shown.c.notification)).scalars())

    def everything(self, person: str, most: int) -> list[Notification]:
        """The newest that a person was told and has not removed, oldest first, each key once."""
        query = (
            sa.select(table.c.record)
            .join(inbox, table.c.id == inbox.c.notification)
            .where(inbox.c.person == person, _THERE, _TOLD)
            .order_by(inbox.c.notification.desc())
            .limit(most)
        )
        with self._state.reading() as link:
            found = [notifications.of_plain(one) for one in link.execute(query).scalars()]
        # What was imported may have been told later.
        newest: dict[str, Notification] = {}
        for one in found:
            newest.setdefault(one.key, one)
        return [*newest.values()][::-1]

    def take_in(self, person: str, found: Sequence[Notification], now: datetime) -> int:
        """Put notifications of a file into a person's history, as read; how many were not there.

        See `imported`. Raises `InputError` where it would become too much.
        """
        with self._state.writing() as link:
            return imported.take_in(link, person, found, now)

    def preferences(self, person: str) -> Preferences:
        """What a person prefers; the usual, where they said nothing.

        Raises `InputError` where another release wrote what this one cannot read.
        """
        query = sa.select(preference_table.c.record).where(preference_table.c.person == person)
        with self._state.reading() as link:
            found = link.execute(query).scalar_one_or_none()
        return Preferences() if found is None else preferences.read(found)

    def prefer(self, person: str, wanted: Preferences) -> None:
        """Keep what a person prefers, from the next notification on."""
        insert = pg.insert(preference_table).values(person=person, record=wanted.plain())
        change = insert.on_conflict_do_update(
            index_elements=[preference_table.c.person],
            set_={"record": insert.excluded.record, "changed_at": _NOW},
        )
        with self._state.writing() as link:
            link.execute(change)

    def snooze(self, person: str, wanted: Snooze) -> int:
        """Do not tell a person what a snooze covers; its id. Raises `InputError` for too many."""
        mine = snoozes.c.person == person
        count = sa.select(sa.func.count()).select_from(snoozes).where(mine)
        insert = sa.insert(snoozes).values({"person": person, **_columns(wanted)})
        with self._state.writing() as link:
            link.execute(sa.delete(snoozes).where(mine, _over()))
            if link.execute(count).scalar_one() >= _MOST_SNOOZES:
                raise InputError(f"you snooze {_MOST_SNOOZES} things already; end one first")
            return int(link.execute(insert.returning(snoozes.c.id)).scalar_one())

    def snoozed(self, person: str) -> dict[int, Snooze]:
        """What a person snoozes, by id; not what is over."""
        query = sa.select(snoozes).where(snoozes.c.person == person, ~_over())
        query = query.order_by(snoozes.c.id)
        with self._state.reading() as link:
            return {row.id: snooze_of(row) for row in link.execute(query)}

    def wake(self, person: str, number: int) -> bool:
        """End a snooze; whether there was one."""
        mine = (snoozes.c.person == person) & (snoozes.c.id == number)
        with self._state.writing() as link:
            return bool(link.execute(sa.delete(snoozes).where(mine)).rowcount)

    def acknowledge(self, alert: str, by: str) -> str | None:
        """Say that somebody looks after an alert; who does, perhaps another. None: no alert."""
        first = sa.func.coalesce(alerts.c.acknowledged_by, by)
        when = sa.func.coalesce(alerts.c.acknowledged_at, _NOW)
        change = sa.update(alerts).where(alerts.c.key == text("alert", alert))
        change = change.values(acknowledged_by=first, acknowledged_at=when)
        with self._state.writing() as link:
            found = link.execute(change.returning(alerts.c.acknowledged_by)).scalar_one_or_none()
        return None if found is None else str(found)

    def expire(self, before: datetime, portion: int = 1_000) -> int:
        """Remove notifications that are older, for everybody, a portion of them; how many."""
        old = sa.select(table.c.id).where(table.c.created_at < before).limit(portion)
        seen = sa.select(table.c.id).where(table.c.created_at < _NOW - _SHOWN_FOR)
        with self._state.writing() as link:
            link.execute(sa.delete(shown).where(shown.c.notification.in_(seen)))
            return link.execute(sa.delete(table).where(table.c.id.in_(old))).rowcount

    def _change(self, person: str, where: Any, **values: Any) -> int:
        change = sa.update(inbox).where(inbox.c.person == person, where).values(values)
        with self._state.writing() as link:
            return link.execute(change).rowcount


def _chosen(ids: Iterable[int] | None) -> Any:
    """Those of the ids, or all that were told: what waits for the end of quiet hours stays new."""
    if ids is None:
        return _TOLD
    # Postgres refuses numbers that no id can have.
    numbers = [number for number in ids if 0 < number <= _LARGEST]
    return inbox.c.notification == sa.func.any(sa.cast(numbers, sa.ARRAY(sa.BigInteger)))


def _columns(wanted: Snooze) -> dict[str, Any]:
    """A snooze as the database has it."""
    labels = None if wanted.labels is None else dict(wanted.labels)
    for given in (wanted.rule, wanted.alert, *(labels or {}), *(labels or {}).values()):
        text("what is snoozed", given or "")
    return {"rule": wanted.rule, "labels": labels, "alert": wanted.alert, "until": wanted.until}


def _over() -> Any:
    """Snoozes that have ended: by the time, or because no such alert is open any more."""
    is_open = sa.exists().where(alerts.c.key == snoozes.c.alert, alerts.c.closed_at.is_(None))
    # Each part is true or false, and never null.
    timed = snoozes.c.until.is_not(None)
    return (timed & (snoozes.c.until <= _NOW)) | (~timed & snoozes.c.alert.is_not(None) & ~is_open)


def _conditions(wanted: Filter) -> list[Any]:
    found: list[Any] = [~_TOLD if wanted.held else _TOLD]
    if wanted.types is not None:
        found.append(table.c.type.in_([one.value for one in wanted.types]))
    if wanted.priorities is not None:
        found.append(table.c.priority.in_([one.value for one in wanted.priorities]))
    exact = {"symbol": wanted.symbol, "rule": wanted.rule}
    found += [
        table.c[name] == text(name, value) for name, value in exact.items() if value is not None
    ]
    if wanted.unread:
        found.append(inbox.c.read_at.is_(None))
    if wanted.words:
        said = table.c.record["title"].astext + " " + table.c.record["message"].astext
        found.append(said.icontains(text("words", wanted.words), autoescape=True))
    return found


def _entry(row: Any) -> Entry:
    return Entry(
        row.notification,
        notifications.of_plain(row.record),
        Outcome(row.outcome),
        row.reason,
        row.due_at,
        row.read_at,
        row.acknowledged_by,
    )

"""A house for the tests of who is told what: people, what they are told, and the channels."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from alphapulse_nb.notify import deliveries, telling
from alphapulse_nb.notify.deliveries import Deliveries, Delivery
from alphapulse_nb.notify.inbox import Entry, Filter, Inbox
from alphapulse_nb.notify.notification import Notification
from alphapulse_nb.notify.preferences import Preferences
from alphapulse_nb.notify.quiet import Hours
from alphapulse_nb.notify.telling import Told
from alphapulse_nb.state import State, Users
from alphapulse_nb.state.alert_tables import alerts
from alphapulse_nb.state.notification_tables import deliveries as queue
from alphapulse_nb.state.passwords import Cost, Hasher
from tests.notify.notifications import notification
from tests.notify.receivers import SECRET

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
NIGHT = datetime(2026, 1, 31, 23, tzinfo=UTC)
MORNING = datetime(2026, 2, 1, 8, tzinfo=UTC)
SECOND = timedelta(seconds=1)
AWAKE = Preferences(quiet_hours=Hours(enabled=False))


def one(key: str = "a", **others: Any) -> Notification:
    """A notification that is told by day, whose alert is its own."""
    return notification(**{"key": key, "title": key, "alert": f"alert {key}", **others})


class House:
    """See the top of this file."""

    def __init__(self, state: State) -> None:
        self.state = state
        self.users = Users(state, Hasher(Cost(ln=1, r=1, p=1)))
        self.inbox = Inbox(state)
        self.deliveries = Deliveries(state)

    def user(self, name: str, zone: str = "", wanted: Preferences | None = None) -> None:
        """Somebody new, with what they prefer."""
        self.users.add(name, "s3cret-pass", zone=zone)
        if wanted is not None:
            self.inbox.prefer(name, wanted)

    def tell(self, *found: Notification, now: datetime = NOON) -> list[Told]:
        """Write notifications in a transaction of their own."""
        with self.state.writing() as link:
            return telling.keep(link, found, now)

    def digests(self, now: datetime = MORNING) -> list[Told]:
        with self.state.writing() as link:
            return telling.digests(link, now)

    def titles(self, person: str = "", **wanted: Any) -> list[str]:
        """The titles of what a person sees, the newest first."""
        return [entry.notification.title for entry in self.entries(person, **wanted)]

    def entries(self, person: str = "", **wanted: Any) -> list[Entry]:
        return self.inbox.listed(person, Filter(**wanted))

    def open_alert(self, key: str, closed_at: datetime | None = None) -> None:
        """An alert as the evaluator keeps it."""
        values = {
            "key": key,
            "rule": "rule",
            "labels": {},
            "type": "signal",
            "priority": "high",
            "title": key,
            "message": "",
            "opened_at": NOON,
            "closed_at": closed_at,
        }
        self.run(sa.insert(alerts).values(values))

    def close_alert(self, key: str) -> None:
        self.run(sa.update(alerts).where(alerts.c.key == key).values(closed_at=NOON))

    def channel(self, name: str, place: str = "127.0.0.1:9", **others: Any) -> None:
        """A webhook that sends to a receiver of the tests."""
        self.deliveries.save(name, f"webhook+http://{place}/hook", SECRET, **others)

    def ask(self, *names: str, key: str = "a", **others: Any) -> None:
        """Have something new sent by these channels."""
        with self.state.writing() as link:
            told = telling.keep(link, [one(key, **others)], NOON)
            deliveries.ask(link, [(new, names) for new in told])

    @property
    def sent(self) -> dict[str, Delivery]:
        """All deliveries, by the title of what is sent and the channel."""
        found = self.deliveries.listed(most=10_000)
        return {f"{each.notification.title} {each.channel}": each for each in found}

    def pass_time(self, **length: float) -> None:
        """Everything that waits has waited that much longer."""
        self.run(sa.update(queue).values(due_at=queue.c.due_at - timedelta(**length)))

    def run(self, statement: Any) -> None:
        with self.state.writing() as link:
            link.execute(statement)

    def rows(self, query: Any) -> Sequence[Any]:
        with self.state.reading() as link:
            return link.execute(query).all()

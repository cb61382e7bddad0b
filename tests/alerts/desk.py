"""A desk for the tests of alerts: rows, events of them, and evaluators with a clock of the test."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from alphapulse_nb.alerts import rule as rules
from alphapulse_nb.alerts.evaluator import Evaluator
from alphapulse_nb.alerts.store import Store
from alphapulse_nb.db import tables
from alphapulse_nb.db.connection import Database
from alphapulse_nb.db.office import EVALUATOR, Office
from alphapulse_nb.events import Kinds
from alphapulse_nb.notify.notification import Notification
from alphapulse_nb.relay.log import EventLog, post
from alphapulse_nb.relay.sources import Source
from alphapulse_nb.state import State
from alphapulse_nb.state.alert_tables import alerts as table

BTC = "BTC/USDT"


class Alerts:
    """See the top of this file. `told` is what people were told, in its order.

    The clock begins at `start`, near that of the database.
    """

    def __init__(self, db: Database, state: State, log: EventLog, writer: sa.Connection) -> None:
        self.db = db
        self.state = state
        self.log = log
        self.writer = writer
        self.store = Store(state)
        self.kinds = Kinds()
        self.now = self.start = datetime.now(UTC).replace(microsecond=0)
        self.told: list[Notification] = []
        self.made: list[Office] = []
        self.evaluator = self.another()

    def close(self) -> None:
        for office in self.made:
            office.leave()

    def another(self) -> Evaluator:
        """One more evaluator of the same database."""
        self.made.append(Office(self.db, EVALUATOR))
        return Evaluator(
            self.db,
            self.state,
            self.log,
            self.made[-1],
            self.kinds,
            now=lambda: self.now,
            told=lambda said: self.told.extend(one.notification for one in said),
        )

    def rule(self, name: str = "rule", **parts: Any) -> None:
        """Keep a rule, whose parts are named as in a file; `for_` stands for `for`."""
        given = {name.rstrip("_"): part for name, part in parts.items()}
        self.store.save(rules.read({"name": name, **given}))

    def insert(self, name: str, *, event: bool = True, **values: Any) -> int:
        """Insert a row, and have it told of as the relay would; its id."""
        whole = {"timestamp": self.now, **values}
        if name != "system_metrics":
            whole = {"symbol": BTC, **whole}
        source = Source(tables.metadata.tables[name])
        insert = sa.insert(source.table).values(whole).returning(source.table)
        row = self.writer.execute(insert).one()
        if event:
            self.log.append([source.entry(row)])
        return int(row.id)

    def post(self, kind: str, at: datetime | None = None, **data: Any) -> None:
        """Have an event that is no row."""
        post(self.log, kind, data, at or self.now)

    def passes(self, **length: float) -> None:
        """Time passes, and the evaluator looks."""
        self.now += timedelta(**length)
        self.look()

    def look(self) -> list[str]:
        """A round; the titles of what was told in it."""
        before = len(self.told)
        while self.evaluator.round():
            pass
        return self.titles[before:]

    @property
    def titles(self) -> list[str]:
        return [one.title for one in self.told]

    def kept(self) -> Sequence[Mapping[str, Any]]:
        """The alerts there were, as they opened."""
        with self.state.reading() as link:
            return link.execute(sa.select(table).order_by(table.c.id)).mappings().all()

    def phases(self) -> dict[str, str]:
        """Where the alerts stand, by their labels in one text."""
        return {key: held.status.phase.value for (_, key), held in self.store.held().items()}

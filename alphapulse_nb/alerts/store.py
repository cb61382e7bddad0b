"""Rules, and where their alerts stand, in our schema.

What a round of the evaluator finds is written in one transaction with the number of the last event
that it dealt with, and only by who has seen the round before: an evaluator that was paused while
another one took over is `Overtaken` and has changed nothing. So each step is taken once.
"""

from __future__ import annotations

import math
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from dataclasses import field as dataclass_field
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from alphapulse_nb.alerts import rule as rules
from alphapulse_nb.alerts.engine import Held, Place
from alphapulse_nb.alerts.rule import Rule
from alphapulse_nb.alerts.states import Phase, Status
from alphapulse_nb.errors import Conflict, DatabaseError, InputError, RuleError, UnknownName
from alphapulse_nb.events import moment, stamp
from alphapulse_nb.spelling import hint
from alphapulse_nb.state import State
from alphapulse_nb.state.alert_tables import alert_states, alerts, evaluator
from alphapulse_nb.state.alert_tables import rules as table

MOST_RULES: Final = 1_000
_PATIENCE: Final = sa.select(sa.func.set_config("idle_in_transaction_session_timeout", "20s", True))


class Overtaken(DatabaseError):  # noqa: N818
    """Somebody else has gone on from where we stood; nothing was written."""


@dataclass(frozen=True)
class Kept:
    """A rule as the database has it. `fault` says why it cannot even be read."""

    name: str
    rule: Rule | None
    version: int
    changed_at: datetime
    changed_by: str
    fault: str = ""

    def known(self) -> Rule:
        """The rule. Raises `InputError` where it cannot be read."""
        if self.rule is None:
            raise InputError(self.fault)
        return self.rule


@dataclass(frozen=True)
class Standing:
    """How far the evaluator is: in which log, after which event, and when it was last heard of."""

    log: str = ""
    seq: int = 0
    version: int = 0
    beat_at: datetime | None = None
    holder: str = ""


@dataclass(frozen=True)
class Opened:
    """An alert that opened, as it is kept."""

    key: str
    rule: str
    labels: Mapping[str, str]
    symbol: str | None
    type: str
    priority: str
    title: str
    message: str
    value: float | None
    opened_at: datetime


@dataclass(frozen=True)
class Alert(Opened):
    """An alert as people see it: when it was over, and who looks after it."""

    closed_at: datetime | None = None
    acknowledged_by: str | None = None
    acknowledged_at: datetime | None = None


@dataclass(frozen=True)
class Round:
    """What a round of the evaluator found; None in `statuses` is for what need not be kept."""

    statuses: Mapping[Place, Held | None]
    opened: Sequence[Opened] = ()
    closed: Mapping[str, datetime] = dataclass_field(default_factory=dict)


class Store:
    """The rules and alerts of a database. Each call is one short transaction, and may wait.

    All raise `DatabaseError` (see `State.reading`).
    """

    def __init__(self, state: State) -> None:
        self._state = state

    def listed(self) -> list[Kept]:
        """All rules, by name."""
        with self._state.reading() as link:
            return [_kept(row) for row in link.execute(sa.select(table).order_by(table.c.name))]

    def find(self, name: str) -> Kept:
        """The rule of that name. Raises `UnknownName` that suggests the nearest."""
        with self._state.reading() as link:
            row = link.execute(sa.select(table).where(table.c.name == name)).one_or_none()
            if row is None:
                raise self._unknown(link, name)
        return _kept(row)

    def save(self, rule: Rule, by: str = "", version: int | None = None) -> Kept:
        """Keep a rule, new or instead of the one of that name.

        `version` is that of the rule that is replaced, 0 where there must be none, None for
        whatever is there. Raises `Conflict` where somebody else has changed it meanwhile, and
        `InputError` where there are too many.
        """
        with self._state.writing() as link:
            others = sa.select(sa.func.count()).where(table.c.name != rule.name)
            if link.execute(others).scalar_one() >= MOST_RULES:
                raise InputError(f"there are {MOST_RULES:,} rules; remove one first")
            row = link.execute(_saving(rule, by, version)).one_or_none()
        if row is None:
            raise Conflict(
                f"the rule {rule.name!r} has been changed by somebody else meanwhile; look at it "
                "again"
            )
        return _kept(row)

    def replace(self, found: Iterable[Rule], gone: Iterable[str], by: str = "") -> None:
        """Keep these rules and remove those, all at once."""
        with self._state.writing() as link:
            for name in gone:
                self._remove(link, name)
            for rule in found:
                link.execute(_saving(rule, by, None))

    def remove(self, name: str) -> None:
        """Remove a rule; its open alerts are over. Raises `UnknownName`."""
        with self._state.writing() as link:
            self._remove(link, name)

    def seed(self, shipped: Iterable[Rule]) -> list[str]:
        """Put rules there that never were; their names. Who removed one does not get it again."""
        with self._state.writing() as link:
            known = link.execute(sa.select(evaluator.c.shipped).with_for_update()).scalar_one()
            new = [rule for rule in shipped if rule.name not in known]
            for rule in new:
                values = {"name": rule.name, "record": rule.plain()}
                link.execute(pg.insert(table).values(values).on_conflict_do_nothing())
            if new:
                names = [*known, *(rule.name for rule in new)]
                link.execute(sa.update(evaluator).values(shipped=names))
        return [rule.name for rule in new]

    def alerts(
        self,
        *,
        open_only: bool = False,
        rule: str | None = None,
        symbol: str | None = None,
        most: int = 100,
    ) -> list[Alert]:
        """The newest alerts, of one rule or symbol if given."""
        query = sa.select(*(alerts.c[part.name] for part in fields(Alert)))
        if open_only:
            query = query.where(alerts.c.closed_at.is_(None))
        for column, wanted in ((alerts.c.rule, rule), (alerts.c.symbol, symbol)):
            if wanted is not None:
                query = query.where(column == wanted)
        query = query.order_by(alerts.c.opened_at.desc(), alerts.c.id.desc()).limit(most)
        with self._state.reading() as link:
            return [Alert(**row) for row in link.execute(query).mappings()]

    def edition(self) -> tuple[Any, ...]:
        """Another one whenever a rule was saved or removed."""
        newest, total = sa.func.max(table.c.changed_at), sa.func.sum(table.c.version)
        with self._state.reading() as link:
            return tuple(link.execute(sa.select(sa.func.count(), total, newest)).one())

    def standing(self) -> Standing:
        """How far the evaluator is."""
        with self._state.reading() as link:
            row = link.execute(sa.select(evaluator)).one()
        log = "" if row.log is None else str(row.log)
        return Standing(log, row.seq, row.version, row.beat_at, row.holder)

    def now(self) -> datetime:
        """What time it is in the database."""
        with self._state.reading() as link:
            found: datetime = link.execute(sa.select(sa.func.now())).scalar_one()
        return found

    def expire(self, before: datetime) -> int:
        """Remove alerts that were over by then; how many."""
        old = sa.delete(alerts).where(alerts.c.closed_at < before)
        with self._state.writing() as link:
            return link.execute(old).rowcount

    def held(self) -> dict[Place, Held]:
        """Where all alerts stand."""
        with self._state.reading() as link:
            rows = link.execute(sa.select(alert_states)).all()
        return {(row.rule, row.key): _held(row) for row in rows}

    def known(self, keys: Sequence[str]) -> set[str]:
        """Which of these alerts there were already."""
        wanted = sa.func.any(sa.cast(list(keys), sa.ARRAY(sa.Text)))
        with self._state.reading() as link:
            return set(
                link.execute(sa.select(alerts.c.key).where(alerts.c.key == wanted)).scalars()
            )

    def titles(self, keys: Sequence[str]) -> dict[str, str]:
        """The titles of these alerts, by key."""
        wanted = sa.func.any(sa.cast(list(keys), sa.ARRAY(sa.Text)))
        query = sa.select(alerts.c.key, alerts.c.title).where(alerts.c.key == wanted)
        with self._state.reading() as link:
            return {row.key: row.title for row in link.execute(query)}

    def write(
        self,
        found: Round,
        standing: Standing,
        also: Callable[[sa.Connection], None] = lambda _: None,
    ) -> Standing:
        """Keep what a round found, and how far the evaluator is now.

        `standing` has the version of the last one. `also` writes what belongs to it. Raises
        `Overtaken`, and writes nothing, where that is not the one that was written last.
        """
        with self._state.writing() as link:
            link.execute(_PATIENCE)
            beat = link.execute(_going_on(standing)).one_or_none()
            if beat is None:
                raise Overtaken("another evaluator has gone on from here")
            _write_statuses(link, found.statuses)
            _write_alerts(link, found)
            also(link)
        return replace(standing, version=standing.version + 1, beat_at=beat[0])

    def _remove(self, link: sa.Connection, name: str) -> None:
        delete = sa.delete(table).where(table.c.name == name).returning(table.c.name)
        if link.execute(delete).one_or_none() is None:
            raise self._unknown(link, name)
        ended = sa.update(alerts).values(closed_at=sa.func.now())
        link.execute(ended.where(alerts.c.rule == name, alerts.c.closed_at.is_(None)))

    def _unknown(self, link: sa.Connection, name: str) -> UnknownName:
        names = link.execute(sa.select(table.c.name)).scalars()
        return UnknownName(f"there is no rule {name[:80]!r}{hint(name, names)}")


def _saving(rule: Rule, by: str, version: int | None) -> Any:
    values = {"name": rule.name, "record": rule.plain(), "changed_by": by}
    insert = pg.insert(table).values(values)
    if version == 0:
        return insert.on_conflict_do_nothing().returning(table)
    change = {
        "record": insert.excluded.record,
        "changed_by": by,
        "changed_at": sa.func.now(),
        "version": table.c.version + 1,
    }
    if version is None:
        return insert.on_conflict_do_update(index_elements=[table.c.name], set_=change).returning(
            table
        )
    mine = (table.c.name == rule.name) & (table.c.version == version)
    values = change | {"record": rule.plain()}
    return sa.update(table).where(mine).values(values).returning(table)


def _going_on(standing: Standing) -> Any:
    values = {
        "log": uuid.UUID(standing.log) if standing.log else None,
        "seq": standing.seq,
        "holder": standing.holder,
        "beat_at": sa.func.now(),
        "version": standing.version + 1,
    }
    seen = evaluator.c.version == standing.version
    return sa.update(evaluator).where(seen).values(values).returning(evaluator.c.beat_at)


def _write_statuses(link: sa.Connection, statuses: Mapping[Place, Held | None]) -> None:
    gone = [place for place, held in statuses.items() if held is None]
    for rule, key in gone:
        mine = (alert_states.c.rule == rule) & (alert_states.c.key == key)
        link.execute(sa.delete(alert_states).where(mine))
    rows = [
        {"rule": rule, "key": key, "labels": dict(held.labels), "status": _plain(held)}
        for (rule, key), held in statuses.items()
        if held is not None
    ]
    if rows:
        insert = pg.insert(alert_states)
        change = insert.on_conflict_do_update(
            index_elements=[alert_states.c.rule, alert_states.c.key],
            set_={"labels": insert.excluded.labels, "status": insert.excluded.status},
        )
        link.execute(change, rows)


def _write_alerts(link: sa.Connection, found: Round) -> None:
    if found.opened:
        rows = [asdict(one) for one in found.opened]
        link.execute(pg.insert(alerts).on_conflict_do_nothing(), rows)
    for key, at in found.closed.items():
        link.execute(sa.update(alerts).where(alerts.c.key == key).values(closed_at=at))


def _kept(row: Any) -> Kept:
    try:
        found, fault = rules.read(row.record), ""
    except RuleError as error:
        found, fault = None, str(error)
    return Kept(row.name, found, row.version, row.changed_at, row.changed_by, fault)


_MOMENTS: Final = ("since", "opened", "matched", "told")


def _plain(held: Held) -> dict[str, Any]:
    """A status as JSON has it, without what is as at first."""
    usual, status = Status(), held.status
    plain = {
        part.name: getattr(status, part.name)
        for part in fields(Status)
        if getattr(status, part.name) != getattr(usual, part.name)
    }
    for name in _MOMENTS:
        if name in plain:
            plain[name] = stamp(plain[name])
    if status.value is not None and not math.isfinite(status.value):
        del plain["value"]
    return plain | ({"alert": held.alert} if held.alert else {})


def _held(row: Any) -> Held:
    plain = dict(row.status)
    alert = plain.pop("alert", "")
    for name in _MOMENTS:
        if name in plain:
            plain[name] = moment(plain[name])
    if "phase" in plain:
        plain["phase"] = Phase(plain["phase"])
    return Held(row.labels, Status(**plain), alert)

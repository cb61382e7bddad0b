"""A rule tried once on the newest data: what would happen, and why. Nothing is kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa

from alphapulse_nb.alerts import duration, measure, notice
from alphapulse_nb.alerts.check import Checked
from alphapulse_nb.alerts.engine import Engine, Step, key_of
from alphapulse_nb.alerts.measure import Measured
from alphapulse_nb.alerts.rule import Aggregate
from alphapulse_nb.alerts.states import What
from alphapulse_nb.db import tables
from alphapulse_nb.db.connection import Database
from alphapulse_nb.events import Event, plain
from alphapulse_nb.state import State
from alphapulse_nb.state.tables import events as logged

ROWS: Final = 20
"""Rows that a rule over single rows is tried on."""


@dataclass(frozen=True)
class Line:
    """One row, or one set of labels: what would come of it, and why.

    `title` and `message` are what would be said; `missing` are the fields that they name and that
    have no value.
    """

    labels: Mapping[str, str]
    outcome: str
    reason: str
    title: str = ""
    message: str = ""
    missing: tuple[str, ...] = ()


def tried(checked: Checked, db: Database, state: State, now: datetime) -> list[Line]:
    """What a rule says to the newest data. Raises `DatabaseError`."""
    if checked.rule.aggregate is None:
        return [_of_event(checked, event, now) for event in newest(checked, db, state)]
    door = db.connection() if measure.is_table(checked) else state.reading()
    with door as link:
        found = measure.measured(checked, measure.rows_of(checked, logged), link, now)
    return _of_window(checked, found, now)


def newest(checked: Checked, db: Database, state: State) -> list[Event]:
    """The newest rows of a rule's source, as events, newest first."""
    if measure.is_table(checked):
        table = tables.metadata.tables[checked.rule.source]
        order = (table.c.timestamp.desc(), table.c.id.desc())
        with db.connection() as link:
            rows = link.execute(sa.select(table).order_by(*order).limit(ROWS)).mappings().all()
        return [_event(checked.rule.source, row) for row in rows]
    query = sa.select(logged).where(logged.c.type == checked.rule.source)
    with state.reading() as link:
        rows = link.execute(query.order_by(logged.c.seq.desc()).limit(ROWS)).mappings().all()
    return [Event(row["seq"], row["type"], row["data"], row["at"]) for row in rows]


def _event(source: str, row: sa.RowMapping) -> Event:
    values = {name: plain(value) for name, value in row.items()}
    return Event(row["id"], "data_update", values | {"table": source}, row["timestamp"])


def _of_event(checked: Checked, event: Event, now: datetime) -> Line:
    labels = {name: str(event.data.get(name, "")) for name in checked.by}
    engine = Engine([checked])
    steps = engine.take([event], now)
    if steps:
        return _fires(steps[0], checked, event.data)
    tally = engine.tallies[checked.rule.name]
    return Line(labels, "cannot be told" if tally.unknown else "does not hold", tally.why)


def _of_window(checked: Checked, found: Sequence[Measured], now: datetime) -> list[Line]:
    steps = {
        key_of(step.labels): step for step in Engine([checked]).take_measured(checked, found, now)
    }
    lines = []
    for one in found:
        step = steps.pop(key_of(one.labels), None)
        lines.append(_line(checked, one.labels, one.value, step))
    lines += [_line(checked, step.labels, step.transition.value, step) for step in steps.values()]
    if not lines:
        back = duration.written(checked.rule.window)
        lines.append(Line({}, "has no data", f"there are no rows in the last {back}"))
    return lines


def _line(
    checked: Checked, labels: Mapping[str, str], value: float | None, step: Step | None
) -> Line:
    reason = compared(checked, value)
    what = None if step is None else step.transition.what
    if step is not None and what in {What.FIRED, What.PENDING}:
        said = _fires(step, checked, {})
        words = "fires" if what is What.FIRED else f"would fire after {_pending(checked)}"
        return replace(said, outcome=words, reason=reason)
    return Line(labels, "has no data" if what is What.NO_DATA else "does not hold", reason)


def _pending(checked: Checked) -> str:
    return duration.written(checked.rule.pending_for)


def compared(checked: Checked, value: float | None) -> str:
    """What a value is compared with, in words."""
    rule = checked.rule
    if value is None:
        return "no value"
    return f"{shown(checked, value)} {rule.operator} {shown(checked, rule.threshold)}"


def shown(checked: Checked, value: float) -> str:
    """A value of a rule as people see it, in its unit."""
    rule = checked.rule
    if rule.aggregate is Aggregate.SILENCE:
        return duration.written(timedelta(seconds=value))
    return f"{value * 100:.4g} %" if rule.unit == "%" else f"{value:.6g} {rule.unit}".strip()


def _fires(step: Step, checked: Checked, values: Mapping[str, Any]) -> Line:
    title, message, missing = notice.texts(step)
    reason = "" if checked.condition is None else checked.condition.holds(values).reason
    return Line(step.labels, "fires", reason, title, message, missing)

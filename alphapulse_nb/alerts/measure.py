"""What an aggregate is over a window, for each set of labels: one query.

The rows are those of a trading table, or the events of a type in our own log, whose data is JSON;
`Rows` says how each field is read. Numbers are doubles, and NaN is no number: such rows count as
those without a value.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa

from alphapulse_nb.alerts.check import Checked
from alphapulse_nb.alerts.fields import Field, Kind
from alphapulse_nb.alerts.rule import Aggregate
from alphapulse_nb.db import tables
from alphapulse_nb.errors import InputError

MOST_LABELS: Final = 1_000
"""Sets of labels that one rule may have."""


@dataclass(frozen=True)
class Rows:
    """The rows of a source: its fields as SQL, when each row is of, and what puts them in order."""

    columns: Mapping[str, sa.ColumnElement[Any]]
    at: sa.ColumnElement[datetime]
    order: sa.ColumnElement[Any]
    among: sa.ColumnElement[bool] | None = None


@dataclass(frozen=True)
class Measured:
    """The value for one set of labels; None where its rows have none. `newest` is in UTC."""

    labels: Mapping[str, str]
    value: float | None
    rows: int
    newest: datetime


def of_table(name: str) -> Rows:
    """The rows of a trading table."""
    table = tables.metadata.tables[name]
    columns: dict[str, sa.ColumnElement[Any]] = {
        column.name: _number(column) if _is_number(column) else column for column in table.columns
    }
    return Rows(columns, table.c.timestamp, table.c.id)


def of_events(table: sa.Table, checked: Checked) -> Rows:
    """The events of a type, in the log's `table`."""
    used = {*checked.by, *(checked.condition.names if checked.condition is not None else ())}
    columns = {name: _of_json(table.c.data, checked.fields[name]) for name in used}
    name = checked.rule.field
    if name:
        columns[name] = _of_json(table.c.data, replace(checked.fields[name], kind=Kind.NUMBER))
    return Rows(columns, table.c.at, table.c.seq, table.c.type == checked.rule.source)


def is_table(checked: Checked) -> bool:
    """Whether a rule's source is a trading table."""
    return checked.rule.source in tables.metadata.tables


def rows_of(checked: Checked, log: sa.Table) -> Rows:
    """The rows of a rule's source; `log` is the table of events."""
    return of_table(checked.rule.source) if is_table(checked) else of_events(log, checked)


def query(checked: Checked, rows: Rows, now: datetime) -> sa.Select[Any]:
    """The select for a rule: the columns of `by`, then `value`, `rows` and `newest`."""
    rule = checked.rule
    back = 2 * rule.window if rule.aggregate is Aggregate.CHANGE else rule.window
    inside = rows.at > sa.literal(now - rule.window, sa.DateTime(timezone=True))
    labels = [rows.columns[name].label(f"by_{name}") for name in checked.by]
    wanted = [
        *([] if rows.among is None else [rows.among]),
        rows.at > sa.literal(now - back, sa.DateTime(timezone=True)),
        rows.at <= sa.literal(now, sa.DateTime(timezone=True)),
    ]
    if checked.condition is not None:
        wanted.append(checked.condition.sql(rows.columns))
    counted = sa.func.count().filter(inside)
    value = _value(checked, rows, inside, now)
    return (
        sa.select(
            *labels,
            value.label("value"),
            counted.label("rows"),
            sa.func.max(rows.at).label("newest"),
        )
        .where(*wanted)
        .group_by(*[rows.columns[name] for name in checked.by])
        .having(sa.func.count() > 0)
        .limit(MOST_LABELS + 1)
    )


def measured(checked: Checked, rows: Rows, link: sa.Connection, now: datetime) -> list[Measured]:
    """What the rule's aggregate is at `now`.

    Raises `InputError` for a rule whose labels tell too many alerts apart, and what the database
    raises.
    """
    found = link.execute(query(checked, rows, now)).mappings().all()
    if len(found) > MOST_LABELS:
        raise InputError(
            f"its labels ({', '.join(checked.by)}) tell more than {MOST_LABELS:,} alerts apart"
        )
    return [_measured(checked, row) for row in found]


def _measured(checked: Checked, row: sa.RowMapping) -> Measured:
    value = None if row["value"] is None else float(row["value"])
    labels = {name: _text(row[f"by_{name}"]) for name in checked.by}
    known = value is not None and not math.isnan(value)
    return Measured(labels, value if known else None, row["rows"], row["newest"])


def _value(
    checked: Checked, rows: Rows, inside: sa.ColumnElement[bool], now: datetime
) -> sa.ColumnElement[Any]:
    aggregate, name = checked.rule.aggregate, checked.rule.field
    if aggregate is Aggregate.COUNT:
        return sa.func.count().filter(inside)
    if aggregate is Aggregate.SILENCE:
        moment = sa.literal(now, sa.DateTime(timezone=True))
        return sa.func.extract("epoch", moment - sa.func.max(rows.at))
    column = rows.columns[name]
    if aggregate is Aggregate.CHANGE:
        before = sa.func.avg(column).filter(sa.not_(inside))
        changed = sa.func.avg(column).filter(inside) - before
        return changed / sa.func.nullif(sa.func.abs(before), 0)
    if aggregate is Aggregate.LAST:
        newest = sa.dialects.postgresql.aggregate_order_by(
            column, rows.at.desc(), rows.order.desc()
        )
        # An array begins at 1 in SQL.
        found = sa.func.array_agg(newest, type_=sa.ARRAY(sa.Double)).filter(column.is_not(None))
        first: sa.ColumnElement[Any] = found[1]
        return first
    name_in_sql = {Aggregate.MEAN: "avg"}.get(aggregate or Aggregate.SUM, str(aggregate))
    function: sa.ColumnElement[Any] = getattr(sa.func, name_in_sql)(column)
    return function


def _is_number(column: sa.Column[Any]) -> bool:
    return isinstance(column.type, sa.Numeric | sa.Integer)


def _number(column: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    return sa.func.nullif(sa.cast(column, sa.Double), sa.cast(sa.literal("NaN"), sa.Double))


def _of_json(data: sa.ColumnElement[Any], field: Field) -> sa.ColumnElement[Any]:
    """A field of an event's data; null where it is missing or of another type."""
    part: Any = data[field.name]
    text: sa.ColumnElement[Any] = part.astext
    kinds: dict[Kind, tuple[str, Any]] = {
        Kind.NUMBER: ("number", sa.cast(text, sa.Double)),
        Kind.TEXT: ("string", text),
        Kind.FLAG: ("boolean", sa.cast(text, sa.Boolean)),
    }
    if field.kind is None:
        return text
    name, value = kinds[field.kind]
    return sa.case((sa.func.jsonb_typeof(part) == name, value))


def _text(value: Any) -> str:
    return "" if value is None else str(value)

"""Whole rows of the trading tables, newest first, page by page."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final, NamedTuple

import pandas as pd
import sqlalchemy as sa

from alphapulse_nb.db import tables
from alphapulse_nb.db.connection import Database
from alphapulse_nb.errors import SchemaError
from alphapulse_nb.queries.binding import SYMBOL, bound, inside
from alphapulse_nb.queries.window import Window

TABLES: Final[dict[str, sa.Table]] = {
    table.name: table
    for table in (
        tables.funding_rates,
        tables.anomalies,
        tables.performance_metrics,
        tables.signal_predictions,
        tables.signals,
        tables.backtests,
    )
}
"""The tables that have a symbol, by name."""

_LIMIT: Final = sa.bindparam("most", type_=sa.Integer)
_TIME: Final[sa.BindParameter[datetime]] = sa.bindparam(
    "before_time", type_=sa.DateTime(timezone=True)
)
_ID: Final = sa.bindparam("before_id", type_=sa.BigInteger)


class Place(NamedTuple):
    """A row's place in the order of its table."""

    timestamp: datetime
    id: int


def rows(
    db: Database, table: str, symbol: str, window: Window, limit: int, before: Place | None = None
) -> pd.DataFrame:
    """The newest rows of one symbol inside the window, newest first, at most `limit`.

    Columns are those of the table with the dtypes of `Database.read`: times datetime64[us, UTC],
    numbers float64, whole numbers int64 (float64 where one is NULL), texts str, JSON decoded
    objects. `before` continues after that row; rows that are written meanwhile move nothing.
    """
    values = bound(symbol, window, most=limit)
    if before is None:
        return db.read(_FIRST[table], values)
    return db.read(_NEXT[table], values | {"before_time": before.timestamp, "before_id": before.id})


def exist(db: Database, symbol: str) -> bool:
    """Whether any table has a row of the symbol; a missing table has none."""
    return any(_has(db, query, symbol) for query in _ANY)


def _has(db: Database, query: sa.Select[Any], symbol: str) -> bool:
    try:
        return len(db.read(query, {"symbol": symbol})) > 0
    except SchemaError:
        return False


def _page(table: sa.Table, *conditions: sa.ColumnElement[bool]) -> sa.Select[Any]:
    return (
        sa.select(*table.columns)
        .where(inside(table), *conditions)
        .order_by(table.c.timestamp.desc(), table.c.id.desc())
        .limit(_LIMIT)
        .execution_options(general=True)  # JSON has no fixed width
    )


def _after(table: sa.Table) -> sa.ColumnElement[bool]:
    # The first condition says nothing new; with it the index on (symbol, timestamp) ends the scan.
    place = sa.tuple_(table.c.timestamp, table.c.id)
    return (table.c.timestamp <= _TIME) & (place < sa.tuple_(_TIME, _ID))


def _any(table: sa.Table) -> sa.Select[Any]:
    some = sa.select(table.c.id).where(table.c.symbol == SYMBOL).limit(1)
    return some.execution_options(general=True)


_FIRST: Final = {name: _page(table) for name, table in TABLES.items()}
_NEXT: Final = {name: _page(table, _after(table)) for name, table in TABLES.items()}
_ANY: Final = [_any(table) for table in TABLES.values()]

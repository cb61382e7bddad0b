"""The symbols that the desk has data for."""

from __future__ import annotations

import functools
from typing import Any, Final

import sqlalchemy as sa

from alphapulse_nb.db import tables
from alphapulse_nb.db.connection import Database
from alphapulse_nb.errors import SchemaError

_TABLES: Final = (
    tables.funding_rates,
    tables.anomalies,
    tables.performance_metrics,
    tables.signal_predictions,
    tables.signals,
)


def symbols(db: Database) -> list[str]:
    """The symbols of the tables that the charts read, in alphabetical order; [] for none.

    Each table's index on (symbol, timestamp) is asked for the next greater symbol until there is
    none, so that the cost grows with the symbols and not with the rows. A missing table counts as
    empty while there is another.
    """
    try:
        return _of(db, _TABLES)
    except SchemaError:
        return _of_those_that_exist(db)


def _of(db: Database, sources: tuple[sa.Table, ...]) -> list[str]:
    return sorted(db.read(_query(sources))["symbol"])


@functools.cache
def _query(sources: tuple[sa.Table, ...]) -> sa.Select[Any]:
    every = sa.union(*(_distinct(table) for table in sources)).subquery("symbols")
    return sa.select(every.c.symbol).execution_options(general=True)


def _of_those_that_exist(db: Database) -> list[str]:
    found: set[str] = set()
    missing: list[SchemaError] = []
    for table in _TABLES:
        try:
            found.update(_of(db, (table,)))
        except SchemaError as error:
            missing.append(error)
    if len(missing) == len(_TABLES):
        raise missing[0]
    return sorted(found)


def _distinct(table: sa.Table) -> sa.Select[Any]:
    """The table's symbols by a loose index scan."""
    column = table.c.symbol
    first = sa.select(column).order_by(column).limit(1)
    known = sa.select(first.scalar_subquery().label("symbol")).cte(
        f"{table.name}_symbols", recursive=True
    )
    greater = sa.select(column).where(column > known.c.symbol).order_by(column).limit(1)
    known = known.union_all(sa.select(greater.scalar_subquery()).where(known.c.symbol.is_not(None)))
    return sa.select(known.c.symbol).where(known.c.symbol.is_not(None))

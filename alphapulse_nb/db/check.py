"""What a database lacks of the tables that we read, column by column.

A name may be a table, a hypertable, a view or a materialized view: a trading system with other
names is adapted with SQL views. A column's type is right when our queries can read it, not only
when it is the reference's: a view that yields `numeric` or `integer` where the reference says
`double precision` is as good.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from alphapulse_nb.db import tables
from alphapulse_nb.db.connection import Database

_INTEGERS: Final = frozenset({"int2", "int4", "int8"})
_NUMBERS: Final = _INTEGERS | {"float4", "float8", "numeric"}
_TEXTS: Final = frozenset({"text", "varchar", "bpchar", "name"})
_READABLE: Final[tuple[tuple[type[sa.types.TypeEngine[Any]], frozenset[str]], ...]] = (
    (sa.DateTime, frozenset({"timestamptz", "timestamp"})),
    (sa.Integer, _INTEGERS),
    (sa.Numeric, _NUMBERS),
    (sa.Float, _NUMBERS),
    (sa.String, _TEXTS),
    (pg.JSONB, frozenset({"jsonb", "json"})),
)
"""The types of Postgres that our queries read, for each kind of column."""

_EXISTING: Final = sa.text(
    "SELECT name FROM unnest(CAST(:names AS text[])) AS name"
    " WHERE to_regclass(quote_ident(name)) IS NOT NULL"
)
_COLUMNS: Final = sa.text(
    "SELECT c.relname AS table_name, c.relkind, a.attname AS column_name,"
    " t.typname, format_type(a.atttypid, a.atttypmod) AS shown,"
    " has_column_privilege(c.oid, a.attnum, 'SELECT') AS readable"
    " FROM unnest(CAST(:names AS text[])) AS name"
    " JOIN pg_class c ON c.oid = to_regclass(quote_ident(name))"
    " JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped"
    # A domain is read as the type it stands on.
    " JOIN pg_type d ON d.oid = a.atttypid"
    " JOIN pg_type t ON t.oid = CASE WHEN d.typtype = 'd' THEN d.typbasetype ELSE d.oid END"
)
_INDEXED: Final = sa.text(
    "SELECT c.relname AS table_name, array_agg(a.attname::text ORDER BY k.place) AS columns"
    " FROM unnest(CAST(:names AS text[])) AS name"
    " JOIN pg_class c ON c.oid = to_regclass(quote_ident(name))"
    " JOIN pg_index i ON i.indrelid = c.oid AND i.indisvalid AND i.indpred IS NULL"
    " CROSS JOIN LATERAL unnest(i.indkey::int2[]) WITH ORDINALITY AS k (attnum, place)"
    " JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.attnum"
    " GROUP BY c.relname, i.indexrelid"
)
_INDEXABLE: Final = ("r", "p", "m")


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong (or, when not `serious`, could be better), and the next step."""

    table: str
    column: str | None
    problem: str
    next_step: str
    serious: bool = True

    def __str__(self) -> str:
        place = self.table if self.column is None else f"{self.table}.{self.column}"
        return f"{place}: {self.problem}"


@dataclass(frozen=True)
class _Column:
    type_name: str
    shown: str
    readable: bool


def check(db: Database) -> list[Finding]:
    """Everything that is wrong with the database's tables, in the reference's order.

    Raises what `Database.transaction` raises.
    """
    with db.connection() as connection:
        columns, kinds = _columns(connection)
        indexes = _indexes(connection)
    found: list[Finding] = []
    for table in tables.metadata.tables.values():
        if table.name not in kinds:
            found.append(_missing_table(table))
            continue
        here = columns[table.name]
        problems = [problem for c in table.columns for problem in _compare(table.name, c, here)]
        found += problems
        if not problems and kinds[table.name] in _INDEXABLE:
            found += _without_index(table, indexes.get(table.name, []))
    return found


def existing(connection: sa.Connection) -> frozenset[str]:
    """Which of our names the connection's search path finds, as tables or views."""
    names = connection.execute(_EXISTING, {"names": list(tables.metadata.tables)}).scalars()
    return frozenset(names)


def _columns(connection: sa.Connection) -> tuple[dict[str, dict[str, _Column]], dict[str, str]]:
    """The columns by table and name, and the kind of each table that exists."""
    columns: dict[str, dict[str, _Column]] = {name: {} for name in existing(connection)}
    kinds = dict.fromkeys(columns, "")
    for row in connection.execute(_COLUMNS, {"names": list(columns)}):
        kinds[row.table_name] = row.relkind
        columns[row.table_name][row.column_name] = _Column(row.typname, row.shown, row.readable)
    return columns, kinds


def _indexes(connection: sa.Connection) -> dict[str, list[list[str]]]:
    found: dict[str, list[list[str]]] = {}
    names = {"names": list(tables.metadata.tables)}
    for row in connection.execute(_INDEXED, names):
        found.setdefault(row.table_name, []).append(row.columns)
    return found


def _missing_table(table: sa.Table) -> Finding:
    columns = ", ".join(f"{c.name} {_sql_type(c)}" for c in table.columns)
    return Finding(
        table.name,
        None,
        "missing",
        f"make it a view with these columns: {columns}; in an empty database, `alphapulse db init`",
    )


def _compare(name: str, wanted: sa.Column[Any], here: dict[str, _Column]) -> Iterator[Finding]:
    found = here.get(wanted.name)
    expected = _sql_type(wanted)
    if found is None:
        step = f"add it as {expected}"
        if wanted.nullable:
            step += f", or NULL::{expected} AS {wanted.name} in a view"
        yield Finding(name, wanted.name, "missing", step)
        return
    if not found.readable:
        step = f"GRANT SELECT ON {name} TO the database user"
        yield Finding(name, wanted.name, "may not be read", step)
    if found.type_name not in _readable_types(wanted):
        yield Finding(
            name,
            wanted.name,
            f"is {found.shown}, expected {expected}",
            f"cast it in a view: {wanted.name}::{expected}",
        )
    elif found.type_name == "timestamp":
        yield Finding(
            name,
            wanted.name,
            "has no time zone and is read as UTC",
            f"if it is not UTC, convert it in a view: {wanted.name} AT TIME ZONE 'its zone'",
            serious=False,
        )


def _without_index(table: sa.Table, indexes: list[list[str]]) -> Iterator[Finding]:
    """A note when no index serves "this symbol, this range"."""
    lead = "symbol" if "symbol" in table.c else "metric_name"
    if [lead, "timestamp"] not in [columns[:2] for columns in indexes]:
        yield Finding(
            table.name,
            None,
            f"no index on ({lead}, timestamp): long ranges will be slow",
            f"CREATE INDEX ON {table.name} ({lead}, timestamp DESC)",
            serious=False,
        )


def _readable_types(column: sa.Column[Any]) -> frozenset[str]:
    return next(names for kind, names in _READABLE if isinstance(column.type, kind))


def _sql_type(column: sa.Column[Any]) -> str:
    return column.type.compile(pg.dialect()).lower()  # type: ignore[no-untyped-call]

"""What stands in a database: versions, sizes, rows, the newest time of each table, its users."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final

import sqlalchemy as sa

from alphapulse_nb.db import check, leases, tables, timescale, triggers
from alphapulse_nb.db.connection import Database
from alphapulse_nb.errors import DatabaseError

_SERVER: Final = sa.text(
    "SELECT current_setting('server_version') AS version,"
    " pg_size_pretty(pg_database_size(current_database())) AS size"
)
_ESTIMATE: Final = sa.text(
    "SELECT relkind::text, reltuples::bigint FROM pg_class WHERE oid = to_regclass(:name)"
)
_CHUNKS: Final = sa.text("SELECT approximate_row_count(CAST(:name AS regclass))")
_COUNTED: Final = 100_000
"""Rows up to which a table without an estimate is counted."""


def status(db: Database) -> Iterator[str]:
    """The lines of `alphapulse db status`. Raises what `Database.transaction` raises."""
    with db.connection() as link:
        server = link.execute(_SERVER).one()
        found = timescale.detect(link)
        hyper = timescale.hypertables(link)
        there = [name for name in tables.metadata.tables if name in check.existing(link)]
    yield f"database     {db.where}, Postgres {server.version}, {server.size}"
    yield f"TimescaleDB  {found}"
    if db.embedded is not None:
        holders = sorted(set(leases.holders(db.embedded.data_dir)))
        yield f"data         {db.embedded.data_dir}"
        yield f"in use by    process {', '.join(map(str, holders))} (this one is {os.getpid()})"
    for name in there:
        yield _table_line(db, name, name in hyper)
    if not there:
        yield "tables       none; `alphapulse db check` says what is missing"
    yield f"triggers     {_triggers(db)}"


def _triggers(db: Database) -> str:
    found = triggers.status(db)
    installed = [outcome.table for outcome in found if outcome.state == "installed"]
    if not installed:
        return "none; `alphapulse db install-triggers` makes them"
    missing = [outcome.table for outcome in found if outcome.state != "installed"]
    count = f"on {len(installed)} of {len(found)} tables"
    return f"{count}, not on {', '.join(missing)}" if missing else count


def _table_line(db: Database, name: str, hyper: bool) -> str:
    table = tables.metadata.tables[name]
    try:
        with db.connection() as link:
            kind, estimate = link.execute(_ESTIMATE, {"name": name}).one()
            if hyper:
                estimate = link.execute(_CHUNKS, {"name": name}).scalar_one()
            rows = _rows(link, table, estimate)
            newest = _newest(link, table)
    except DatabaseError as error:
        return f"{name:<20} cannot be read: {error}"
    shape = "hypertable" if hyper else {"v": "view", "m": "view"}.get(kind, "table")
    when = "" if newest is None else f", newest {newest:%Y-%m-%d %H:%M:%S} UTC"
    return f"{name:<20} {shape:<10} {rows:>14} rows{when}"


def _rows(link: sa.Connection, table: sa.Table, estimate: int) -> str:
    """A number of rows: the planner's estimate, or a count that stops at a bound."""
    if estimate > _COUNTED:
        return f"about {estimate:,}"
    some = sa.select(sa.literal(1)).select_from(table).limit(_COUNTED + 1).subquery()
    count = link.execute(sa.select(sa.func.count()).select_from(some)).scalar_one()
    return f"over {_COUNTED:,}" if count > _COUNTED else f"{count:,}"


def _newest(link: sa.Connection, table: sa.Table) -> datetime | None:
    """The newest time; the last day is asked first, since only a BRIN serves the time alone."""
    newest = sa.select(sa.func.max(table.c.timestamp))
    recent = newest.where(table.c.timestamp > sa.func.now() - timedelta(days=1))
    found: datetime | None = link.execute(recent).scalar() or link.execute(newest).scalar()
    return found

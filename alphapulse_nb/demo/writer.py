"""Frames into tables: COPY inside a transaction, and the marker that says whose rows they are."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

import pandas as pd
import psycopg2
import sqlalchemy as sa
from psycopg2 import sql
from psycopg2.extensions import connection as Connection  # noqa: N812 - it is a class

from alphapulse_nb.db import tables
from alphapulse_nb.errors import DatabaseUnavailable, InputError, SchemaError

# The values of metadata->>'source' by which the desk knows its own rows.
SOURCES = ("synthetic", "demo desk")

_LOST = (
    sa.exc.OperationalError,
    sa.exc.InterfaceError,
    psycopg2.OperationalError,  # COPY goes through the driver's own cursor
    psycopg2.InterfaceError,
)


@contextmanager
def transaction(engine: sa.Engine) -> Iterator[sa.Connection]:
    """A transaction in UTC; a connection that fails or is lost is `DatabaseUnavailable`."""
    try:
        with engine.begin() as connection:
            connection.execute(sa.text("SET LOCAL timezone = 'UTC'"))
            yield connection
    except _LOST as error:
        reason = str(getattr(error, "orig", error)).strip().partition("\n")[0]
        raise DatabaseUnavailable(f"the demo desk could not reach Postgres: {reason}") from error


def copy(connection: sa.Connection, name: str, frame: pd.DataFrame) -> int:
    """Append the frame's rows to the table `name`; columns by name, NaN and NaT become NULL."""
    if frame.empty:
        return 0
    buffer = io.StringIO()
    plain_times(frame).to_csv(buffer, header=False, index=False)
    buffer.seek(0)
    statement = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT csv)").format(
        sql.Identifier(name), sql.SQL(", ").join(map(sql.Identifier, frame.columns))
    )
    driver = cast("Connection", connection.connection.driver_connection)
    with driver.cursor() as cursor:
        cursor.copy_expert(statement, buffer)
    return len(frame)


def plain_times(frame: pd.DataFrame) -> pd.DataFrame:
    """The same frame with UTC times as naive text-friendly values; the transaction is in UTC."""
    aware = frame.select_dtypes("datetimetz").columns
    return frame.assign(**{name: frame[name].dt.tz_localize(None) for name in aware})


def reserve(connection: sa.Connection, name: str, count: int) -> int:
    """The first of `count` consecutive ids taken from the table's sequence."""
    last = connection.execute(
        sa.text("SELECT setval(s, nextval(s) + :n - 1) FROM pg_get_serial_sequence(:t, 'id') AS s"),
        {"n": max(count, 1), "t": name},
    ).scalar_one()
    return int(last) - max(count, 1) + 1


def prepare(engine: sa.Engine) -> None:
    """Empty the trading tables, if every row in them was written by the demo desk.

    Raises InputError, and changes nothing, when a table holds a row of somebody else or is a
    view; SchemaError when a table is missing.
    """
    names = [table.name for table in tables.metadata.sorted_tables]
    with transaction(engine) as connection:
        for name in names:
            _require_table(connection, name)
        connection.execute(sa.text(f"LOCK TABLE {', '.join(names)} IN ACCESS EXCLUSIVE MODE"))
        for name in names:
            _require_ours(connection, name)
        # Ids go on from where they were: whoever follows a table by id must not see one twice.
        connection.execute(sa.text(f"TRUNCATE {', '.join(names)} CONTINUE IDENTITY"))


def _require_table(connection: sa.Connection, name: str) -> None:
    kind = connection.execute(
        sa.text("SELECT relkind FROM pg_class WHERE oid = to_regclass(:name)"), {"name": name}
    ).scalar()
    if kind is None:
        raise SchemaError(f"table {name} does not exist; create the tables: alphapulse db init")
    if kind not in ("r", "p"):
        raise InputError(
            f"{name} is not a plain table here, so this is not a database for the demo; "
            "run alphapulse demo without DATABASE_URL to use an embedded one"
        )


def _require_ours(connection: sa.Connection, name: str) -> None:
    table = tables.metadata.tables[name]
    source = table.c.metadata["source"].astext
    stranger = (
        sa.select(table.c.id, table.c.timestamp)
        .where(sa.or_(source.is_(None), source.not_in(SOURCES)))
        .limit(1)
    )
    if row := connection.execute(stranger).first():
        raise InputError(
            f"{name} holds rows that the demo desk did not write (id {row.id}, {row.timestamp}); "
            "the demo empties its tables at start and will not touch these: "
            "give it an empty or an embedded database"
        )

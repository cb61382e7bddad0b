"""Making the reference tables: only where none of them exists.

The trading tables belong to the trading system, so what is there already is never altered.
"""

from __future__ import annotations

import sqlalchemy as sa

from alphapulse_nb.db import check, tables, timescale
from alphapulse_nb.db.connection import Database
from alphapulse_nb.db.timescale import Timescale
from alphapulse_nb.errors import SchemaError

# Two processes that start on one empty database at once: the second waits, then finds the tables.
_LOCK = sa.text("SELECT pg_advisory_xact_lock(hashtext('alphapulse-nb create tables'))")


def create(db: Database) -> Timescale | None:
    """Create the reference tables, as hypertables where TimescaleDB is; None when all exist.

    Raises `SchemaError`, and changes nothing, when only some exist; otherwise what
    `Database.transaction` raises.
    """
    wanted = list(tables.metadata.tables)
    with db.connection(write=True) as connection:
        connection.execute(_LOCK)
        there = check.existing(connection)
        missing = [name for name in wanted if name not in there]
        if not missing:
            return None
        if there:
            raise SchemaError(
                f"this database already has {', '.join(sorted(there))}, but not "
                f"{', '.join(missing)}; nothing was changed. Tables are only made where none of"
                " these names is taken: add what is missing as views (`alphapulse db check` says"
                " what each needs), or give an empty database."
            )
        tables.metadata.create_all(connection, checkfirst=False)
        found = timescale.detect(connection)
        if found.present:
            timescale.make_hypertables(connection, wanted)
        return found

"""The tables of the schema `alphapulse`, and the versions that it has had.

A change to a table is a change here, a revision in `migrations/versions`, and its name at the end
of `VERSIONS`; tests hold the three equal.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from alphapulse_nb.db.schema import SCHEMA
from alphapulse_nb.people import Role
from alphapulse_nb.state.passwords import HashText

VERSION_TABLE: Final = "alembic_version"
VERSIONS: Final = ("0001", "0002", "0003", "0004", "0005")
"""Every version of the schema, oldest first. Known without alembic, whose import takes 0.7 s."""

metadata = sa.MetaData(
    schema=SCHEMA,
    naming_convention={
        "pk": "%(table_name)s_pkey",
        "uq": "%(table_name)s_%(column_0_name)s_key",
        "ck": "%(table_name)s_%(constraint_name)s_check",
    },
)


def moment(name: str) -> sa.Column[datetime]:
    """A column with the moment at which its row was written."""
    return sa.Column(name, sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now())


users = sa.Table(
    "users",
    metadata,
    sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    # The name as it is compared: without case, in compatibility form.
    sa.Column("key", sa.Text, nullable=False, unique=True),
    sa.Column("password", HashText, nullable=False),
    sa.Column("role", sa.Text, nullable=False),
    sa.Column("zone", sa.Text, nullable=False, server_default=""),
    # New with each password: a session that was opened with the old one ends.
    sa.Column("version", sa.BigInteger, nullable=False),
    moment("created_at"),
    sa.CheckConstraint(
        "role IN ({})".format(", ".join(f"'{role.value}'" for role in Role)), name="role"
    ),
)

event_log = sa.Table(
    "event_log",
    metadata,
    # One row.
    sa.Column("id", sa.SmallInteger, primary_key=True, autoincrement=False, server_default="1"),
    # Another log has another identity: its numbers mean nothing beside ours.
    sa.Column("identity", sa.Uuid, nullable=False, server_default=sa.text("gen_random_uuid()")),
    # The greatest number that was removed.
    sa.Column("gone", sa.BigInteger, nullable=False, server_default="0"),
    sa.CheckConstraint("id = 1", name="one"),
)

events = sa.Table(
    "events",
    metadata,
    sa.Column("seq", sa.BigInteger, sa.Identity(always=True), primary_key=True),
    # The row that it tells of; null for what comes from no table.
    sa.Column("source_table", sa.Text),
    sa.Column("source_id", sa.BigInteger),
    sa.Column("revision", sa.Text, nullable=False, server_default=""),
    sa.Column("type", sa.Text, nullable=False),
    sa.Column("symbol", sa.Text),
    sa.Column("data", pg.JSONB, nullable=False),
    sa.Column("at", sa.DateTime(timezone=True), nullable=False),
    moment("logged_at"),
    sa.UniqueConstraint("source_table", "source_id", "revision"),
)
sa.Index("events_logged_at", events.c.logged_at)

event_sources = sa.Table(
    "event_sources",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    # The greatest id that was read, and the ranges below it that were not there.
    sa.Column("high", sa.BigInteger, nullable=False),
    sa.Column("gaps", pg.JSONB, nullable=False, server_default="[]"),
    # New when the table began anew, so that equal ids are not taken for the same rows.
    sa.Column("era", sa.Text, nullable=False, server_default=""),
    sa.Column("revised", sa.DateTime(timezone=True)),
    sa.Column("looked_at", sa.DateTime(timezone=True), nullable=False),
    # Grows with each change: who has not seen the last one may not make another.
    sa.Column("version", sa.BigInteger, nullable=False, server_default="0"),
)

event_types = sa.Table(
    "event_types",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("schema", pg.JSONB(none_as_null=True)),
    moment("created_at"),
)

"""The log of events, where it stands in each table of the desk, and types of others."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql as pg

revision = "0002"
down_revision = "0001"

SCHEMA = "alphapulse"


def upgrade() -> None:
    op.create_table(
        "event_log",
        sa.Column("id", sa.SmallInteger, server_default="1", nullable=False),
        sa.Column("identity", sa.Uuid, server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("gone", sa.BigInteger, server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("id", name="event_log_pkey"),
        sa.CheckConstraint("id = 1", name="event_log_one_check"),
        schema=SCHEMA,
    )
    op.execute(f"INSERT INTO {SCHEMA}.event_log DEFAULT VALUES")
    op.create_table(
        "events",
        sa.Column("seq", sa.BigInteger, sa.Identity(always=True), nullable=False),
        sa.Column("source_table", sa.Text),
        sa.Column("source_id", sa.BigInteger),
        sa.Column("revision", sa.Text, server_default="", nullable=False),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("symbol", sa.Text),
        sa.Column("data", pg.JSONB, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "logged_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False
        ),
        sa.PrimaryKeyConstraint("seq", name="events_pkey"),
        sa.UniqueConstraint(
            "source_table", "source_id", "revision", name="events_source_table_key"
        ),
        schema=SCHEMA,
    )
    op.create_index("events_logged_at", "events", ["logged_at"], schema=SCHEMA)
    op.create_table(
        "event_sources",
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("high", sa.BigInteger, nullable=False),
        sa.Column("gaps", pg.JSONB, server_default="[]", nullable=False),
        sa.Column("era", sa.Text, server_default="", nullable=False),
        sa.Column("revised", sa.DateTime(timezone=True)),
        sa.Column("looked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.BigInteger, server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("name", name="event_sources_pkey"),
        schema=SCHEMA,
    )
    op.create_table(
        "event_types",
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("schema", pg.JSONB(none_as_null=True)),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False
        ),
        sa.PrimaryKeyConstraint("name", name="event_types_pkey"),
        schema=SCHEMA,
    )

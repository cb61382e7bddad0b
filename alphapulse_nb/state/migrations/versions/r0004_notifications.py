"""Notifications, who was told of them, what people prefer, and the channels."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql as pg

revision = "0004"
down_revision = "0003"

SCHEMA = "alphapulse"


def upgrade() -> None:
    op.create_table(
        "notifications",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("record", pg.JSONB, nullable=False),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("priority", sa.Text, nullable=False),
        sa.Column("symbol", sa.Text),
        sa.Column("rule", sa.Text),
        sa.Column("alert", sa.Text),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False
        ),
        sa.PrimaryKeyConstraint("id", name="notifications_pkey"),
        sa.UniqueConstraint("key", name="notifications_key_key"),
        schema=SCHEMA,
    )
    op.create_index("notifications_created_at", "notifications", ["created_at"], schema=SCHEMA)
    op.create_table(
        "inbox",
        sa.Column("person", sa.Text, nullable=False),
        sa.Column("notification", sa.BigInteger, nullable=False),
        sa.Column("outcome", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, server_default="", nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True)),
        sa.Column("read_at", sa.DateTime(timezone=True)),
        sa.Column("removed_at", sa.DateTime(timezone=True)),
        sa.PrimaryKeyConstraint("person", "notification", name="inbox_pkey"),
        sa.ForeignKeyConstraint(
            ["notification"],
            [f"{SCHEMA}.notifications.id"],
            ondelete="CASCADE",
            name="inbox_notification_fkey",
        ),
        schema=SCHEMA,
    )
    op.create_index(
        "inbox_due",
        "inbox",
        ["due_at"],
        schema=SCHEMA,
        postgresql_where=sa.text("due_at IS NOT NULL"),
    )
    op.create_index("inbox_notification", "inbox", ["notification"], schema=SCHEMA)
    op.create_table(
        "preferences",
        sa.Column("person", sa.Text, nullable=False),
        sa.Column("record", pg.JSONB, nullable=False),
        sa.Column(
            "changed_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False
        ),
        sa.PrimaryKeyConstraint("person", name="preferences_pkey"),
        schema=SCHEMA,
    )
    op.create_table(
        "snoozes",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), nullable=False),
        sa.Column("person", sa.Text, nullable=False),
        sa.Column("rule", sa.Text),
        sa.Column("labels", pg.JSONB(none_as_null=True)),
        sa.Column("alert", sa.Text),
        sa.Column("until", sa.DateTime(timezone=True)),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False
        ),
        sa.PrimaryKeyConstraint("id", name="snoozes_pkey"),
        schema=SCHEMA,
    )
    op.create_index("snoozes_person", "snoozes", ["person"], schema=SCHEMA)
    op.create_table(
        "channels",
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("address", sa.Text, nullable=False),
        sa.Column("secret", sa.Text, server_default="", nullable=False),
        sa.Column("enabled", sa.Boolean, server_default=sa.true(), nullable=False),
        sa.Column("watch", sa.Boolean, server_default=sa.true(), nullable=False),
        sa.Column("version", sa.BigInteger, server_default="1", nullable=False),
        sa.Column(
            "changed_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False
        ),
        sa.Column("changed_by", sa.Text, server_default="", nullable=False),
        sa.PrimaryKeyConstraint("name", name="channels_pkey"),
        schema=SCHEMA,
    )
    op.create_table(
        "deliveries",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("channel", sa.Text, nullable=False),
        sa.Column("notification", sa.BigInteger, nullable=False),
        sa.Column("state", sa.Text, server_default="waiting", nullable=False),
        sa.Column("attempts", sa.Integer, server_default="0", nullable=False),
        sa.Column(
            "due_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False
        ),
        sa.Column("doubtful", sa.Boolean, server_default=sa.false(), nullable=False),
        sa.Column("sent_at", sa.DateTime(timezone=True)),
        sa.Column("error", sa.Text, server_default="", nullable=False),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False
        ),
        sa.PrimaryKeyConstraint("id", name="deliveries_pkey"),
        sa.UniqueConstraint("key", name="deliveries_key_key"),
        sa.ForeignKeyConstraint(
            ["notification"],
            [f"{SCHEMA}.notifications.id"],
            ondelete="CASCADE",
            name="deliveries_notification_fkey",
        ),
        sa.CheckConstraint("state IN ('waiting', 'sent', 'dead')", name="deliveries_state_check"),
        schema=SCHEMA,
    )
    op.create_index("deliveries_notification", "deliveries", ["notification"], schema=SCHEMA)
    op.create_index(
        "deliveries_waiting",
        "deliveries",
        ["due_at"],
        schema=SCHEMA,
        postgresql_where=sa.text("state = 'waiting'"),
    )

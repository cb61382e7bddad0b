"""Rules of alerts, where each alert stands, the alerts there were, and how far the evaluator is."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql as pg

revision = "0003"
down_revision = "0002"

SCHEMA = "alphapulse"


def upgrade() -> None:
    op.create_table(
        "rules",
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("record", pg.JSONB, nullable=False),
        sa.Column("version", sa.BigInteger, server_default="1", nullable=False),
        sa.Column(
            "changed_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False
        ),
        sa.Column("changed_by", sa.Text, server_default="", nullable=False),
        sa.PrimaryKeyConstraint("name", name="rules_pkey"),
        schema=SCHEMA,
    )
    op.create_table(
        "alert_states",
        sa.Column("rule", sa.Text, nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("labels", pg.JSONB, nullable=False),
        sa.Column("status", pg.JSONB, nullable=False),
        sa.PrimaryKeyConstraint("rule", "key", name="alert_states_pkey"),
        schema=SCHEMA,
    )
    op.create_table(
        "alerts",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("rule", sa.Text, nullable=False),
        sa.Column("labels", pg.JSONB, nullable=False),
        sa.Column("symbol", sa.Text),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("priority", sa.Text, nullable=False),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("message", sa.Text, nullable=False),
        sa.Column("value", sa.Double),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True)),
        sa.Column("acknowledged_by", sa.Text),
        sa.Column("acknowledged_at", sa.DateTime(timezone=True)),
        sa.PrimaryKeyConstraint("id", name="alerts_pkey"),
        sa.UniqueConstraint("key", name="alerts_key_key"),
        schema=SCHEMA,
    )
    op.create_index("alerts_opened_at", "alerts", ["opened_at"], schema=SCHEMA)
    op.create_index(
        "alerts_open",
        "alerts",
        ["rule"],
        schema=SCHEMA,
        postgresql_where=sa.text("closed_at IS NULL"),
    )
    op.create_table(
        "evaluator",
        sa.Column("id", sa.SmallInteger, server_default="1", nullable=False),
        sa.Column("log", sa.Uuid),
        sa.Column("seq", sa.BigInteger, server_default="0", nullable=False),
        sa.Column("shipped", pg.JSONB, server_default="[]", nullable=False),
        sa.Column("beat_at", sa.DateTime(timezone=True)),
        sa.Column("holder", sa.Text, server_default="", nullable=False),
        sa.Column("version", sa.BigInteger, server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("id", name="evaluator_pkey"),
        sa.CheckConstraint("id = 1", name="evaluator_one_check"),
        schema=SCHEMA,
    )
    op.execute(f"INSERT INTO {SCHEMA}.evaluator DEFAULT VALUES")

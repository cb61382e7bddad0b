"""The tables of alerts: rules, where each alert stands, and what there was."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from alphapulse_nb.state.tables import metadata, moment

rules = sa.Table(
    "rules",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("record", pg.JSONB, nullable=False),
    # Grows with each change: who has not seen the last one may not make another.
    sa.Column("version", sa.BigInteger, nullable=False, server_default="1"),
    moment("changed_at"),
    sa.Column("changed_by", sa.Text, nullable=False, server_default=""),
)

alert_states = sa.Table(
    "alert_states",
    metadata,
    sa.Column("rule", sa.Text, primary_key=True),
    # The labels in one text, the same for the same labels; empty for the rule itself.
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("labels", pg.JSONB, nullable=False),
    sa.Column("status", pg.JSONB, nullable=False),
)

alerts = sa.Table(
    "alerts",
    metadata,
    sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
    # What makes it the same alert, whoever evaluates and however often.
    sa.Column("key", sa.Text, nullable=False, unique=True),
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
)
sa.Index("alerts_opened_at", alerts.c.opened_at)
sa.Index("alerts_open", alerts.c.rule, postgresql_where=alerts.c.closed_at.is_(None))

evaluator = sa.Table(
    "evaluator",
    metadata,
    # One row.
    sa.Column("id", sa.SmallInteger, primary_key=True, autoincrement=False, server_default="1"),
    # Which log of events it follows, and the number of the last event that it has dealt with.
    sa.Column("log", sa.Uuid),
    sa.Column("seq", sa.BigInteger, nullable=False, server_default="0"),
    # Rules of ours that were put there once: who removes one does not get it again.
    sa.Column("shipped", pg.JSONB, nullable=False, server_default="[]"),
    sa.Column("beat_at", sa.DateTime(timezone=True)),
    sa.Column("holder", sa.Text, nullable=False, server_default=""),
    # Grows with each round: who has not seen the last one may not write another.
    sa.Column("version", sa.BigInteger, nullable=False, server_default="0"),
    sa.CheckConstraint("id = 1", name="one"),
)

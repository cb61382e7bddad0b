"""The tables of notifications: what there was to tell, to whom it was told, and by which way."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from alphapulse_nb.state.tables import metadata, moment

notifications = sa.Table(
    "notifications",
    metadata,
    sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
    # What makes it the same one, whoever found it and however often.
    sa.Column("key", sa.Text, nullable=False, unique=True),
    sa.Column("record", pg.JSONB, nullable=False),
    sa.Column("type", sa.Text, nullable=False),
    sa.Column("priority", sa.Text, nullable=False),
    sa.Column("symbol", sa.Text),
    sa.Column("rule", sa.Text),
    sa.Column("alert", sa.Text),
    sa.Column("at", sa.DateTime(timezone=True), nullable=False),
    moment("created_at"),
)
sa.Index("notifications_created_at", notifications.c.created_at)

inbox = sa.Table(
    "inbox",
    metadata,
    # A user's key; empty for all who have no name of their own.
    sa.Column("person", sa.Text, primary_key=True),
    sa.Column(
        "notification",
        sa.BigInteger,
        sa.ForeignKey(notifications.c.id, ondelete="CASCADE", name="inbox_notification_fkey"),
        primary_key=True,
    ),
    # Whether it was told, or why not.
    sa.Column("outcome", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False, server_default=""),
    # When what was kept is told in a digest; null once that has been.
    sa.Column("due_at", sa.DateTime(timezone=True)),
    sa.Column("read_at", sa.DateTime(timezone=True)),
    sa.Column("removed_at", sa.DateTime(timezone=True)),
)
sa.Index("inbox_notification", inbox.c.notification)
sa.Index("inbox_due", inbox.c.due_at, postgresql_where=inbox.c.due_at.is_not(None))

shown = sa.Table(
    "shown",
    metadata,
    # Which page shows it: that of the person, or where many share a name, of one browser.
    sa.Column("person", sa.Text, primary_key=True),
    sa.Column(
        "notification",
        sa.BigInteger,
        sa.ForeignKey(notifications.c.id, ondelete="CASCADE", name="shown_notification_fkey"),
        primary_key=True,
    ),
    sa.Column("page", sa.Text, primary_key=True),
)
sa.Index("shown_notification", shown.c.notification)

preferences = sa.Table(
    "preferences",
    metadata,
    sa.Column("person", sa.Text, primary_key=True),
    sa.Column("record", pg.JSONB, nullable=False),
    moment("changed_at"),
)

snoozes = sa.Table(
    "snoozes",
    metadata,
    sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
    sa.Column("person", sa.Text, nullable=False),
    sa.Column("rule", sa.Text),
    sa.Column("labels", pg.JSONB(none_as_null=True)),
    sa.Column("alert", sa.Text),
    # Null: until the alert clears.
    sa.Column("until", sa.DateTime(timezone=True)),
    moment("created_at"),
)
sa.Index("snoozes_person", snoozes.c.person)

channels = sa.Table(
    "channels",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    # Both hold secrets: they leave the database for the channel and nothing else.
    sa.Column("address", sa.Text, nullable=False),
    sa.Column("secret", sa.Text, nullable=False, server_default=""),
    sa.Column("enabled", sa.Boolean, nullable=False, server_default=sa.true()),
    # Whether the notice that nobody evaluates goes there.
    sa.Column("watch", sa.Boolean, nullable=False, server_default=sa.true()),
    sa.Column("version", sa.BigInteger, nullable=False, server_default="1"),
    moment("changed_at"),
    sa.Column("changed_by", sa.Text, nullable=False, server_default=""),
)

deliveries = sa.Table(
    "deliveries",
    metadata,
    sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
    # The same for the same message to the same channel; receivers see it.
    sa.Column("key", sa.Text, nullable=False, unique=True),
    sa.Column("channel", sa.Text, nullable=False),
    sa.Column(
        "notification",
        sa.BigInteger,
        sa.ForeignKey(notifications.c.id, ondelete="CASCADE", name="deliveries_notification_fkey"),
        nullable=False,
    ),
    sa.Column("state", sa.Text, nullable=False, server_default="waiting"),
    sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
    # When it is tried next; while somebody tries, when others may think that they have died.
    sa.Column("due_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
    # An attempt began whose end nobody has written down: the next one says that it may be a repeat.
    sa.Column("doubtful", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("sent_at", sa.DateTime(timezone=True)),
    sa.Column("error", sa.Text, nullable=False, server_default=""),
    moment("created_at"),
    sa.CheckConstraint("state IN ('waiting', 'sent', 'dead')", name="state"),
)
sa.Index(
    "deliveries_waiting", deliveries.c.due_at, postgresql_where=deliveries.c.state == "waiting"
)
sa.Index("deliveries_notification", deliveries.c.notification)

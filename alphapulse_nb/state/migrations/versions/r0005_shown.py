"""Which page shows a notification."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

SCHEMA = "alphapulse"


def upgrade() -> None:
    op.create_table(
        "shown",
        sa.Column("person", sa.Text, nullable=False),
        sa.Column("notification", sa.BigInteger, nullable=False),
        sa.Column("page", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("person", "notification", "page", name="shown_pkey"),
        sa.ForeignKeyConstraint(
            ["notification"],
            [f"{SCHEMA}.notifications.id"],
            name="shown_notification_fkey",
            ondelete="CASCADE",
        ),
        schema=SCHEMA,
    )
    op.create_index("shown_notification", "shown", ["notification"], schema=SCHEMA)

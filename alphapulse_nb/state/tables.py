"""The tables of the schema `alphapulse`, and the versions that it has had.

A change to a table is a change here, a revision in `migrations/versions`, and its name at the end
of `VERSIONS`; tests hold the three equal.
"""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

from alphapulse_nb.people import Role
from alphapulse_nb.state.passwords import HashText

SCHEMA: Final = "alphapulse"
VERSION_TABLE: Final = "alembic_version"
VERSIONS: Final = ("0001",)
"""Every version of the schema, oldest first. Known without alembic, whose import takes 0.7 s."""

metadata = sa.MetaData(
    schema=SCHEMA,
    naming_convention={
        "pk": "%(table_name)s_pkey",
        "uq": "%(table_name)s_%(column_0_name)s_key",
        "ck": "%(table_name)s_%(constraint_name)s_check",
    },
)

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
    sa.Column(
        "created_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()
    ),
    sa.CheckConstraint(
        "role IN ({})".format(", ".join(f"'{role.value}'" for role in Role)), name="role"
    ),
)

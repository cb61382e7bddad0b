"""The schema that holds what is ours, so that it stays apart from what the trading system has."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

SCHEMA: Final = "alphapulse"

_DEFAULT_PATH: Final = '"$user", public'
_PATH: Final = sa.text(
    "SELECT current_user AS who, reset_val FROM pg_settings WHERE name = 'search_path'"
)


def make(link: sa.Connection) -> None:
    """Make the schema where it is not; IF NOT EXISTS asks for the right to make it all the same."""
    _keep_out_of_the_way(link)
    there = sa.text("SELECT 1 FROM pg_namespace WHERE nspname = :name")
    if link.execute(there, {"name": SCHEMA}).scalar() is None:
        link.execute(sa.schema.CreateSchema(SCHEMA))


def _keep_out_of_the_way(link: sa.Connection) -> None:
    """See that a database user who is named like our schema goes on to work in `public`.

    By default the schema named like the user comes first where tables are looked for and made, so
    that ours, once made, would catch what the trading system creates.
    """
    path = link.execute(_PATH).one()
    if path.who == SCHEMA and path.reset_val == _DEFAULT_PATH:
        database = link.execute(sa.text("SELECT quote_ident(current_database())")).scalar_one()
        link.exec_driver_sql(
            f"ALTER ROLE CURRENT_USER IN DATABASE {database.replace('%', '%%')} "
            "SET search_path = public"
        )

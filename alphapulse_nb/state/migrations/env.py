"""What alembic runs: the migrations, on the connection that it is handed, in our schema only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from alembic import context

from alphapulse_nb.db.schema import SCHEMA
from alphapulse_nb.state.tables import VERSION_TABLE, metadata


def ours(name: str | None, kind: str, parents: Mapping[Any, str | None]) -> bool:
    """Whether alembic is to look at what has this name: our schema, and in it our tables."""
    if kind == "schema":
        return name == SCHEMA
    if kind == "table":
        return parents["schema_name"] == SCHEMA and f"{SCHEMA}.{name}" in metadata.tables
    return True


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=VERSION_TABLE,
    version_table_schema=SCHEMA,
    include_schemas=True,
    include_name=ours,
    compare_server_default=True,
)
with context.begin_transaction():
    context.run_migrations()

"""TimescaleDB: whether it is there, under which licence, and hypertables where it is.

Detected, never demanded. Hypertables need only the extension; compression, retention and continuous
aggregates also need the licence `timescale`. Without the extension the tables are plain ones.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa

FULL_LICENSE: Final = "timescale"

_FOUND: Final = sa.text("SELECT extversion FROM pg_extension WHERE extname = 'timescaledb'")
_LICENSE: Final = sa.text("SELECT current_setting('timescaledb.license', true)")
_OFFERED: Final = sa.text(
    "SELECT default_version FROM pg_available_extensions WHERE name = 'timescaledb'"
)
_HYPERTABLES: Final = sa.text(
    "SELECT hypertable_name FROM timescaledb_information.hypertables"
    " WHERE to_regclass(quote_ident(hypertable_name))"
    " = to_regclass(quote_ident(hypertable_schema) || '.' || quote_ident(hypertable_name))"
)
# The defaults would add a btree on the time alone, which the planner prefers to the better index.
_CREATE: Final = sa.text(
    "SELECT create_hypertable(CAST(:name AS regclass), 'timestamp',"
    " create_default_indexes => false)"
)


@dataclass(frozen=True)
class Timescale:
    """The TimescaleDB of one database. `version` is None where the extension is not created."""

    version: str | None
    license: str | None = None
    offered: str | None = None
    """The version that the server could create."""

    @property
    def present(self) -> bool:
        """Whether hypertables and `time_bucket` can be used."""
        return self.version is not None

    @property
    def full(self) -> bool:
        """Whether compression, retention and continuous aggregates can be used."""
        return self.present and self.license == FULL_LICENSE

    def __str__(self) -> str:
        if not self.present:
            return "not installed: plain tables"
        limits = "" if self.full else " (no compression, retention or continuous aggregates)"
        return f"{self.version}, licence {self.license or 'unknown'}{limits}"


def detect(connection: sa.Connection) -> Timescale:
    """What the connection's database has of TimescaleDB."""
    version = connection.execute(_FOUND).scalar()
    if version is None:
        return Timescale(None, offered=connection.execute(_OFFERED).scalar())
    return Timescale(version, connection.execute(_LICENSE).scalar(), version)


def hypertables(connection: sa.Connection) -> frozenset[str]:
    """The names, as the search path finds them, that are hypertables."""
    if not detect(connection).present:
        return frozenset()
    return frozenset(connection.execute(_HYPERTABLES).scalars())


def make_hypertables(connection: sa.Connection, names: Iterable[str]) -> None:
    """Turn empty tables with a `timestamp` column into hypertables."""
    for name in names:
        connection.execute(_CREATE, {"name": name})

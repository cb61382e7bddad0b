"""How our schema stands in a database, and bringing it to this release's version.

`standing` looks, with nothing but the catalogue and one row of ours; `prepare` migrates when that
is needed, and only then imports alembic. A migration is one transaction under an advisory lock, so
two servers that start at once are safe, and one that is killed leaves nothing half done.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import sqlalchemy as sa

from alphapulse_nb.db.schema import SCHEMA, make
from alphapulse_nb.errors import PermissionDenied, SchemaError
from alphapulse_nb.state import alert_tables, notification_tables  # noqa: F401 - they join in
from alphapulse_nb.state.door import State
from alphapulse_nb.state.tables import VERSION_TABLE, VERSIONS, metadata

if TYPE_CHECKING:
    from alembic.config import Config

HEAD: Final = VERSIONS[-1]
"""The version that this release works with."""

# The catalogue rather than to_regclass, which fails where the schema may not be entered.
_FACTS: Final = sa.text(
    "SELECT n.oid IS NOT NULL AS made,"
    " has_database_privilege(current_database(), 'CREATE') AS may_make,"
    " has_schema_privilege(n.oid, 'USAGE') AS may_enter,"
    " has_schema_privilege(n.oid, 'CREATE') AS may_build,"
    " v.oid IS NOT NULL AS versioned,"
    " has_table_privilege(v.oid, 'SELECT') AS may_look,"
    " COALESCE(t.usable, true) AS usable,"
    " COALESCE(t.names, '{}') AS taken,"
    " quote_ident(current_user) AS who,"
    " quote_ident(current_database()) AS database"
    " FROM (SELECT 1) AS one"
    " LEFT JOIN pg_namespace n ON n.nspname = :schema"
    " LEFT JOIN pg_class v ON v.relnamespace = n.oid AND v.relname = :version_table"
    " LEFT JOIN LATERAL ("
    "SELECT array_agg(c.relname::text ORDER BY c.relname) AS names,"
    " bool_and(has_table_privilege(c.oid, 'SELECT') AND has_table_privilege(c.oid, 'INSERT')"
    " AND has_table_privilege(c.oid, 'UPDATE') AND has_table_privilege(c.oid, 'DELETE')) AS usable"
    " FROM pg_class c WHERE c.relnamespace = n.oid AND c.relname = ANY (:tables)) AS t ON true"
).columns(taken=sa.ARRAY(sa.Text))
_VERSION: Final = sa.text(f"SELECT version_num FROM {SCHEMA}.{VERSION_TABLE}")  # noqa: S608

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Standing:
    """How our schema stands: whether it can be used, and what to do when not.

    `missing` and `old` are what `prepare` mends; `newer`, `denied` and `taken` are for people.
    """

    state: Literal["ok", "missing", "old", "newer", "denied", "taken"]
    version: str | None = None
    next_step: str = ""

    def __str__(self) -> str:
        words = {
            "ok": f"version {self.version}",
            "missing": "not made yet",
            "old": f"version {self.version}, this release needs {HEAD}",
            "newer": f"version {self.version}, this release knows up to {HEAD}",
            "denied": "the database user may not make or use it",
            "taken": "it holds tables of ours that we did not make",
        }
        return words[self.state]


def standing(state: State) -> Standing:
    """Look at the schema, without changing anything. Raises `DatabaseError`."""
    with state.looking() as link:
        return _standing(link)


def prepare(state: State) -> Standing:
    """Bring the schema to this release's version; how it stood before (`ok`: nothing was done).

    Raises `PermissionDenied` with the statement that an administrator can run, `SchemaError` when
    the schema is newer than this release or not ours, otherwise what `Database.transaction` raises.
    """
    before = _mendable(standing(state))
    if before.state == "ok":
        return before
    with state.building() as link:
        # Whoever held the lock may have done it.
        before = _standing(link)
        if before.state in {"missing", "old"}:
            _migrate(link, before.version)
    return _mendable(before)


def _mendable(found: Standing) -> Standing:
    if found.state == "denied":
        raise PermissionDenied(f"the schema {SCHEMA}: {found}. {found.next_step}")
    if found.state in {"newer", "taken"}:
        raise SchemaError(f"the schema {SCHEMA}: {found}. {found.next_step}")
    return found


def _standing(link: sa.Connection) -> Standing:
    facts = link.execute(
        _FACTS,
        {
            "schema": SCHEMA,
            "version_table": VERSION_TABLE,
            "tables": [table.name for table in metadata.tables.values()],
        },
    ).one()
    version = _version(link) if facts.may_enter and facts.may_look else None
    if version is not None and version not in VERSIONS:
        return Standing("newer", version, _way_out())
    missing_right = _missing_right(facts, version)
    if missing_right:
        admin = f"An administrator of the database {facts.database} can run"
        return Standing("denied", version, f"{admin}: {missing_right};")
    if version is None and facts.taken:
        return Standing("taken", None, _rename(facts.taken))
    if version is None:
        return Standing("missing", None, "`alphapulse db upgrade` makes it")
    if version != HEAD:
        return Standing("old", version, "`alphapulse db upgrade` brings it up to date")
    return Standing("ok", version)


def _version(link: sa.Connection) -> str | None:
    found: str | None = link.execute(_VERSION).scalar()
    return found


def _missing_right(facts: Any, version: str | None) -> str:
    """The statement that grants what is missing for the next step; empty when nothing is."""
    if not facts.made:
        return "" if facts.may_make else f"CREATE SCHEMA {SCHEMA} AUTHORIZATION {facts.who}"
    if not facts.may_enter or (version is None and not facts.versioned and not facts.may_build):
        return f"GRANT USAGE, CREATE ON SCHEMA {SCHEMA} TO {facts.who}"
    if facts.versioned and not (facts.may_look and facts.usable):
        rights = "SELECT, INSERT, UPDATE, DELETE"
        return f"GRANT {rights} ON ALL TABLES IN SCHEMA {SCHEMA} TO {facts.who}"
    return ""


def _way_out() -> str:
    return (
        "It was made by a newer release of AlphaPulse NB: install that one here "
        "(`pip install --upgrade alphapulse-nb`), or use another database"
    )


def _rename(taken: list[str]) -> str:
    names = ", ".join(taken)
    return f"Rename or move what stands there ({names}); AlphaPulse NB changes nothing of others"


def _migrate(link: sa.Connection, version: str | None) -> None:
    if version is None:
        make(link)
    # It takes 0.7 s to import.
    from alembic import command

    command.upgrade(configuration(link), HEAD)
    _log.info("schema %s: version %s, was %s", SCHEMA, HEAD, version or "not made")


def configuration(link: sa.Connection) -> Config:
    """What alembic is told: our migrations, on this connection."""
    from alembic.config import Config

    config = Config(attributes={"connection": link})
    folder = str(Path(__file__).with_name("migrations"))
    config.set_main_option("script_location", folder.replace("%", "%%"))
    return config

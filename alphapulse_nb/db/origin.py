"""The table that rows come from, for a name that may be a view on it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa

# From a name through views to what they read, as the catalogue has it.
_READ: Final = sa.text(
    "WITH RECURSIVE found AS ("
    " SELECT CAST(to_regclass(quote_ident(:name)) AS oid) AS oid"
    " UNION SELECT d.refobjid FROM found"
    " JOIN pg_class v ON v.oid = found.oid AND v.relkind = 'v'"
    " JOIN pg_rewrite r ON r.ev_class = v.oid"
    " JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid"
    " AND d.refclassid = 'pg_class'::regclass AND d.refobjid <> v.oid)"
    # A partition's rows mostly come through the table that it is a part of.
    " SELECT DISTINCT COALESCE(CAST(pg_partition_root(c.oid) AS oid), c.oid) AS oid"
    " FROM found JOIN pg_class c ON c.oid = found.oid AND c.relkind IN ('r', 'p', 'm', 'f')"
)
_NAMED: Final = sa.text(
    "SELECT c.oid, c.relkind::text AS kind, c.relname::text AS short,"
    " quote_ident(n.nspname) || '.' || quote_ident(c.relname) AS name"
    " FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
    " WHERE c.oid = ANY (:oids) ORDER BY name"
)
_KIND: Final = sa.text(
    "SELECT relkind::text FROM pg_class WHERE oid = to_regclass(quote_ident(:name))"
)


@dataclass(frozen=True)
class Origin:
    """A table; `name` is quoted and has its schema."""

    oid: int
    name: str
    short: str


def origin(link: sa.Connection, name: str) -> Origin | str:
    """The one table that a name's rows come from, or why there is none."""
    kind = link.execute(_KIND, {"name": name}).scalar()
    if kind is None:
        return "there is no such table or view"
    oids = list(link.execute(_READ, {"name": name}).scalars())
    found = link.execute(_NAMED, {"oids": oids}).all()
    odd = next((row for row in found if row.kind in _ODD), None)
    if odd is not None:
        return f"{_lead(kind)}{odd.name} is {_ODD[odd.kind]}"
    if not found:
        return "it is a view that reads no table"
    if len(found) > 1:
        return f"it is a view on several tables: {', '.join(row.name for row in found)}"
    return Origin(found[0].oid, found[0].name, found[0].short)


_ODD: Final = {
    "m": "a materialized view, into which nothing is inserted",
    "f": "a foreign table, whose rows come from elsewhere",
}


def _lead(kind: str) -> str:
    return "it is a view, and " if kind == "v" else ""

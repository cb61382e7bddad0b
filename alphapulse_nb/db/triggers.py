"""Triggers that tell of new rows, on request: the one thing of ours that trading tables ever carry.

Each table gets one trigger, AFTER INSERT OR UPDATE, for a whole statement. It notifies the table's
name and nothing else: what is new is then read like anything else. It uses no transition tables
(hypertables could not have them for long), and nothing in it can make a writer's statement fail:
the function asks for no right, looks nothing up by search path, stands aside when Postgres's queue
of notifications is filling up, and lets no error out. When our schema goes, the triggers go too.

A name may be a view, as where another system's tables were adapted: its trigger stands on the one
table that it reads. A table that is in use is not waited for in line, since whoever comes after us
would wait as well: we look for a free moment a few times, and say so when there was none.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, Literal

import sqlalchemy as sa
from psycopg2 import errorcodes

from alphapulse_nb.db import schema, tables
from alphapulse_nb.db.connection import Database, first_line
from alphapulse_nb.db.origin import Origin, origin

CHANNEL: Final = "alphapulse_changes"
"""Where the name of a changed table is notified."""

_PREFIX: Final = "alphapulse_announce_"
_FUNCTION: Final = f"{schema.SCHEMA}.announce()"
_BODY: Final = f"""
BEGIN
    -- A full queue would make the writer's COMMIT fail, which nothing here could catch.
    IF pg_catalog.pg_notification_queue_usage() OPERATOR(pg_catalog.<) 0.5::pg_catalog.float8 THEN
        PERFORM pg_catalog.pg_notify('{CHANNEL}', TG_ARGV[0]);
    END IF;
    RETURN NULL;
EXCEPTION WHEN OTHERS THEN
    RETURN NULL;
END
"""
_MAKE_FUNCTION: Final = (
    f"CREATE OR REPLACE FUNCTION {_FUNCTION} RETURNS pg_catalog.trigger"
    f" LANGUAGE plpgsql AS $announce${_BODY}$announce$"
)
_MADE: Final = sa.text(
    "SELECT p.prosrc FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace"
    " WHERE n.nspname = :schema AND p.proname = 'announce' AND p.pronargs = 0"
)
_OURS: Final = sa.text(
    "SELECT t.tgname::text AS trigger, t.tgrelid AS oid, t.tgenabled IN ('O', 'A') AS enabled,"
    " quote_ident(n.nspname) || '.' || quote_ident(c.relname) AS table"
    " FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid"
    " JOIN pg_namespace s ON s.oid = p.pronamespace"
    " JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace"
    " WHERE NOT t.tgisinternal AND s.nspname = :schema AND p.proname = 'announce'"
    " ORDER BY t.tgname"
)
_PREPARED: Final = sa.text("SELECT current_setting('max_prepared_transactions')::int")
_HERE: Final = {"schema": schema.SCHEMA}
_LOCK: Final = "SET LOCAL lock_timeout = '50ms'"
_TRIES: Final = 20
_PAUSE_SECONDS: Final = 0.25

_IN_USE: Final = (errorcodes.LOCK_NOT_AVAILABLE, errorcodes.DEADLOCK_DETECTED)

State = Literal["installed", "missing", "refused"]


@dataclass(frozen=True)
class Outcome:
    """How it stands with one name of the reference; `detail` says on which table, or why not."""

    table: str
    state: State
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.table:<20} {self.state:<9} {self.detail}".rstrip()


class _Busy(Exception):  # noqa: N818 - no error before the last try
    """The table had no free moment."""


class _Refused(Exception):  # noqa: N818 - told table by table
    """This table cannot have, or lose, its trigger."""


class _Harmful(_Refused):
    """With the trigger on it, the table could no longer be written."""


def install(db: Database, *, tries: int = _TRIES) -> list[Outcome]:
    """Put a trigger on each table of the reference that has none; how it stands with each.

    A table is done or left as it was. When one cannot be written any more with its trigger on it,
    which an insert of no rows shows, everything that this call did is undone.

    Raises `PermissionDenied` where our schema may not be made, otherwise what
    `Database.connection` raises.
    """
    _make_function(db)
    outcomes: list[Outcome] = []
    made: list[str] = []
    for name in tables.metadata.tables:
        try:
            place, new = _patiently(lambda: _add(db, name), tries)  # noqa: B023 - called at once
        except _Harmful as error:
            _remove(db, made, tries)
            return [Outcome(each, "refused", str(error)) for each in tables.metadata.tables]
        except _Refused as error:
            outcomes.append(Outcome(name, "refused", str(error)))
        else:
            made += [name] * new
            outcomes.append(Outcome(name, "installed", _on(name, place)))
    return outcomes


def remove(db: Database, *, tries: int = _TRIES) -> list[Outcome]:
    """Take every trigger of ours away, and then the function; how it stands with each that was.

    Raises what `Database.connection` raises.
    """
    with db.connection() as link:
        names = [row.trigger.removeprefix(_PREFIX) for row in _ours(link)]
    outcomes = _remove(db, names, tries)
    if all(outcome.state == "missing" for outcome in outcomes):
        with db.connection(write=True) as link:
            if link.execute(_MADE, _HERE).one_or_none() is not None:
                link.exec_driver_sql(f"DROP FUNCTION {_FUNCTION}")
    return outcomes


def status(db: Database) -> list[Outcome]:
    """How it stands with each table of the reference. Raises what `Database.connection` raises."""
    with db.connection() as link:
        ours = {row.trigger: row for row in _ours(link)}
        return [_standing(link, name, ours.get(_PREFIX + name)) for name in tables.metadata.tables]


def note(db: Database) -> str:
    """What whoever installs them should know about this database; mostly nothing."""
    with db.connection() as link:
        if not link.execute(_PREPARED).scalar_one():
            return ""
    return (
        "this server allows two-phase commit (max_prepared_transactions), and Postgres prepares no "
        "transaction that notifies: remove the triggers if the trading system uses PREPARE"
    )


def _make_function(db: Database) -> None:
    with db.connection(write=True) as link:
        schema.make(link)
        if link.execute(_MADE, _HERE).scalar() != _BODY:
            link.exec_driver_sql(_MAKE_FUNCTION)


def _add(db: Database, name: str) -> tuple[Origin, bool]:
    """The table behind a name, with its trigger on it, and whether that is new."""
    with _attempt(db) as link:
        place = _origin(link, name)
        trigger = _PREFIX + name
        before = next((row for row in _ours(link) if row.trigger == trigger), None)
        if before is not None and before.oid == place.oid and before.enabled:
            return place, False
        if before is not None:
            _run(link, f"DROP TRIGGER {trigger} ON {before.table}")
        _insert_nothing(link, place)
        _run(
            link,
            f"CREATE TRIGGER {trigger} AFTER INSERT OR UPDATE ON {place.name}"
            f" FOR EACH STATEMENT EXECUTE FUNCTION {_FUNCTION[:-2]}('{name}')",
        )
        try:
            _insert_nothing(link, place)
        except sa.exc.DBAPIError as error:
            if _passing(error):
                raise
            raise _Harmful(
                f"{place.name} could not be written with a trigger on it: {first_line(error)}"
            ) from None
        return place, True


def _insert_nothing(link: sa.Connection, place: Origin) -> None:
    """Insert no rows, which runs the table's triggers all the same, and undo what those did."""
    with link.begin_nested() as nested:
        # No columns either: so none is generated, required or unknown to us.
        _run(link, f"INSERT INTO {place.name} SELECT WHERE false")
        nested.rollback()


def _remove(db: Database, names: Iterable[str], tries: int) -> list[Outcome]:
    outcomes = []
    for name in names:
        try:
            _patiently(lambda: _drop(db, name), tries)  # noqa: B023 - called at once
            outcomes.append(Outcome(name, "missing", "removed"))
        except _Refused as error:
            outcomes.append(Outcome(name, "installed", str(error)))
    return outcomes


def _drop(db: Database, name: str) -> None:
    with _attempt(db) as link:
        for row in _ours(link):
            if row.trigger == _PREFIX + name:
                _run(link, f"DROP TRIGGER {row.trigger} ON {row.table}")


def _standing(link: sa.Connection, name: str, ours: Any) -> Outcome:
    place = origin(link, name)
    if isinstance(place, str):
        return Outcome(name, "refused", place)
    if ours is None or ours.oid != place.oid:
        return Outcome(name, "missing", _on(name, place))
    if not ours.enabled:
        return Outcome(name, "missing", f"{_on(name, place)} disabled".strip())
    return Outcome(name, "installed", _on(name, place))


def _patiently(call: Callable[[], Any], tries: int) -> Any:
    """What the call returns in a free moment of the table."""
    for left in reversed(range(tries)):
        try:
            return call()
        except _Busy:
            if left:
                time.sleep(_PAUSE_SECONDS * random.uniform(0.5, 1.5))  # noqa: S311
    raise _Refused("in use without a pause; try again at a quieter time")


@contextmanager
def _attempt(db: Database) -> Iterator[sa.Connection]:
    """A transaction that waits for no lock; what went wrong with the table is told as that."""
    with db.connection(write=True) as link:
        link.exec_driver_sql(_LOCK)
        try:
            yield link
        except sa.exc.DBAPIError as error:
            if _code(error) in _IN_USE:
                raise _Busy from None
            if _passing(error):
                raise
            raise _Refused(first_line(error)) from None


def _code(error: sa.exc.DBAPIError) -> str:
    return getattr(error.orig, "pgcode", None) or ""


def _passing(error: sa.exc.DBAPIError) -> bool:
    """Whether it says nothing about the table: a lock, or a connection that was lost."""
    code = _code(error)
    return code in _IN_USE or not code or code.startswith(("08", "57"))


def _origin(link: sa.Connection, name: str) -> Origin:
    place = origin(link, name)
    if isinstance(place, str):
        raise _Refused(place)
    return place


def _ours(link: sa.Connection) -> list[Any]:
    return list(link.execute(_OURS, _HERE))


def _run(link: sa.Connection, statement: str) -> None:
    link.exec_driver_sql(statement.replace("%", "%%"))


def _on(name: str, place: Origin) -> str:
    return "" if place.short == name else f"on {place.name}"

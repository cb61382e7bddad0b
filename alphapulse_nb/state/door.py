"""The one door to what we write: our own schema, and nothing beside it.

A `State` has connections of its own beside those of a `Database`, which stays read-only. Like
there, none is held while nobody works, each transaction is short and under a statement timeout, and
all of it is set by SQL (a pooler refuses start-up options). Inside, the search path is our schema,
and a statement that is text or touches a table of others is refused before it is sent.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from types import TracebackType
from typing import Any, Final, Self

import sqlalchemy as sa
from sqlalchemy.sql import visitors

from alphapulse_nb.db.connection import Database
from alphapulse_nb.db.schema import SCHEMA
from alphapulse_nb.errors import (
    DatabaseUnavailable,
    InputError,
    PermissionDenied,
    QueryTimeout,
    SchemaError,
)
from alphapulse_nb.state.tables import metadata

_SEARCH_PATH: Final = f"SET LOCAL search_path = {SCHEMA}, pg_temp"
# A snapshot from before the wait for a lock would not show what the other one did meanwhile.
_COMMITTED: Final = "SET TRANSACTION ISOLATION LEVEL READ COMMITTED"
# The embedded server forgets the last half second in a crash, which is no way to treat a password.
_KEPT: Final = sa.text(
    "SELECT set_config('synchronous_commit', 'on', true)"
    " WHERE current_setting('synchronous_commit') = 'off'"
)
_LOCK: Final = sa.text("SELECT pg_advisory_xact_lock(hashtext('alphapulse-nb own schema'))")
_BUILDING_SECONDS: Final = 120


class State:
    """Our own schema in the database that `db` reads.

    Close it, or use it as a context manager; `db` must stay open meanwhile, and stays open after.
    """

    def __init__(self, db: Database) -> None:
        self._database = Database(
            db.url, statement_timeout=db.statement_timeout, embedded=db.embedded
        )
        # Values of ours are not for a log, however verbose.
        self._database.engine.hide_parameters = True

    def __repr__(self) -> str:
        return f"State({self._database.where})"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close our connections; the embedded server's lease belongs to the `Database`."""
        self._database.engine.dispose()

    @contextmanager
    def session(self) -> Iterator[Self]:
        """Keep connections open between the transactions inside, in this and other threads."""
        with self._database.session():
            yield self

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """One read-only transaction over our tables.

        Raises `SchemaError` when they are not made or older than this release, otherwise what
        `Database.transaction` raises.
        """
        with _explained(), self._transaction(write=False) as link:
            yield _confined(link)

    @contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        """One transaction over our tables, committed at the end. Raises what `reading` raises."""
        with _explained(), self._transaction(write=True) as link:
            link.exec_driver_sql(_COMMITTED)
            link.execute(_KEPT)
            yield _confined(link)

    @contextmanager
    def looking(self) -> Iterator[sa.Connection]:
        """A read-only transaction for the catalogue of the database."""
        with self._transaction(write=False) as link:
            yield link

    @contextmanager
    def building(self) -> Iterator[sa.Connection]:
        """A transaction that may change the schema, one at a time in the whole database.

        Raises `QueryTimeout` when another one takes too long, else what `Database.transaction`
        raises.
        """
        try:
            with self._transaction(write=True) as link:
                link.exec_driver_sql(_COMMITTED)
                link.exec_driver_sql(f"SET LOCAL statement_timeout = '{_BUILDING_SECONDS}s'")
                link.execute(_KEPT)
                link.execute(_LOCK)
                yield link
        except QueryTimeout:
            raise QueryTimeout(
                f"the schema {SCHEMA} could not be changed within {_BUILDING_SECONDS} s: another "
                "process changes it, or uses its tables. Try again"
            ) from None
        except PermissionDenied as error:
            raise PermissionDenied(
                f"{_detail(error)}. Run `alphapulse db upgrade` as the database user that owns the "
                f"schema {SCHEMA}"
            ) from None

    @contextmanager
    def _transaction(self, *, write: bool) -> Iterator[sa.Connection]:
        """A transaction; an embedded server that died is brought back first."""
        with ExitStack() as stack:
            try:
                link = stack.enter_context(self._database.connection(write=write))
            except DatabaseUnavailable:
                if self._database.embedded is None:
                    raise
                self._database.embedded.ensure_running()
                link = stack.enter_context(self._database.connection(write=write))
            yield link


@contextmanager
def _explained() -> Iterator[None]:
    """The errors of a `Database`, with the next step that is right for our own tables."""
    try:
        yield
    except SchemaError:
        raise SchemaError(
            f"the tables in the schema {SCHEMA} are not made, or older than this release; "
            "`alphapulse db upgrade` makes them"
        ) from None
    except PermissionDenied as error:
        raise PermissionDenied(
            f"{_detail(error)}; `alphapulse db status` says what to grant"
        ) from None
    except QueryTimeout:
        raise QueryTimeout("our own tables did not answer in time; try again") from None


def _detail(error: PermissionDenied) -> str:
    return str(error).partition(". ")[0]


def _confined(link: sa.Connection) -> sa.Connection:
    link.exec_driver_sql(_SEARCH_PATH)
    sa.event.listen(link, "before_execute", _refuse_others)
    return link


def _refuse_others(_link: sa.Connection, statement: Any, *_: Any) -> None:
    for element in visitors.iterate(statement):
        table = getattr(element, "table", element)
        if isinstance(element, sa.TextClause):
            raise InputError(f"only tables of the schema {SCHEMA} are used here, and no text")
        if isinstance(table, sa.Table) and table.metadata is not metadata:
            raise InputError(f"only tables of the schema {SCHEMA} are used here, not {table.name}")

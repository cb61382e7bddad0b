"""Which of the servers on one database does what only one may do: its relay, its evaluator.

An office is an advisory lock of a connection that stays open. When the holder's process ends, or
its machine, Postgres ends the connection and another server gets the lock. A holder that hangs
would keep it; so the server also ends a connection from which nothing has come for half a minute,
and the holder asks more often than that.

Behind a pooler a lock of a session would stay with a connection that serves others by and by. As
long as it is not known that there is none, the lock belongs to a transaction that stays open, which
a pooler keeps together.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final

import psycopg2

from alphapulse_nb.db.connection import Database, parameters, reason
from alphapulse_nb.errors import DatabaseUnavailable

if TYPE_CHECKING:
    from psycopg2.extensions import connection as RawConnection  # noqa: N812

RELAY: Final = "relay"
EVALUATOR: Final = "evaluator"

_LOCK: Final = "hashtext('alphapulse-nb ' || %s)"
_SESSION: Final = f"SELECT pg_try_advisory_lock({_LOCK})"
_TRANSACTION: Final = f"SELECT pg_try_advisory_xact_lock({_LOCK})"
_PATIENCE: Final = (
    "SELECT set_config(name, CASE name WHEN 'statement_timeout' THEN '5s' ELSE '30s' END, %s)"
    " FROM pg_settings WHERE name IN ('statement_timeout', 'idle_session_timeout',"
    " 'idle_in_transaction_session_timeout')"
)
_PARAMETERS: Final = {
    "application_name": "alphapulse-nb",
    "connect_timeout": 5,
    "keepalives": 1,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}

log = logging.getLogger(__name__)


class Office:
    """An office in the database of `db`, for one thread. Calls may wait some seconds."""

    def __init__(self, db: Database, name: str) -> None:
        self._db = db
        self._name = name
        self._link: RawConnection | None = None
        self._held = False

    @property
    def held(self) -> bool:
        """Whether we had it when we last looked."""
        return self._held

    def hold(self, *, pooled: bool = False) -> bool:
        """Whether it is ours: kept if it was, taken if it is free.

        Raises `DatabaseUnavailable`, and then it is not.
        """
        try:
            if self._held:
                self._ask("SELECT 1")
                self._settle(pooled)
            else:
                self._held = bool(self._taken(pooled))
        except psycopg2.Error as error:
            was = self._held
            self.leave()
            if was:
                log.warning("the office of the %s was lost%s", self._name, reason(error))
                return self.hold(pooled=pooled)
            raise DatabaseUnavailable(f"the database cannot be reached{reason(error)}") from None
        return self._held

    def leave(self) -> None:
        """Give it up, and the connection with it."""
        self._held = False
        if self._link is not None:
            self._link.close()
            self._link = None

    def _settle(self, pooled: bool) -> None:
        """Keep it without an open transaction, now that this is known to be good."""
        if self._link is not None and not pooled and not self._link.autocommit:
            self._ask(_SESSION, self._name)
            self._link.commit()
            self._link.autocommit = True
            self._ask(_PATIENCE, False)

    def _taken(self, pooled: bool) -> Any:
        link = self._connected(pooled)
        if pooled:
            link.rollback()
            self._ask(_PATIENCE, True)
        return self._ask(_TRANSACTION if pooled else _SESSION, self._name)

    def _connected(self, pooled: bool) -> RawConnection:
        if self._link is not None and self._link.autocommit == pooled:
            self.leave()
        if self._link is None:
            options: dict[str, Any] = _PARAMETERS | parameters(self._db.url)
            self._link = psycopg2.connect(**options)
            self._link.autocommit = not pooled
            if not pooled:
                self._ask(_PATIENCE, False)
        return self._link

    def _ask(self, statement: str, *values: Any) -> Any:
        if self._link is None:
            raise psycopg2.InterfaceError("not connected")
        with self._link.cursor() as cursor:
            cursor.execute(statement, values or None)
            row = cursor.fetchone()
            return None if row is None else row[0]

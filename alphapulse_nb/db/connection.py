"""One read-only door to Postgres.

A `Database` holds no connection while nobody reads: the last reader to leave closes the pool's idle
connections, so that a hundred kernels do not hold a hundred of the server's slots. Work that reads
several times wraps itself in `session()` and shares them. Every read runs in a read-only
transaction under a statement timeout, set by SQL (a pooler refuses start-up options).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import psycopg2
import sqlalchemy as sa
from psycopg2 import errorcodes
from psycopg2.extensions import make_dsn
from sqlalchemy.pool import QueuePool

from alphapulse_nb.db import copy
from alphapulse_nb.errors import (
    DatabaseError,
    DatabaseUnavailable,
    InputError,
    PermissionDenied,
    QueryTimeout,
    SchemaError,
)

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd
    from psycopg2.extensions import connection as RawConnection  # noqa: N812

    from alphapulse_nb.db.embedded import EmbeddedPostgres

_RETRY_FOR_A_SLOT = 2.0
"""Seconds for which a full server ("too many clients") is asked again."""

# Without the last four a server that vanished would be waited for for a quarter of an hour.
_PARAMETERS = {
    "application_name": "alphapulse-nb",
    "connect_timeout": 5,
    "keepalives_idle": 15,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}

_READING = "ISOLATION LEVEL REPEATABLE READ READ ONLY"

_FULL = ("too many clients", "too many connections", "remaining connection slots")
_REASONS = (
    (_FULL, "it has no free connection"),
    (("authentication failed", "no password supplied"), "it refuses the user or the password"),
    (("does not exist",), "it has no such user or database"),
    (("Connection refused", "No such file"), "nothing listens there"),
    (("translate host name",), "the host's name is unknown"),
    (("timeout expired", "timed out", "TimeoutError"), "it does not answer"),
    (("no pg_hba.conf entry", "SSL"), "its rules for connections refuse ours"),
)
"""What to say for what libpq says, whose own words may hold parts of the address."""


@dataclass
class Spent:
    """What reading has cost so far: seconds of waiting and decoding, and rows."""

    seconds: float = 0.0
    rows: int = 0


_spent: ContextVar[Spent | None] = ContextVar("alphapulse_spent", default=None)


@contextmanager
def spending() -> Iterator[Spent]:
    """Add up what the reads inside cost, those of this thread or task only."""
    spent = Spent()
    token = _spent.set(spent)
    try:
        yield spent
    finally:
        _spent.reset(token)


class Database:
    """A Postgres database, for reading.

    Use `connect()` to make one; close it, or use it as a context manager.
    """

    def __init__(
        self,
        url: sa.URL,
        *,
        statement_timeout: float = 10.0,
        embedded: EmbeddedPostgres | None = None,
    ) -> None:
        self.url = url
        self.statement_timeout = statement_timeout
        self.embedded = embedded
        self.engine = sa.create_engine(
            url,
            poolclass=QueuePool,
            pool_size=2,
            max_overflow=4,
            pool_timeout=statement_timeout,
            connect_args=_PARAMETERS,
        )
        self._labels = copy.Labels()
        self._readers = 0
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"Database({self.where})"

    @property
    def where(self) -> str:
        """Where the database is, without user or password."""
        if self.embedded is not None:
            return "embedded"
        host = self.url.host or self.url.query.get("host") or "local socket"
        return f"{host}:{self.url.port or 5432}/{self.url.database or ''}"

    def __enter__(self) -> Database:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections and give up the embedded server's lease, if there is one."""
        self.engine.dispose()
        if self.embedded is not None:
            self.embedded.stop()

    @contextmanager
    def session(self) -> Iterator[Database]:
        """Keep connections open between the reads inside, in this and other threads."""
        with self._lock:
            self._readers += 1
        try:
            yield self
        finally:
            with self._lock:
                self._readers -= 1
                if self._readers == 0:
                    self.engine.dispose()

    @contextmanager
    def transaction(self) -> Iterator[RawConnection]:
        """A psycopg2 connection in a read-only transaction under the statement timeout.

        Raises `DatabaseUnavailable`, `SchemaError`, `PermissionDenied`, `QueryTimeout` or
        `DatabaseError`, whichever tells the caller what to do next.
        """
        with self.session(), _timed():
            pooled = self._begin()
            raw: RawConnection = pooled.dbapi_connection  # type: ignore[assignment]
            try:
                yield raw
            except psycopg2.Error as error:
                if raw.closed:
                    pooled.invalidate()
                raise self._named(error) from None
            finally:
                pooled.close()

    @contextmanager
    def connection(self, *, write: bool = False) -> Iterator[sa.Connection]:
        """A SQLAlchemy connection in one transaction: for inspecting, or for making tables.

        Raises what `transaction` raises.
        """
        with self.session():
            try:
                with self.engine.begin() as connection:
                    connection.exec_driver_sql(self._settings("READ WRITE" if write else _READING))
                    yield connection
            except (psycopg2.Error, sa.exc.SQLAlchemyError) as error:
                raise self._named(error) from None

    def read(self, query: sa.Select[Any], values: copy.Values = copy.NO_VALUES) -> pd.DataFrame:
        """The rows of a SQLAlchemy Core select as a frame; `values` by name of its bindparams.

        Values and dtypes are those of `pandas.read_sql`, with every timestamp column
        `datetime64[us, UTC]`. The fast binary path is taken where the columns allow it.
        Raises what `transaction` raises.
        """
        with self.transaction() as raw:
            frame = copy.read_frame(raw, query, self._labels, values)
        spent = _spent.get()
        if spent is not None:
            spent.rows += len(frame)
        return frame

    def scalar(self, query: sa.Select[Any] | sa.TextClause) -> Any:
        """The first column of the first row, or None."""
        with self.transaction() as raw, raw.cursor() as cursor:
            cursor.execute(copy.statement(raw, query))
            row = cursor.fetchone()
            return None if row is None else row[0]

    def _begin(self) -> sa.PoolProxiedConnection:
        """A pooled connection in a new read-only transaction; a lost server is tried once more."""
        try:
            pooled = self._checkout()
        except (psycopg2.Error, sa.exc.SQLAlchemyError) as error:
            if self.embedded is None:
                raise self._named(error) from None
            self.embedded.ensure_running()
            return self._replaced()
        try:
            self._set(pooled)
        except psycopg2.Error:
            # It waited in the pool while its server went away. So did those beside it.
            pooled.invalidate()
            if self.embedded is not None:
                self.embedded.ensure_running()
            return self._replaced()
        return pooled

    def _replaced(self) -> sa.PoolProxiedConnection:
        self.engine.dispose()
        try:
            pooled = self._checkout()
            self._set(pooled)
        except (psycopg2.Error, sa.exc.SQLAlchemyError) as error:
            raise self._named(error) from None
        return pooled

    def _set(self, pooled: sa.PoolProxiedConnection) -> None:
        with pooled.cursor() as cursor:  # type: ignore[attr-defined]
            cursor.execute(self._settings(_READING))

    def _settings(self, mode: str) -> str:
        return (
            f"SET TRANSACTION {mode};"
            f"SET LOCAL statement_timeout = {int(self.statement_timeout * 1000)};"
            "SET LOCAL timezone = 'UTC';"
            # A hundred viewers ask small questions: neither compiling nor helpers pay.
            "SET LOCAL jit = off;"
            "SET LOCAL max_parallel_workers_per_gather = 0"
        )

    def _checkout(self) -> sa.PoolProxiedConnection:
        """A pooled connection; waits a moment when the server has no free slot."""
        deadline = time.monotonic() + _RETRY_FOR_A_SLOT
        while True:
            try:
                return self.engine.raw_connection()
            except (sa.exc.OperationalError, psycopg2.OperationalError) as error:
                full = any(words in str(error) for words in _FULL)
                if not full or time.monotonic() > deadline:
                    raise
                time.sleep(0.1)

    def _named(self, error: Exception) -> DatabaseError:
        """The error of our own tree that tells what to do about a driver's error."""
        original = getattr(error, "orig", None) or error
        code = getattr(original, "pgcode", None)
        detail = first_line(original)
        if code in (errorcodes.UNDEFINED_TABLE, errorcodes.UNDEFINED_COLUMN):
            return SchemaError(f"{detail}. `alphapulse db check` lists what is missing.")
        if code == errorcodes.INSUFFICIENT_PRIVILEGE:
            return PermissionDenied(
                f"{detail}. Grant it to the database user (reading needs SELECT, "
                "`alphapulse db init` needs CREATE)."
            )
        if code == errorcodes.QUERY_CANCELED:
            return QueryTimeout(
                f"The query ran longer than {self.statement_timeout:g} s. Choose a shorter range, "
                "or add the index that `alphapulse db check` names."
            )
        connection_lost = isinstance(
            original, psycopg2.OperationalError | psycopg2.InterfaceError | sa.exc.TimeoutError
        )
        if connection_lost or (code or "").startswith(("08", "57P")):
            return DatabaseUnavailable(
                f"The database cannot be reached{reason(original)}. "
                "It is asked again at each refresh."
            )
        return DatabaseError(f"The database refused the query: {detail}.")


def connect(
    url: str | sa.URL | None = None,
    *,
    statement_timeout: float = 10.0,
    data_dir: Path | None = None,
) -> Database:
    """Open the database at `url`, or the embedded Postgres when there is no `url`.

    Connects lazily, except that the embedded server is started (or joined) at once.

    Parameters
    ----------
    url: a Postgres URL (`postgresql://user:password@host:5432/name`).
    statement_timeout: seconds after which the server cancels a query.
    data_dir: where the embedded database keeps its files (only without `url`).

    Raises `InputError` for a URL that is not Postgres, `EmbeddedError` when no server starts.
    """
    if url is None:
        from alphapulse_nb.db import embedded

        server = embedded.start(data_dir)
        return Database(
            sa.make_url(server.url), statement_timeout=statement_timeout, embedded=server
        )
    return Database(parse_url(url), statement_timeout=statement_timeout)


def parse_url(url: str | sa.URL) -> sa.URL:
    """A SQLAlchemy URL for the psycopg2 driver; `InputError` when it is not a Postgres URL."""
    try:
        parsed = sa.make_url(url)
    except (sa.exc.ArgumentError, ValueError):
        raise InputError(
            "the database URL cannot be read; expected postgresql://user:password@host:5432/name"
        ) from None
    if parsed.drivername not in {"postgresql", "postgres", "postgresql+psycopg2"}:
        raise InputError(
            f"the database URL starts with {parsed.drivername!r}; expected postgresql://"
        )
    url = parsed.set(drivername="postgresql+psycopg2")
    try:
        make_dsn(**parameters(url))
    except (psycopg2.ProgrammingError, sa.exc.ArgumentError):
        names = ", ".join(sorted(url.query))
        raise InputError(
            f"the database URL holds an option that Postgres does not know, among: {names}"
        ) from None
    return url


def parameters(url: sa.URL) -> dict[str, Any]:
    """What `psycopg2.connect` takes for a URL."""
    _, options = url.get_dialect()().create_connect_args(url)
    return dict(options)


@contextmanager
def _timed() -> Iterator[None]:
    spent, began = _spent.get(), time.perf_counter()
    try:
        yield
    finally:
        if spent is not None:
            spent.seconds += time.perf_counter() - began


def reason(error: BaseException) -> str:
    """What to say of a driver's error, after a colon; empty where only the driver knows words."""
    said = f"{type(error).__name__}: {error}"
    for words, meaning in _REASONS:
        if any(word in said for word in words):
            return f": {meaning}"
    return ""


def first_line(error: BaseException) -> str:
    """What a driver's error says, without where and why."""
    lines = str(getattr(error, "orig", None) or error).strip().splitlines()
    return (lines[0] if lines else type(error).__name__).removeprefix("ERROR:").strip().rstrip(".")

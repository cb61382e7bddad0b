"""What every viewer's kernel would do first, done once, before kernels fork from this process.

A dashboard loads its charts twice from a database that is none: the first time by the general path
with a few made-up rows, the second time by COPY. That imports what is imported late, compiles the
queries and fills Plotly's caches, all of which the forks then share.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from io import BytesIO
from typing import TYPE_CHECKING, Any, Final, cast

import ipywidgets
import sqlalchemy as sa

from alphapulse_nb.dashboard import Dashboard
from alphapulse_nb.db.connection import Database
from alphapulse_nb.settings import Settings

if TYPE_CHECKING:
    import pandas as pd
    from psycopg2.extensions import connection as RawConnection  # noqa: N812

_ROWS: Final = 3
_TEXT: Final = "BTC/USDT"
_NO_ROWS: Final = b"PGCOPY\n\xff\r\n\x00" + bytes(8) + b"\xff\xff"
"""What COPY sends in its binary format for an empty table."""


def warm() -> None:
    """Build, fill and close a dashboard. Opens nothing and starts no thread."""
    settings = Settings(_env_file=None)  # type: ignore[call-arg]
    with _Nowhere(sa.make_url("postgresql+psycopg2://")) as db:
        dashboard = Dashboard(db, symbol=_TEXT, settings=settings)
        dashboard._repr_mimebundle_()
        for _ in range(2):
            dashboard.refresh()
        dashboard.close()
    ipywidgets.Widget.close_all()


class _Nowhere(Database):
    """A database that answers every query with made-up rows, without a connection."""

    def read(self, query: sa.Select[Any], values: Any = ()) -> pd.DataFrame:
        self._cursor = _Cursor(query)
        return super().read(query, dict(values))

    @contextmanager
    def transaction(self) -> Iterator[RawConnection]:
        yield cast("RawConnection", self)

    def cursor(self) -> _Cursor:
        return self._cursor


class _Cursor:
    """Answers one query as psycopg2's cursor does."""

    def __init__(self, query: sa.Select[Any]) -> None:
        self.description = list(query.selected_columns)

    def __enter__(self) -> _Cursor:
        return self

    def __exit__(self, *_: object) -> None:
        """There is nothing to close."""

    def mogrify(self, sql: str, _parameters: Any) -> bytes:
        return sql.encode()

    def execute(self, _sql: str) -> None:
        """The rows are made up when they are fetched."""

    def fetchall(self) -> list[tuple[Any, ...]]:
        return [tuple(_made_up(column, row) for column in self.description) for row in range(_ROWS)]

    def copy_expert(self, _sql: str, buffer: BytesIO, **_options: Any) -> None:
        buffer.write(_NO_ROWS)


def _made_up(column: sa.ColumnElement[Any], row: int) -> Any:
    if isinstance(column.type, sa.DateTime):
        return datetime.now(UTC) - timedelta(minutes=_ROWS - row)
    if isinstance(column.type, sa.String):
        return _TEXT
    return row if isinstance(column.type, sa.Integer) else 0.1 * row

"""The values that every query takes, as parameters: so a query is compiled once per process."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa

from alphapulse_nb.queries.window import Window

SYMBOL: Final[sa.BindParameter[str]] = sa.bindparam("symbol", type_=sa.String)
START: Final[sa.BindParameter[datetime]] = sa.bindparam("start", type_=sa.DateTime(timezone=True))
END: Final[sa.BindParameter[datetime]] = sa.bindparam("end", type_=sa.DateTime(timezone=True))


def inside(source: sa.FromClause) -> sa.ColumnElement[bool]:
    """The rows of a table of symbols that belong to the symbol and the window."""
    return (source.c.symbol == SYMBOL) & during(source)


def during(source: sa.FromClause) -> sa.ColumnElement[bool]:
    """The rows of a table that belong to the window."""
    return source.c.timestamp.between(START, END)


def bound(symbol: str, window: Window, **more: Any) -> dict[str, Any]:
    """The values of the parameters."""
    return {"symbol": symbol, "start": window.start, "end": window.end, **more}

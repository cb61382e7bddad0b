"""When alerts were firing, for the charts: each period with its reason, and the charts it is on.

The server's hub and a kernel's dashboard read the same list, with one query over rows that are
there: nothing here evaluates anything, or knows what a rule means.

A chart shows the alerts whose rule reads one of its tables. A rule may have been removed, or given
another source, since: the key of an alert of single rows names the table of its row. That of a
window does not, so the present rule of that name must tell, and without one nothing does.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Protocol

import pandas as pd
import sqlalchemy as sa

from alphapulse_nb.db.connection import Database
from alphapulse_nb.errors import PermissionDenied, SchemaError
from alphapulse_nb.state.alert_tables import alerts, rules

MOST: Final = 200
"""Periods at a time; those that ended first are left out."""
LONGEST: Final = 500
"""Characters of a title, and of a reason, that a chart has room for."""


class Chart(Protocol):
    """What must be known of a chart; see `catalog.ChartSpec`."""

    @property
    def name(self) -> str: ...

    @property
    def tables(self) -> tuple[str, ...]: ...

    @property
    def by_symbol(self) -> bool: ...


@dataclass(frozen=True)
class Period:
    """One alert's time of firing.

    `table` is what its rule reads, empty where nothing tells; `end` is None while it fires, `by`
    None while nobody has acknowledged it.
    """

    key: str
    table: str
    symbol: str | None
    rule: str
    title: str
    reason: str
    priority: str
    start: datetime
    end: datetime | None
    by: str | None

    def plain(self, charts: Collection[str]) -> dict[str, Any]:
        """What JSON holds of it: times in epoch milliseconds, and the names of its charts."""
        return {
            "key": self.key,
            "charts": sorted(charts),
            "tables": [self.table] if self.table else [],
            "symbol": self.symbol,
            "rule": self.rule,
            "title": self.title,
            "reason": self.reason,
            "priority": self.priority,
            "from": _millis(self.start),
            "to": None if self.end is None else _millis(self.end),
            "by": self.by,
        }


def firing(
    db: Database, symbol: str, start: datetime, end: datetime, charts: Iterable[Chart]
) -> list[dict[str, Any]]:
    """The periods between `start` and `end` that these charts show, as `Period.plain` has them.

    Raises what `periods` raises.
    """
    known = list(charts)
    whole = {table for chart in known if not chart.by_symbol for table in chart.tables}
    return [
        one.plain({chart.name for chart in known if shows(chart, symbol, one)})
        for one in periods(db, symbol, start, end, whole)
    ]


def shows(chart: Chart, symbol: str, period: Period) -> bool:
    """Whether a chart shows a period: of its symbol or of none; one of the whole desk shows all."""
    if period.table not in chart.tables:
        return False
    return not chart.by_symbol or period.symbol in (None, symbol)


def periods(
    db: Database, symbol: str, start: datetime, end: datetime, whole: Collection[str] = ()
) -> list[Period]:
    """The alerts that fired at some time from `start` to `end`, open ones first, then the newest.

    They are those of the symbol, those of none, and those of any over the tables in `whole`; 200 at
    most. Empty where our schema is missing or may not be read. Raises what else `Database.read`
    raises.
    """
    values = {"symbol": symbol, "start": start, "end": end, "whole": sorted(whole)}
    try:
        found = db.read(_QUERY, values)
    except (SchemaError, PermissionDenied):
        # A desk whose database is only read has no rules, which is no fault of its charts.
        return []
    return [_period(row) for row in found.itertuples(index=False)]


def _period(row: Any) -> Period:
    title = _text(row.title) or row.rule
    return Period(
        row.key,
        _text(row.table) or "",
        _text(row.symbol),
        row.rule,
        title[:LONGEST],
        (_text(row.message) or _text(row.condition) or "")[:LONGEST],
        row.priority,
        row.opened_at.to_pydatetime(),
        None if pd.isna(row.closed_at) else row.closed_at.to_pydatetime(),
        _text(row.acknowledged_by),
    )


def _text(value: Any) -> str | None:
    """A text; None for NULL, which a frame holds as NaN, and for an empty one."""
    return value if isinstance(value, str) and value else None


def _millis(at: datetime) -> int:
    return round(at.timestamp() * 1e3)


def _part(name: str) -> sa.ColumnElement[str]:
    part: sa.ColumnElement[str] = rules.c.record[name].astext
    return part


def _condition() -> sa.ColumnElement[str]:
    """What a rule compares, for one that has no message: `last of drawdown over 15m > 20 %`."""
    window = sa.func.concat_ws(
        " ",
        _part("aggregate"),
        sa.literal("of ").concat(_part("field")),
        sa.literal("over ").concat(_part("window")),
        _part("operator"),
        _part("threshold"),
        type_=sa.Text,
    )
    return sa.case((_part("aggregate").is_(None), _part("where")), else_=window)


_symbol = sa.func.nullif(alerts.c.symbol, "", type_=sa.Text)
_table = sa.func.coalesce(
    sa.func.substring(alerts.c.key, r"\n([a-z_]+) [0-9]+$"), _part("source"), type_=sa.Text
)
_whole = sa.cast(sa.bindparam("whole"), sa.ARRAY(sa.Text))
_QUERY: Final = (
    sa.select(
        *(alerts.c[name] for name in ("key", "rule", "title", "message", "priority")),
        *(alerts.c[name] for name in ("opened_at", "closed_at", "acknowledged_by")),
        _symbol.label("symbol"),
        _table.label("table"),
        _condition().label("condition"),
    )
    .select_from(alerts.outerjoin(rules, rules.c.name == alerts.c.rule))
    .where(
        alerts.c.opened_at <= sa.bindparam("end", type_=sa.DateTime(timezone=True)),
        sa.or_(
            alerts.c.closed_at.is_(None),
            alerts.c.closed_at >= sa.bindparam("start", type_=sa.DateTime(timezone=True)),
        ),
        sa.or_(
            _symbol.is_(None),
            _symbol == sa.bindparam("symbol", type_=sa.Text),
            _table == sa.func.any(_whole),
        ),
    )
    .order_by(alerts.c.closed_at.desc().nulls_first(), alerts.c.opened_at.desc(), alerts.c.id)
    .limit(MOST)
    .execution_options(general=True)  # texts that differ from row to row
)

"""The tables that events come from: what is read of them, and what a row becomes.

New rows are those with a higher id than any before; skipped ids are asked for again. `signals` has
a second life: when its outcome is known, `evaluated_at` is set, and the row is told of once more
(but only once where it had been evaluated before it was first seen). Such rows are found by that
time, with an overlap for transactions that commit late.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa

from alphapulse_nb.db import tables
from alphapulse_nb.events import fitting, plain, stamp
from alphapulse_nb.relay.gaps import Gap

OVERLAP: Final = timedelta(minutes=10)
"""How late a revision may be committed, after the time that it carries."""
BACK: Final = 1_000
"""Ids below the present end in which a table that was never seen is searched for gaps."""

_TYPES: Final = {"signal_predictions": "prediction", "signals": "signal", "backtests": "backtest"}
_REVISED: Final = {"signals": tables.signals.c.evaluated_at}
_UNTOLD: Final = ("metadata", "created_at")
_READABLE: Final = (datetime(1, 1, 2, tzinfo=UTC), datetime(9999, 12, 30, tzinfo=UTC))
_UNREADABLE: Final = (ValueError, TypeError, OverflowError, RecursionError)
"""What decoding a value raises that Python cannot hold, such as a year before Christ."""


@dataclass(frozen=True)
class Entry:
    """An event before the log has numbered it. `inserted` is when its row was, if that is known."""

    type: str
    data: dict[str, Any]
    at: datetime
    symbol: str | None = None
    table: str | None = None
    id: int | None = None
    revision: str = ""
    inserted: datetime | None = None

    @property
    def source(self) -> tuple[str | None, int | None, str]:
        """What the log has at most once."""
        return self.table, self.id, self.revision


@dataclass(frozen=True)
class Portion:
    """Some of the rows that were asked for, as entries in their order; `more`: ask again.

    `place` is where the last one stands among revisions.
    """

    entries: tuple[Entry, ...] = ()
    more: bool = False
    place: tuple[datetime, int] | None = None

    @property
    def ids(self) -> list[int]:
        return [entry.id for entry in self.entries if entry.id is not None]


class Source:
    """One table of the desk."""

    def __init__(self, table: sa.Table) -> None:
        self.table = table
        self.name = table.name
        self.type = _TYPES.get(table.name, "data_update")
        self.revised = _REVISED.get(table.name)
        told = [column for column in table.columns if column.name not in _UNTOLD]
        self._told = [column.name for column in told]
        self._all = sa.select(*told, table.c.created_at)
        self._bare = sa.select(table.c.id, *([table.c.symbol] if "symbol" in table.c else []))
        if self.revised is not None:
            readable = self.revised.between(*_READABLE)
            self._bare = self._bare.add_columns(
                sa.case((readable, self.revised)).label(self.revised.name)
            )

    def __repr__(self) -> str:
        return f"Source({self.name})"

    def end(self, link: sa.Connection) -> int:
        """The greatest id; 0 for none."""
        return int(link.execute(sa.select(sa.func.max(self.table.c.id))).scalar() or 0)

    def near(self, link: sa.Connection, end: int) -> list[int]:
        """The ids that are there among the last `BACK` up to `end`."""
        some = sa.select(self.table.c.id).where(self.table.c.id.between(end - BACK + 1, end))
        return [int(found) for found in link.execute(some.order_by(self.table.c.id)).scalars()]

    def new(self, link: sa.Connection, high: int, limit: int, era: str = "") -> Portion:
        """Rows with a higher id, by id."""
        return self._read(
            link, lambda query: query.where(self.table.c.id > high), [self.table.c.id], limit, era
        )

    def missed(
        self, link: sa.Connection, gaps: Sequence[Gap], limit: int, era: str = ""
    ) -> Portion:
        """Rows in these ranges, by id."""
        if not gaps:
            return Portion()
        ranges = (
            sa.func.unnest(
                sa.cast([gap.first for gap in gaps], sa.ARRAY(sa.BigInteger)),
                sa.cast([gap.last for gap in gaps], sa.ARRAY(sa.BigInteger)),
            )
            .table_valued("first", "last", name="ranges")
            .render_derived()
        )
        inside = self.table.c.id.between(ranges.c.first, ranges.c.last)
        return self._read(
            link, lambda query: query.join(ranges, inside), [self.table.c.id], limit, era
        )

    def revisions(
        self, link: sa.Connection, after: tuple[datetime, int], limit: int, era: str = ""
    ) -> Portion:
        """Rows that were evaluated after a moment (and id), by that."""
        if self.revised is None:
            return Portion()
        place = sa.tuple_(self.revised, self.table.c.id)
        later = place > sa.tuple_(sa.literal(after[0]), sa.literal(after[1]))
        return self._read(
            link, lambda query: query.where(later), [self.revised, self.table.c.id], limit, era
        )

    def entry(self, row: Any, era: str = "") -> Entry:
        """What a row becomes."""
        found = row._mapping
        values = {name: plain(_aware(found[name])) for name in self._told}
        return Entry(
            self.type,
            fitting({"table": self.name, **values}),
            _aware(found["timestamp"]),
            _text(values.get("symbol")),
            self.name,
            found["id"],
            self._revision(found, era),
            _aware(found["created_at"]),
        )

    def _revision(self, found: Any, era: str) -> str:
        """Also for a row that is seen for the first time: otherwise it would be told of twice."""
        if self.revised is None or found[self.revised.name] is None:
            return era
        return f"{era}{stamp(_aware(found[self.revised.name]))}"

    def _unreadable(self, row: Any, era: str) -> Entry:
        found = row._mapping
        told = {name: plain(_aware(value)) for name, value in found.items()}
        return Entry(
            self.type,
            {
                "table": self.name,
                **told,
                "omitted": [name for name in self._told if name not in told],
            },
            datetime.now(UTC),
            _text(told.get("symbol")),
            self.name,
            found["id"],
            self._revision(found, era),
        )

    def _read(
        self,
        link: sa.Connection,
        chosen: Callable[[sa.Select[Any]], sa.Select[Any]],
        order: Sequence[Any],
        limit: int,
        era: str,
    ) -> Portion:
        """At most `limit` rows. One that Python cannot hold is told of by its id."""
        part = limit
        while True:
            query = chosen(self._all).order_by(*order).limit(part)
            try:
                rows = link.execute(query).all()
                entries = tuple(self.entry(row, era) for row in rows)
            except _UNREADABLE:
                if part == 1:
                    rows = link.execute(chosen(self._bare).order_by(*order).limit(1)).all()
                    entries = tuple(self._unreadable(row, era) for row in rows)
                    return Portion(entries, True, self._place(rows))
                part = max(part // 8, 1)
            else:
                return Portion(entries, len(entries) == part, self._place(rows))

    def _place(self, rows: Sequence[Any]) -> tuple[datetime, int] | None:
        if self.revised is None or not rows or rows[-1]._mapping[self.revised.name] is None:
            return None
        found = rows[-1]._mapping
        return _aware(found[self.revised.name]), found["id"]


SOURCES: Final = tuple(Source(table) for table in tables.metadata.tables.values())


def _aware(value: Any) -> Any:
    """A time without a zone is UTC, as everywhere."""
    if isinstance(value, datetime) and value.tzinfo is None:
        return value.replace(tzinfo=UTC)
    return value


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None

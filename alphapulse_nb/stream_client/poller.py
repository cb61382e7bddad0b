"""Events without a stream: the API is asked for rows again and again, and what is new is an event.

A row is new if it was written after the stream was last heard, or was not there at the last look.
Such an event has the number 0. What looking misses (a row that was written late, an event that is
no row) comes with the stream, which tells all since it was lost.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import quote

from alphapulse_nb.errors import InputError
from alphapulse_nb.events import Event, Wanted, moment
from alphapulse_nb.stream_client.lost import Lost
from alphapulse_nb.stream_client.place import MOST_ROWS, Row, row_of
from alphapulse_nb.stream_client.record import Record
from alphapulse_nb.stream_client.rest import Rest

_TYPES: Final = {"signal_predictions": "prediction", "signals": "signal", "backtests": "backtest"}
_UNTOLD: Final = frozenset({"metadata", "created_at"})
_ROWS: Final = 200
_MOST_PAGES: Final = 20
_LEAST_HOURS: Final = 0.25
_MOST_HOURS: Final = 24.0
_CLOCKS: Final = timedelta(seconds=5)
"""How far the clocks of the server and of its database may differ."""

Deliver = Callable[[Event], Awaitable[None]]


class Poller:
    """See the top of this file.

    Parameters
    ----------
    rest: the API.
    wanted: which events, asked anew for each look.
    deliver: takes each new event.
    tell: called after each look, with what went wrong or None.
    record: says when the stream was last heard, and what time it is.
    every: seconds between two looks.
    """

    def __init__(
        self,
        rest: Rest,
        wanted: Callable[[], Wanted | None],
        deliver: Deliver,
        tell: Callable[[Lost | None], None],
        record: Record,
        every: float,
    ) -> None:
        self._rest = rest
        self._wanted = wanted
        self._deliver = deliver
        self._tell = tell
        self._record = record
        self._every = every
        self._since: datetime | None = None
        self._looked = record.heard
        self._symbols: set[str] = set()
        self._seen: dict[Row, None] = {}

    async def run(self) -> None:
        """Look until cancelled. Raises `StreamRefused` for wrong credentials."""
        while True:
            wait = self._every
            try:
                await self._look()
            except Lost as lost:
                self._tell(lost)
                wait = max(wait, lost.after)
            else:
                self._tell(None)
            await asyncio.sleep(wait)

    async def _look(self) -> None:
        wanted = self._wanted()
        if wanted is None:
            return
        found: list[tuple[datetime, Event]] = []
        began = self._record.clock()
        for symbol in await self._asked(wanted):
            await self._look_at(symbol, found)
        for _, event in sorted(found, key=lambda one: one[0]):
            if event in wanted:
                await self._deliver(event)
        self._looked = began

    async def _asked(self, wanted: Wanted) -> list[str]:
        if wanted.symbols is not None:
            return sorted(wanted.symbols)
        listed = (await self._rest.get("symbols")).get("symbols")
        names = (one.get("symbol") for one in listed or [] if isinstance(one, dict))
        return [name for name in names if isinstance(name, str)]

    async def _look_at(self, symbol: str, found: list[tuple[datetime, Event]]) -> None:
        """Add what is new of one symbol."""
        path = f"data/{quote(symbol, safe='')}"
        query: dict[str, Any] = {"hours": self._hours(), "limit": _ROWS}
        answer = await self._rest.get(path, **query)
        self._since = self._since or self._heard(_moment(answer.get("end")))
        is_first = symbol not in self._symbols
        for table, page in _pages(answer):
            for _ in range(_MOST_PAGES):
                new = [one for one in _rows(table, page) if self._is_new(one, is_first)]
                found += new
                cursor = page.get("next")
                if len(new) < _ROWS or not cursor:
                    break
                more = await self._rest.get(path, table=table, cursor=cursor, **query)
                page = dict(_pages(more)).get(table, {})
        self._symbols.add(symbol)

    def _heard(self, end: datetime) -> datetime:
        """When the stream was last heard, by the clock of the server, which says it is `end`."""
        heard = self._record.heard
        return end if heard is None else end - (self._record.clock() - heard) - _CLOCKS

    def _hours(self) -> float:
        """How far back to look: beyond the last look, as far as the API is asked at all."""
        if self._looked is None:
            return _LEAST_HOURS
        away = (self._record.clock() - self._looked) / timedelta(hours=1)
        return round(min(max(away + _LEAST_HOURS, _LEAST_HOURS), _MOST_HOURS), 2)

    def _is_new(self, one: tuple[datetime, Event], is_first: bool) -> bool:
        written, event = one
        row = row_of(event)
        if row is None or row in self._seen:
            return False
        self._seen[row] = None
        if len(self._seen) > MOST_ROWS:
            del self._seen[next(iter(self._seen))]
        return not is_first or self._since is None or written > self._since


def _pages(answer: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    tables = answer.get("tables")
    if not isinstance(tables, dict):
        raise Lost("the API does not answer with rows")
    yield from ((str(name), page) for name, page in tables.items() if isinstance(page, dict))


def _rows(table: str, page: Mapping[str, Any]) -> Iterator[tuple[datetime, Event]]:
    """Each row as an event of the stream's form, and when it was written, or evaluated."""
    for row in page.get("rows") or []:
        if not isinstance(row, dict):
            raise Lost("the API does not answer with rows")
        at = _moment(row.get("timestamp"))
        written = _moment(row.get("created_at") or row.get("timestamp"))
        data = {name: value for name, value in row.items() if name not in _UNTOLD}
        if table == "signals" and row.get("evaluated_at"):
            written = max(written, _moment(row["evaluated_at"]))
        yield written, Event(0, _TYPES.get(table, "data_update"), {"table": table, **data}, at)


def _moment(text: Any) -> datetime:
    try:
        return moment(text)
    except InputError:
        raise Lost("the API answers without a time") from None

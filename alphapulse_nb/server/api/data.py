"""The rows of the trading tables, for programs."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

import numpy as np
import pandas as pd
import sqlalchemy as sa

from alphapulse_nb.errors import SchemaError
from alphapulse_nb.queries.rows import TABLES, Place, rows
from alphapulse_nb.server.api import cursor
from alphapulse_nb.server.api.charts import HOURS
from alphapulse_nb.server.api.cursor import Question
from alphapulse_nb.server.api.encoding import encoded, packed, plain
from alphapulse_nb.server.api.endpoint import Answer, Endpoint
from alphapulse_nb.server.api.handler import ApiHandler
from alphapulse_nb.server.api.known import SYMBOL
from alphapulse_nb.server.api.parameter import Choice, Parameter, Text, Values, Whole
from alphapulse_nb.server.api.schema import ref

MOST_ROWS: Final = 1_000
_CURSOR: Final = Parameter(
    "cursor",
    Text(cursor.LENGTH, "[A-Za-z0-9_-]", "the `next` of an earlier answer"),
    "the `next` of the page before, together with the same table, symbol and hours",
)


class DataHandler(ApiHandler):
    async def answer(self, values: Values) -> None:
        now, gzipped = self.shared.clock(), self.takes_gzip

        def load() -> bytes:
            body = encoded(self._loaded(values, now))
            return packed(body) if gzipped else body

        self.send_bytes(await self.work("data", load), gzipped=gzipped)

    def _loaded(self, values: Values, now: datetime) -> dict[str, Any]:
        db, limit = self.shared.db, values["limit"]
        before: Place | None = None
        if values["cursor"] is not None:
            now, before = _continued(values)
        names = [values["table"]] if values["table"] else list(TABLES)
        pages: dict[str, Any] = {}
        with db.session():
            symbol = self.means.symbols.check(db, values["symbol"])
            for name in names:
                question = Question(name, symbol, values["hours"])
                window = question.window(now)
                try:
                    frame = rows(db, name, symbol, window, limit + 1, before)
                except SchemaError:
                    if values["table"]:
                        raise
                    continue
                pages[name] = _page(question, now, frame, limit)
        return {
            "symbol": symbol,
            "start": _text(window.start),
            "end": _text(window.end),
            "tables": pages,
            "unavailable": [name for name in names if name not in pages],
        }


def _continued(values: Values) -> tuple[datetime, Place]:
    """Where the cursor of a request goes on."""
    if values["table"] is None:
        raise _CURSOR.wrong("A cursor goes with the table that it came from.", values["cursor"])
    question = Question(values["table"], values["symbol"], values["hours"])
    found = cursor.read(question, values["cursor"])
    if found is None:
        raise _CURSOR.wrong(
            "This cursor did not come from the same table, symbol and hours.", values["cursor"]
        )
    return found


def _page(question: Question, end: datetime, frame: pd.DataFrame, limit: int) -> dict[str, Any]:
    shown = frame.iloc[:limit]
    following = None
    if len(frame) > limit:
        last = shown.iloc[-1]
        place = Place(last["timestamp"].to_pydatetime(), int(last["id"]))
        following = cursor.write(question, end, place)
    return {"rows": records(shown, TABLES[question.table]), "next": following}


def records(frame: pd.DataFrame, table: sa.Table) -> list[dict[str, Any]]:
    """The rows as JSON objects; a number that is not finite is null, as NULL is."""
    columns = [_listed(frame[column.name], column) for column in table.columns]
    names = [column.name for column in table.columns]
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


def _listed(values: pd.Series[Any], column: sa.Column[Any]) -> list[Any]:
    kind = column.type
    if isinstance(kind, sa.DateTime):
        return [None if pd.isna(moment) else _text(moment) for moment in values]
    if isinstance(kind, sa.String):
        return [None if pd.isna(text) else str(text) for text in values]
    if isinstance(kind, sa.Integer):
        return [None if pd.isna(number) else int(number) for number in values]
    if isinstance(kind, sa.Float | sa.Numeric):
        found: list[Any] = plain(values.to_numpy(dtype=np.float64))
        return found
    return [plain(value) for value in values]


def _text(moment: datetime) -> str:
    """A moment in ISO 8601, UTC, to the microsecond."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


DATA: Final = Endpoint(
    path="/api/data/{symbol}",
    name="data",
    summary="Rows of the trading tables for one symbol",
    about=(
        "Newest first, by table. Without `table`, the newest rows of every table. `next` of a "
        "table, sent back as `cursor` with the same `table`, symbol and `hours`, gives its next "
        "page; rows written meanwhile move nothing. The symbol may hold a slash: BTC/USDT and "
        "BTC%2FUSDT are the same. Rates, returns and drawdowns are fractions: 0.0001 is 0.01 %."
    ),
    handler=DataHandler,
    parameters=(
        Parameter("symbol", SYMBOL, "one of `/api/symbols`", place="path", example="BTC/USDT"),
        Parameter("table", Choice("table", lambda: list(TABLES)), "one table only"),
        HOURS,
        Parameter("limit", Whole(1, MOST_ROWS), "rows of a table", default=100, example=100),
        _CURSOR,
    ),
    answers=(Answer(200, "The rows.", ref("Data")),),
    asks_database=True,
)

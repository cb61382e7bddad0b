"""Rows over the API: every value as JSON has it, and pages that nothing moves."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from alphapulse_nb.db import tables
from alphapulse_nb.db.connection import connect
from alphapulse_nb.queries.rows import TABLES, Place
from alphapulse_nb.server.api import cursor
from alphapulse_nb.server.api.cursor import Question
from tests.api import Api, running
from tests.conftest import Desk, ago


def pages(api: Api, table: str, limit: int, symbol: str = "BTC/USDT", hours: str = "24") -> Any:
    """Every page of a table, one after the other."""
    following = ""
    while following is not None:
        query = f"table={table}&limit={limit}&hours={hours}{following and f'&cursor={following}'}"
        answered = api.get(f"/api/data/{symbol}?{query}")
        assert answered.status == 200, answered.text
        page = answered.json["tables"][table]
        yield page["rows"]
        following = page["next"]


@pytest.mark.parametrize("table", TABLES)
def test_a_table_is_given_newest_first_as_the_database_has_it(
    api: Api, desk: Desk, table: str
) -> None:
    answered = api.get(f"/api/data/BTC/USDT?table={table}&limit=1000&hours=26")
    api.conforms(answered, "/api/data/{symbol}")
    assert list(answered.json["tables"]) == [table]
    rows = answered.json["tables"][table]["rows"]
    order = [(row["timestamp"], row["id"]) for row in rows]
    assert order == sorted(order, reverse=True)
    assert set(rows[0]) == {column.name for column in TABLES[table].columns}
    count = desk.run(
        f"SELECT count(*) FROM {table} WHERE symbol = 'BTC/USDT' AND timestamp BETWEEN :a AND :b",
        a=desk.now - timedelta(hours=26),
        b=desk.now,
    )
    assert len(rows) == min(count, 1000)


def test_without_a_table_the_newest_rows_of_each_come(api: Api) -> None:
    found = api.get("/api/data/BTC/USDT?limit=2").json
    assert list(found["tables"]) == list(TABLES)
    assert found["unavailable"] == []
    assert [len(page["rows"]) for page in found["tables"].values()][:4] == [2, 2, 2, 2]
    following = found["tables"]["anomalies"]["next"]
    more = api.get(f"/api/data/BTC/USDT?limit=2&table=anomalies&cursor={following}").json
    newest = found["tables"]["anomalies"]["rows"]
    both = newest + more["tables"]["anomalies"]["rows"]
    four = api.get("/api/data/BTC/USDT?limit=4&table=anomalies").json["tables"]["anomalies"]
    assert both == four["rows"]


@pytest.mark.parametrize("limit", [7, 100, 1000])
def test_pages_together_are_the_whole(api: Api, limit: int) -> None:
    parts = list(pages(api, "signal_predictions", limit))
    assert all(len(part) == limit for part in parts[:-1])
    together = [row for part in parts for row in part]
    (whole,) = pages(api, "signal_predictions", 1000)
    assert together == whole
    assert len({row["id"] for row in together}) == len(together) > 7


@pytest.fixture
def ours(desk: Desk) -> Iterator[str]:
    """A symbol of a test's own, whose rows go away after it."""
    yield "PAGE/TEST"
    desk.run("DELETE FROM anomalies WHERE symbol = 'PAGE/TEST'")
    desk.run("DELETE FROM signals WHERE symbol = 'PAGE/TEST'")


def insert(desk: Desk, symbol: str, at: datetime, **values: Any) -> None:
    row = {"symbol": symbol, "timestamp": at, "data_type": "price"} | values
    with desk.engine.begin() as connection:
        connection.execute(sa.insert(tables.anomalies).values(**row))


def test_rows_that_are_written_between_two_pages_move_nothing(desk: Desk, ours: str) -> None:
    # All at one moment: only the id tells them apart.
    for value in range(6):
        insert(desk, ours, desk.now - timedelta(hours=1), value=float(value))
    with connect(desk.server.url) as db, running(db, desk.now) as api:
        walk = pages(api, "anomalies", 2, ours)
        seen = [row["value"] for row in next(walk)]
        insert(desk, ours, desk.now - timedelta(minutes=1), value=99.0)
        api.shared.clock = lambda: desk.now + timedelta(hours=23, minutes=30)
        seen += [row["value"] for page in walk for row in page]
        assert seen == [5, 4, 3, 2, 1, 0]


def test_what_json_has_no_number_for_is_null(desk: Desk, ours: str, api: Api) -> None:
    endless = {"value": float("inf"), "z_score": float("nan"), "threshold": float("-inf")}
    insert(desk, ours, desk.now, **endless, metadata={"a": [1.5, None, "<b>"], "b": {}})
    insert(desk, ours, desk.now - timedelta(hours=1), value=None, threshold=None)
    answered = api.get(f"/api/data/{ours}?table=anomalies")
    api.conforms(answered, "/api/data/{symbol}")
    new, old = answered.json["tables"]["anomalies"]["rows"]
    assert [new[name] for name in endless] == [None] * 3
    assert new["metadata"] == {"a": [1.5, None, "<b>"], "b": {}}
    assert new["timestamp"] == desk.now.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    assert (old["value"], old["metadata"]) == (None, None)


def test_numbers_beyond_a_float_and_endless_times_are_null(desk: Desk, ours: str, api: Api) -> None:
    desk.run(
        "INSERT INTO signals (timestamp, symbol, signal_type, entry_price, stop_loss, evaluated_at)"
        " VALUES (:at, :symbol, 'LONG', 1e400, 'NaN', 'infinity')",
        at=desk.now,
        symbol=ours,
    )
    (row,) = api.get(f"/api/data/{ours}?table=signals").json["tables"]["signals"]["rows"]
    assert (row["entry_price"], row["stop_loss"], row["evaluated_at"]) == (None, None, None)
    assert row["signal_type"] == "LONG"


def test_a_symbol_that_appears_is_known_at_once(desk: Desk, ours: str, api: Api) -> None:
    insert(desk, "PAGE/TEST", desk.now)
    assert api.get(f"/api/data/{ours}?table=anomalies").status == 200


def test_a_symbol_with_backtests_alone_is_a_symbol(desk: Desk, api: Api) -> None:
    desk.run(
        "INSERT INTO backtests (timestamp, symbol, strategy_name) VALUES (now(), 'ONLY/TEST', 's')"
    )
    try:
        assert api.get("/api/data/ONLY/TEST?table=backtests").status == 200
    finally:
        desk.run("DELETE FROM backtests WHERE symbol = 'ONLY/TEST'")


def test_a_table_that_the_database_lacks_is_named_and_the_others_come(desk: Desk) -> None:
    with connect(desk.server.url) as db, running(db, desk.now) as api:
        desk.run("ALTER TABLE signals RENAME TO away")
        try:
            found = api.get("/api/data/BTC/USDT?limit=1")
            alone = api.get("/api/data/BTC/USDT?table=signals")
        finally:
            desk.run("ALTER TABLE away RENAME TO signals")
        api.conforms(found, "/api/data/{symbol}")
        api.conforms(alone, "/api/data/{symbol}")
    assert found.json["unavailable"] == ["signals"]
    assert "signals" not in found.json["tables"]
    assert (alone.status, alone.error["code"]) == (503, "database_incomplete")
    assert "relation" not in alone.text


# A cursor belongs to one question; every change of the question makes it another's.
@pytest.mark.parametrize(
    ("query", "symbol"),
    [
        ("table=anomalies&limit=1&cursor={0}", "ETH/USDT"),
        ("table=anomalies&limit=1&hours=25&cursor={0}", "BTC/USDT"),
        ("table=signals&limit=1&cursor={0}", "BTC/USDT"),
        ("limit=1&cursor={0}", "BTC/USDT"),
        ("table=anomalies&limit=1&cursor=A{0:.42}", "BTC/USDT"),
        ("table=anomalies&limit=1&cursor={0:.42}", "BTC/USDT"),
        ("table=anomalies&limit=1&cursor={0}A", "BTC/USDT"),
        ("table=anomalies&limit=1&cursor=", "BTC/USDT"),
    ],
)
def test_a_cursor_of_another_question_is_refused(api: Api, query: str, symbol: str) -> None:
    first = api.get("/api/data/BTC/USDT?table=anomalies&limit=1").json["tables"]["anomalies"]
    assert api.get(f"/api/data/BTC/USDT?table=anomalies&limit=3&cursor={first['next']}").json
    answered = api.get(f"/api/data/{symbol}?{query.format(first['next'])}")
    assert (answered.status, answered.error["field"]) == (422, "cursor")


QUESTION = Question("signals", "BTC/USDT", 24.0)
MOMENTS = st.datetimes(datetime(1970, 1, 2), datetime(2100, 1, 1)).map(  # noqa: DTZ001
    lambda moment: moment.replace(tzinfo=ago().tzinfo)
)


@given(end=MOMENTS, back=st.timedeltas(timedelta(0), timedelta(days=1)), number=st.integers(0))
def test_a_cursor_is_read_as_it_was_written(end: datetime, back: timedelta, number: int) -> None:
    place = Place(end - back, number % 2**63)
    text = cursor.write(QUESTION, end, place)
    assert len(text) == cursor.LENGTH
    assert cursor.read(QUESTION, text) == (end, place)


@given(st.text("ABCabc019_-", min_size=1, max_size=cursor.LENGTH))
def test_garbage_is_no_cursor(text: str) -> None:
    assert cursor.read(QUESTION, text) is None


@pytest.mark.parametrize(
    ("end", "at"), [(2**62, 0), (-1, -2), (5, 6), (2**63 - 1, 2**63 - 1), (0, -(2**63))]
)
def test_a_cursor_made_by_hand_cannot_leave_the_calendar(end: int, at: int) -> None:
    numbers = cursor._NUMBERS.pack(end, at, 1)
    packed = numbers + cursor._digest(QUESTION, numbers)
    assert cursor.read(QUESTION, cursor._text(packed)) is None

"""Rows: what is read of each table, and what it becomes, whatever it holds."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from alphapulse_nb.db import create
from alphapulse_nb.db.connection import Database
from alphapulse_nb.events import LARGEST
from alphapulse_nb.relay.gaps import Gaps
from alphapulse_nb.relay.sources import SOURCES, Entry, Source
from tests.db.conftest import execute
from tests.db.test_timescale import add_extension
from tests.db.test_timescale import db as timescale_db
from tests.relay.rows import NOON, SIGNAL, run

__all__ = ["timescale_db"]

BY_NAME = {source.name: source for source in SOURCES}
SIGNALS = BY_NAME["signals"]
PREDICTIONS = BY_NAME["signal_predictions"]


def new(db: Database, source: Source, high: int = 0, limit: int = 100) -> list[Entry]:
    with db.connection() as link:
        return list(source.new(link, high, limit).entries)


@pytest.mark.parametrize(
    ("table", "kind"),
    [
        ("signal_predictions", "prediction"),
        ("signals", "signal"),
        ("backtests", "backtest"),
        ("funding_rates", "data_update"),
        ("anomalies", "data_update"),
        ("performance_metrics", "data_update"),
        ("system_metrics", "data_update"),
    ],
)
def test_a_table_says_which_type_its_rows_are(table: str, kind: str) -> None:
    assert BY_NAME[table].type == kind
    assert len(BY_NAME) == 7


def test_a_row_is_told_with_all_its_columns_but_what_is_for_the_trading_system_alone(
    db: Database, writer: sa.Connection
) -> None:
    run(
        writer,
        "INSERT INTO signal_predictions (timestamp, symbol, signal_type, confidence,"
        " predicted_pnl, features, metadata) VALUES (:at, 'BTC/USDT', 'LONG', 'NaN', 'Infinity',"
        " '{\"a\": [1, null]}', '{\"secret\": 1}')",
        at=NOON,
    )
    (entry,) = new(db, PREDICTIONS)
    assert entry.data == {
        "table": "signal_predictions",
        "id": 1,
        "timestamp": "2026-01-31T12:00:00Z",
        "symbol": "BTC/USDT",
        "signal_type": "LONG",
        "confidence": None,
        "predicted_pnl": None,
        "features": {"a": [1, None]},
    }
    assert (entry.symbol, entry.at, entry.source) == (
        "BTC/USDT",
        NOON,
        ("signal_predictions", 1, ""),
    )
    assert entry.inserted is not None
    assert datetime.now(UTC) - entry.inserted < timedelta(minutes=1)


def test_a_table_without_symbols_tells_of_none(db: Database, writer: sa.Connection) -> None:
    run(writer, "INSERT INTO system_metrics (timestamp, metric_name) VALUES (now(), 'cpu')")
    (entry,) = new(db, BY_NAME["system_metrics"])
    assert entry.symbol is None
    assert "symbol" not in entry.data


def test_a_column_larger_than_an_event_is_left_out_by_name(
    db: Database, writer: sa.Connection
) -> None:
    run(
        writer,
        "INSERT INTO signal_predictions (timestamp, symbol, signal_type, features)"
        " SELECT now(), 'X', 'LONG', jsonb_build_object('a', repeat('x', n))"
        " FROM unnest(array[9000, 100000]) n",
    )
    small, large = new(db, PREDICTIONS)
    assert len(small.data["features"]["a"]) == 9_000
    assert large.data["omitted"] == ["features"]
    assert len(json.dumps(large.data)) < LARGEST


def test_rows_come_in_the_order_of_their_ids_and_in_portions(
    db: Database, writer: sa.Connection
) -> None:
    for _ in range(5):
        run(writer, SIGNAL)
    with db.connection() as link:
        first = SIGNALS.new(link, 1, 2)
        assert (first.ids, first.more) == ([2, 3], True)
        assert SIGNALS.new(link, 3, 10).ids == [4, 5]
        assert not SIGNALS.new(link, 3, 10).more
        gaps = Gaps().passed(0, [2, 5], NOON).after(-1)
        assert SIGNALS.missed(link, gaps, 10).ids == [1, 3, 4]
        assert (SIGNALS.missed(link, gaps, 2).ids, SIGNALS.missed(link, gaps, 2).more) == (
            [1, 3],
            True,
        )
        assert SIGNALS.missed(link, (), 10).ids == []
        assert SIGNALS.end(link) == 5
        assert SIGNALS.near(link, 5) == [1, 2, 3, 4, 5]


def test_revisions_come_by_their_time_and_carry_it(db: Database, writer: sa.Connection) -> None:
    for minutes in (3, 1, 2, None):
        run(writer, SIGNAL)
        at = None if minutes is None else NOON + timedelta(minutes=minutes)
        run(writer, "UPDATE signals SET evaluated_at = :at WHERE id = lastval()", at=at)
    with db.connection() as link:
        found = SIGNALS.revisions(link, (NOON, -1), 2)
        assert (found.ids, found.more) == ([2, 3], True)
        assert found.place == (NOON + timedelta(minutes=2), 3)
        rest = SIGNALS.revisions(link, found.place, 2)
        assert (rest.ids, rest.more) == ([1], False)
        assert PREDICTIONS.revisions(link, (NOON, -1), 2).ids == []
    assert [entry.revision for entry in new(db, SIGNALS)] == [
        "2026-01-31T12:03:00Z",
        "2026-01-31T12:01:00Z",
        "2026-01-31T12:02:00Z",
        "",
    ]


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("timestamp", "'0044-03-15 BC'"),
        ("timestamp", "'20000-01-01'"),
        ("evaluated_at", "'20000-01-01'"),
    ],
)
def test_a_row_that_python_cannot_hold_is_told_of_by_its_id_and_holds_up_no_other(
    db: Database, writer: sa.Connection, column: str, value: str
) -> None:
    for _ in range(20):
        run(writer, SIGNAL)
    run(writer, f"UPDATE signals SET {column} = {value} WHERE id = 7")
    entries: list[Entry] = []
    with db.connection() as link:
        while (found := SIGNALS.new(link, entries[-1].id or 0 if entries else 0, 10)).entries:
            entries += found.entries
    assert [entry.id for entry in entries] == list(range(1, 21))
    odd = entries[6]
    assert odd.data["symbol"] == "BTC/USDT"
    assert column in odd.data["omitted"] or odd.data[column] is None


def test_what_is_infinitely_late_is_a_row_like_others(db: Database, writer: sa.Connection) -> None:
    run(writer, SIGNAL)
    run(writer, "UPDATE signals SET evaluated_at = 'infinity', entry_price = 'Infinity'")
    (entry,) = new(db, SIGNALS)
    assert entry.data["entry_price"] is None
    assert entry.revision.startswith("9999-12-31")


def test_a_time_without_a_zone_is_utc_in_a_view_too(db: Database, writer: sa.Connection) -> None:
    execute(
        db.url,
        "ALTER TABLE signals RENAME TO theirs",
        "CREATE VIEW signals AS SELECT id, timestamp AT TIME ZONE 'UTC' AS timestamp, symbol,"
        " signal_type, entry_price, stop_loss, target_price, confidence, risk_reward_ratio,"
        " outcome, pnl_pct, evaluated_at AT TIME ZONE 'UTC' AS evaluated_at, metadata,"
        " created_at AT TIME ZONE 'UTC' AS created_at FROM theirs",
        f"INSERT INTO theirs (timestamp, symbol, signal_type, evaluated_at)"
        f" VALUES ('{NOON}', 'X', 'LONG', '{NOON}')",
    )
    (entry,) = new(db, SIGNALS)
    assert entry.at == NOON
    assert entry.data["timestamp"] == entry.revision == "2026-01-31T12:00:00Z"
    with db.connection() as link:
        assert SIGNALS.revisions(link, (NOON - timedelta(seconds=1), -1), 9).ids == [1]
        assert SIGNALS.revisions(link, (NOON, 1), 9).ids == []


@pytest.mark.parametrize("name", ["ünï/códe 🚀", "'; DROP TABLE--", '"%s"', "\\", "a\nb\tc"])
def test_hostile_names_come_through_unchanged(
    db: Database, writer: sa.Connection, name: str
) -> None:
    run(
        writer,
        "INSERT INTO signals (timestamp, symbol, signal_type) VALUES (now(), :name, 'LONG')",
        name=name,
    )
    (entry,) = new(db, SIGNALS)
    assert entry.symbol == entry.data["symbol"] == name


def test_hypertables_are_read_like_tables(timescale_db: Database) -> None:
    add_extension(timescale_db)
    create.create(timescale_db)
    with timescale_db.connection(write=True) as link:
        for day in (1, 40, 80):
            insert = "INSERT INTO signals (timestamp, symbol, signal_type, evaluated_at)"
            link.exec_driver_sql(
                f"{insert} VALUES (date '2026-01-01' + {day}, 'X', 'LONG', '{NOON}')"
            )
    with timescale_db.connection() as link:
        assert SIGNALS.end(link) == 3
        assert SIGNALS.new(link, 1, 10).ids == [2, 3]
        assert SIGNALS.missed(link, Gaps().passed(0, [2, 4], NOON).after(-1), 10).ids == [1, 3]
        assert SIGNALS.revisions(link, (NOON, 1), 10).ids == [2, 3]

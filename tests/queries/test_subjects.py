"""What single queries promise beyond what all do."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import Any

import pandas as pd
import pytest

from alphapulse_nb import queries
from alphapulse_nb.db import tables
from alphapulse_nb.db.connection import Database
from alphapulse_nb.errors import SchemaError
from alphapulse_nb.queries import Window
from tests.queries.conftest import NOW, Rows

DAY = Window.last("24h", NOW)
BTC = "BTC/USDT"


def predict(rows: Rows, minutes: float, kind: str = "LONG") -> None:
    rows.add(tables.signal_predictions, minutes, signal_type=kind, confidence=0.5)


def signal(rows: Rows, minutes: float, outcome: str | None, kind: str = "LONG", **row: Any) -> None:
    rows.add(tables.signals, minutes, signal_type=kind, outcome=outcome, **row)


@pytest.mark.parametrize(
    ("minutes", "kind", "symbol", "expected"),
    [
        (10, "LONG", BTC, "WIN"),
        (7, "LONG", BTC, "WIN"),
        (5.001, "LONG", BTC, "WIN"),
        (5, "LONG", BTC, None),
        (10.001, "LONG", BTC, None),
        (9, "SHORT", BTC, None),
        (9, "LONG", "ETH/USDT", None),
    ],
)
def test_the_outcome_is_that_of_the_signal_that_followed_within_five_minutes(
    rows: Rows, db: Database, minutes: float, kind: str, symbol: str, expected: str | None
) -> None:
    predict(rows, 10)
    signal(rows, minutes, "WIN", kind, symbol=symbol, pnl_pct=1.5)
    frame = queries.predictions(db, BTC, DAY)
    assert frame["outcome"].tolist() == [expected] if expected else frame["outcome"].isna().all()
    assert len(frame) == 1


def test_the_first_of_several_signals_counts(rows: Rows, db: Database) -> None:
    predict(rows, 10)
    signal(rows, 8, "LOSS", pnl_pct=-1.0)
    signal(rows, 9, "WIN", pnl_pct=2.0)
    frame = queries.predictions(db, BTC, DAY)
    assert frame[["outcome", "pnl_pct"]].values.tolist() == [["WIN", 2.0]]


def test_an_outcome_of_the_future_is_not_known_yet(rows: Rows, db: Database) -> None:
    predict(rows, 10)
    signal(rows, 9, "WIN", pnl_pct=2.0, evaluated_at=NOW + timedelta(minutes=1))
    (outcome, pnl) = queries.predictions(db, BTC, DAY)[["outcome", "pnl_pct"]].iloc[0]
    assert outcome == "PENDING"
    assert math.isnan(pnl)
    (row,) = queries.signals(db, BTC, DAY).to_dict("records")
    assert row["outcome"] == "PENDING"
    assert math.isnan(row["pnl_pct"])
    assert row["evaluated_at"] is pd.NaT
    later = Window.last("24h", NOW + timedelta(minutes=2))
    assert queries.signals(db, BTC, later)["outcome"].tolist() == ["WIN"]


def test_of_too_many_signals_the_newest_are_kept(rows: Rows, db: Database) -> None:
    for minutes in range(1, 6):
        signal(rows, minutes, None, confidence=minutes / 10)
    frame = queries.signals(db, BTC, DAY, 2)
    assert frame["confidence"].tolist() == [0.2, 0.1]


def test_at_most_five_hundred_backtests_are_read_newest_first(rows: Rows, db: Database) -> None:
    rows.run(
        "INSERT INTO backtests (timestamp, symbol, strategy_name, total_return, config) SELECT"
        " '2026-01-01Z'::timestamptz + n * interval '1 min', 'BTC/USDT', 'trend', n, '{\"n\": 1}'"
        " FROM generate_series(1, 700) n"
    )
    frame = queries.backtests(db, BTC, DAY)
    assert frame["total_return"].tolist() == [float(n) for n in range(700, 200, -1)]
    assert frame["config"].iloc[0] == {"n": 1}
    assert len(queries.backtests(db, BTC, DAY, 3)) == 3


@pytest.mark.parametrize(
    ("note", "capital"),
    [
        ({"capital": 100_000}, 100_000.0),
        ({"capital": 2.5}, 2.5),
        ({"capital": "100000"}, None),
        ({"capital": None}, None),
        ({"capital": [1]}, None),
        ({"other": 1}, None),
        (["capital"], None),
        ("capital", None),
        (7, None),
    ],
)
def test_capital_counts_only_when_it_is_a_number(
    rows: Rows, db: Database, note: Any, capital: float | None
) -> None:
    rows.add(tables.performance_metrics, strategy_id="trend")
    rows.metadata(tables.performance_metrics, note)
    for _ in range(2):
        (found,) = queries.performance(db, BTC, DAY)["capital"]
        assert found == capital if capital is not None else math.isnan(found)


def test_infinite_and_nan_scores_arrive(rows: Rows, db: Database) -> None:
    for minutes, score in enumerate(["NaN", "Infinity", "-Infinity"]):
        rows.add(tables.anomalies, 3 - minutes, data_type="price", z_score=float(score))
    for _ in range(2):
        scores = queries.anomalies(db, BTC, DAY)["z_score"].tolist()
        assert math.isnan(scores[0])
        assert scores[1:] == [math.inf, -math.inf]


def test_peaks_survive_thinning(rows: Rows, db: Database) -> None:
    rows.run(
        "INSERT INTO anomalies (timestamp, symbol, data_type, z_score) SELECT"
        f" '{NOW}'::timestamptz - n * interval '1 s', 'BTC/USDT', 'price',"
        " CASE n WHEN 7001 THEN 40 WHEN 12345 THEN -40 ELSE 0 END FROM generate_series(1, 50000) n"
    )
    frame = queries.anomalies(db, BTC, DAY, 500)
    assert len(frame) <= 500
    assert frame["z_score"].agg(["min", "max"]).tolist() == [-40.0, 40.0]


def test_symbols_are_those_of_all_tables_in_order(rows: Rows, db: Database) -> None:
    assert queries.symbols(db) == []
    rows.add(tables.funding_rates, symbol="ETH/USDT", exchange="x", funding_rate=0)
    rows.add(tables.funding_rates, symbol="BTC/USDT", exchange="x", funding_rate=0)
    rows.add(tables.anomalies, symbol="ADA/USDT", data_type="price")
    rows.add(tables.anomalies, symbol="BTC/USDT", data_type="price")
    signal(rows, 1, None, symbol="SOL/USDT")
    assert queries.symbols(db) == ["ADA/USDT", "BTC/USDT", "ETH/USDT", "SOL/USDT"]


def test_symbols_do_without_a_missing_table(rows: Rows, db: Database) -> None:
    rows.add(tables.funding_rates, exchange="x", funding_rate=0)
    rows.run("ALTER TABLE signals RENAME TO hidden")
    try:
        assert queries.symbols(db) == ["BTC/USDT"]
    finally:
        rows.run("ALTER TABLE hidden RENAME TO signals")


def test_symbols_of_a_database_without_tables_is_an_error(rows: Rows, db: Database) -> None:
    rows.run("CREATE SCHEMA elsewhere; ALTER ROLE CURRENT_USER SET search_path = elsewhere")
    try:
        db.engine.dispose()
        with pytest.raises(SchemaError, match="does not exist"):
            queries.symbols(db)
    finally:
        rows.run("ALTER ROLE CURRENT_USER RESET search_path; DROP SCHEMA elsewhere")


def test_the_headline_of_nothing_is_one_row_of_unknowns(db: Database) -> None:
    (row,) = queries.headline(db, BTC, DAY).to_dict("records")
    assert (row["open_signals"], row["anomalies"]) == (0.0, 0.0)
    for name in ("funding_rate", "pnl", "win_rate", "drawdown", "confidence"):
        assert math.isnan(row[name])
    assert row["newest"] is pd.NaT


def test_the_headline_tells_where_a_symbol_stands(rows: Rows, db: Database) -> None:
    for minutes, exchange, rate in ((9, "a", 9.0), (5, "a", 0.0001), (4, "b", 0.0003)):
        rows.add(tables.funding_rates, minutes, exchange=exchange, funding_rate=rate)
    rows.add(tables.funding_rates, 1, "ETH/USDT", exchange="a", funding_rate=5)
    for minutes, strategy, pnl, rate, fall, trades in (
        (90, "trend", 1.0, 0.9, 0.20, 1),
        (8, "trend", 100.0, 0.5, 0.05, 30),
        (3, "reversion", -40.0, 0.8, 0.10, 10),
        (2, "idle", None, None, None, 0),
    ):
        row = {"pnl": pnl, "win_rate": rate, "drawdown": fall, "trade_count": trades}
        rows.add(tables.performance_metrics, minutes, strategy_id=strategy, **row)
    for confidence in (0.2, 0.6, None, math.nan):
        rows.add(tables.signal_predictions, signal_type="LONG", confidence=confidence)
    for outcome in ("PENDING", "WIN", None, "PENDING"):
        signal(rows, 2, outcome)
    signal(rows, 2, "WIN", evaluated_at=NOW + timedelta(seconds=1))
    for z, threshold in ((3.0, 3.0), (-4.0, 5.0), (-3.5, None), (math.inf, 3.0), (math.nan, 3.0)):
        rows.add(tables.anomalies, data_type="price", z_score=z, threshold=threshold)
    (row,) = queries.headline(db, BTC, DAY).to_dict("records")
    assert row["funding_rate"] == pytest.approx(0.0002)
    assert row["pnl"] == pytest.approx(60.0)
    assert row["win_rate"] == pytest.approx((30 * 0.5 + 10 * 0.8) / 40)
    assert row["drawdown"] == pytest.approx(0.20)
    assert row["confidence"] == pytest.approx(0.4)
    assert row["open_signals"] == 3
    assert row["anomalies"] == 3
    assert row["newest"] == pd.Timestamp(NOW - timedelta(minutes=1))


def test_an_exchange_that_fell_silent_a_day_ago_does_not_count(rows: Rows, db: Database) -> None:
    rows.add(tables.funding_rates, 25 * 60, exchange="old", funding_rate=0.01)
    rows.add(tables.funding_rates, 5, exchange="new", funding_rate=0.0001)
    week = Window.last("7d", NOW)
    assert queries.headline(db, BTC, week)["funding_rate"].tolist() == [0.0001]


def test_the_headline_has_the_documented_columns(db: Database) -> None:
    frame = queries.headline(db, BTC, DAY)
    assert all(f"`{column}`" in (queries.headline.__doc__ or "") for column in frame)
    kinds = {str(kind) for kind in frame.drop(columns="newest").dtypes}
    assert kinds == {"float64"}

"""What every query owes its callers: documented columns, the window, the symbol, NULLs."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pandas as pd
import pytest
import sqlalchemy as sa

from alphapulse_nb import queries
from alphapulse_nb.db import tables
from alphapulse_nb.db.connection import Database
from alphapulse_nb.errors import SchemaError
from alphapulse_nb.queries import Window
from tests.queries.conftest import NOW, Rows

DAY = Window.last("24h", NOW)
TIME, TEXT, NUMBER = "datetime64[us, UTC]", "str", "float64"

Query = Callable[[Database, str, Window, int], pd.DataFrame]

# Each query with its table, what that table demands beside time and symbol, and what it gives.
QUERIES: dict[str, tuple[sa.Table, dict[str, object], dict[str, str]]] = {
    "funding_rates": (
        tables.funding_rates,
        {"exchange": "binance", "funding_rate": 0.0001},
        {
            "timestamp": TIME,
            "exchange": TEXT,
            "funding_rate": NUMBER,
            "estimated_rate": NUMBER,
            "next_funding_time": TIME,
        },
    ),
    "anomalies": (
        tables.anomalies,
        {"data_type": "price"},
        {
            "timestamp": TIME,
            "data_type": TEXT,
            "value": NUMBER,
            "z_score": NUMBER,
            "threshold": NUMBER,
        },
    ),
    "performance": (
        tables.performance_metrics,
        {"strategy_id": "trend", "max_position_size": None, "trade_count": None},
        {
            "timestamp": TIME,
            "strategy_id": TEXT,
            "pnl": NUMBER,
            "win_rate": NUMBER,
            "drawdown": NUMBER,
            "trade_count": NUMBER,
            "capital": NUMBER,
        },
    ),
    "predictions": (
        tables.signal_predictions,
        {"signal_type": "LONG"},
        {
            "timestamp": TIME,
            "signal_type": TEXT,
            "confidence": NUMBER,
            "predicted_pnl": NUMBER,
            "outcome": TEXT,
            "pnl_pct": NUMBER,
        },
    ),
    "signals": (
        tables.signals,
        {"signal_type": "LONG"},
        {
            "timestamp": TIME,
            "signal_type": TEXT,
            "entry_price": NUMBER,
            "stop_loss": NUMBER,
            "target_price": NUMBER,
            "confidence": NUMBER,
            "risk_reward_ratio": NUMBER,
            "outcome": TEXT,
            "pnl_pct": NUMBER,
            "evaluated_at": TIME,
        },
    ),
    "backtests": (
        tables.backtests,
        {"strategy_name": "trend"},
        {
            "timestamp": TIME,
            "strategy_name": TEXT,
            "start_date": TIME,
            "end_date": TIME,
            **dict.fromkeys(
                [
                    "initial_capital",
                    "final_capital",
                    "total_return",
                    "annualized_return",
                    "volatility",
                    "sharpe_ratio",
                    "sortino_ratio",
                    "calmar_ratio",
                    "max_drawdown",
                    "profit_factor",
                    "win_rate",
                    "total_trades",
                ],
                NUMBER,
            ),
            "config": "object",
        },
    ),
    "system_metrics": (
        tables.system_metrics,
        {"metric_name": "latency"},
        {
            "timestamp": TIME,
            "metric_name": TEXT,
            "metric_value": NUMBER,
            "metric_unit": TEXT,
        },
    ),
}
every = pytest.mark.parametrize("name", QUERIES)
by_symbol = pytest.mark.parametrize("name", [name for name in QUERIES if name != "system_metrics"])


def read(db: Database, name: str, symbol: str = "BTC/USDT", window: Window = DAY) -> pd.DataFrame:
    query: Query = getattr(queries, name)
    return query(db, symbol, window, 1_500)


def add(rows: Rows, name: str, minutes: float = 1, symbol: str = "BTC/USDT") -> None:
    table, needed, _ = QUERIES[name]
    rows.add(table, minutes, symbol, **needed)


@every
def test_no_rows_are_an_empty_frame_with_the_documented_columns(db: Database, name: str) -> None:
    for _ in range(2):
        frame = read(db, name)
        assert frame.empty
        assert {c: str(kind) for c, kind in frame.dtypes.items()} == QUERIES[name][2]


@every
def test_a_null_in_every_nullable_column_changes_no_dtype(
    rows: Rows, db: Database, name: str
) -> None:
    table, needed, columns = QUERIES[name]
    nothing = {c.name: None for c in table.c if c.nullable and c.name != "created_at"}
    rows.add(table, 2, **{**nothing, **needed})
    for _ in range(2):  # first on the general path, then by COPY
        frame = read(db, name)
        assert {c: str(kind) for c, kind in frame.dtypes.items()} == columns
        assert len(frame) == 1
        unknown = [c for c in columns if c not in needed and c != "timestamp" and c in table.c]
        assert frame[unknown].isna().all(axis=None)


@every
def test_docstrings_name_every_column(name: str) -> None:
    said = getattr(queries, name).__doc__
    for column in QUERIES[name][2]:
        assert f"`{column}`" in said


@by_symbol
def test_only_rows_of_the_symbol_are_read(rows: Rows, db: Database, name: str) -> None:
    add(rows, name)
    add(rows, name, symbol="ETH/USDT")
    assert len(read(db, name)) == 1
    assert read(db, name, "SOL/USDT").empty


@every
def test_both_ends_of_the_window_belong_to_it(rows: Rows, db: Database, name: str) -> None:
    minutes = [1440.02, 1440, 0, -0.02]
    for age in minutes:
        add(rows, name, age)
    kept = [1440.02, 1440, 0] if name == "backtests" else [1440, 0]
    frame = read(db, name)
    assert sorted(frame["timestamp"]) == [NOW - timedelta(minutes=age) for age in kept]


@every
def test_rows_come_in_time_order(rows: Rows, db: Database, name: str) -> None:
    for age in (5, 30, 10, 20):
        add(rows, name, age)
    stamps = read(db, name)["timestamp"]
    assert stamps.is_monotonic_decreasing if name == "backtests" else stamps.is_monotonic_increasing
    assert len(stamps) == 4


@by_symbol
@pytest.mark.parametrize("symbol", ["O'HARA/USD", '"; DROP TABLE x', "%s", "<b>x</b>", "é€𝄞", ""])
def test_a_symbol_may_hold_any_character(rows: Rows, db: Database, name: str, symbol: str) -> None:
    add(rows, name, symbol=symbol)
    assert len(read(db, name, symbol)) == 1


@every
def test_a_missing_table_is_named(rows: Rows, db: Database, name: str) -> None:
    table = QUERIES[name][0].name
    rows.run(f"ALTER TABLE {table} RENAME TO hidden")
    try:
        with pytest.raises(SchemaError, match=f'"{table}" does not exist'):
            read(db, name)
    finally:
        rows.run(f"ALTER TABLE hidden RENAME TO {table}")

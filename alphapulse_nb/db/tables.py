"""The trading tables that AlphaPulse NB reads, as SQLAlchemy Core tables.

They belong to the trading system. We create them only in the embedded or an empty database
(`alphapulse db init`) and never alter them. Fractions are fractions: 0.0001 is 0.01 %.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

metadata = sa.MetaData()

Float = sa.Double


def _table(name: str, columns: Iterable[sa.Column[Any]], *, by_symbol: bool = True) -> sa.Table:
    """A trading table: the shared columns, the primary key a hypertable allows, its indexes.

    No btree on `timestamp` alone: the planner prefers it to `(symbol, timestamp)` and reads three
    to four times more on long ranges.
    """
    symbol = [sa.Column("symbol", sa.String(20), nullable=False)] if by_symbol else []
    table = sa.Table(
        name,
        metadata,
        sa.Column("id", sa.BigInteger, sa.Identity(), nullable=False),
        sa.Column("timestamp", sa.DateTime(timezone=True), nullable=False),
        *symbol,
        *columns,
        sa.Column("metadata", pg.JSONB),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.func.now()),
        sa.PrimaryKeyConstraint("id", "timestamp"),
    )
    lead = table.c.symbol if by_symbol else table.c.metric_name
    sa.Index(f"{name}_{lead.name}_timestamp", lead, table.c.timestamp.desc())
    sa.Index(f"{name}_timestamp_brin", table.c.timestamp, postgresql_using="brin")
    return table


funding_rates = _table(
    "funding_rates",
    [
        sa.Column("exchange", sa.String(20), nullable=False),
        sa.Column("funding_rate", sa.Numeric(10, 8), nullable=False),
        sa.Column("next_funding_time", sa.DateTime(timezone=True)),
        sa.Column("estimated_rate", sa.Numeric(10, 8)),
    ],
)

anomalies = _table(
    "anomalies",
    [
        sa.Column("data_type", sa.String(50), nullable=False),
        sa.Column("value", Float),
        sa.Column("z_score", Float),
        sa.Column("threshold", Float, server_default=sa.text("3.0")),
    ],
)

performance_metrics = _table(
    "performance_metrics",
    [
        sa.Column("strategy_id", sa.String(50), nullable=False),
        sa.Column("pnl", Float),
        sa.Column("win_rate", Float),
        sa.Column("drawdown", Float),
        sa.Column("execution_time", Float),
        sa.Column("avg_position_size", Float),
        sa.Column("max_position_size", Float, server_default=sa.text("0")),
        sa.Column("trade_count", sa.Integer, server_default=sa.text("0")),
    ],
)

signal_predictions = _table(
    "signal_predictions",
    [
        sa.Column("signal_type", sa.String(50), nullable=False),
        sa.Column("confidence", Float),
        sa.Column("predicted_pnl", Float),
        sa.Column("features", pg.JSONB),
    ],
)

system_metrics = _table(
    "system_metrics",
    [
        sa.Column("metric_name", sa.String(100), nullable=False),
        sa.Column("metric_value", Float),
        sa.Column("metric_unit", sa.String(20)),
    ],
    by_symbol=False,
)

signals = _table(
    "signals",
    [
        sa.Column("signal_type", sa.String(50), nullable=False),
        sa.Column("entry_price", sa.Numeric),
        sa.Column("stop_loss", sa.Numeric),
        sa.Column("target_price", sa.Numeric),
        sa.Column("confidence", Float),
        sa.Column("risk_reward_ratio", Float),
        sa.Column("outcome", sa.String(20)),
        sa.Column("pnl_pct", Float),
        sa.Column("evaluated_at", sa.DateTime(timezone=True)),
    ],
)

backtests = _table(
    "backtests",
    [
        sa.Column("strategy_name", sa.String(100), nullable=False),
        sa.Column("start_date", sa.DateTime(timezone=True)),
        sa.Column("end_date", sa.DateTime(timezone=True)),
        sa.Column("initial_capital", Float),
        sa.Column("final_capital", Float),
        sa.Column("total_return", Float),
        sa.Column("annualized_return", Float),
        sa.Column("volatility", Float),
        sa.Column("sharpe_ratio", Float),
        sa.Column("sortino_ratio", Float),
        sa.Column("calmar_ratio", Float),
        sa.Column("max_drawdown", Float),
        sa.Column("profit_factor", Float),
        sa.Column("win_rate", Float),
        sa.Column("total_trades", sa.Integer),
        sa.Column("config", pg.JSONB),
    ],
)

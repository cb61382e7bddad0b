"""Backtests of strategies."""

from __future__ import annotations

from typing import Final

import pandas as pd
import sqlalchemy as sa

from alphapulse_nb.db import tables
from alphapulse_nb.db.connection import Database
from alphapulse_nb.queries.binding import END, SYMBOL, bound
from alphapulse_nb.queries.window import Window

MOST: Final = 500
"""Backtests that one query returns at most."""

_t = tables.backtests.c
_QUERY = (
    sa.select(
        _t.timestamp,
        _t.strategy_name,
        _t.start_date,
        _t.end_date,
        _t.initial_capital,
        _t.final_capital,
        _t.total_return,
        _t.annualized_return,
        _t.volatility,
        _t.sharpe_ratio,
        _t.sortino_ratio,
        _t.calmar_ratio,
        _t.max_drawdown,
        _t.profit_factor,
        _t.win_rate,
        sa.cast(_t.total_trades, sa.Double).label("total_trades"),
        _t.config,
    )
    .where(_t.symbol == SYMBOL, _t.timestamp <= END)
    .order_by(_t.timestamp.desc(), _t.id.desc())
    .limit(sa.bindparam("most", type_=sa.Integer))
    .execution_options(general=True)  # JSON has no fixed width
)


def backtests(db: Database, symbol: str, window: Window, max_points: int = MOST) -> pd.DataFrame:
    """The newest backtests of one symbol as of the window's end, newest first, at most 500.

    They are rare, so that the window's start is no limit. Columns: `timestamp`, `start_date`,
    `end_date` (datetime64[us, UTC]); `strategy_name` (str); `initial_capital`, `final_capital`
    (float64, USDT); `total_return`, `annualized_return`, `volatility`, `max_drawdown` (its positive
    size) and `win_rate` (float64, **fractions**: 0.05 is 5 %); `sharpe_ratio`, `sortino_ratio`,
    `calmar_ratio`, `profit_factor` (float64, no unit); `total_trades` (float64); `config` (object,
    decoded JSON or None). NULL numbers are NaN, NULL times NaT. No rows is an empty frame with
    these columns.
    """
    return db.read(_QUERY, bound(symbol, window, most=min(max_points, MOST)))

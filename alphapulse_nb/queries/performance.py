"""Performance of the desk's strategies."""

from __future__ import annotations

import pandas as pd
import sqlalchemy as sa

from alphapulse_nb.db import tables
from alphapulse_nb.db.connection import Database
from alphapulse_nb.queries.binding import bound, inside
from alphapulse_nb.queries.thinning import thin
from alphapulse_nb.queries.window import MAX_POINTS, Window

_t = tables.performance_metrics.c
_given = _t.metadata["capital"]
_QUERY = sa.select(
    _t.timestamp,
    _t.strategy_id,
    _t.pnl,
    _t.win_rate,
    _t.drawdown,
    sa.cast(_t.trade_count, sa.Double).label("trade_count"),
    sa.case(
        (sa.func.jsonb_typeof(_given) == "number", sa.cast(_given, sa.Double)), else_=None
    ).label("capital"),
).where(inside(tables.performance_metrics))


def performance(
    db: Database, symbol: str, window: Window, max_points: int = MAX_POINTS
) -> pd.DataFrame:
    """Performance of every strategy on one symbol, oldest first.

    Columns: `timestamp` (datetime64[us, UTC]); `strategy_id` (str); `pnl` (float64, USDT,
    cumulative); `win_rate` (float64, fraction of closed trades, 0..1); `drawdown` (float64, the
    positive size of the fall from peak equity, a fraction); `trade_count` (float64, closed trades
    so far); `capital` (float64, USDT, the number `capital` in `metadata`). What is NULL is NaN, and
    so is a capital that is no number. No rows is an empty frame with these columns. More than
    `max_points` rows of a strategy are thinned to those that hold the extremes of `pnl`,
    `win_rate` and `drawdown`.
    """
    frame = db.read(_QUERY, bound(symbol, window))
    return thin(frame, ["pnl", "win_rate", "drawdown"], max_points, by=["strategy_id"])

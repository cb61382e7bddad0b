"""The headline numbers: where one symbol stands, in one row and one query."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

import pandas as pd
import sqlalchemy as sa

from alphapulse_nb.db.connection import Database
from alphapulse_nb.queries.binding import bound
from alphapulse_nb.queries.window import Window

QUOTES_FOR: Final = timedelta(days=1)
"""An exchange that sent no funding rate for longer does not count any more."""


def headline(db: Database, symbol: str, window: Window) -> pd.DataFrame:
    """Where one symbol stands at the window's end: always one row.

    Columns, float64 unless said otherwise, NaN where the window holds nothing:

    - `funding_rate`: mean of every exchange's newest rate of the window's last day, a fraction
      per interval
    - `pnl`: sum of every strategy's newest PnL, USDT
    - `win_rate`: of every strategy's newest rates, weighted by its trades, a fraction
    - `drawdown`: the deepest fall from peak equity of any strategy, its positive size, a fraction
    - `confidence`: mean of the predictions, 0..1
    - `open_signals`: signals of the window that are PENDING at its end, a count
    - `anomalies`: those with |z-score| at or above their threshold (3 where it is NULL), a count
    - `newest` (datetime64[us, UTC]): the latest row of any of these tables, NaT for none
    """
    quotes = max(window.start, window.end - QUOTES_FOR)
    return db.read(_ROW, bound(symbol, window, quotes=quotes))


_NUMBERS: Final = (
    "funding_rate",
    "pnl",
    "win_rate",
    "drawdown",
    "confidence",
    "open_signals",
    "anomalies",
)

# SQL, since the same in SQLAlchemy's words takes 15 ms to compile. The newest row of each series
# is found through the index, one series after the other: each step takes the newest row whose
# series was not seen yet. Only the last step, which finds none, reads to the start.
_QUERY: Final = sa.text("""
WITH RECURSIVE quotes AS (
    (SELECT funding_rate, ARRAY[exchange::text] AS seen FROM funding_rates
     WHERE symbol = :symbol AND timestamp BETWEEN :quotes AND :end
     ORDER BY timestamp DESC LIMIT 1)
  UNION ALL
    SELECT other.funding_rate, seen || other.exchange::text
    FROM quotes CROSS JOIN LATERAL (
        SELECT exchange, funding_rate FROM funding_rates
        WHERE symbol = :symbol AND timestamp BETWEEN :quotes AND :end
          AND exchange::text <> ALL (seen)
        ORDER BY timestamp DESC LIMIT 1) AS other
), books AS (
    (SELECT pnl, win_rate, trade_count, ARRAY[strategy_id::text] AS seen FROM performance_metrics
     WHERE symbol = :symbol AND timestamp BETWEEN :start AND :end
     ORDER BY timestamp DESC LIMIT 1)
  UNION ALL
    SELECT other.pnl, other.win_rate, other.trade_count, seen || other.strategy_id::text
    FROM books CROSS JOIN LATERAL (
        SELECT strategy_id, pnl, win_rate, trade_count FROM performance_metrics
        WHERE symbol = :symbol AND timestamp BETWEEN :start AND :end
          AND strategy_id::text <> ALL (seen)
        ORDER BY timestamp DESC LIMIT 1) AS other
), marks AS (
    SELECT max(nullif(drawdown, 'NaN')) AS drawdown, max(timestamp) AS newest
    FROM performance_metrics
    WHERE symbol = :symbol AND timestamp BETWEEN :start AND :end
), looks AS (
    SELECT avg(nullif(confidence, 'NaN')) AS confidence, max(timestamp) AS newest
    FROM signal_predictions
    WHERE symbol = :symbol AND timestamp BETWEEN :start AND :end
), orders AS (
    SELECT count(*) FILTER (WHERE outcome = 'PENDING' OR evaluated_at > :end) AS open,
           max(timestamp) AS newest
    FROM signals
    WHERE symbol = :symbol AND timestamp BETWEEN :start AND :end
), moves AS (
    SELECT count(*) FILTER (WHERE z_score <> 'NaN' AND abs(z_score) >= coalesce(threshold, 3))
             AS beyond,
           max(timestamp) AS newest
    FROM anomalies
    WHERE symbol = :symbol AND timestamp BETWEEN :start AND :end
)
SELECT
    (SELECT avg(funding_rate)::float8 FROM quotes) AS funding_rate,
    (SELECT sum(nullif(pnl, 'NaN')) FROM books) AS pnl,
    (SELECT sum(win_rate * trade_count) / nullif(sum(trade_count), 0)
     FROM books WHERE win_rate <> 'NaN') AS win_rate,
    marks.drawdown,
    looks.confidence,
    orders.open::float8 AS open_signals,
    moves.beyond::float8 AS anomalies,
    greatest(
        (SELECT timestamp FROM funding_rates
         WHERE symbol = :symbol AND timestamp BETWEEN :start AND :end
         ORDER BY timestamp DESC LIMIT 1),
        marks.newest, looks.newest, orders.newest, moves.newest) AS newest
FROM marks, looks, orders, moves
""")

_ROW: Final = sa.select(
    _QUERY.columns(
        *(sa.column(name, sa.Double) for name in _NUMBERS),
        sa.column("newest", sa.DateTime(timezone=True)),
    ).subquery("headline")
).execution_options(general=True)

"""Backtests of the strategies over the synthetic history, measured with `metrics`.

One row per pair and strategy for each whole week, and one for the whole history. The trades are
the paper book's own; returns are hourly and annualised over 8760 hours. Every ratio is a fraction,
`max_drawdown` its positive size.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from datetime import datetime, timedelta

import pandas as pd

from alphapulse_nb import metrics
from alphapulse_nb.demo.book import CAPITAL, FEE, Trade

HOURS_PER_YEAR = 8_760.0
WEEK = timedelta(days=7)
HOUR = timedelta(hours=1)


def backtests(
    performance: pd.DataFrame, trades: list[Trade], start: datetime, end: datetime
) -> pd.DataFrame:
    """Rows of `backtests`, each dated at the end of its span, in time order.

    `performance` and `trades` are the book's over (start, end].
    """
    rows = []
    streams = performance.groupby(["strategy_id", "symbol"], observed=True, sort=False)
    for (strategy, symbol), marks in streams:
        own = [t for t in trades if (t.strategy, t.symbol) == (strategy, symbol)]
        equity = CAPITAL + marks.set_index("timestamp")["pnl"]
        equity = equity.resample(HOUR, origin=start, closed="right", label="right").last().dropna()
        for begin, finish in _spans(start, end):
            span = _span_equity(equity, begin, finish)
            closed = [t.pnl for t in own if t.closed is not None and begin < t.closed <= finish]
            rows.append(
                {
                    "timestamp": finish,
                    "symbol": symbol,
                    "strategy_name": strategy,
                    "start_date": begin,
                    "end_date": finish,
                    **_measures(span, pd.Series(closed, dtype=float)),
                    "config": json.dumps({"bar": "1min", "fee": FEE, "capital": CAPITAL}),
                }
            )
    return pd.DataFrame(rows).sort_values("timestamp", kind="stable", ignore_index=True)


def _spans(start: datetime, end: datetime) -> Iterator[tuple[datetime, datetime]]:
    """Whole weeks from the start, then everything."""
    begin = start
    while begin + WEEK < end:
        yield begin, begin + WEEK
        begin += WEEK
    yield start, end


def _span_equity(equity: pd.Series[float], begin: datetime, finish: datetime) -> pd.Series[float]:
    """Capital at the start, plus what was earned from then on."""
    before = equity[equity.index <= begin]
    origin = float(before.iloc[-1]) if len(before) else CAPITAL
    inside = equity[(equity.index > begin) & (equity.index <= finish)]
    opening = pd.Series([origin], index=pd.DatetimeIndex([begin]))
    return pd.concat([opening, inside]) - origin + CAPITAL


def _measures(equity: pd.Series[float], closed: pd.Series[float]) -> dict[str, object]:
    hourly = metrics.returns(equity)
    factor = metrics.profit_factor(closed)
    return {
        "initial_capital": CAPITAL,
        "final_capital": float(equity.iloc[-1]),
        "total_return": float(equity.iloc[-1]) / CAPITAL - 1.0,
        "annualized_return": metrics.annualized_return(hourly, HOURS_PER_YEAR),
        "volatility": metrics.volatility(hourly, HOURS_PER_YEAR),
        "sharpe_ratio": metrics.sharpe_ratio(hourly, HOURS_PER_YEAR),
        "sortino_ratio": metrics.sortino_ratio(hourly, HOURS_PER_YEAR),
        "calmar_ratio": metrics.calmar_ratio(hourly, HOURS_PER_YEAR),
        "max_drawdown": -metrics.max_drawdown(equity),
        "profit_factor": factor if math.isfinite(factor) else math.nan,
        "win_rate": metrics.win_rate(closed),
        "total_trades": len(closed),
    }

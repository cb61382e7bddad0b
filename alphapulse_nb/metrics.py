"""Performance mathematics: a series in, a number or a series out.

Pure pandas. Conventions, the same everywhere:

- **equity** is an account's value in money (or any positive index), in time order.
- **returns** are simple returns per period as fractions: 0.01 is +1 %.
- `periods_per_year` turns per-period figures into yearly ones. The default 365 suits daily
  returns of a market that never closes; hourly returns need 8760.
- A NaN in the input is left out. Too little data, or a ratio whose denominator is 0, gives NaN
  (`profit_factor` says where it gives infinity), never an exception.

Sources:
  Sharpe, W. F. (1994), The Sharpe Ratio, Journal of Portfolio Management 21(1), 49-58.
  Sortino, F. A. and Price, L. N. (1994), Performance Measurement in a Downside Risk Framework,
    Journal of Investing 3(3), 59-64.
  Young, T. W. (1991), Calmar Ratio: A Smoother Tool, Futures 20(1), 40.
  Magdon-Ismail, M. and Atiya, A. (2004), Maximum Drawdown, Risk Magazine 17(10), 99-102.
  Bacon, C. R. (2008), Practical Portfolio Performance Measurement and Attribution, 2nd ed., Wiley.
"""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

PERIODS_PER_YEAR = 365.0


def drawdown(equity: pd.Series[float]) -> pd.Series[float]:
    """The underwater curve: how far equity stands below its running peak, as a fraction <= 0.

    `equity_t / max(equity_0 .. equity_t) - 1` (Magdon-Ismail and Atiya 2004). 0 at a peak, -0.25
    when a quarter is lost; within [-1, 0] for equity >= 0. The database column
    `performance_metrics.drawdown` stores the size: `column = -drawdown(capital + pnl)`.

    Same index as the input. NaN where equity is NaN (the peak carries over it) and while no peak
    above 0 has been seen; empty in, empty out.
    """
    peak = equity.cummax().ffill()
    return (equity / peak.where(peak > 0) - 1.0).rename("drawdown")


def max_drawdown(equity: pd.Series[float]) -> float:
    """The deepest point of `drawdown(equity)`: a fraction <= 0, NaN when there is none."""
    return float(drawdown(equity).min())


def returns(equity: pd.Series[float]) -> pd.Series[float]:
    """Simple returns per period, fractions: `equity_t / equity_{t-1} - 1` (Bacon 2008, ch. 2).

    One row shorter than the input, which lacks a predecessor for its first row. NaN beside a NaN
    and after an equity of 0.
    """
    before = equity.shift(1)
    return (equity / before.where(before != 0) - 1.0).iloc[1:].rename("returns")


def win_rate(pnl: pd.Series[float]) -> float:
    """Share of closed trades that made money, a fraction 0..1: `count(pnl > 0) / count(pnl)`.

    `pnl` is one value per trade in any unit. A trade that made exactly 0 counts as closed, not as
    won. NaN when there is no trade.
    """
    closed = pnl.dropna()
    return float((closed > 0).mean()) if len(closed) else math.nan


def profit_factor(pnl: pd.Series[float]) -> float:
    """Gross profit over gross loss: `sum(pnl > 0) / -sum(pnl < 0)`, >= 0 (Bacon 2008, ch. 4).

    `pnl` is one value per trade. Infinity when there are profits and no losses, NaN with neither.
    """
    profit = float(pnl[pnl > 0].sum())
    loss = -float(pnl[pnl < 0].sum())
    if loss == 0:
        return math.inf if profit > 0 else math.nan
    return profit / loss


def volatility(returns: pd.Series[float], periods_per_year: float = PERIODS_PER_YEAR) -> float:
    """Yearly standard deviation of returns, a fraction: `std(returns, ddof=1) * sqrt(periods)`.

    NaN with fewer than two returns (Bacon 2008, ch. 4).
    """
    return float(returns.std(ddof=1)) * math.sqrt(periods_per_year)


def annualized_return(
    returns: pd.Series[float], periods_per_year: float = PERIODS_PER_YEAR
) -> float:
    """Compound growth per year, a fraction: `prod(1 + returns) ** (periods / n) - 1`.

    Geometric linking (Bacon 2008, ch. 2). -1 when everything was lost, NaN when there is no return
    or the account went below 0, where compounding has no meaning.
    """
    known = returns.dropna()
    growth = float((1.0 + known).to_numpy().prod())
    if not len(known) or growth < 0:
        return math.nan
    try:
        return float(growth ** (periods_per_year / len(known)) - 1.0)
    except OverflowError:  # a few minutes' gain compounded over a year
        return math.inf


def sharpe_ratio(
    returns: pd.Series[float],
    periods_per_year: float = PERIODS_PER_YEAR,
    risk_free: float = 0.0,
) -> float:
    """Mean excess return per unit of its deviation, yearly (Sharpe 1994, ex-post form).

    `mean(returns - risk_free) / std(returns, ddof=1) * sqrt(periods)`; `risk_free` is a fraction
    per period. NaN with fewer than two returns or when they do not vary.
    """
    excess = returns - risk_free
    return _ratio(float(excess.mean()), _deviation(returns)) * math.sqrt(periods_per_year)


def sortino_ratio(
    returns: pd.Series[float],
    periods_per_year: float = PERIODS_PER_YEAR,
    target: float = 0.0,
) -> float:
    """Mean return above a target per unit of downside deviation, yearly (Sortino and Price 1994).

    `mean(returns - target) / sqrt(mean(min(returns - target, 0)^2)) * sqrt(periods)`; `target` is
    a fraction per period and every period counts in the downside mean. NaN when nothing fell
    below the target.
    """
    excess = (returns - target).dropna()
    downside = math.sqrt(float((excess.clip(upper=0.0) ** 2).mean())) if len(excess) else math.nan
    return _ratio(float(excess.mean()), downside) * math.sqrt(periods_per_year)


def calmar_ratio(returns: pd.Series[float], periods_per_year: float = PERIODS_PER_YEAR) -> float:
    """Compound yearly return over the size of the deepest drawdown (Young 1991).

    `annualized_return / -max_drawdown`, the drawdown taken over the equity that the returns imply
    from a start of 1. Young takes 36 months; here it is whatever span is given. NaN when equity
    never fell.
    """
    known = returns.dropna()
    growth = (1.0 + known).cumprod().to_numpy()
    equity = pd.Series(np.concatenate([[1.0], growth]))
    return _ratio(annualized_return(known, periods_per_year), -max_drawdown(equity))


def rolling_z_score(values: pd.Series[float], window: int) -> pd.Series[float]:
    """How unusual each value is within the `window` values that end with it, signed, no unit.

    `(value - mean) / std(ddof=1)` of that window, which includes the value itself, so that
    `|z| <= (window - 1) / sqrt(window)`. Same index as the input. NaN until the window is full,
    while it holds a NaN, and where it does not vary (the standard score of any statistics text).
    """
    rolling = values.rolling(window)
    return ((values - rolling.mean()) / rolling.std(ddof=1)).rename("z_score")


def _deviation(returns: pd.Series[float]) -> float:
    """Sample deviation; exactly 0 for returns that do not vary, whatever rounding leaves."""
    known = returns.dropna()
    return 0.0 if len(known) > 1 and known.min() == known.max() else float(known.std(ddof=1))


def _ratio(numerator: float, denominator: float) -> float:
    return numerator / denominator if denominator > 0 else math.nan

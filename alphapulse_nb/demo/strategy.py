"""Two small strategies: what they see, how sure they are, and the levels they would trade at.

- **momentum** follows a move that is large for its own noise: the self-normalised sum
  `sum(r) / sqrt(sum(r^2))` of the last bars, close to a standard normal without a trend.
- **mean_reversion** bets against a stretch: minus the z-score of the price in its own window.

Both read unit returns (see `market`), so that a score means the same on bars of any length. A
score's sign is the side, its size becomes a confidence through a logistic curve, and stop and
target are multiples of the volatility just realised.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from alphapulse_nb.demo.market import DECIMALS, Array, Bars
from alphapulse_nb.metrics import rolling_z_score

ENTRY_CONFIDENCE = 0.6
EXIT_CONFIDENCE = 0.6
EVALUATE_EVERY = 15  # bars between two looks of one strategy at one pair


@dataclass(frozen=True)
class Strategy:
    """A named rule; sizes are in standard deviations of the price over `window` bars."""

    name: str
    window: int  # bars
    score: Callable[[Array, int], Array]
    midpoint: float  # |score| at which the confidence is 1/2
    steepness: float
    stop: float
    target: float


@dataclass(frozen=True)
class View:
    """What one strategy sees at each bar, all (bars, pairs); NaN while its window is not full.

    `score` is signed: > 0 says the price will rise. `entry` is the confidence 0..1 of opening on
    the score's side, `exit_long` and `exit_short` of an open position's reason being gone.
    `spread` is one standard deviation of the price over the window, a fraction.
    """

    score: Array
    entry: Array
    exit_long: Array
    exit_short: Array
    spread: Array


def momentum_score(unit_returns: Array, window: int) -> Array:
    """`sum(r) / sqrt(sum(r^2))` over the window, (bars, pairs), no unit."""
    frame = pd.DataFrame(unit_returns).rolling(window)
    squares = (pd.DataFrame(unit_returns) ** 2).rolling(window).sum()
    return np.asarray(frame.sum() / np.sqrt(squares), dtype=np.float64)


def reversion_score(unit_returns: Array, window: int) -> Array:
    """Minus the z-score of the unit price (the sum of unit returns) within the window."""
    price = pd.DataFrame(unit_returns).cumsum()
    columns = [-rolling_z_score(price[column], window) for column in price]
    return np.column_stack(columns).astype(np.float64)


STRATEGIES = (
    Strategy("momentum", 120, momentum_score, 1.35, 1.1, stop=0.9, target=1.5),
    Strategy("mean_reversion", 90, reversion_score, 2.15, 1.1, stop=1.0, target=1.1),
)
CONTEXT = max(strategy.window for strategy in STRATEGIES)


def view(strategy: Strategy, bars: Bars, new: int) -> View:
    """The strategy's view of the last `new` of these bars; those before them are context."""
    score = strategy.score(bars.unit_returns, strategy.window)
    squares = pd.DataFrame(bars.unit_returns**2).rolling(strategy.window).mean()
    minutes = (strategy.window * bars.minutes)[:, None]
    spread = np.sqrt(np.asarray(squares, dtype=np.float64) * minutes)
    return View(
        score=score[-new:],
        entry=confidence(strategy, np.abs(score))[-new:],
        exit_long=exit_confidence(score)[-new:],
        exit_short=exit_confidence(-score)[-new:],
        spread=spread[-new:],
    )


def confidence(strategy: Strategy, size: Array) -> Array:
    """How sure the strategy is of a score of this size: a logistic curve, 0..1."""
    return np.asarray(1 / (1 + np.exp(-strategy.steepness * (size - strategy.midpoint))))


def exit_confidence(directed: Array) -> Array:
    """How sure it is that a position's reason is gone, given the score on the position's side."""
    return np.asarray(1 / (1 + np.exp(1.5 * directed)))


def levels(
    strategy: Strategy, pair: int, side: int, price: float, spread: float
) -> tuple[float, float, float]:
    """Stop, target (USDT, on the tick) and reward per risk of an entry at `price`.

    At least one tick away, however quiet the market.
    """
    decimals = DECIMALS[pair]
    tick = 10.0**-decimals
    risk = max(round(price * strategy.stop * spread, decimals), tick)
    reward = max(round(price * strategy.target * spread, decimals), tick)
    stop = round(price - side * risk, decimals)
    target = round(price + side * reward, decimals)
    return stop, target, abs(target - price) / abs(price - stop)

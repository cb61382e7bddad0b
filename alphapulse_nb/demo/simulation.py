"""Market, anomalies and book advanced together; each step yields rows for the trading tables.

Knows no database and no clock. Rows are a function of the seed, the start and the steps taken, and
do not depend on how the bars were grouped into steps.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import pandas as pd

from alphapulse_nb.demo import anomalies, strategy
from alphapulse_nb.demo.backtest import backtests
from alphapulse_nb.demo.book import CAPITAL, Book, Trade
from alphapulse_nb.demo.market import (
    EXCHANGES,
    MINUTES_PER_DAY,
    SYMBOLS,
    Bars,
    Market,
    labels,
    next_settlement,
)

WARM_UP = MINUTES_PER_DAY + 60  # minute bars that only fill the windows; nothing of them is shown
CONTEXT = max(anomalies.CONTEXT, strategy.CONTEXT)
MARK_EVERY = 5  # bars between two performance rows of the history
SOURCE = '{"source": "synthetic"}'

Frames = dict[str, pd.DataFrame]


@dataclass(frozen=True)
class Step:
    """What one step made.

    `frames` maps a table's name to its new rows, in time order. `opened` are the trades signalled
    in it, `resolved` those that closed in it, whenever they were signalled.
    """

    bars: Bars
    frames: Frames
    opened: list[Trade]
    resolved: list[Trade]


class Simulation:
    """The desk's world, warmed up so that its first bar already has full windows behind it."""

    def __init__(self, seed: int, start: datetime) -> None:
        self.market = Market(seed, start - timedelta(minutes=WARM_UP))
        self.book = Book(seed)
        self._context = self.market.advance(WARM_UP, 60.0)

    @property
    def now(self) -> datetime:
        """When the last bar closed, UTC."""
        return pd.Timestamp(self.market.clock, tz="UTC").to_pydatetime()

    def advance(self, bars: int, seconds: float, mark_every: int = 1) -> Step:
        """The next `bars` bars of `seconds` each, with a performance row every `mark_every`."""
        made = self.market.advance(bars, seconds)
        seen = self._context.extended(made)
        self._context = seen.tail(CONTEXT)
        activity = self.book.advance(seen, bars, mark_every)
        performance = activity.performance_metrics
        frames = {
            "funding_rates": _with_note(funding_frame(made), SOURCE),
            "anomalies": _with_note(anomalies.find(seen, bars), ANOMALY_NOTE),
            "performance_metrics": _with_note(performance, PERFORMANCE_NOTE),
            "signal_predictions": activity.signal_predictions,
            "signals": activity.signals,
        }
        return Step(made, frames, activity.opened, activity.resolved)


ANOMALY_NOTE = f'{{"source": "synthetic", "window": {anomalies.WINDOW}, "bars": {anomalies.BLOCK}}}'
PERFORMANCE_NOTE = f'{{"source": "synthetic", "capital": {CAPITAL:.0f}}}'


def history(seed: int, end: datetime, minutes: int) -> tuple[Simulation, Step]:
    """`minutes` of minute bars up to `end`, backtests included, and the simulation to go on with.

    `end` is cut to its minute.
    """
    end = end.replace(second=0, microsecond=0)
    start = end - timedelta(minutes=minutes)
    simulation = Simulation(seed, start)
    step = simulation.advance(minutes, 60.0, MARK_EVERY)
    rows = backtests(step.frames["performance_metrics"], step.resolved, start, end)
    step.frames["backtests"] = _with_note(rows, SOURCE)
    return simulation, step


def funding_frame(bars: Bars) -> pd.DataFrame:
    """Rows of `funding_rates`: one per bar, pair and exchange, in that order."""
    pairs, exchanges = len(SYMBOLS), len(EXCHANGES)
    each = pairs * exchanges
    pair = np.repeat(np.arange(pairs), exchanges)
    exchange = np.tile(np.arange(exchanges), pairs)
    return pd.DataFrame(
        {
            "timestamp": pd.DatetimeIndex(bars.times, tz="UTC").repeat(each),
            "symbol": labels(np.tile(pair, len(bars)), SYMBOLS),
            "exchange": labels(np.tile(exchange, len(bars)), EXCHANGES),
            "funding_rate": bars.funding.ravel(),
            "next_funding_time": pd.DatetimeIndex(next_settlement(bars.times), tz="UTC").repeat(
                each
            ),
            "estimated_rate": bars.estimated.ravel(),
        }
    )


def synthetic_system(seed: int, step: Step) -> pd.DataFrame:
    """Rows of `system_metrics`, one per metric and bar, for a fixture that may measure nothing.

    `throughput` counts the step's own rows; the rest is drawn from the seed.
    """
    rng = np.random.default_rng(np.random.SeedSequence([seed, 3]))
    count = len(step.bars)
    noise = rng.standard_normal((count, 4))
    busy = step.bars.volumes.sum(axis=1) / step.bars.volumes.sum(axis=1).mean()
    stamps = pd.DatetimeIndex(step.bars.times, tz="UTC")
    written = sum(
        frame["timestamp"].value_counts().reindex(stamps, fill_value=0).to_numpy()
        for frame in step.frames.values()
    )
    columns = {
        ("latency", "ms"): 0.9 * np.exp(0.25 * noise[:, 0]) * (0.8 + 0.2 * busy),
        ("cache_hit_ratio", "ratio"): 1.0 - 0.004 * np.exp(0.6 * noise[:, 1]),
        ("throughput", "rows/s"): written / (60.0 * step.bars.minutes),
        ("cpu", "%"): np.clip(22.0 * np.sqrt(busy) + 3.0 * noise[:, 2], 1.0, 100.0),
        ("memory", "%"): 41.0 + 0.2 * noise[:, 3],
    }
    frame = pd.DataFrame(
        {
            "timestamp": stamps.repeat(len(columns)),
            "metric_name": np.tile([name for name, _ in columns], count),
            "metric_value": np.column_stack(list(columns.values())).ravel(),
            "metric_unit": np.tile([unit for _, unit in columns], count),
        }
    )
    return _with_note(frame, SOURCE)


def _with_note(frame: pd.DataFrame, note: str) -> pd.DataFrame:
    return frame.assign(metadata=labels(np.zeros(len(frame)), [note]))

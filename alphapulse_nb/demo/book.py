"""The paper book: ten accounts, one per pair and strategy, that trade what the strategies signal.

Rules, which the tests replay against the price path:

- A strategy looks at its pair every 15 bars and writes a prediction. Flat, it signals an entry
  when its confidence reaches the threshold; in a position, an exit when it is that sure that the
  reason is gone.
- An order fills at the next bar's price. From the bar after the fill, a price at or beyond the
  stop closes the trade at that bar's price, one at or beyond the target at the target.
- Both fills cost a fee. A closed trade is WIN or LOSS by its profit after fees, NEUTRAL within
  `NEUTRAL_BAND`; an open one is PENDING. An exit signal is an instruction, so it has no outcome.

`pnl` is in USDT, cumulative since the book opened, fees and the open position included.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

import numpy as np
import pandas as pd

from alphapulse_nb.demo.market import SYMBOLS, Array, Bars, labels
from alphapulse_nb.demo.strategy import (
    ENTRY_CONFIDENCE,
    EVALUATE_EVERY,
    EXIT_CONFIDENCE,
    STRATEGIES,
    Strategy,
    View,
    levels,
    view,
)

CAPITAL = 100_000.0  # USDT per account
RISK = 0.0025  # of the capital, lost when a trade ends at its stop
LARGEST = 0.5  # of the capital, in one position
FEE = 1e-4  # of the traded value, each way
NEUTRAL_BAND = 2e-4  # fraction of the position's value


@dataclass(slots=True)
class Trade:
    """One entry signal and what became of it. Prices in USDT, times are bar times."""

    symbol: str
    strategy: str
    side: int  # +1 long, -1 short
    signalled: datetime
    entry: float  # price when signalled; the fill is one bar later
    stop: float
    target: float
    reward_risk: float
    confidence: float
    units: float
    fill: float | None = None
    exit_price: float | None = None
    closed: datetime | None = None
    pnl: float = 0.0  # after fees, of the closed trade

    @property
    def value(self) -> float:
        """Size of the position when signalled, USDT."""
        return self.units * self.entry

    @property
    def outcome(self) -> str:
        if self.closed is None:
            return "PENDING"
        if abs(self.pnl) <= NEUTRAL_BAND * self.value:
            return "NEUTRAL"
        return "WIN" if self.pnl > 0 else "LOSS"


class Exit(NamedTuple):
    """A strategy's order to close a position."""

    at: datetime
    symbol: str
    strategy: str
    side: int
    price: float
    confidence: float


class Prediction(NamedTuple):
    """One look of a strategy at its pair."""

    at: datetime
    symbol: str
    strategy: str
    signal_type: str
    confidence: float
    predicted_pnl: float
    score: float
    spread: float
    holding: bool


class Mark(NamedTuple):
    """An account's state at one bar."""

    bar: int
    cash: float
    units: float
    closed: int
    won: int
    opened: int
    total_size: float
    largest_size: float


@dataclass
class Account:
    """One strategy on one pair. `advance` appends to the lists; `drain` hands them over."""

    pair: int
    strategy: Strategy
    phase: int
    cash: float = 0.0
    units: float = 0.0  # signed
    trade: Trade | None = None
    leaving: bool = False
    closed: int = 0
    won: int = 0
    opened: int = 0
    total_size: float = 0.0
    largest_size: float = 0.0
    peak: float = CAPITAL
    trades: list[Trade] = field(default_factory=list)
    resolved: list[Trade] = field(default_factory=list)
    exits: list[Exit] = field(default_factory=list)
    predictions: list[Prediction] = field(default_factory=list)
    marks: list[Mark] = field(default_factory=list)

    def advance(self, bars: Bars, times: list[datetime], seen: View, mark_every: int) -> None:
        """Live through these bars; a mark is taken every `mark_every` bars."""
        prices: list[float] = bars.prices[:, self.pair].tolist()
        for i, price in enumerate(prices):
            number = bars.first + i
            trade = self.trade
            if trade is not None:
                if trade.fill is None:
                    self._open(trade, price)
                elif self.leaving or (price - trade.stop) * trade.side <= 0:
                    self._close(trade, price, times[i])
                elif (price - trade.target) * trade.side >= 0:
                    self._close(trade, trade.target, times[i])
            if number % EVALUATE_EVERY == self.phase:
                self._evaluate(times[i], price, seen, i)
            if (number + 1) % mark_every == 0:
                self._mark(i)

    def _open(self, trade: Trade, price: float) -> None:
        self.units = trade.side * trade.units
        self.cash -= self.units * price + FEE * trade.units * price
        trade.fill = price
        self.opened += 1
        self.total_size += trade.value
        self.largest_size = max(self.largest_size, trade.value)

    def _close(self, trade: Trade, price: float, at: datetime) -> None:
        assert trade.fill is not None  # noqa: S101 - only filled trades are closed
        self.cash += self.units * price - FEE * trade.units * price
        trade.exit_price, trade.closed = price, at
        trade.pnl = self.units * (price - trade.fill) - FEE * trade.units * (price + trade.fill)
        self.units, self.trade, self.leaving = 0.0, None, False
        self.closed += 1
        self.won += trade.outcome == "WIN"
        self.resolved.append(trade)

    def _evaluate(self, at: datetime, price: float, seen: View, i: int) -> None:
        score, spread = float(seen.score[i, self.pair]), float(seen.spread[i, self.pair])
        if math.isnan(score) or self.leaving:  # NaN: the window is not full
            return
        side = 1 if score > 0 else -1
        sure = float(seen.entry[i, self.pair])
        proposal = self._proposal(at, price, side, sure, spread)
        kind = "LONG" if side > 0 else "SHORT"
        holding = self.trade
        if holding is not None:
            exits = seen.exit_long if holding.side > 0 else seen.exit_short
            if (leave := float(exits[i, self.pair])) >= EXIT_CONFIDENCE:
                kind, sure = ("EXIT_LONG" if holding.side > 0 else "EXIT_SHORT"), leave
                self._leave(at, price, sure)
        elif sure >= ENTRY_CONFIDENCE:
            self.trade = proposal
            self.trades.append(proposal)
        expected = self._expected(proposal, holding, price)
        self.predictions.append(
            Prediction(
                at,
                proposal.symbol,
                proposal.strategy,
                kind,
                sure,
                expected,
                score,
                spread,
                holding is not None,
            )
        )

    def _proposal(self, at: datetime, price: float, side: int, sure: float, spread: float) -> Trade:
        """The trade that the score asks for, sized so that its stop costs `RISK`."""
        stop, target, reward_risk = levels(self.strategy, self.pair, side, price, spread)
        value = min(CAPITAL * RISK * price / abs(price - stop), CAPITAL * LARGEST)
        return Trade(
            SYMBOLS[self.pair],
            self.strategy.name,
            side,
            at,
            price,
            stop,
            target,
            reward_risk,
            sure,
            units=value / price,
        )

    def _expected(self, proposal: Trade, holding: Trade | None, price: float) -> float:
        """Expected profit in USDT after fees, of the proposal or of leaving the position now."""
        if self.leaving and holding is not None and holding.fill is not None:
            gross = holding.side * holding.units * (price - holding.fill)
            return gross - FEE * holding.units * (price + holding.fill)
        gain, loss = abs(proposal.target - price), abs(price - proposal.stop)
        edge = proposal.confidence * gain - (1 - proposal.confidence) * loss
        return proposal.units * (edge - 2 * FEE * price)

    def _leave(self, at: datetime, price: float, sure: float) -> None:
        trade = self.trade
        assert trade is not None  # noqa: S101 - asked for only in a position
        self.leaving = True
        self.exits.append(Exit(at, trade.symbol, trade.strategy, trade.side, price, sure))

    def _mark(self, i: int) -> None:
        self.marks.append(
            Mark(
                i,
                self.cash,
                self.units,
                self.closed,
                self.won,
                self.opened,
                self.total_size,
                self.largest_size,
            )
        )


@dataclass(frozen=True)
class Activity:
    """What happened in the book over some bars; frames in time order, columns as in the tables.

    `opened` are trades signalled in these bars, `resolved` those closed in them (which may have
    been signalled earlier).
    """

    signals: pd.DataFrame
    signal_predictions: pd.DataFrame
    performance_metrics: pd.DataFrame
    opened: list[Trade]
    resolved: list[Trade]


class Book:
    """All accounts. The same bars in the same order give the same activity, in any steps."""

    def __init__(self, seed: int) -> None:
        self._latency = np.random.default_rng(np.random.SeedSequence([seed, 2]))
        # Distinct phases: no two looks of the desk share a bar.
        self.accounts = [
            Account(pair, strategy, phase=(3 * pair + 7 * kind) % EVALUATE_EVERY)
            for pair in range(len(SYMBOLS))
            for kind, strategy in enumerate(STRATEGIES)
        ]

    def advance(self, bars: Bars, new: int, mark_every: int) -> Activity:
        """Trade the last `new` of these bars; the bars before them are the strategies' context."""
        views = {strategy.name: view(strategy, bars, new) for strategy in STRATEGIES}
        recent = bars.tail(new)
        times: list[datetime] = pd.DatetimeIndex(recent.times, tz="UTC").to_pydatetime().tolist()
        for account in self.accounts:
            account.advance(recent, times, views[account.strategy.name], mark_every)
        performance = self._performance(recent)
        opened = [trade for account in self.accounts for trade in account.trades]
        exits = [order for account in self.accounts for order in account.exits]
        looks = [look for account in self.accounts for look in account.predictions]
        resolved = [trade for account in self.accounts for trade in account.resolved]
        for account in self.accounts:
            for events in (account.trades, account.exits, account.predictions, account.resolved):
                events.clear()
        return Activity(
            signals_frame(opened, exits),
            _predictions_frame(looks),
            performance,
            sorted(opened, key=lambda trade: trade.signalled),
            sorted(resolved, key=lambda trade: trade.closed or trade.signalled),
        )

    def _performance(self, bars: Bars) -> pd.DataFrame:
        marks = np.array([account.marks for account in self.accounts], dtype=np.float64)
        if not marks.size:
            return pd.DataFrame()
        rows = marks[0, :, 0].astype(np.int64)
        prices = bars.prices[rows][:, [account.pair for account in self.accounts]]
        cash, units, closed, won, opened, total, largest = marks[:, :, 1:].transpose(2, 1, 0)
        pnl = cash + units * prices
        frame = pd.DataFrame(
            {
                "timestamp": pd.DatetimeIndex(bars.times[rows], tz="UTC").repeat(
                    len(self.accounts)
                ),
                **self._names(len(rows)),
                "pnl": pnl.ravel(),
                "win_rate": _share(won, closed).ravel(),
                "drawdown": self._drawdowns(pnl).ravel(),
                "execution_time": self._latencies(bars.volumes[rows]).ravel(),
                "avg_position_size": _share(total, opened).ravel(),
                "max_position_size": largest.ravel(),
                "trade_count": closed.ravel().astype(np.int64),
            }
        )
        for account in self.accounts:
            account.marks.clear()
        return frame

    def _names(self, rows: int) -> dict[str, pd.Categorical[str]]:
        strategies = [strategy.name for strategy in STRATEGIES]
        pairs = [account.pair for account in self.accounts]
        kinds = [strategies.index(account.strategy.name) for account in self.accounts]
        return {
            "symbol": labels(np.tile(pairs, rows), SYMBOLS),
            "strategy_id": labels(np.tile(kinds, rows), strategies),
        }

    def _drawdowns(self, pnl: Array) -> Array:
        """Positive fraction of the peak of capital + pnl over all marks so far."""
        equity = CAPITAL + pnl
        start = np.array([account.peak for account in self.accounts])
        peak = np.maximum(np.maximum.accumulate(equity, axis=0), start)
        for account, last in zip(self.accounts, peak[-1].tolist(), strict=True):
            account.peak = last
        return np.asarray(1.0 - equity / peak)

    def _latencies(self, volumes: Array) -> Array:
        """Seconds from order to fill: synthetic, log-normal, slower in a busy market."""
        noise = self._latency.standard_normal((len(volumes), len(self.accounts)))
        busy = volumes[:, [account.pair for account in self.accounts]]
        usual = np.array([5e6])
        return np.asarray(0.08 * np.exp(0.3 * noise) * (busy / usual) ** 0.1)


def signals_frame(opened: list[Trade], exits: list[Exit]) -> pd.DataFrame:
    """Rows of `signals`: the trades' entries and the exit orders, in time order.

    `pnl_pct` is in percent of the position, after fees; an exit has a price and a confidence only.
    """
    rows = [
        {
            "timestamp": trade.signalled,
            "symbol": trade.symbol,
            "signal_type": "LONG" if trade.side > 0 else "SHORT",
            "entry_price": trade.entry,
            "stop_loss": trade.stop,
            "target_price": trade.target,
            "confidence": trade.confidence,
            "risk_reward_ratio": trade.reward_risk,
            **outcome(trade),
            "metadata": _note(trade.strategy),
        }
        for trade in opened
    ] + [
        {
            "timestamp": order.at,
            "symbol": order.symbol,
            "signal_type": "EXIT_LONG" if order.side > 0 else "EXIT_SHORT",
            "entry_price": order.price,
            "confidence": order.confidence,
            "metadata": _note(order.strategy),
        }
        for order in exits
    ]
    frame = pd.DataFrame(rows, columns=SIGNAL_COLUMNS)
    frame["evaluated_at"] = pd.to_datetime(frame["evaluated_at"], utc=True)
    return _in_time_order(frame)


SIGNAL_COLUMNS = [
    "timestamp",
    "symbol",
    "signal_type",
    "entry_price",
    "stop_loss",
    "target_price",
    "confidence",
    "risk_reward_ratio",
    "outcome",
    "pnl_pct",
    "evaluated_at",
    "metadata",
]


def outcome(trade: Trade) -> dict[str, object]:
    """The columns of `signals` that change when a trade is resolved."""
    return {
        "outcome": trade.outcome,
        "pnl_pct": None if trade.closed is None else 100.0 * trade.pnl / trade.value,
        "evaluated_at": trade.closed,
    }


def _predictions_frame(looks: list[Prediction]) -> pd.DataFrame:
    frame = pd.DataFrame(
        {
            "timestamp": [look.at for look in looks],
            "symbol": [look.symbol for look in looks],
            "signal_type": [look.signal_type for look in looks],
            "confidence": [look.confidence for look in looks],
            "predicted_pnl": [round(look.predicted_pnl, 4) for look in looks],
            "features": [_features(look) for look in looks],
            "metadata": [_note(look.strategy) for look in looks],
        }
    )
    return _in_time_order(frame)


def _features(look: Prediction) -> str:
    return json.dumps(
        {
            "score": round(look.score, 4),
            "realized_spread": round(look.spread, 6),
            "entry_threshold": ENTRY_CONFIDENCE,
            "in_position": look.holding,
        }
    )


def _note(strategy: str) -> str:
    return f'{{"source": "synthetic", "strategy": "{strategy}"}}'


def _in_time_order(frame: pd.DataFrame) -> pd.DataFrame:
    frame["timestamp"] = pd.to_datetime(frame["timestamp"], utc=True)
    return frame.sort_values("timestamp", kind="stable", ignore_index=True)


def _share(part: Array, whole: Array) -> Array:
    """`part / whole`, NaN where the whole is 0."""
    return np.divide(part, whole, out=np.full_like(part, np.nan), where=whole > 0)

"""The synthetic market: prices, volumes and funding rates of five pairs on two exchanges.

Nothing here comes from an exchange. It is a random process with the features that matter on a
chart: GARCH(1,1) volatility clusters, correlated pairs, jumps, slow trends, short overshoots that
fade, volume that follows volatility, and funding rates that revert to 0.01 % per 8 hours with a
heavy tail on the negative side.

**Time scale.** Returns are made in *unit* form, as if every bar were a minute, and multiplied by
the square root of the bar's true length. So a 5-second bar moves a twelfth of the variance of a
minute, and whatever reads unit returns works alike on both. Funding follows the clock instead.

**Steps.** Every random quantity has its own generator and is drawn bar by bar, so that
`advance(2)` and `advance(1)` twice give the same bars: history and live come from one code path.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from itertools import accumulate
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

Array = npt.NDArray[np.float64]
Times = npt.NDArray[np.datetime64]


class Pair(NamedTuple):
    """One instrument: its first price, tick and what a usual day looks like."""

    symbol: str
    price: float  # USDT at the first bar
    decimals: int  # of the price tick
    daily_volatility: float  # of its noise alone, fraction; trends and jumps come on top
    volume: float  # usual USDT per minute
    beta: float  # correlation of its noise with the market's


PAIRS = (
    Pair("BTC/USDT", 96_400.0, 1, 0.020, 21e6, 0.85),
    Pair("ETH/USDT", 3_320.0, 2, 0.027, 12e6, 0.85),
    Pair("SOL/USDT", 188.0, 3, 0.035, 4.5e6, 0.75),
    Pair("BNB/USDT", 655.0, 2, 0.023, 1.6e6, 0.70),
    Pair("XRP/USDT", 2.31, 4, 0.033, 3.2e6, 0.65),
)
SYMBOLS = tuple(pair.symbol for pair in PAIRS)
EXCHANGES = ("binance", "bybit")
DECIMALS = tuple(pair.decimals for pair in PAIRS)

MINUTES_PER_DAY = 1_440
SETTLEMENT = np.timedelta64(8, "h")

# GARCH(1,1) with unit mean variance; the half-life of a cluster is about 70 bars and the fourth
# moment is finite (3a^2 + 2ab + b^2 < 1).
ARCH, GARCH = 0.06, 0.93
JUMP_CHANCE, JUMP_SIZE = 1 / 700, 5.0  # per bar; in unit deviations
# What the two strategies live on: without it no strategy could earn its fees.
TREND_SIZE, TREND_MEMORY = 0.06, 0.5 ** (1 / 120)
OVERSHOOT_SIZE, OVERSHOOT_MEMORY = 2.8, 0.5 ** (1 / 12)
VOLUME_SIZE, VOLUME_MEMORY = 0.35, 0.5 ** (1 / 30)

FUNDING_MEAN, FUNDING_CAP = 1e-4, 0.0075  # fractions per 8 hours
FUNDING_SIZE, FUNDING_MINUTES = 4.5e-5, 300.0
BASIS_SIZE, BASIS_MINUTES = 1.2e-5, 45.0
SQUEEZE_PER_MINUTE, SQUEEZE_SIZE, SQUEEZE_MINUTES = 1 / 2_400, 3.5e-4, 120.0


@dataclass(frozen=True)
class Bars:
    """Consecutive bars; row i is the bar that closed at `times[i]`.

    `unit_returns`, `prices` (USDT, on the tick) and `volumes` (USDT per minute) are (bars, pairs);
    `funding` and `estimated` (fractions per 8 hours, 8 decimals) are (bars, pairs, exchanges);
    `estimated` is the mean rate since the last settlement. `minutes` is each bar's length.
    """

    first: int  # number of the first bar since the market began
    times: Times
    minutes: Array
    unit_returns: Array
    prices: Array
    volumes: Array
    funding: Array
    estimated: Array

    def __len__(self) -> int:
        return len(self.times)

    def tail(self, count: int) -> Bars:
        """The last `count` bars."""
        cut = max(len(self) - count, 0)
        return self._mapped(self.first + cut, lambda name: getattr(self, name)[cut:])

    def extended(self, later: Bars) -> Bars:
        """These bars followed by `later`, which must begin where these end."""
        return self._mapped(
            self.first,
            lambda name: np.concatenate([getattr(self, name), getattr(later, name)]),
        )

    @staticmethod
    def _mapped(first: int, column: Callable[[str], Any]) -> Bars:
        names = [field.name for field in fields(Bars) if field.name != "first"]
        return Bars(first=first, **{name: column(name) for name in names})


class Market:
    """The market's state between bars. The same seed, start and steps give the same bars."""

    def __init__(self, seed: int, start: datetime) -> None:
        streams = np.random.SeedSequence([seed, 1]).spawn(9)
        draws = [np.random.default_rng(stream) for stream in streams]
        self._noise, self._jump_at, self._jump_size, self._trend_noise = draws[:4]
        self._overshoot_noise, self._volume_noise = draws[4:6]
        self._funding_noise, self._squeeze_at, self._squeeze_size = draws[6:]
        pairs = len(PAIRS)
        self.clock = np.datetime64(pd.Timestamp(start).tz_convert("UTC").tz_localize(None), "us")
        self.bar = 0
        self._log_price = np.log([pair.price for pair in PAIRS])
        self._variance = np.ones(pairs)
        self._trend = np.zeros(pairs)
        self._overshoot = np.zeros(pairs)
        self._volume = np.zeros(pairs)
        self._premium = np.zeros(pairs)
        self._basis = np.zeros(pairs * len(EXCHANGES))
        self._squeeze = np.zeros(pairs)
        self._twap = np.zeros((2, pairs, len(EXCHANGES)))  # rate x minutes, minutes
        self._period = int(_period(np.array([self.clock]))[0])

    def advance(self, bars: int, seconds: float) -> Bars:
        """The next `bars` bars of `seconds` each."""
        minutes = np.full(bars, seconds / 60.0)
        step = np.timedelta64(round(seconds * 1e6), "us")
        times = self.clock + step * np.arange(1, bars + 1)
        unit, variance = self._returns(bars)
        log_prices = _running_sum(self._log_price, unit * np.sqrt(minutes)[:, None])
        funding = self._funding(bars, seconds / 60.0)
        made = Bars(
            first=self.bar,
            times=times,
            minutes=minutes,
            unit_returns=unit,
            prices=_on_tick(np.exp(log_prices)),
            volumes=self._volumes(bars, unit, variance, times),
            funding=funding,
            estimated=self._estimates(funding, minutes, times),
        )
        self._log_price = log_prices[-1]
        self.clock, self.bar = times[-1], self.bar + bars
        return made

    def _returns(self, bars: int) -> tuple[Array, Array]:
        """Unit returns, and the variance (mean 1) that each was drawn with."""
        pairs = len(PAIRS)
        noise = _correlated(self._noise, bars)
        variance = _recurrence(
            self._variance, ARCH * noise**2 + GARCH, np.full((bars, pairs), 1 - ARCH - GARCH)
        )
        trend_noise = _correlated(self._trend_noise, bars)
        trend = _autoregression(self._trend, TREND_MEMORY, TREND_SIZE, trend_noise)
        overshoot_noise = _correlated(self._overshoot_noise, bars)
        overshoot = _autoregression(
            self._overshoot, OVERSHOOT_MEMORY, OVERSHOOT_SIZE, overshoot_noise
        )
        self._variance, self._trend, self._overshoot = variance[-1], trend[-1], overshoot[-1]
        moves = np.sqrt(variance[:-1]) * noise + self._jumps(bars) + trend[1:]
        daily = np.array([pair.daily_volatility for pair in PAIRS])
        unit = (moves + np.diff(overshoot, axis=0)) * daily / np.sqrt(MINUTES_PER_DAY)
        return unit, variance[:-1]

    def _jumps(self, bars: int) -> Array:
        """Rare large moves, half of them shared by the whole market."""
        shape = (bars, len(PAIRS) + 1)
        hit = self._jump_at.random(shape) < JUMP_CHANCE
        sizes = np.where(hit, JUMP_SIZE * self._jump_size.standard_normal(shape), 0.0)
        return np.asarray(sizes[:, :1] + sizes[:, 1:])

    def _volumes(self, bars: int, unit: Array, variance: Array, times: Times) -> Array:
        """Volume follows volatility and the size of the move, with a slow rhythm over the day."""
        noise = self._volume_noise.standard_normal((bars, len(PAIRS)))
        own = _autoregression(self._volume, VOLUME_MEMORY, VOLUME_SIZE, noise)
        self._volume = own[-1]
        daily = np.array([pair.daily_volatility for pair in PAIRS])
        surprise = np.abs(unit) / (daily / np.sqrt(MINUTES_PER_DAY) * np.sqrt(variance))
        into_day = (times - times.astype("datetime64[D]")) / np.timedelta64(1, "D")
        rhythm = 0.35 * np.sin(2 * np.pi * (into_day - 0.35))
        usual = np.array([pair.volume for pair in PAIRS])
        level = own[1:] + 0.6 * np.log(variance) + 0.25 * np.minimum(surprise, 6.0)
        return np.asarray(usual * np.exp(level + rhythm[:, None] - 0.35))

    def _funding(self, bars: int, minutes: float) -> Array:
        """Rates per 8 hours: a premium per pair, a basis per exchange, sudden short squeezes."""
        pairs, exchanges = len(PAIRS), len(EXCHANGES)
        noise = self._funding_noise.standard_normal((bars, pairs * (1 + exchanges)))
        premium = _autoregression(
            self._premium, np.exp(-minutes / FUNDING_MINUTES), FUNDING_SIZE, noise[:, :pairs]
        )
        basis = _autoregression(
            self._basis, np.exp(-minutes / BASIS_MINUTES), BASIS_SIZE, noise[:, pairs:]
        )
        hit = self._squeeze_at.random((bars, pairs)) < SQUEEZE_PER_MINUTE * minutes
        size = np.where(hit, self._squeeze_size.standard_exponential((bars, pairs)), 0.0)
        fading = np.full((bars, pairs), np.exp(-minutes / SQUEEZE_MINUTES))
        squeeze = _recurrence(self._squeeze, fading, SQUEEZE_SIZE * size)
        self._premium, self._basis, self._squeeze = premium[-1], basis[-1], squeeze[-1]
        # Squeezes only push down; the mean stays at FUNDING_MEAN.
        level = FUNDING_MEAN + SQUEEZE_PER_MINUTE * SQUEEZE_SIZE * SQUEEZE_MINUTES
        common = (level + premium[1:] - squeeze[1:])[:, :, None]
        rates = common + basis[1:].reshape(bars, pairs, exchanges)
        return np.asarray(np.round(np.clip(rates, -FUNDING_CAP, FUNDING_CAP), 8))

    def _estimates(self, funding: Array, minutes: Array, times: Times) -> Array:
        """Mean rate since the last settlement: what would be paid if the rest went on like that."""
        period = _period(times)
        opens = np.flatnonzero(np.diff(np.concatenate([[self._period], period])))
        out = np.empty_like(funding)
        for begin, end in zip([0, *opens], [*opens, len(times)], strict=True):
            if begin in opens:
                self._twap = np.zeros_like(self._twap)
            part, weight = funding[begin:end], minutes[begin:end, None, None]
            paid = _running_sum(self._twap[0], part * weight)
            span = _running_sum(self._twap[1], np.broadcast_to(weight, part.shape))
            out[begin:end] = paid / span
            if end > begin:
                self._twap = np.stack([paid[-1], span[-1]])
        self._period = int(period[-1])
        return np.round(out, 8)


def next_settlement(times: Times) -> Times:
    """The first of 00:00, 08:00 and 16:00 UTC after each time."""
    return np.asarray((_period(times) + 1) * SETTLEMENT + np.datetime64(0, "us"))


def _period(times: Times) -> npt.NDArray[np.int64]:
    """Number of the 8-hour funding period that each time belongs to."""
    return np.asarray((times - np.datetime64(0, "us")) // SETTLEMENT)


def _correlated(draws: np.random.Generator, bars: int) -> Array:
    """Standard normals, (bars, pairs), that share the market's draw as far as `beta` says."""
    beta = np.array([pair.beta for pair in PAIRS])
    noise = draws.standard_normal((bars, len(PAIRS) + 1))
    return np.asarray(beta * noise[:, :1] + np.sqrt(1 - beta**2) * noise[:, 1:])


def _on_tick(prices: Array) -> Array:
    columns = [np.round(prices[:, i], decimals) for i, decimals in enumerate(DECIMALS)]
    return np.column_stack(columns)


def _running_sum(start: Array, addends: Array) -> Array:
    """`start` plus the sums down to each row, added one by one: the same bits in any steps."""
    return np.asarray(np.cumsum(np.concatenate([start[None], addends]), axis=0)[1:])


def _autoregression(start: Array, memory: float, size: float, noise: Array) -> Array:
    """`x' = memory * x + e`, with `size` as its lasting deviation; the start and each step."""
    shocks = size * np.sqrt(1 - memory**2) * noise
    return _recurrence(start, np.full_like(noise, memory), shocks)


def _recurrence(start: Array, factor: Array, addend: Array) -> Array:
    """`x' = factor * x + addend` down each column; the start and each step, (bars + 1, columns).

    Plain floats: a loop of numpy rows of five takes eight times as long.
    """
    columns = []
    for first, factors, addends in zip(
        start.tolist(), factor.T.tolist(), addend.T.tolist(), strict=True
    ):
        steps = zip(factors, addends, strict=True)
        columns.append(list(accumulate(steps, lambda x, s: s[0] * x + s[1], initial=first)))
    return np.array(columns).T


def labels(codes: npt.ArrayLike, names: Sequence[str]) -> pd.Categorical[str]:
    """A text column kept as codes: hundreds of thousands of rows share a few names."""
    return pd.Categorical.from_codes(np.asarray(codes, dtype=np.int64), pd.Index(names))

"""The synthetic market: reproducible in any steps, and alike to real ones where it matters."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest

from alphapulse_nb.demo.market import DECIMALS, EXCHANGES, SYMBOLS, Bars, Market
from alphapulse_nb.demo.simulation import Step

START = datetime(2026, 1, 1, 5, 0, tzinfo=UTC)


def columns(bars: Bars) -> dict[str, np.ndarray]:
    return {f.name: getattr(bars, f.name) for f in dataclasses.fields(bars) if f.name != "first"}


def autocorrelation(values: np.ndarray) -> float:
    return float(np.corrcoef(values[1:], values[:-1])[0, 1])


@pytest.mark.parametrize("steps", [[1] * 40, [39, 1], [4_000, 3_000, 1_000]])
def test_bars_do_not_depend_on_the_steps(steps: list[int]) -> None:
    whole = Market(3, START).advance(sum(steps), 60.0)
    market = Market(3, START)
    pieces = market.advance(steps[0], 60.0)
    for step in steps[1:]:
        pieces = pieces.extended(market.advance(step, 60.0))
    for name, values in columns(whole).items():
        np.testing.assert_array_equal(columns(pieces)[name], values, err_msg=name)


def test_another_seed_is_another_market() -> None:
    one, other = Market(3, START).advance(50, 60.0), Market(4, START).advance(50, 60.0)
    assert not np.isclose(one.prices[1:], other.prices[1:]).any()


def test_a_short_bar_moves_by_the_square_root_of_its_length() -> None:
    minutes, seconds = Market(3, START).advance(50, 60.0), Market(3, START).advance(50, 5.0)
    np.testing.assert_array_equal(minutes.unit_returns, seconds.unit_returns)
    long, short = (np.diff(np.log(bars.prices[:, 0])) for bars in (minutes, seconds))
    np.testing.assert_allclose(short * np.sqrt(12), long, atol=1e-5)  # prices are on a tick
    assert (np.diff(seconds.times) == np.timedelta64(5, "s")).all()


def test_volatility_clusters_and_returns_do_not(month: Step) -> None:
    for returns in month.bars.unit_returns.T:
        assert abs(autocorrelation(returns)) < 0.03
        assert autocorrelation(returns**2) > abs(autocorrelation(returns)) + 0.01
        slow = np.abs(returns[: len(returns) // 30 * 30]).reshape(-1, 30).mean(axis=1)
        assert autocorrelation(slow) > 0.2


def test_returns_have_heavy_tails_and_pairs_move_together(month: Step) -> None:
    returns = pd.DataFrame(month.bars.unit_returns, columns=list(SYMBOLS))
    assert (returns.kurt() > 1).all()
    correlation = returns.corr().to_numpy()
    assert (correlation > 0.3).all()


def test_prices_lie_on_their_tick_and_stay_positive(month: Step) -> None:
    for prices, decimals in zip(month.bars.prices.T, DECIMALS, strict=True):
        assert (prices > 0).all()
        np.testing.assert_array_equal(np.round(prices, decimals), prices)


def test_volume_is_positive_and_follows_volatility(month: Step) -> None:
    assert (month.bars.volumes > 0).all()
    for volume, returns in zip(month.bars.volumes.T, month.bars.unit_returns.T, strict=True):
        assert np.corrcoef(np.log(volume), np.abs(returns))[0, 1] > 0.15


def test_funding_reverts_to_its_mean_with_a_heavy_left_tail(month: Step) -> None:
    rates = month.bars.funding
    assert rates.mean() == pytest.approx(1e-4, abs=2e-5)
    centred = rates - rates.mean()
    assert (centred**3).mean() / rates.std() ** 3 < -1
    assert abs(rates).max() <= 0.0075


def test_funding_estimate_is_the_mean_since_the_last_settlement(month: Step) -> None:
    bars = month.bars
    for pair in range(len(SYMBOLS)):
        for exchange in range(len(EXCHANGES)):
            rate = pd.Series(
                bars.funding[:, pair, exchange], index=pd.DatetimeIndex(bars.times, tz="UTC")
            )
            period = rate.index.floor("8h")
            expected = rate.groupby(period).expanding().mean().droplevel(0)
            # The first period began before the history did.
            whole = period > period[0]
            np.testing.assert_allclose(
                bars.estimated[whole, pair, exchange], expected[whole], atol=6e-9
            )


def test_settlement_is_the_next_of_three_times_a_day(month: Step) -> None:
    funding = month.frames["funding_rates"]
    ahead = funding["next_funding_time"] - funding["timestamp"]
    assert (ahead > pd.Timedelta(0)).all()
    assert (ahead <= pd.Timedelta(hours=8)).all()
    assert set(funding["next_funding_time"].dt.hour) == {0, 8, 16}
    assert (funding["next_funding_time"].dt.minute == 0).all()

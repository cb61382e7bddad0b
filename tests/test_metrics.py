"""Metrics against empyrical-reloaded, against values worked by hand, and their identities."""

from __future__ import annotations

import math

import empyrical
import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from alphapulse_nb import metrics

# Values on a lattice: either equal or clearly different, so that rounding never decides a case.
fractions = st.integers(-400_000, 400_000).map(lambda n: n / 1e6)
return_series = st.lists(fractions, min_size=2, max_size=60).map(
    lambda v: pd.Series(v, dtype=float)
)
equity_series = st.lists(st.integers(1, 10_000), min_size=1, max_size=60).map(
    lambda v: pd.Series(v, dtype=float)
)
pnl_series = st.lists(st.integers(-500, 500), min_size=1, max_size=60).map(
    lambda v: pd.Series(v, dtype=float)
)
scales = st.integers(1, 1_000).map(lambda n: n / 7)
EMPTY = pd.Series([], dtype=float)


def same(ours: float, theirs: float) -> bool:
    return ours == pytest.approx(theirs, rel=1e-9, abs=1e-12, nan_ok=True)


@given(return_series, st.sampled_from([252, 365, 8760]))
def test_ratios_equal_empyrical(returns: pd.Series, periods: int) -> None:
    assume(returns.nunique() > 1)
    assume((returns < 0).any())
    assert same(
        metrics.sharpe_ratio(returns, periods, 1e-4),
        empyrical.sharpe_ratio(returns, risk_free=1e-4, annualization=periods),
    )
    assert same(
        metrics.sortino_ratio(returns, periods),
        empyrical.sortino_ratio(returns, annualization=periods),
    )
    assert same(
        metrics.volatility(returns, periods),
        empyrical.annual_volatility(returns, annualization=periods),
    )


@given(return_series)
def test_growth_and_drawdown_equal_empyrical(returns: pd.Series) -> None:
    annual = empyrical.annual_return(returns, annualization=365)
    assert same(metrics.annualized_return(returns, 365), annual)
    equity = pd.concat([pd.Series([1.0]), (1 + returns).cumprod()], ignore_index=True)
    deepest = empyrical.max_drawdown(returns)
    assert same(metrics.max_drawdown(equity), deepest)
    if deepest < -1e-9:
        calmar = empyrical.calmar_ratio(returns, annualization=365)
        assert same(metrics.calmar_ratio(returns, 365), calmar)


def test_values_worked_by_hand() -> None:
    equity = pd.Series([100.0, 110.0, 99.0, 121.0])
    assert metrics.drawdown(equity).tolist() == pytest.approx([0, 0, -0.1, 0])
    assert metrics.max_drawdown(equity) == pytest.approx(-0.1)
    assert metrics.returns(equity).tolist() == pytest.approx([0.1, -0.1, 2 / 9])
    # Mean 2 %, sample deviation 2 %; around a target of 1 % the downside is sqrt(0.0001 / 3).
    returns = pd.Series([0.0, 0.02, 0.04])
    assert metrics.sharpe_ratio(returns, 1) == pytest.approx(1.0)
    assert metrics.sharpe_ratio(returns, 4) == pytest.approx(2.0)
    assert metrics.sortino_ratio(returns, 1, target=0.01) == pytest.approx(math.sqrt(3))
    assert metrics.annualized_return(pd.Series([0.1, 0.1]), 4) == pytest.approx(1.1**4 - 1)
    assert metrics.calmar_ratio(pd.Series([0.5, -0.5, 0.6]), 3) == pytest.approx(0.2 / 0.5)
    trades = pd.Series([30.0, -10.0, 0.0, -5.0])
    assert metrics.win_rate(trades) == 0.25
    assert metrics.profit_factor(trades) == 2.0
    scores = metrics.rolling_z_score(pd.Series([1.0, 2.0, 3.0, 3.0, 9.0]), 3)
    assert scores.tolist() == pytest.approx(
        [math.nan, math.nan, 1.0, 1 / math.sqrt(3), 2 / math.sqrt(3)], nan_ok=True
    )


@given(equity_series, scales)
def test_drawdown_lies_between_minus_one_and_zero_and_ignores_scale(
    equity: pd.Series, scale: float
) -> None:
    under = metrics.drawdown(equity)
    assert under.between(-1, 0).all()
    assert (under[equity == equity.cummax()] == 0).all()
    pd.testing.assert_series_equal(metrics.drawdown(equity * scale), under, rtol=1e-12)


@given(equity_series)
def test_drawdown_and_peak_give_the_equity_back(equity: pd.Series) -> None:
    rebuilt = equity.cummax() * (1 + metrics.drawdown(equity))
    pd.testing.assert_series_equal(rebuilt, equity, check_names=False)


@given(equity_series)
def test_returns_compound_to_the_equity(equity: pd.Series) -> None:
    growth = (1 + metrics.returns(equity)).prod()
    assert growth == pytest.approx(equity.iloc[-1] / equity.iloc[0])


@given(return_series, scales)
def test_sharpe_and_sortino_ignore_leverage_and_volatility_follows_it(
    returns: pd.Series, scale: float
) -> None:
    assume(returns.nunique() > 1)
    assume((returns < 0).any())
    assert same(metrics.sharpe_ratio(returns * scale), metrics.sharpe_ratio(returns))
    assert same(metrics.sortino_ratio(returns * scale), metrics.sortino_ratio(returns))
    assert same(metrics.volatility(returns * scale), scale * metrics.volatility(returns))


@given(pnl_series, scales)
def test_trade_ratios_ignore_scale_and_mirror_under_a_change_of_sign(
    pnl: pd.Series, scale: float
) -> None:
    assert 0 <= metrics.win_rate(pnl) <= 1
    assert metrics.win_rate(pnl) == metrics.win_rate(pnl * scale)
    assert same(metrics.profit_factor(pnl), metrics.profit_factor(pnl * scale))
    if (pnl > 0).any() and (pnl < 0).any():
        assert metrics.profit_factor(-pnl) == pytest.approx(1 / metrics.profit_factor(pnl))


@given(return_series, st.integers(2, 12), scales, fractions)
def test_z_scores_ignore_scale_and_shift_and_keep_their_bound(
    values: pd.Series, window: int, scale: float, shift: float
) -> None:
    scores = metrics.rolling_z_score(values, window)
    moved = metrics.rolling_z_score(values * scale + shift, window)
    constant = values.rolling(window).max() == values.rolling(window).min()
    np.testing.assert_allclose(moved[~constant], scores[~constant], rtol=1e-4, atol=1e-4)
    assert scores[: window - 1].isna().all()
    assert scores[constant].isna().all()
    assert (scores.dropna().abs() <= (window - 1) / math.sqrt(window) + 1e-6).all()


@given(return_series, st.integers(2, 12))
def test_z_scores_equal_the_definition(values: pd.Series, window: int) -> None:
    scores = metrics.rolling_z_score(values, window)
    for end in range(window, len(values) + 1):
        part = values.iloc[end - window : end]
        if part.nunique() > 1:
            expected = (part.iloc[-1] - part.mean()) / part.std()
            assert scores.iloc[end - 1] == pytest.approx(expected, rel=1e-4, abs=1e-4)


@pytest.mark.parametrize(
    ("metric", "series", "expected"),
    [
        (metrics.max_drawdown, [], math.nan),
        (metrics.max_drawdown, [math.nan, -5.0], math.nan),
        (metrics.win_rate, [], math.nan),
        (metrics.win_rate, [math.nan, 1.0], 1.0),
        (metrics.profit_factor, [], math.nan),
        (metrics.profit_factor, [0.0], math.nan),
        (metrics.profit_factor, [3.0], math.inf),
        (metrics.volatility, [0.01], math.nan),
        (metrics.annualized_return, [], math.nan),
        (metrics.annualized_return, [-1.0, 0.5], -1.0),
        (metrics.annualized_return, [-1.5], math.nan),
        (metrics.annualized_return, [9.0], math.inf),
        (metrics.sharpe_ratio, [], math.nan),
        (metrics.sharpe_ratio, [0.1, 0.1, 0.1], math.nan),
        (metrics.sortino_ratio, [], math.nan),
        (metrics.sortino_ratio, [0.1, 0.2], math.nan),
        (metrics.calmar_ratio, [], math.nan),
        (metrics.calmar_ratio, [0.1, 0.2], math.nan),
    ],
)
def test_too_little_to_measure_is_no_exception(metric, series, expected) -> None:  # type: ignore[no-untyped-def]
    given_series = pd.Series(series, dtype=float)
    result = (
        metric(given_series, 365) if metric is metrics.annualized_return else metric(given_series)
    )
    assert result == pytest.approx(expected, nan_ok=True)


def test_series_in_empty_series_out() -> None:
    assert metrics.drawdown(EMPTY).empty
    assert metrics.returns(EMPTY).empty
    assert metrics.rolling_z_score(EMPTY, 5).empty


def test_the_peak_carries_over_a_missing_value() -> None:
    under = metrics.drawdown(pd.Series([100.0, math.nan, 50.0]))
    assert under.tolist() == pytest.approx([0, math.nan, -0.5], nan_ok=True)

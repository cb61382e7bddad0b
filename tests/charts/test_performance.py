"""Performance: three panels, and a drawdown that is the metrics' own."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest

from alphapulse_nb import metrics
from alphapulse_nb.demo.book import CAPITAL
from alphapulse_nb.demo.simulation import history
from tests.charts.frames import column, draw, performance, trace


@pytest.fixture(scope="module")
def demo() -> pd.DataFrame:
    """A synthetic day of one symbol, as the query gives it."""
    _, step = history(5, datetime(2026, 3, 1, tzinfo=UTC), 24 * 60)
    rows = step.frames["performance_metrics"]
    rows = rows[rows["symbol"] == "BTC/USDT"].reset_index(drop=True)
    names = rows["strategy_id"].astype("str")
    return rows.assign(strategy_id=names, capital=CAPITAL, trade_count=1.0)


@pytest.mark.parametrize("stored", [True, False])
def test_the_drawn_drawdown_agrees_with_metrics(demo: pd.DataFrame, *, stored: bool) -> None:
    frame = demo if stored else demo.assign(drawdown=np.nan)
    figure = draw("performance", frame)
    for strategy, rows in demo.groupby("strategy_id"):
        equity = pd.concat([pd.Series([CAPITAL]), CAPITAL + rows["pnl"]], ignore_index=True)
        expected = 100 * metrics.drawdown(equity).to_numpy()[1:]
        drawn = np.array(column(trace(figure, f"{strategy} drawdown").y))
        assert expected.min() < -0.01
        np.testing.assert_allclose(drawn, expected, rtol=0, atol=1e-9)


def test_panels_share_time_and_nothing_else() -> None:
    figure = draw("performance", performance(20))
    names = ["trend", "trend win rate", "trend drawdown"]
    assert [trace(figure, name).yaxis for name in names] == ["y", "y2", "y3"]
    assert {one.xaxis for one in figure.data} == {None}
    domains = [figure.layout[axis].domain for axis in ("yaxis", "yaxis2", "yaxis3")]
    assert domains[0][0] > domains[1][1] > domains[1][0] > domains[2][1] > domains[2][0]
    assert all(figure.layout[axis].overlaying is None for axis in ("yaxis2", "yaxis3"))


def test_pnl_is_in_usdt_and_rates_are_in_per_cent() -> None:
    frame = performance(4).assign(pnl=1_234.5, win_rate=0.55, drawdown=0.02)
    figure = draw("performance", frame)
    assert set(column(trace(figure, "trend").y)) == {1_234.5}
    assert column(trace(figure, "trend win rate").y) == pytest.approx([55.0, 55.0])
    assert column(trace(figure, "trend drawdown").y) == pytest.approx([-2.0, -2.0])
    assert list(figure.layout.yaxis2.range) == [0, 100]
    titles = [note.text for note in figure.layout.annotations]
    assert titles == ["PnL, USDT", "Win rate, %", "Drawdown, %"]


def test_a_strategy_has_one_colour_and_one_legend_entry() -> None:
    figure = draw("performance", performance(20))
    for strategy in ("trend", "reversion"):
        own = [one for one in figure.data if one.legendgroup == strategy]
        assert len(own) == 3
        assert len({one.line.color for one in own}) == 1
        assert [one.showlegend for one in own] == [True, False, False]


def test_a_drawdown_without_capital_is_left_out() -> None:
    frame = performance(6).assign(drawdown=np.nan, capital=np.nan)
    assert np.isnan(column(trace(draw("performance", frame), "trend drawdown").y)).all()


def test_a_missing_interval_is_a_gap() -> None:
    frame = performance(60).drop(index=range(20, 40))
    assert np.isnan(column(trace(draw("performance", frame), "trend").y)).sum() == 1

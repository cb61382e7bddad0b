"""The simulation as a whole: reproducible, independent of its steps, fit for the tables."""

from __future__ import annotations

import itertools
from datetime import timedelta

import numpy as np
import pandas as pd
import pytest

from alphapulse_nb.db import tables
from alphapulse_nb.demo.book import signals_frame
from alphapulse_nb.demo.market import EXCHANGES, SYMBOLS
from alphapulse_nb.demo.simulation import Simulation, Step, history, synthetic_system
from alphapulse_nb.demo.strategy import STRATEGIES

from .conftest import END, NOW, SEED

SIX_HOURS = 360


@pytest.fixture(scope="module")
def short() -> Step:
    return history(SEED, NOW, SIX_HOURS)[1]


def test_the_same_seed_and_clock_give_identical_frames(short: Step) -> None:
    again = history(SEED, NOW, SIX_HOURS)[1]
    for name, frame in short.frames.items():
        pd.testing.assert_frame_equal(frame, again.frames[name], check_exact=True)


def test_another_seed_gives_other_rows(short: Step) -> None:
    other = history(SEED + 1, NOW, SIX_HOURS)[1]
    for name in ("funding_rates", "anomalies", "signal_predictions", "performance_metrics"):
        assert not short.frames[name].equals(other.frames[name]), name


@pytest.mark.parametrize("steps", [[1] * 60 + [300], [7, 200, 153]])
def test_rows_do_not_depend_on_the_steps(steps: list[int]) -> None:
    whole = Simulation(SEED, NOW).advance(sum(steps), 60.0)
    simulation = Simulation(SEED, NOW)
    parts = [simulation.advance(step, 60.0) for step in steps]
    for name in set(whole.frames) - {"signals"}:
        joined = pd.concat([p.frames[name] for p in parts if len(p.frames[name])])
        pd.testing.assert_frame_equal(
            joined.reset_index(drop=True), whole.frames[name], rtol=1e-6, check_dtype=False
        )
    opened = list(itertools.chain.from_iterable(part.opened for part in parts))
    assert opened
    pd.testing.assert_frame_equal(
        signals_frame(opened, []), signals_frame(whole.opened, []), rtol=1e-6
    )


def test_no_column_that_must_have_a_value_lacks_one(month: Step) -> None:
    frames = {**month.frames, "system_metrics": synthetic_system(SEED, month)}
    assert set(frames) == set(tables.metadata.tables)
    for name, frame in frames.items():
        assert len(frame), name
        table = tables.metadata.tables[name]
        assert set(frame.columns) <= {column.name for column in table.columns}
        for column in table.columns:
            if not column.nullable and column.name != "id":
                assert frame[column.name].notna().all(), f"{name}.{column.name}"
        assert frame["metadata"].str.contains('"source": "synthetic"').all()


def test_numbers_are_finite_and_null_only_where_nothing_can_be_said(month: Step) -> None:
    frames = month.frames
    for name in ("funding_rates", "anomalies", "signal_predictions"):
        numbers = frames[name].select_dtypes("number")
        assert np.isfinite(numbers).all(axis=None), name
    performance = frames["performance_metrics"]
    untraded = performance["trade_count"] == 0
    assert (performance["win_rate"].isna() == untraded).all()
    assert performance[["pnl", "drawdown", "execution_time"]].notna().all(axis=None)
    assert performance["drawdown"].between(0, 1).all()


def test_the_grid_has_no_gap_and_no_double(month: Step) -> None:
    funding = month.frames["funding_rates"]
    assert len(funding) == 30 * 1_440 * len(SYMBOLS) * len(EXCHANGES)
    grid = pd.date_range(END - timedelta(days=30), END, freq="min", inclusive="right")
    for _, own in funding.groupby(["symbol", "exchange"], observed=True):
        assert (own["timestamp"].array == grid.array).all()
    performance = month.frames["performance_metrics"]
    assert len(performance) == 30 * 288 * len(SYMBOLS) * len(STRATEGIES)
    for name, frame in month.frames.items():
        assert frame["timestamp"].is_monotonic_increasing, name


def test_backtests_agree_with_the_account_they_measure(month: Step) -> None:
    rows = month.frames["backtests"]
    assert len(rows) == len(SYMBOLS) * len(STRATEGIES) * 5
    final = month.frames["performance_metrics"].groupby(["symbol", "strategy_id"], observed=True)
    whole = rows[rows["start_date"] == END - timedelta(days=30)]
    whole = whole[whole["end_date"] == END].set_index(["symbol", "strategy_name"])
    for key, own in final:
        test = whole.loc[key]
        pnl = own["pnl"].iloc[-1]
        assert test.final_capital - test.initial_capital == pytest.approx(pnl)
        assert test.total_return == pytest.approx(pnl / test.initial_capital)
        assert test.total_trades == own["trade_count"].iloc[-1]
        # Hourly points see at most what five-minute points see.
        assert 0 <= test.max_drawdown <= own["drawdown"].max() + 1e-9
        assert np.sign(test.annualized_return) == np.sign(pnl)


def test_weekly_backtests_add_up_to_the_account(month: Step) -> None:
    rows = month.frames["backtests"]
    weeks = rows[rows["end_date"] - rows["start_date"] == timedelta(days=7)]
    performance = month.frames["performance_metrics"].set_index("timestamp")
    for (symbol, strategy), own in weeks.groupby(["symbol", "strategy_name"]):
        mine = (performance["symbol"] == symbol) & (performance["strategy_id"] == strategy)
        at_end = performance.loc[mine, "pnl"].asof(own["end_date"].max())
        earned = (own["final_capital"] - own["initial_capital"]).sum()
        assert len(own) == 4
        assert earned == pytest.approx(at_end, abs=1e-6)

"""The paper book replayed against the price path by a second, plainer implementation."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from alphapulse_nb import metrics
from alphapulse_nb.demo.book import CAPITAL, FEE, LARGEST, NEUTRAL_BAND, RISK
from alphapulse_nb.demo.market import SYMBOLS
from alphapulse_nb.demo.simulation import Step
from alphapulse_nb.demo.strategy import ENTRY_CONFIDENCE, EXIT_CONFIDENCE, STRATEGIES

SIDES = {"LONG": 1, "SHORT": -1}


@pytest.fixture(scope="module")
def signals(month: Step) -> pd.DataFrame:
    frame = month.frames["signals"].copy()
    frame["strategy"] = frame["metadata"].map(json.loads).str["strategy"]
    return frame


@pytest.fixture(scope="module")
def prices(month: Step) -> pd.DataFrame:
    index = pd.DatetimeIndex(month.bars.times, tz="UTC")
    return pd.DataFrame(month.bars.prices, index=index, columns=list(SYMBOLS))


def size(signal: pd.Series) -> float:
    """The position's value in USDT by the book's rule."""
    at_risk = abs(signal.entry_price - signal.stop_loss) / signal.entry_price
    return min(CAPITAL * RISK / at_risk, CAPITAL * LARGEST)


def first_true(mask: np.ndarray) -> float:
    return float(np.argmax(mask)) if mask.any() else np.inf


def replay(signal: pd.Series, path: pd.Series, exits: pd.DatetimeIndex) -> dict[str, object]:
    """What the price path makes of one entry signal."""
    begin = int(path.index.get_loc(signal.timestamp))
    if begin + 1 >= len(path):
        return {"outcome": "PENDING", "pnl_pct": np.nan, "evaluated_at": pd.NaT}
    side, fill = SIDES[signal.signal_type], path.iloc[begin + 1]
    after = path.iloc[begin + 2 :]
    ordered = exits[exits > signal.timestamp]
    leave = int(path.index.get_loc(ordered[0])) + 1 - (begin + 2) if len(ordered) else np.inf
    stop = first_true((side * (after - signal.stop_loss) <= 0).to_numpy())
    target = first_true((side * (after - signal.target_price) >= 0).to_numpy())
    when = min(stop, target, leave)
    if when >= len(after):
        return {"outcome": "PENDING", "pnl_pct": np.nan, "evaluated_at": pd.NaT}
    by_target = target < min(stop, leave)
    price = signal.target_price if by_target else after.iloc[int(when)]
    net = (side * (price - fill) - FEE * (price + fill)) / signal.entry_price
    verdict = "NEUTRAL" if abs(net) <= NEUTRAL_BAND else ("WIN" if net > 0 else "LOSS")
    return {"outcome": verdict, "pnl_pct": 100 * net, "evaluated_at": after.index[int(when)]}


def test_every_outcome_is_what_the_price_path_says(
    signals: pd.DataFrame, prices: pd.DataFrame
) -> None:
    entries = signals[signals["signal_type"].isin(SIDES)]
    for (symbol, strategy), own in entries.groupby(["symbol", "strategy"]):
        exits = signals[
            (signals["symbol"] == symbol)
            & (signals["strategy"] == strategy)
            & signals["signal_type"].str.startswith("EXIT")
        ]
        for _, signal in own.iterrows():
            expected = replay(signal, prices[symbol], pd.DatetimeIndex(exits["timestamp"]))
            assert signal.outcome == expected["outcome"], signal
            assert signal.pnl_pct == pytest.approx(expected["pnl_pct"], nan_ok=True)
            assert signal.evaluated_at is expected["evaluated_at"] or (
                signal.evaluated_at == expected["evaluated_at"]
            )


def test_an_account_holds_one_position_at_a_time(signals: pd.DataFrame) -> None:
    entries = signals[signals["signal_type"].isin(SIDES)]
    for _, own in entries.groupby(["symbol", "strategy"]):
        assert (own["timestamp"].iloc[1:].to_numpy() >= own["evaluated_at"].iloc[:-1]).all()
        assert (own["outcome"].iloc[:-1] != "PENDING").all()


def test_signals_have_sound_levels(signals: pd.DataFrame) -> None:
    entries = signals[signals["signal_type"].isin(SIDES)]
    side = entries["signal_type"].map(SIDES)
    assert (side * (entries["entry_price"] - entries["stop_loss"]) > 0).all()
    assert (side * (entries["target_price"] - entries["entry_price"]) > 0).all()
    ratio = (entries["target_price"] - entries["entry_price"]) / (
        entries["entry_price"] - entries["stop_loss"]
    )
    np.testing.assert_allclose(entries["risk_reward_ratio"], ratio)
    exits = signals[~signals["signal_type"].isin(SIDES)]
    assert exits["signal_type"].isin(["EXIT_LONG", "EXIT_SHORT"]).all()
    assert exits["outcome"].isna().all()
    assert set(entries["outcome"]) <= {"WIN", "LOSS", "NEUTRAL", "PENDING"}


def test_a_signal_comes_with_its_prediction_and_only_sure_ones_become_signals(
    month: Step, signals: pd.DataFrame
) -> None:
    looks = month.frames["signal_predictions"]
    keys = ["timestamp", "symbol", "signal_type", "confidence"]
    joined = signals.merge(looks, on=keys, how="left", validate="1:1", suffixes=("", "_look"))
    assert joined["predicted_pnl"].notna().all()
    features = looks["features"].map(json.loads)
    free = looks[~features.str["in_position"]]
    signalled = set(zip(signals["timestamp"], signals["symbol"], strict=True))
    became = [key in signalled for key in zip(free["timestamp"], free["symbol"], strict=True)]
    assert ((free["confidence"] >= ENTRY_CONFIDENCE) == became).all()
    exits = signals[~signals["signal_type"].isin(SIDES)]
    assert (exits["confidence"] >= EXIT_CONFIDENCE).all()
    assert looks["confidence"].between(0, 1).all()
    assert len(looks) == 30 * 96 * len(SYMBOLS) * len(STRATEGIES)


def test_drawdown_equals_the_underwater_curve_of_capital_and_pnl(month: Step) -> None:
    for _, own in streams(month):
        equity = pd.concat([pd.Series([0.0]), own["pnl"]], ignore_index=True) + CAPITAL
        expected = -metrics.drawdown(equity).iloc[1:]
        np.testing.assert_allclose(own["drawdown"], expected, atol=1e-9)
        assert (json.loads(own["metadata"].iloc[0]))["capital"] == CAPITAL


def test_win_rate_and_trade_count_follow_from_the_outcomes(
    month: Step, signals: pd.DataFrame
) -> None:
    for (symbol, strategy), own in streams(month):
        mine = (signals["symbol"] == symbol) & (signals["strategy"] == strategy)
        closed = signals[mine & signals["evaluated_at"].notna()].sort_values("evaluated_at")
        counts = np.searchsorted(closed["evaluated_at"], own["timestamp"], side="right")
        won = np.concatenate([[0], (closed["outcome"] == "WIN").cumsum()])[counts]
        np.testing.assert_array_equal(own["trade_count"], counts)
        with np.errstate(invalid="ignore"):
            np.testing.assert_allclose(own["win_rate"], won / counts)
        assert own["win_rate"].iloc[-1] == pytest.approx(
            (closed["outcome"] == "WIN").sum() / len(closed)
        )


def test_pnl_is_the_sum_of_the_trades_and_the_open_position(
    month: Step, signals: pd.DataFrame, prices: pd.DataFrame
) -> None:
    last = prices.index[-1]
    for (symbol, strategy), own in streams(month):
        mine = (signals["symbol"] == symbol) & (signals["strategy"] == strategy)
        entries = signals[mine & signals["signal_type"].isin(SIDES)]
        sizes = entries.apply(size, axis=1)
        total = float((entries["pnl_pct"] / 100 * sizes).sum())
        for index, signal in entries[entries["outcome"] == "PENDING"].iterrows():
            path = prices.loc[signal.timestamp : last, symbol]
            if len(path) > 1:
                units = sizes[index] / signal.entry_price
                gain = SIDES[signal.signal_type] * (path.iloc[-1] - path.iloc[1])
                total += units * (gain - FEE * path.iloc[1])
        assert own["timestamp"].iloc[-1] == last
        assert own["pnl"].iloc[-1] == pytest.approx(total)
        filled = sizes[entries["timestamp"] < last]
        assert own["max_position_size"].iloc[-1] == pytest.approx(filled.max())
        assert own["avg_position_size"].iloc[-1] == pytest.approx(filled.mean())


def streams(step: Step):  # type: ignore[no-untyped-def]
    frame = step.frames["performance_metrics"]
    groups = list(frame.groupby(["symbol", "strategy_id"], observed=True))
    assert len(groups) == len(SYMBOLS) * len(STRATEGIES)
    return groups

"""Anomalies recomputed from the bars with plain pandas."""

from __future__ import annotations

import numpy as np
import pandas as pd

from alphapulse_nb.demo.anomalies import BLOCK, DATA_TYPES, KEPT, THRESHOLD, WINDOW
from alphapulse_nb.demo.market import SYMBOLS
from alphapulse_nb.demo.simulation import Step


def readings(step: Step, pair: int) -> pd.DataFrame:
    """Per block of five bars: log return, mean volume, change of the mean funding rate."""
    bars = step.bars
    index = pd.DatetimeIndex(bars.times, tz="UTC")
    rate = pd.Series(bars.funding[:, pair].mean(axis=1), index=index)
    frame = pd.DataFrame(
        {
            "price_return": bars.unit_returns[:, pair],
            "volume": bars.volumes[:, pair] / BLOCK,
            "funding_change": rate.diff(),
        },
        index=index,
    )
    numbers = bars.first + np.arange(len(bars))
    blocks = frame.groupby(numbers // BLOCK).sum(min_count=BLOCK)
    ends = pd.Series(index, index=numbers).groupby(numbers // BLOCK).last()
    return blocks.set_index(pd.DatetimeIndex(ends))


def test_rows_are_the_blocks_whose_z_score_is_large(month: Step) -> None:
    found = month.frames["anomalies"].set_index(["symbol", "data_type"]).sort_index()
    for pair, symbol in enumerate(SYMBOLS):
        blocks = readings(month, pair)
        for kind in DATA_TYPES:
            values = blocks[kind]
            rolling = values.rolling(WINDOW)
            scores = ((values - rolling.mean()) / rolling.std()).dropna()
            expected = scores[scores.abs() >= KEPT]
            rows = found.loc[(symbol, kind)].set_index("timestamp")
            rows = rows[rows.index >= scores.index[0]]
            assert rows.index.tolist() == expected.index.tolist()
            np.testing.assert_allclose(rows["z_score"], expected, rtol=1e-6)
            np.testing.assert_allclose(rows["value"], values[expected.index], rtol=1e-6)


def test_every_pair_has_tens_of_rows_a_day_and_some_beyond_the_threshold(month: Step) -> None:
    found = month.frames["anomalies"]
    per_day = found.groupby("symbol").size() / 30
    assert per_day.between(15, 90).all()
    assert (found["threshold"] == THRESHOLD).all()
    beyond = found[found["z_score"].abs() >= THRESHOLD]
    assert set(beyond["symbol"]) == set(SYMBOLS)
    assert set(beyond["data_type"]) == set(DATA_TYPES)
    assert (found["z_score"] < 0).any()


def test_the_first_hours_have_anomalies_too(month: Step) -> None:
    first = month.frames["anomalies"]["timestamp"].min()
    assert first - pd.Timestamp(month.bars.times[0], tz="UTC") < pd.Timedelta(hours=3)

"""Unusual moves of price, volume and funding, found with the rolling z-score of `metrics`.

Bars are taken in blocks of five; each block gives three readings per pair, and each reading is
compared with the 288 that end with it (24 hours of minute bars). A row is kept from |z| >= 2, so
that a chart shows what lies under the threshold of 3 too.

| data_type | value |
|---|---|
| price_return | log return of the block, a fraction |
| volume | mean USDT per minute of the block |
| funding_change | change of the mean rate of both exchanges, fraction per 8 hours |
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from alphapulse_nb.demo.market import SYMBOLS, Array, Bars
from alphapulse_nb.metrics import rolling_z_score

BLOCK = 5
WINDOW = 288
KEPT, THRESHOLD = 2.0, 3.0
DATA_TYPES = ("price_return", "volume", "funding_change")
CONTEXT = BLOCK * (WINDOW + 1)  # bars before the first new one that its reading depends on


def find(bars: Bars, new: int) -> pd.DataFrame:
    """The anomalies among the last `new` of these bars; the bars before them are context.

    Columns timestamp (UTC), symbol, data_type, value, z_score (signed), threshold; in time order.
    Empty while there is less context than one window.
    """
    ends = _block_ends(bars)
    values, comparable = _readings(bars, ends)
    shape = comparable.shape[1:]
    flat = pd.DataFrame(comparable.reshape(len(ends), -1))
    scores = np.empty(flat.shape)
    for column in range(flat.shape[1]):
        scores[:, column] = rolling_z_score(flat[column], WINDOW)
    recent = ends >= len(bars) - new
    # NaN, the unfinished window, compares as false.
    block, kind, pair = np.nonzero(
        (np.abs(scores) >= KEPT).reshape(-1, *shape) & recent[:, None, None]
    )
    return pd.DataFrame(
        {
            "timestamp": pd.DatetimeIndex(bars.times[ends[block]], tz="UTC"),
            "symbol": np.array(SYMBOLS, dtype=object)[pair],
            "data_type": np.array(DATA_TYPES, dtype=object)[kind],
            "value": values[block, kind, pair],
            "z_score": scores.reshape(-1, *shape)[block, kind, pair],
            "threshold": THRESHOLD,
        }
    )


def _block_ends(bars: Bars) -> npt.NDArray[np.int64]:
    """Position of the last bar of each whole block that has a bar before it."""
    numbers = bars.first + np.arange(len(bars))
    ends = np.flatnonzero((numbers + 1) % BLOCK == 0)
    return ends[ends >= BLOCK]


def _readings(bars: Bars, ends: npt.NDArray[np.int64]) -> tuple[Array, Array]:
    """What is reported and what is compared, both (blocks, data types, pairs).

    Moves are compared in unit form, so that blocks of short and of long bars are alike.
    """
    root = np.sqrt(bars.minutes)[:, None]
    rate = bars.funding.mean(axis=2)
    change = np.diff(rate, axis=0, prepend=rate[:1])
    reported = (bars.unit_returns * root, bars.volumes / BLOCK, change)
    compared = (bars.unit_returns, bars.volumes / BLOCK, change / root)
    return _block_sums(reported, ends), _block_sums(compared, ends)


def _block_sums(columns: tuple[Array, ...], ends: npt.NDArray[np.int64]) -> Array:
    rows = ends[:, None] + np.arange(1 - BLOCK, 1)
    return np.stack([column[rows].sum(axis=1) for column in columns], axis=1)

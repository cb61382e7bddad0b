"""Thinning a long frame to the rows that a chart can show. Rows are kept, never averaged."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd

_WIDTHS: Final = np.array(
    [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 14_400, 43_200, 86_400]
)
"""Bucket widths in seconds. They are counted from 1970, so that a refresh moves no bucket."""


def thin(
    frame: pd.DataFrame, columns: Sequence[str], max_points: int, by: Sequence[str] = ()
) -> pd.DataFrame:
    """The rows that hold a bucket's first, last, least and greatest value of each column.

    Parameters
    ----------
    frame: rows with a `timestamp` column (datetime64, UTC), oldest first.
    columns: the plotted float columns whose extremes must survive; NaN is never an extreme.
    max_points: rows per series above which thinning starts; about as many stay.
    by: the columns that tell series apart.

    The result keeps the frame's order, columns and dtypes; a frame short enough is returned as is.
    """
    series = frame.groupby(list(by), sort=False).ngroup().to_numpy() if by else None
    count = int(series.max()) + 1 if series is not None and len(frame) else 1
    if len(frame) <= max_points * count:
        return frame
    seconds = frame["timestamp"].astype("datetime64[us, UTC]").astype("int64").to_numpy() // 10**6
    width = _width(int(seconds[-1] - seconds[0]), max_points // (2 * len(columns) + 2))
    bucket = seconds // width
    if series is None:
        series = np.zeros(len(frame), dtype=np.int64)
    order = np.lexsort((np.arange(len(frame)), bucket, series))
    change = (np.diff(series[order]) != 0) | (np.diff(bucket[order]) != 0)
    starts = np.concatenate(([0], np.flatnonzero(change) + 1))
    keep = np.zeros(len(frame), dtype=bool)
    keep[order[starts]] = True
    keep[order[np.append(starts[1:], len(frame)) - 1]] = True
    for column in columns:
        values = frame[column].to_numpy(dtype=np.float64)[order]
        keep[order[_extremes(values, starts)]] = True
    return frame.loc[keep].reset_index(drop=True)


def _width(span: int, buckets: int) -> int:
    """The narrowest bucket width, in seconds, that cuts `span` into at most `buckets`."""
    wanted = span / max(buckets, 1)
    place = int(np.searchsorted(_WIDTHS, wanted))
    return int(_WIDTHS[place]) if place < len(_WIDTHS) else int(-(-wanted // 86_400) * 86_400)


def _extremes(values: npt.NDArray[np.float64], starts: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Positions of the first least and the first greatest value of each run."""
    sizes = np.diff(np.append(starts, len(values)))
    found = []
    for filled, reduce in (
        (np.where(np.isnan(values), np.inf, values), np.minimum.reduceat),
        (np.where(np.isnan(values), -np.inf, values), np.maximum.reduceat),
    ):
        hits = np.flatnonzero(filled == np.repeat(reduce(filled, starts), sizes))
        runs = np.searchsorted(starts, hits, side="right")
        _, first = np.unique(runs, return_index=True)
        found.append(hits[first])
    return np.concatenate(found)

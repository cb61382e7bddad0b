"""Metrics of the trading system itself."""

from __future__ import annotations

import pandas as pd
import sqlalchemy as sa

from alphapulse_nb.db import tables
from alphapulse_nb.db.connection import Database
from alphapulse_nb.queries.binding import bound, during
from alphapulse_nb.queries.thinning import thin
from alphapulse_nb.queries.window import MAX_POINTS, Window

_t = tables.system_metrics.c
_QUERY = sa.select(_t.timestamp, _t.metric_name, _t.metric_value, _t.metric_unit).where(
    during(tables.system_metrics)
)


def system_metrics(
    db: Database,
    symbol: str,
    window: Window,
    max_points: int = MAX_POINTS,
) -> pd.DataFrame:
    """Metrics of the whole system, oldest first; `symbol` is ignored.

    Columns: `timestamp` (datetime64[us, UTC]); `metric_name` (str); `metric_value` (float64, in its
    unit, NaN for NULL); `metric_unit` (str, NaN for NULL; such as `ms`, `ratio` (0..1), `rows/s`,
    `%`). No rows is an empty frame with these columns. More than `max_points` rows of a metric are
    thinned to those that hold the extremes of `metric_value`.
    """
    frame = db.read(_QUERY, bound(symbol, window))
    return thin(frame, ["metric_value"], max_points, by=["metric_name", "metric_unit"])

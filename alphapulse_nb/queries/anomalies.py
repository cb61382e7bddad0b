"""Anomalies: readings that were unusual for their recent past."""

from __future__ import annotations

import pandas as pd
import sqlalchemy as sa

from alphapulse_nb.db import tables
from alphapulse_nb.db.connection import Database
from alphapulse_nb.queries.binding import bound, inside
from alphapulse_nb.queries.thinning import thin
from alphapulse_nb.queries.window import MAX_POINTS, Window

_t = tables.anomalies.c
_QUERY = sa.select(_t.timestamp, _t.data_type, _t.value, _t.z_score, _t.threshold).where(
    inside(tables.anomalies)
)


def anomalies(
    db: Database, symbol: str, window: Window, max_points: int = MAX_POINTS
) -> pd.DataFrame:
    """Anomalies of one symbol, oldest first.

    Columns: `timestamp` (datetime64[us, UTC]); `data_type` (str, what was read); `value` (float64,
    in the unit of its data type); `z_score` (float64, signed, in standard deviations; ±inf as
    stored); `threshold` (float64, of |z|). NULL numbers are NaN. No rows is an empty frame with
    these columns. More than `max_points` rows of a data type are thinned to those that hold the
    extremes of `z_score`.
    """
    return thin(db.read(_QUERY, bound(symbol, window)), ["z_score"], max_points, by=["data_type"])

"""Anomalies that passed their threshold, of every symbol."""

from __future__ import annotations

import pandas as pd
import sqlalchemy as sa

from alphapulse_nb.db import tables
from alphapulse_nb.db.connection import Database
from alphapulse_nb.queries.binding import bound, during
from alphapulse_nb.queries.window import Window

_t = tables.anomalies.c
_threshold = sa.func.coalesce(_t.threshold, 3.0, type_=sa.Double).label("threshold")
_QUERY = (
    sa.select(_t.id, _t.timestamp, _t.symbol, _t.data_type, _t.value, _t.z_score, _threshold)
    .where(
        during(tables.anomalies),
        sa.func.abs(_t.z_score) >= _threshold,
        _t.z_score != sa.literal_column("'NaN'::float8"),
    )
    .order_by(_t.timestamp.desc(), _t.id.desc())
    .limit(sa.bindparam("most", type_=sa.Integer))
)


def breaches(db: Database, window: Window, limit: int = 20) -> pd.DataFrame:
    """The newest anomalies whose |z-score| reached their threshold, newest first.

    Columns: `id` (int64), `timestamp` (datetime64[us, UTC]), `symbol` and `data_type` (str),
    `value`, `z_score` (signed, in standard deviations) and `threshold` (float64; 3.0 where the
    table has none). No rows is an empty frame with these columns.
    """
    return db.read(_QUERY, bound("", window, most=limit))

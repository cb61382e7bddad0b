"""Anomalies that passed their threshold, of every symbol."""

from __future__ import annotations

import pandas as pd
import sqlalchemy as sa

from alphapulse_nb.db import tables
from alphapulse_nb.db.connection import Database
from alphapulse_nb.queries.window import Window


def breaches(db: Database, window: Window, limit: int = 20) -> pd.DataFrame:
    """The newest anomalies whose |z-score| reached their threshold, newest first.

    Columns: `id` (int64), `timestamp` (datetime64[us, UTC]), `symbol` and `data_type` (str),
    `value`, `z_score` (signed, in standard deviations) and `threshold` (float64; 3.0 where the
    table has none). No rows is an empty frame with these columns.
    """
    t = tables.anomalies.c
    threshold = sa.func.coalesce(t.threshold, 3.0, type_=sa.Double).label("threshold")
    query = (
        sa.select(t.id, t.timestamp, t.symbol, t.data_type, t.value, t.z_score, threshold)
        .where(
            t.timestamp.between(window.start, window.end),
            sa.func.abs(t.z_score) >= threshold,
            t.z_score != sa.literal_column("'NaN'::float8"),
        )
        .order_by(t.timestamp.desc(), t.id.desc())
        .limit(limit)
    )
    return db.read(query)

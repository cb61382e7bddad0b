"""Predictions of signals, beside what became of them."""

from __future__ import annotations

from typing import Final

import pandas as pd
import sqlalchemy as sa

from alphapulse_nb.db import tables
from alphapulse_nb.db.connection import Database
from alphapulse_nb.queries.binding import bound, inside
from alphapulse_nb.queries.signals import KNOWN
from alphapulse_nb.queries.thinning import thin
from alphapulse_nb.queries.window import MAX_POINTS, Window

FOLLOWS_WITHIN: Final = pd.Timedelta(minutes=5)
"""A prediction's own signal is the first of its symbol and type before this time has passed."""

_p = tables.signal_predictions.c
_PREDICTED = sa.select(_p.timestamp, _p.signal_type, _p.confidence, _p.predicted_pnl).where(
    inside(tables.signal_predictions)
)
_s = tables.signals.c
_REALISED = sa.select(_s.timestamp, _s.signal_type, *KNOWN).where(inside(tables.signals))


def predictions(
    db: Database, symbol: str, window: Window, max_points: int = MAX_POINTS
) -> pd.DataFrame:
    """Predictions of one symbol, oldest first, with the outcome of the signal that followed.

    Columns: `timestamp` (datetime64[us, UTC]); `signal_type` (str); `confidence` (float64,
    0..1); `predicted_pnl` (float64, USDT); `outcome` (str: WIN, LOSS, NEUTRAL, PENDING, or NaN when
    no signal followed within five minutes); `pnl_pct` (float64, per cent, of that signal). NULL
    numbers are NaN. Nothing after the window's end is known: neither signals nor outcomes. No rows
    is an empty frame with these columns. More than `max_points` rows of a signal type are thinned
    to those that hold the extremes of `confidence` and `predicted_pnl`.
    """
    values = bound(symbol, window)
    with db.session():
        looks = thin(
            db.read(_PREDICTED, values),
            ["confidence", "predicted_pnl"],
            max_points,
            by=["signal_type"],
        )
        realised = db.read(_REALISED, values)
    # Joined here: a lateral join in the database took four times as long for 30 days.
    return pd.merge_asof(
        looks,
        realised.sort_values("timestamp", kind="stable", ignore_index=True),
        on="timestamp",
        by="signal_type",
        direction="forward",
        tolerance=FOLLOWS_WITHIN - pd.Timedelta(microseconds=1),
    )

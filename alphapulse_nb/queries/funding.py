"""Funding rates of perpetual futures."""

from __future__ import annotations

import pandas as pd
import sqlalchemy as sa

from alphapulse_nb.db import tables
from alphapulse_nb.db.connection import Database
from alphapulse_nb.queries.binding import bound, inside
from alphapulse_nb.queries.thinning import thin
from alphapulse_nb.queries.window import MAX_POINTS, Window

_t = tables.funding_rates.c
_QUERY = sa.select(
    _t.timestamp, _t.exchange, _t.funding_rate, _t.estimated_rate, _t.next_funding_time
).where(inside(tables.funding_rates))


def funding_rates(
    db: Database, symbol: str, window: Window, max_points: int = MAX_POINTS
) -> pd.DataFrame:
    """Funding rates of one symbol on every exchange, oldest first.

    Columns: `timestamp` (datetime64[us, UTC]); `exchange` (str); `funding_rate` and
    `estimated_rate` (float64, a **fraction** per funding interval: 0.0001 is 0.01 %; an unknown
    estimate is NaN); `next_funding_time` (datetime64[us, UTC], NaT when unknown). No rows is an
    empty frame with these columns. More than `max_points` rows of an exchange are thinned to those
    that hold the extremes of `funding_rate`.
    """
    frame = db.read(_QUERY, bound(symbol, window))
    return thin(frame, ["funding_rate"], max_points, by=["exchange"])

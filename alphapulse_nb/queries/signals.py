"""Trading signals and what became of them."""

from __future__ import annotations

from typing import Any, Final

import pandas as pd
import sqlalchemy as sa

from alphapulse_nb.db import tables
from alphapulse_nb.db.connection import Database
from alphapulse_nb.queries.binding import END, bound, inside
from alphapulse_nb.queries.window import MAX_POINTS, Window

_t = tables.signals.c
_later = _t.evaluated_at > END
KNOWN: Final[tuple[sa.ColumnElement[Any], sa.ColumnElement[Any]]] = (
    sa.type_coerce(sa.case((_later, "PENDING"), else_=_t.outcome), sa.String).label("outcome"),
    sa.type_coerce(sa.case((_later, sa.null()), else_=_t.pnl_pct), sa.Double).label("pnl_pct"),
)
"""`outcome` and `pnl_pct` of a signal as they were known at the window's end."""

_QUERY = (
    sa.select(
        _t.timestamp,
        _t.signal_type,
        _t.entry_price,
        _t.stop_loss,
        _t.target_price,
        _t.confidence,
        _t.risk_reward_ratio,
        *KNOWN,
        _t.evaluated_at,
    )
    .where(inside(tables.signals))
    .order_by(_t.timestamp.desc(), _t.id.desc())
    .limit(sa.bindparam("most", type_=sa.Integer))
)


def signals(
    db: Database, symbol: str, window: Window, max_points: int = MAX_POINTS
) -> pd.DataFrame:
    """Signals of one symbol, oldest first; the newest `max_points` of the window.

    Columns: `timestamp` and `evaluated_at` (datetime64[us, UTC], NaT while open); `signal_type`
    (str: LONG, SHORT, EXIT_LONG, EXIT_SHORT); `entry_price`, `stop_loss`, `target_price` (float64,
    USDT); `confidence` (float64, 0..1); `risk_reward_ratio` (float64); `outcome` (str: WIN, LOSS,
    NEUTRAL, PENDING, or NaN: an exit has none); `pnl_pct` (float64, per cent of the position). NULL
    numbers are NaN. An outcome found after the window's end is PENDING, as it was then. No rows is
    an empty frame with these columns.
    """
    frame = db.read(_QUERY, bound(symbol, window, most=max_points))
    frame = frame.iloc[::-1].reset_index(drop=True)
    later = frame["evaluated_at"] > pd.Timestamp(window.end)
    frame.loc[later, "evaluated_at"] = pd.NaT
    return frame

"""Performance of strategies: PnL, win rate and drawdown over one time axis."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import plotly.graph_objects as go

from alphapulse_nb import metrics
from alphapulse_nb.charts.layout import (
    HOVER_TIME,
    View,
    escape,
    figure,
    has_values,
    layout,
    no_data,
    times,
    with_gaps,
)
from alphapulse_nb.charts.panels import SIDE_LEGEND, drawable, stacked, y_axis
from alphapulse_nb.charts.theme import SERIES


def performance(frame: pd.DataFrame, view: View = View()) -> go.Figure:  # noqa: B008 - frozen
    """Three panels that share the time axis: PnL (USDT), win rate and drawdown (per cent).

    `frame` has `timestamp`, `strategy_id`, `pnl` (USDT), `win_rate` (a fraction), `drawdown` (the
    positive size of the fall, a fraction), `trade_count` and `capital` (USDT). The drawdown is
    drawn under water, <= 0. Of a strategy that stores none it is computed from capital + PnL, the
    peak being no lower than the capital. A missing interval is a gap. An empty or all-NULL frame
    draws "no data".
    """
    if not has_values(frame, "pnl", "win_rate", "drawdown"):
        return no_data(view)
    traces: list[dict[str, Any]] = []
    for place, (strategy, rows) in enumerate(frame.groupby("strategy_id", sort=True)):
        traces += _strategy(escape(str(strategy)), rows, SERIES[place % len(SERIES)])
    panels = stacked(
        view,
        ["PnL, USDT", "Win rate, %", "Drawdown, %"],
        [
            {"hoverformat": ",.2f"},
            {"range": [0, 100], "tickvals": [0, 50, 100]},
            {"rangemode": "tozero"},
        ],
    )
    return figure(traces, layout(view, showlegend=True, legend=SIDE_LEGEND, **panels))


def _filled(colour: str) -> dict[str, Any]:
    red, green, blue = (int(colour[at : at + 2], 16) for at in (1, 3, 5))
    return {"fill": "tozeroy", "fillcolor": f"rgba({red},{green},{blue},0.16)"}


def underwater(rows: pd.DataFrame) -> pd.Series[float]:
    """A strategy's drawdown in per cent, <= 0: as stored, else from its capital and PnL.

    `rows` are one strategy's, oldest first. NaN where neither is known.
    """
    if rows["drawdown"].notna().any():
        return pd.Series(drawable(rows["drawdown"], -100.0))
    capital = rows["capital"].ffill().bfill()
    equity = pd.concat([capital.head(1), capital + rows["pnl"]], ignore_index=True)
    return 100.0 * metrics.drawdown(pd.Series(drawable(equity))).iloc[1:]


def _strategy(name: str, rows: pd.DataFrame, colour: str) -> list[dict[str, Any]]:
    x, (pnl, win_rate, drawdown, trades) = with_gaps(
        times(rows["timestamp"]),
        drawable(rows["pnl"]),
        drawable(rows["win_rate"], 100.0),
        drawable(underwater(rows)),
        rows["trade_count"].to_numpy(dtype=float),
    )
    counted = {"customdata": trades} if np.isfinite(trades).any() else {}
    of_trades = " of %{customdata:,.0f} trades" if counted else ""
    return [
        _line(name, 0, colour, x, pnl, "%{y:,.2f} USDT") | {"showlegend": True},
        _line(name, 1, colour, x, win_rate, f"%{{y:.1f}} %{of_trades} won") | counted,
        _line(name, 2, colour, x, drawdown, "%{y:.2f} % below its peak") | _filled(colour),
    ]


def _line(
    name: str,
    panel: int,
    colour: str,
    x: npt.NDArray[np.datetime64],
    y: npt.NDArray[np.float64],
    shown: str,
) -> dict[str, Any]:
    what = ("", " win rate", " drawdown")[panel]
    return {
        "type": "scatter",
        "mode": "lines",
        "name": f"{name}{what}",
        "legendgroup": name,
        "showlegend": False,
        "x": x,
        "y": y,
        "yaxis": y_axis(panel),
        "connectgaps": False,
        "line": {"color": colour, "width": 1.5},
        "hovertemplate": f"<b>{name}</b> {shown}<br>{HOVER_TIME}<extra></extra>",
    }

"""Funding rates: a line per exchange, in per cent per funding interval."""

from __future__ import annotations

from typing import Any

import pandas as pd
import plotly.graph_objects as go

from alphapulse_nb.charts.layout import (
    HOVER_TIME,
    View,
    escape,
    figure,
    has_values,
    layout,
    no_data,
    time_axis,
    times,
    value_axis,
    with_gaps,
)
from alphapulse_nb.charts.panels import drawable
from alphapulse_nb.charts.theme import SERIES


def funding_rates(frame: pd.DataFrame, view: View = View()) -> go.Figure:  # noqa: B008 - frozen
    """A line per exchange of the funding rate, in per cent.

    `frame` has `timestamp`, `exchange`, `funding_rate` (a fraction: 0.0001 is drawn as 0.01 %) and
    `next_funding_time` (shown on hover). A missing interval is a gap, never a bridge. An empty or
    all-NULL frame draws "no data".
    """
    if not has_values(frame, "funding_rate"):
        return no_data(view)
    lines = [
        _line(str(exchange), rows, SERIES[place % len(SERIES)])
        for place, (exchange, rows) in enumerate(frame.groupby("exchange", sort=True))
    ]
    return figure(
        lines,
        layout(
            view,
            xaxis=time_axis(view),
            yaxis=value_axis("% per interval", tickformat=".4~f", hoverformat=".4f"),
            showlegend=True,
        ),
    )


def _line(exchange: str, rows: pd.DataFrame, colour: str) -> dict[str, Any]:
    x, (rate, following) = with_gaps(
        times(rows["timestamp"]),
        drawable(rows["funding_rate"], 100.0),
        times(rows["next_funding_time"]),
    )
    name = escape(exchange)
    return {
        "type": "scatter",
        "mode": "lines",
        "name": name,
        "x": x,
        "y": rate,
        "customdata": following,
        "connectgaps": False,
        "line": {"color": colour, "width": 1.6},
        "hovertemplate": (
            f"<b>{name}</b> %{{y:.4f}} %<br>{HOVER_TIME}"
            "<br>next funding %{customdata|%d %b %H:%M} UTC<extra></extra>"
        ),
    }

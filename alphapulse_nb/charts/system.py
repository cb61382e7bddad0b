"""Metrics of the trading system: a panel per unit over one time axis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
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
    times,
    with_gaps,
)
from alphapulse_nb.charts.panels import SIDE_LEGEND, drawable, stacked, y_axis
from alphapulse_nb.charts.theme import SERIES

MOST_PANELS: Final = 5
"""More units than this do not fit: those that come last in the order are left out."""

_ORDER: Final = ("ms", "ratio", "rows/s", "%")
_FLOORS: Final = (99.0, 95.0, 90.0, 80.0, 50.0, 0.0)


def system_metrics(frame: pd.DataFrame, view: View = View()) -> go.Figure:  # noqa: B008 - frozen
    """A panel per unit: latency (ms), ratios (in per cent), throughput (rows/s), then the others.

    `frame` has `timestamp`, `metric_name`, `metric_value` and `metric_unit`. Metrics of one unit
    share its panel. A unit `ratio` holds fractions 0..1, drawn in per cent up to 100. A missing
    interval is a gap. At most five units are drawn. An empty or all-NULL frame draws "no data".
    """
    if not has_values(frame, "metric_value"):
        return no_data(view)
    frame = frame.assign(metric_unit=frame["metric_unit"].fillna(""))
    units = _units(frame["metric_unit"])
    traces: list[dict[str, Any]] = []
    titles, axes = [], []
    for panel, unit in enumerate(units):
        rows = frame[frame["metric_unit"] == unit]
        lines = _lines(rows, unit, panel)
        traces += lines
        titles.append(_title([line["name"] for line in lines], unit))
        axes.append(_axis(unit, rows["metric_value"]))
    return figure(
        traces, layout(view, showlegend=True, legend=SIDE_LEGEND, **stacked(view, titles, axes))
    )


def _units(column: pd.Series[Any]) -> list[str]:
    found = sorted(str(unit) for unit in column.unique())
    first = [unit for unit in _ORDER if unit in found]
    return (first + [unit for unit in found if unit not in first])[:MOST_PANELS]


def _lines(rows: pd.DataFrame, unit: str, panel: int) -> list[dict[str, Any]]:
    metrics = list(rows.groupby("metric_name", sort=True))
    shown = _unit(unit)
    lines = []
    for place, (metric, own) in enumerate(metrics):
        values = drawable(own["metric_value"], _scale(unit))
        x, (y,) = with_gaps(times(own["timestamp"]), values)
        name = escape(str(metric)).replace("_", " ")
        lines.append(
            {
                "type": "scatter",
                "mode": "lines",
                "name": name,
                "showlegend": len(metrics) > 1,
                "x": x,
                "y": y,
                "yaxis": y_axis(panel),
                "connectgaps": False,
                "line": {"color": SERIES[place % len(SERIES)], "width": 1.3},
                "hovertemplate": (
                    f"<b>{name}</b> %{{y:,.4~g}} {shown}<br>{HOVER_TIME}<extra></extra>"
                ),
            }
        )
    return lines


def _title(names: Sequence[str], unit: str) -> str:
    """The metrics of a panel, as far as a phone has room for them, and their unit."""
    shown = " · ".join(names[:3]) + (" …" if len(names) > 3 else "")
    return f"{shown}, {_unit(unit)}" if unit else shown


def _unit(unit: str) -> str:
    return "%" if unit == "ratio" else escape(unit)


def _scale(unit: str) -> float:
    return 100.0 if unit == "ratio" else 1.0


def _axis(unit: str, values: pd.Series[Any]) -> dict[str, Any]:
    """A ratio ends at 100 %, and starts at a round number below the least, so that 99 % reads."""
    known = drawable(values, _scale(unit))
    known = known[~np.isnan(known)]
    if unit != "ratio" or not len(known) or known.min() < 0 or known.max() > 100:
        return {"rangemode": "tozero"}
    floor = next(step for step in _FLOORS if step <= known.min())
    return {
        "range": [floor, 100 + (100 - floor) * 0.04],
        "tickvals": [floor, (floor + 100) / 2, 100],
    }

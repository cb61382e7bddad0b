"""Metrics of the trading system: a panel per unit over one time axis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt
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

_FEW: Final = 0.1
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
    view = _measured(frame, view)
    groups = frame.groupby([frame["metric_unit"].fillna(""), "metric_name"], sort=True)
    series = {(str(unit), str(name)): rows for (unit, name), rows in groups}
    units = _units({unit for unit, _ in series})
    traces: list[dict[str, Any]] = []
    titles, axes = [], []
    for panel, unit in enumerate(units):
        metrics = {name: rows for (of, name), rows in series.items() if of == unit}
        lines = _lines(metrics, unit, panel)
        traces += lines
        titles.append(_title([line["name"] for line in lines], unit))
        axes.append(_axis(unit, np.concatenate([line["y"] for line in lines])))
    return figure(
        traces, layout(view, showlegend=True, legend=SIDE_LEGEND, **stacked(view, titles, axes))
    )


def _measured(frame: pd.DataFrame, view: View) -> View:
    """The view from the first sample on, where the samples fill less than a tenth of it.

    A system that was started a moment ago would be a hair at the right edge of a day.
    """
    if view.start is None or view.end is None:
        return view
    first = frame["timestamp"].min().to_pydatetime()
    few = view.end - _FEW * (view.end - view.start) < first < view.end
    return replace(view, start=first) if few else view


def _units(found: set[str]) -> list[str]:
    first = [unit for unit in _ORDER if unit in found]
    return (first + sorted(found.difference(first)))[:MOST_PANELS]


def _lines(metrics: dict[str, pd.DataFrame], unit: str, panel: int) -> list[dict[str, Any]]:
    shown = _unit(unit)
    lines = []
    for place, (metric, own) in enumerate(metrics.items()):
        values = drawable(own["metric_value"], _scale(unit))
        x, (y,) = with_gaps(times(own["timestamp"]), values)
        name = escape(metric).replace("_", " ")
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


def _axis(unit: str, drawn: npt.NDArray[np.float64]) -> dict[str, Any]:
    """A ratio ends at 100 %, and starts at a round number below the least, so that 99 % reads."""
    known = drawn[~np.isnan(drawn)]
    if unit != "ratio" or not len(known) or known.min() < 0 or known.max() > 100:
        return {"rangemode": "tozero"}
    floor = next(step for step in _FLOORS if step <= known.min())
    return {
        "range": [floor, 100 + (100 - floor) * 0.04],
        "tickvals": [floor, (floor + 100) / 2, 100],
    }

"""Panels stacked over one time axis, and marks that only explain: what several charts share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from alphapulse_nb.charts.layout import View, time_axis, value_axis
from alphapulse_nb.charts.theme import light

_GAP: Final = 0.095
"""Between two panels, as a share of the plot's height: a line of text where the plot has 230 px."""

LEGEND: Final[dict[str, Any]] = {
    "orientation": "h",
    "x": 0,
    "y": 1.02,
    "yanchor": "bottom",
    "font": {"size": 11, "color": light("muted")},
    "bgcolor": "rgba(0,0,0,0)",
    "tracegroupgap": 0,
    "itemwidth": 30,
    "indentation": -4,
}
"""A legend above the plot, close enough for a phone."""

SIDE_LEGEND: Final[dict[str, Any]] = LEGEND | {
    "x": 1,
    "xanchor": "right",
    "y": 1.0,
    "tracegroupgap": 10,
}
"""A legend at the right, beside the title of the first panel."""


def stacked(view: View, titles: Sequence[str], axes: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The axes and titles of panels from top to bottom: parts of a layout.

    They share the time axis and nothing else. The panel at place `n` draws on `y_axis(n)`. A title
    stands above its panel, at the left.
    """
    count = len(titles)
    height = (1 - _GAP * (count - 1)) / count
    parts: dict[str, Any] = {"xaxis": time_axis(view, anchor=y_axis(count - 1)), "annotations": []}
    for place, (title, axis) in enumerate(zip(titles, axes, strict=True)):
        top = 1 - place * (height + _GAP)
        parts["yaxis" + y_axis(place)[1:]] = value_axis(
            "", domain=[max(top - height, 0.0), top], nticks=4, **axis
        )
        parts["annotations"].append(_title(title, top))
    return parts


def y_axis(place: int) -> str:
    """The y axis of the panel at a place, as traces name it: `y`, `y2`, `y3` …"""
    return "y" if place == 0 else f"y{place + 1}"


def _title(text: str, top: float) -> dict[str, Any]:
    return {
        "text": text,
        "showarrow": False,
        "xref": "paper",
        "yref": "paper",
        "x": 0,
        "y": top,
        "xanchor": "left",
        "yanchor": "bottom",
        "borderpad": 0,
        "font": {"size": 11, "color": light("muted")},
    }


def key(name: str, marker: dict[str, Any], group: str = "") -> dict[str, Any]:
    """A trace without points that explains a marker in the legend."""
    trace: dict[str, Any] = {
        "type": "scatter",
        "mode": "markers",
        "name": name,
        "x": [None],
        "y": [None],
        "hoverinfo": "skip",
        "marker": marker,
    }
    return trace | ({"legendgroup": group} if group else {})


def drawable(values: pd.Series[Any], factor: float = 1.0) -> npt.NDArray[np.float64]:
    """The values times a factor, NaN for what no axis can show: infinity and beyond 1e300."""
    scaled = values.to_numpy(dtype=np.float64)
    scaled = np.where(np.abs(scaled) < 1e300 / max(abs(factor), 1.0), scaled, np.nan)
    return scaled * factor

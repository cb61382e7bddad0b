"""What every chart shares: its view, its axes, its gaps and its quiet "no data"."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd
import plotly.graph_objects as go

from alphapulse_nb.charts.theme import FONT, light

HOVER_TIME: Final = "%{x|%d %b %Y %H:%M:%S} UTC"
"""The moment of a point in a hover text. A page shows it in the viewer's time zone."""


@dataclass(frozen=True)
class View:
    """What a frame is about: a symbol, the range in words (`last 24 h`) and its two ends.

    All of it is optional: a chart of a bare frame takes its range from the data.
    """

    symbol: str = ""
    span: str = ""
    start: datetime | None = None
    end: datetime | None = None

    @property
    def limits(self) -> list[float] | None:
        """The range of the time axis in epoch milliseconds."""
        if self.start is None or self.end is None:
            return None
        return [self.start.timestamp() * 1e3, self.end.timestamp() * 1e3]


def times(column: pd.Series[Any]) -> npt.NDArray[np.datetime64]:
    """A timestamp column as naive UTC `datetime64[ms]`: Plotly drops a zone without converting."""
    stamps = pd.DatetimeIndex(column)
    if stamps.tz is not None:
        stamps = stamps.tz_convert(UTC).tz_localize(None)
    return stamps.to_numpy(dtype="datetime64[ms]")


def time_axis(view: View, **overrides: Any) -> dict[str, Any]:
    """The x axis: dates in UTC over the whole view, with a thin spike under the pointer."""
    axis: dict[str, Any] = {
        "type": "date",
        "showgrid": True,
        "gridcolor": light("grid"),
        "zeroline": False,
        "showline": True,
        "linecolor": light("line"),
        "ticks": "outside",
        "ticklen": 4,
        "tickcolor": light("line"),
        "tickfont": {"color": light("muted"), "size": 11},
        "showspikes": True,
        "spikemode": "across",
        "spikethickness": 1,
        "spikedash": "dot",
        "spikecolor": light("zero"),
        "spikesnap": "cursor",
    }
    if view.limits is not None:
        axis["range"] = view.limits
    return axis | overrides


def value_axis(title: str, **overrides: Any) -> dict[str, Any]:
    """A y axis with its unit in the title and a visible zero line."""
    axis: dict[str, Any] = {
        "title": {"text": title, "font": {"size": 11, "color": light("muted")}, "standoff": 8},
        "showgrid": True,
        "gridcolor": light("grid"),
        "zeroline": True,
        "zerolinecolor": light("zero"),
        "zerolinewidth": 1,
        "tickfont": {"color": light("muted"), "size": 11},
        "automargin": True,
        "fixedrange": False,
    }
    return axis | overrides


def layout(view: View, **parts: Any) -> dict[str, Any]:
    """The layout of a panel: no title (the panel has one), legend above, transparent ground."""
    base: dict[str, Any] = {
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"family": FONT, "size": 12, "color": light("text")},
        "margin": {"l": 56, "r": 20, "t": 30, "b": 40},
        "hovermode": "closest",
        "hoverlabel": {
            "bgcolor": light("panel"),
            "bordercolor": light("line"),
            "font": {"color": light("text"), "size": 12, "family": FONT},
            "align": "left",
            "namelength": -1,
        },
        "legend": {
            "orientation": "h",
            "x": 0,
            "y": 1.02,
            "yanchor": "bottom",
            "font": {"size": 11, "color": light("muted")},
            "bgcolor": "rgba(0,0,0,0)",
        },
        "uirevision": f"{view.symbol}|{view.span}",
        "template": {},
    }
    return base | parts


def figure(data: list[dict[str, Any]], layout: dict[str, Any]) -> go.Figure:
    """A figure from one dict, which costs a tenth of adding its parts one by one.

    Plotly's check of every value would take five times as long as the rest (1.7 of 2.0 ms); the
    tests check each chart's figure once instead.
    """
    return go.Figure({"data": data, "layout": layout}, _validate=False)


def no_data(view: View) -> go.Figure:
    """A quiet figure that says what there is no data for."""
    about = f" for {escape(view.symbol)}" if view.symbol else ""
    during = f" in the {view.span}" if view.span else ""
    note = {
        "text": f"No data{about}{during}",
        "showarrow": False,
        "xref": "paper",
        "yref": "paper",
        "x": 0.5,
        "y": 0.5,
        "font": {"size": 14, "color": light("muted")},
    }
    hidden = {"visible": False}
    return figure([], layout(view, annotations=[note], xaxis=hidden, yaxis=hidden))


def escape(text: str) -> str:
    """Text as Plotly shows it literally: it draws a small HTML of its own in titles and hovers."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def has_values(frame: pd.DataFrame, *columns: str) -> bool:
    """Whether any of the columns holds at least one value that is not NULL."""
    return any(bool(frame[name].notna().to_numpy().any()) for name in columns)


def with_gaps(
    stamps: npt.NDArray[np.datetime64], *columns: npt.NDArray[Any]
) -> tuple[npt.NDArray[np.datetime64], list[npt.NDArray[Any]]]:
    """The columns with a NaN (or NaT) put into each hole, so that a line breaks there.

    A hole is a step longer than three times the 90th percentile of the steps: the usual cadence of
    the series, or of what thinning left of it.
    """
    if len(stamps) < 3:
        return stamps, list(columns)
    steps = np.diff(stamps).astype("timedelta64[ms]").astype(np.int64)
    holes = np.flatnonzero(steps > 3 * np.quantile(steps, 0.9)) + 1
    if not len(holes):
        return stamps, list(columns)
    filled = np.insert(stamps, holes, stamps[holes - 1] + np.timedelta64(1, "ms"))
    broken = []
    for column in columns:
        blank = np.datetime64("NaT") if column.dtype.kind == "M" else np.nan
        broken.append(np.insert(column, holes, blank))
    return filled, broken

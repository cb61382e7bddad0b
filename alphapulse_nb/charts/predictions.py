"""Predictions: how sure, how much, and what became of them."""

from __future__ import annotations

import math
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
    time_axis,
    times,
    value_axis,
)
from alphapulse_nb.charts.panels import LEGEND, drawable, key
from alphapulse_nb.charts.theme import light

HIGH_CONFIDENCE: Final = 0.7

SYMBOLS: Final = {
    "LONG": "triangle-up",
    "SHORT": "triangle-down",
    "EXIT_LONG": "square",
    "EXIT_SHORT": "diamond",
}
_OTHER_SYMBOLS: Final = ("circle", "pentagon", "star", "hexagon")

_RESOLVED: Final = {"WIN": light("good"), "LOSS": light("bad"), "NEUTRAL": light("muted")}
_HOLLOW: Final = "rgba(0,0,0,0)"
_TOP: Final = 1.08
"""The axes end this much above 100 % and the greatest PnL."""

_Floats = npt.NDArray[np.float64]


def predictions(frame: pd.DataFrame, view: View = View()) -> go.Figure:  # noqa: B008 - frozen
    """Confidence as marks (left, per cent) over predicted PnL as bars (right, USDT).

    `frame` has `timestamp`, `signal_type`, `confidence` (0..1), `predicted_pnl` (USDT), `outcome`
    and `pnl_pct` (per cent). The zero lines of both axes are one. A mark's symbol is the signal
    type; it is filled green, red or grey for a WIN, a LOSS or a NEUTRAL, hollow blue while its
    signal is PENDING, and small, hollow and grey where no signal followed. The dashed line stands
    at 70 % confidence. An empty or all-NULL frame draws "no data".
    """
    if not has_values(frame, "confidence", "predicted_pnl"):
        return no_data(view)
    types = sorted(str(name) for name in frame["signal_type"].unique())
    left, right = aligned(drawable(frame["predicted_pnl"]))
    return figure(
        [_bars(frame, view), *_all_marks(frame, types), *_key(types, frame["outcome"])],
        layout(
            view,
            xaxis=time_axis(view),
            yaxis=value_axis(
                "Confidence, %",
                range=left,
                tickvals=[0, 50, 100 * HIGH_CONFIDENCE, 100],
                zeroline=True,
            ),
            yaxis2=value_axis(
                "Predicted PnL (bars), USDT",
                range=right,
                overlaying="y",
                side="right",
                tickmode="auto",
                showgrid=False,
                nticks=6,
            ),
            shapes=[_HIGH],
            barmode="overlay",
            showlegend=True,
            legend=LEGEND,
            margin={"l": 52, "r": 56, "t": 30, "b": 40},
        ),
    )


_LEAST: Final = 1e-9
"""USDT; less than this is nothing to draw, and its steps would be lost in the arithmetic."""


def aligned(pnl: _Floats) -> tuple[list[float], list[float]]:
    """Ranges of the confidence axis (per cent) and the PnL axis (USDT) whose zeros are level.

    Both are in steps (1, 2, 5 times a power of ten, and quarters of it below zero), so that they
    seldom change between two refreshes.
    """
    known = pnl[np.isfinite(pnl) & (np.abs(pnl) >= _LEAST)]
    most, least = float(known.max(initial=0.0)), float(-known.min(initial=0.0))
    end = _round_up(max(most, least))
    below = math.ceil(4 * least / end) / 4 * _TOP
    return [-100.0 * below, 100.0 * _TOP], [-end * below, end * _TOP]


def _round_up(value: float) -> float:
    """The next of 1, 2, 5, 10 … above; 1 for 0."""
    if value <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next((step * power for step in (1, 2, 5, 10) if step * power >= value), 20 * power)


def _bars(frame: pd.DataFrame, view: View) -> dict[str, Any]:
    x = times(frame["timestamp"])
    return {
        "type": "bar",
        "name": "predicted PnL",
        "showlegend": False,
        "x": x,
        "y": drawable(frame["predicted_pnl"]),
        "yaxis": "y2",
        "width": _width(x, view),
        "marker": {"color": light("series6"), "opacity": 0.4, "line": {"width": 0}},
        "hovertemplate": f"predicted %{{y:,.2f}} USDT<br>{HOVER_TIME}<extra></extra>",
    }


def _width(x: npt.NDArray[np.datetime64], view: View) -> float:
    """Milliseconds of a bar: the time axis in 200 parts, or twice, four times … as many."""
    low, high = view.limits or [float(x[0].astype(np.int64)), float(x[-1].astype(np.int64))]
    slots = 200 * 2 ** max(math.ceil(math.log2(max(len(x), 1) / 200)), 0)
    return float(max(round((high - low) / slots), 1))


def _all_marks(frame: pd.DataFrame, types: list[str]) -> list[dict[str, Any]]:
    """A trace per signal type and fate: one colour each costs a fifth of a colour per mark."""
    outcome = frame["outcome"]
    fates = outcome.where(outcome.isin([fate for fate in _FATES if fate]), "")
    groups = frame.groupby([frame["signal_type"], fates], sort=False)
    found = {(str(name), str(fate)): rows for (name, fate), rows in groups}
    return [
        _marks(name, _symbol(name, types), fate, found[name, fate])
        for name in types
        for fate in _FATES
        if (name, fate) in found
    ]


def _marks(signal_type: str, symbol: str, fate: str, rows: pd.DataFrame) -> dict[str, Any]:
    name = escape(signal_type)
    became = {"": "no signal followed", "PENDING": "PENDING"}.get(
        fate, f"{fate} %{{customdata[1]:+.2f}} %"
    )
    return {
        "type": "scatter",
        "mode": "markers",
        "name": f"{name} {fate.lower()}".rstrip(),
        "showlegend": False,
        "legendgroup": name,
        "x": times(rows["timestamp"]),
        "y": drawable(rows["confidence"], 100.0),
        "customdata": rows[["predicted_pnl", "pnl_pct"]].to_numpy(dtype=float),
        "marker": _FATES[fate] | {"symbol": symbol},
        "hovertemplate": (
            f"<b>{name}</b> %{{y:.1f}} %, predicted %{{customdata[0]:,.2f}} USDT"
            f"<br>{became}<br>{HOVER_TIME}<extra></extra>"
        ),
    }


def _mark(fill: str, edge: str, size: int = 9) -> dict[str, Any]:
    return {"size": size, "color": fill, "line": {"width": 1.2, "color": edge}}


_FATES: Final = {
    "": _mark(_HOLLOW, light("zero"), 6),
    "PENDING": _mark(_HOLLOW, light("accent")),
    **{outcome: _mark(colour, colour) for outcome, colour in _RESOLVED.items()},
}
"""The marks of what became of a prediction, least telling first; "" where no signal followed."""


def _symbol(name: str, types: list[str]) -> str:
    others = [other for other in types if other not in SYMBOLS]
    return SYMBOLS.get(name) or _OTHER_SYMBOLS[others.index(name) % len(_OTHER_SYMBOLS)]


def _key(types: list[str], outcomes: pd.Series[Any]) -> list[dict[str, Any]]:
    """What the symbols and the colours mean."""
    line = {"width": 1.2, "color": light("muted")}
    symbols = [
        key(
            escape(name),
            {"symbol": _symbol(name, types), "size": 8, "color": _HOLLOW, "line": line},
            escape(name),
        )
        for name in types
    ]
    colours = [
        key(outcome.lower(), {"symbol": "circle", "size": 8, "color": colour})
        for outcome, colour in _RESOLVED.items()
        if outcome != "NEUTRAL" and (outcomes == outcome).any()
    ]
    return symbols + colours


_HIGH: Final[dict[str, Any]] = {
    "type": "line",
    "xref": "paper",
    "x0": 0,
    "x1": 1,
    "y0": 100 * HIGH_CONFIDENCE,
    "y1": 100 * HIGH_CONFIDENCE,
    "line": {"color": light("accent"), "width": 1, "dash": "dash"},
    "layer": "above",
}
